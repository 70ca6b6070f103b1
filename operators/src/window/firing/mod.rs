//! Windows that give results more than once: early, on time and late.
//!
//! *A result of a key in a window is sent in tick e iff rows of it have come since its last result,
//! and f(e) < end and the trigger fires, or f(e−1) < end ≤ f(e), or end ≤ f(e−1) and some of the
//! rows came in tick e.* So there is at most one in a tick, early results never stand in for the one
//! on time, and each is of all rows up to its tick. Rows are refused as late, and a window's state is
//! dropped, when the frontier has passed `end + lateness`, where `lateness` is at least that of the
//! operators upstream. Which rows count in the end, and thereby the final result, is a function of
//! the input; how they are split over results is not, as ticks are not.
//!
//! ```text
//!                      end             end + lateness
//!  frontier ──▶ ────────┼─────────────────┼───────
//!               early   │ on time   late  │ dropped
//!               trigger │ once      each tick with changes
//! ```
//!
//! Every result says which it is by its [`Pane`](super::Pane): `index` counts them, and `last` is true
//! iff the window's state is dropped in the same tick, so that nothing can follow. A window whose last
//! change came before that has no such pane; with [`fire_empty`](Triggered::fire_empty) every window
//! ends with one. Results carry the window's last instant as their event time; late ones and what
//! they take back are behind by as much as the frontier was past it.
//!
//! How the results of a window go together is chosen at the end:
//! * [`retracting`](Triggered::retracting): each takes back the one before. The sum of all changes up
//!   to a tick is what the windows were as of their last result.
//! * [`discarding`](Triggered::discarding): each is of what came since the one before. For sinks only.
//! * [`final_only`](super::Windowed::final_only): one, when the state is dropped.
//!
//! The modes and triggers are those of the Dataflow Model (Akidau et al., VLDB 2015), with decisions
//! at the end of a tick instead of after each row.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::prelude::*;
//! use tiderace_operators::window::Trigger;
//!
//! let changes = Arc::new(Mutex::new(Vec::new()));
//! let (into, refused) = (changes.clone(), Arc::new(Mutex::new(0)));
//! let late_in = refused.clone();
//! timely::execute_directly(move |worker| {
//!     let observer = Observer::default();
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let (input, rows) = EventInput::<i64>::new(scope, 0, Policy::ascending(), &observer);
//!         let sums = rows
//!             .key_by(|_| 0u32)
//!             .window(Tumbling::every(secs(10)))
//!             .allow_late(secs(5))
//!             .trigger(Trigger::count(2))
//!             .retracting("sums", Sum::of(|n: &i64| *n));
//!         sums.inspect(move |change| {
//!             let (row, diff) = (&change.data.data, change.data.diff);
//!             into.lock().unwrap().push((row.value, row.pane.timing, diff));
//!         });
//!         sums.late().inspect(move |_| *late_in.lock().unwrap() += 1);
//!         input
//!     });
//!     for (second, n) in [(1, 1), (2, 2), (3, 4), (12, 0), (9, 8), (16, 0), (9, 16)] {
//!         input.send(0, EventTime::from_secs(second), n);
//!         input.end_tick();
//!     }
//! });
//! use Timing::{Early, Late, OnTime};
//! let first_window = [
//!     (3, Early, 1),                  // two rows
//!     (3, Early, -1), (7, OnTime, 1), // the frontier is at 12 s
//!     (7, OnTime, -1), (15, Late, 1), // a late row that is allowed
//!     // the frontier is at 16 s: what comes now is refused
//! ];
//! assert_eq!(changes.lock().unwrap()[..5], first_window);
//! assert_eq!(*refused.lock().unwrap(), 1);
//! ```

mod accumulate;
mod cell;
mod combine;
mod logic;
mod operator;
mod panes;
mod saved;
mod state;
mod timers;
mod trigger;

pub use accumulate::{Accumulation, Discarding, Retracting, Sent};
pub use combine::{And, Or, Stage, Then};
pub use logic::{PaneSoFar, Since, TriggerLogic, Wake};
pub use operator::Firings;
pub use panes::{Fired, Panes};
pub use state::{Rule, TriggerState};
pub use trigger::{Places, Trigger};

use serde::Serialize;
use serde::de::DeserializeOwned;
use timely::ExchangeData;

use super::{Assigner, WindowResult, Windowed, WithLate};
use crate::aggregate::Aggregate;
use crate::change::Changes;
use crate::events::{Data, Events, Tick};
use crate::key::Key;
use crate::keyed::{self, Keyed};
use crate::tick::tick_operator;

/// A windowed stream with early results, to be aggregated.
pub struct Triggered<'scope, T: Tick, D: Data, F, W, G> {
    windowed: Windowed<'scope, T, D, F, W>,
    rule: Rule<G>,
}

