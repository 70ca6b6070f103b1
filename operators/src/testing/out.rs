//! Where a program under test puts its results.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Inspect;

use crate::change::{Change, Changes};
use crate::events::{Data, Events};
use crate::keeps_nothing;
use crate::tick::{Emit, Fuel, Now, TickLogic, tick_operator};
use crate::time::{EventTime, Timed};

/// Gathers the results of all workers, with the tick each came in.
pub struct Out<R> {
    rows: Arc<Mutex<Vec<(u64, R)>>>,
    gathered: Arc<AtomicUsize>,
}

impl<R> Clone for Out<R> {
    fn clone(&self) -> Self {
        Out { rows: self.rows.clone(), gathered: Arc::default() }
    }
}

impl<R> Default for Out<R> {
    fn default() -> Self {
        Out { rows: Arc::default(), gathered: Arc::default() }
    }
}

impl<R: Send + 'static> Out<R> {
    /// Takes in what a function makes of each row of a stream, once per row. Fails if a row on time
    /// is behind the stream's frontier as of the tick before: that is what every stream promises.
    pub fn gather<D: Data>(
        &self,
        events: &Events<'_, u64, D>,
        f: impl Fn(&Timed<D>) -> R + 'static,
    ) {
        let name = format!("Gather {}", self.gathered.fetch_add(1, Relaxed));
        let counters = events.clock().observer().register(&name, "gather", events.scope().index());
        let check = Check { counters: counters.clone() };
        let (rows, _) = tick_operator(&name, events, Pipeline, check, counters);
        self.raw(&Events::from_parts(rows, events.clock()), f);
    }

    /// The same for the changes of a stream.
    pub fn changes<D: Data>(
        &self,
        changes: &Changes<'_, u64, D>,
        f: impl Fn(&Timed<Change<D>>) -> R + 'static,
    ) {
        self.gather(&changes.events(), f);
    }

    /// Takes in rows without looking at their times.
    pub fn raw<D: Data>(&self, events: &Events<'_, u64, D>, f: impl Fn(&Timed<D>) -> R + 'static) {
        let into = self.rows.clone();
        let (rows, _) = events.parts();
        rows.inspect_batch(move |tick, rows| {
            let mut into = into.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            into.extend(rows.iter().map(|row| (*tick, f(row))));
        });
    }

    /// What has been gathered up to a tick.
    pub(super) fn until(&self, last: u64) -> Vec<R> {
        let mut rows = self.rows.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        rows.drain(..).filter(|(tick, _)| *tick <= last).map(|(_, row)| row).collect()
    }
}

/// Passes rows on, if they are where they have to be.
struct Check {
    counters: Arc<crate::observe::Counters>,
}

keeps_nothing!(Check);

impl<D: Data> TickLogic<D> for Check {
    type Out = D;
    type Side = ();

    // That rows on time are not behind is checked for every such operator before this is called.
    fn apply(&mut self, _: EventTime, rows: &mut Vec<Timed<D>>, out: &mut Emit<D, ()>) {
        self.counters.kept.add(rows.len() as u64);
        out.rows.append(rows);
    }

    fn close(&mut self, _: Now, _: &mut Fuel, _: &mut Emit<D, ()>) -> bool {
        true
    }
}