impl<'scope, T: Tick, D: ExchangeData + Data, F, W: Assigner> Windowed<'scope, T, D, F, W> {
    /// Has windows give early results when a trigger fires.
    pub fn trigger<G: TriggerLogic>(self, trigger: G) -> Triggered<'scope, T, D, F, W, G> {
        Triggered { windowed: self, rule: Rule { trigger, fire_empty: false } }
    }

    /// A result when each window is complete, and at each tick with allowed late rows a better one
    /// that takes it back. See [`Triggered::retracting`].
    pub fn retracting<K, A>(
        self,
        name: &str,
        aggregate: A,
    ) -> Fired<'scope, T, Changes<'scope, T, WindowResult<K, A::Output>>, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        A: Aggregate<D>,
        A::Output: Data + Serialize + DeserializeOwned,
    {
        self.trigger(Trigger::on_time()).retracting(name, aggregate)
    }

    /// A result when each window is complete, and at each tick with allowed late rows one of these
    /// rows alone. See [`Triggered::discarding`].
    pub fn discarding<K, A>(
        self,
        name: &str,
        aggregate: A,
    ) -> Fired<'scope, T, Panes<'scope, T, WindowResult<K, A::Output>>, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        A: Aggregate<D>,
        A::Output: Data,
    {
        self.trigger(Trigger::on_time()).discarding(name, aggregate)
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data, F> Windowed<'scope, T, D, F> {
    /// One result for each key and window, sent once when no late row is allowed any more: another
    /// name for [`aggregate`](Windowed::aggregate), to go with the other two modes.
    pub fn final_only<K, A>(
        self,
        name: &str,
        aggregate: A,
    ) -> WithLate<'scope, T, WindowResult<K, A::Output>, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        A: Aggregate<D>,
        A::Output: Data,
    {
        self.aggregate(name, aggregate)
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data, F, W: Assigner, G: TriggerLogic>
    Triggered<'scope, T, D, F, W, G>
{
    /// Sends a result also where nothing has come since the one before: early ones that are due by
    /// time alone, the one on time, and a last one when the window's state is dropped. Only windows
    /// that have a row give any.
    #[must_use]
    pub fn fire_empty(mut self) -> Self {
        self.rule.fire_empty = true;
        self
    }

    /// Each result takes back the one before, exactly as it was sent, and is of all rows of the
    /// window so far. It is sent though its value may be the same, as its pane is not.
    ///
    /// Rows are exchanged so that all of a key meet on one worker. Cost: a hash and a table lookup a
    /// row and window it is in; at the end of a tick, where the trigger may fire early, a lookup for
    /// each key that came or whose time has come. State: an entry per key and open window, with the
    /// aggregate and the last result, until the frontier has passed `end + lateness`.
    pub fn retracting<K, A>(
        self,
        name: &str,
        aggregate: A,
    ) -> Fired<'scope, T, Changes<'scope, T, WindowResult<K, A::Output>>, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        A: Aggregate<D>,
        A::Output: Data + Serialize + DeserializeOwned,
    {
        let (results, late) = self.fire::<K, A, Retracting>(name, aggregate);
        Fired::new(Changes::from_events(results), late)
    }

    /// Each result is of the rows that came since the one before; those of a window add up to its
    /// final content. Such a stream goes to sinks only. Cost and state as
    /// [`retracting`](Triggered::retracting), without the last result.
    pub fn discarding<K, A>(
        self,
        name: &str,
        aggregate: A,
    ) -> Fired<'scope, T, Panes<'scope, T, WindowResult<K, A::Output>>, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        A: Aggregate<D>,
        A::Output: Data,
    {
        let (results, late) = self.fire::<K, A, Discarding>(name, aggregate);
        Fired::new(Panes::new(results), late)
    }

    fn fire<K, A, M>(
        self,
        name: &str,
        aggregate: A,
    ) -> (Events<'scope, T, M::Out>, Events<'scope, T, D>)
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        A: Aggregate<D>,
        M: Accumulation<K, A::Output>,
    {
        let Windowed { keyed: Keyed { events, key }, by, lateness, .. } = self.windowed;
        let clock = events.clock();
        let lateness = lateness.max(clock.late());
        by.check(name);
        let counters = clock.observer().register(name, "window", events.scope().index());
        let pact = keyed::exchange(key.clone());
        let state: Firings<K, D, W, F, A, G, M> =
            Firings::new((by, lateness), key, aggregate, self.rule, counters.clone());
        let (results, late) = tick_operator(name, &events, pact, state, counters);
        let results = Events::from_parts(results, clock.clone().with_late(lateness));
        (results, Events::from_parts(late, clock))
    }
}

#[cfg(test)]
mod tests;
