//! Rows in the order of their event times.
//!
//! *A row at t is sent in the tick e with t < f(e) − lateness that is the first such; the rows of a
//! tick are sent in the order of (event time, canonical bytes).* As no row before the frontier can
//! follow, all rows of a worker come out in that order. A row is late iff t < F − lateness, so that
//! a late one would have come out of turn. Results are the lateness behind.
//!
//! ```text
//!  in    3  1  2 │ 5  2  4 │            one tick, another one
//!  f               2         4 │ ∞
//!  out             1         2  2  3 │ 4  5
//! ```
//!
//! **The order holds on one worker**: for a consumer there that takes rows as they come, or for
//! operators that are keyed alike, such as a [`process`](crate::process), which then sees the
//! rows of each key in this order, whatever the ticks. The next exchange by another key mixes the
//! rows of different workers, as does a union.
//!
//! **The bound.** With [`Sort::at_most`] at most so many rows of a key wait at a tick's end. At the
//! end of a tick those that need not wait leave; then the other rows of the tick are taken in order
//! while there is room, and the rest, which are the furthest ahead, go to the stream
//! [`over`](Limited::over), counted as rejected. Which they are depends on how far the frontier has
//! come, so on where ticks end.
//!
//! Cost: a search in a tree of the waiting event times a row. State: every row that waits, as one
//! entry; a row that comes and goes between two cuts is never written.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::order::Sort;
//! use tiderace_operators::prelude::*;
//!
//! let seen = Arc::new(Mutex::new((Vec::new(), Vec::new())));
//! let (into, late) = (seen.clone(), seen.clone());
//! timely::execute_directly(move |worker| {
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let (policy, observer) = (Policy::bounded(secs(2)), Observer::default());
//!         let (input, rows) = EventInput::<char>::new(scope, 0, policy, &observer);
//!         let sorted = rows.sort("sorted", Sort::by_time());
//!         sorted.inspect(move |row| into.lock().unwrap().0.push(row.data));
//!         sorted.late().inspect(move |row| late.lock().unwrap().1.push(row.data));
//!         input
//!     });
//!     for (at, row) in [(3, 'c'), (1, 'a'), (2, 'b'), (5, 'e'), (2, '!'), (4, 'd')] {
//!         input.send(0, EventTime::from_secs(at), row);
//!         input.end_tick();
//!     }
//!     input.finish();
//! });
//! let (sorted, late) = seen.lock().unwrap().clone();
//! assert_eq!(sorted, ['a', 'b', 'c', 'd', 'e']);
//! assert_eq!(late, ['!'], "the frontier was at 3 s");
//! ```

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use timely::ExchangeData;

use super::{Waiting, in_order};
use crate::events::{Data, Events, Tick};
use crate::flow::{Aside, Limited};
use crate::key::Key;
use crate::keyed::{self, Keyed};
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Epoch, Saver, Shape, State, Table};
use crate::tick::{Emit, Fuel, Now, TickLogic, tick_operator};
use crate::time::{EventTime, Span, Timed};

/// How rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    lateness: Span,
    most: Option<usize>,
}

impl Sort {
    /// By event time, rows of one event time by their canonical bytes. However many wait.
    pub fn by_time() -> Self {
        Sort { lateness: Span::ZERO, most: None }
    }

    /// Waits this much longer, in event time, for rows that come late.
    #[must_use]
    pub fn late_by(self, lateness: Duration) -> Self {
        Sort { lateness: lateness.into(), ..self }
    }

    /// At most this many rows of each key wait at the end of a tick; see the [module](self)
    /// for what becomes of the others.
    ///
    /// # Panics
    /// If it is zero.
    #[must_use]
    pub fn at_most(self, rows: usize) -> Self {
        assert!(rows > 0, "sort: at least 1 row must be allowed to wait, and {rows} are");
        Sort { most: Some(rows), ..self }
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data> Events<'scope, T, D> {
    /// All rows in one order, on one worker; see [`Keyed::sort`].
    pub fn sort(&self, name: &str, by: Sort) -> Limited<'scope, T, D, D> {
        self.key_by(|_| ()).sort(name, by)
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data, F> Keyed<'scope, T, D, F> {
    /// The rows of each key in the order of their event times; see the [module](self).
    pub fn sort<K>(self, name: &str, by: Sort) -> Limited<'scope, T, D, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
    {
        let Keyed { events, key } = self;
        let (_, clock) = events.parts();
        let lateness = by.lateness.max(clock.late());
        let counters = clock.observer().register(name, "sort", events.scope().index());
        let pact = keyed::exchange(key.clone());
        let state = Sorting::new(Sort { lateness, ..by }, key, counters.clone());
        let (sorted, aside) = tick_operator(name, &events, pact, state, counters);
        Limited::new(
            Events::from_parts(sorted, clock.clone().delayed(lateness).with_late(Span::ZERO)),
            Events::from_parts(aside, clock),
        )
    }
}

/// The rows that wait for their turn on one worker.
pub struct Sorting<K, D, F> {
    by: Sort,
    key: F,
    waiting: Waiting<D>,
    /// How many rows of each key wait, where that is bounded.
    per_key: Table<K, usize>,
    /// The rows of the tick.
    new: Vec<Timed<D>>,
    /// Room for the rows of an instant that leave together.
    instant: Vec<D>,
    epoch: Epoch,
    /// No row before it waits or will.
    complete: EventTime,
    counters: Arc<Counters>,
}

impl<K: Key, D: Serialize, F: Fn(&D) -> K> Sorting<K, D, F> {
    /// Nothing waits.
    pub fn new(by: Sort, key: F, counters: Arc<Counters>) -> Self {
        Sorting {
            by,
            key,
            waiting: Waiting::default(),
            per_key: Table::default(),
            new: Vec::new(),
            instant: Vec::new(),
            epoch: Epoch::default(),
            complete: EventTime::MIN,
            counters,
        }
    }

    /// Takes a row in, if there is room for one more of its key or none is asked for.
    fn take(&mut self, row: Timed<D>, if_room: bool) -> Option<Timed<D>> {
        let key = (self.key)(&row.data);
        let hash = key.stable_hash();
        if let Some(most) = self.by.most {
            let (waiting, _) = self.per_key.entry(hash, key, self.epoch, || 0);
            if if_room && *waiting >= most {
                return Some(row);
            }
            *waiting += 1;
        }
        self.waiting.push(row.time, hash, row.data);
        None
    }

    fn is_complete(time: EventTime, complete: EventTime) -> bool {
        time < complete || complete == EventTime::MAX
    }
}

impl<K, D, F> TickLogic<D> for Sorting<K, D, F>
where
    K: Key,
    D: Data + Serialize + DeserializeOwned,
    F: Fn(&D) -> K + 'static,
{
    type Out = D;
    type Side = Aside<D>;

    fn apply(&mut self, before: EventTime, rows: &mut Vec<Timed<D>>, out: &mut Emit<D, Aside<D>>) {
        for row in rows.drain(..) {
            let seen = row.seen_frontier().max(before);
            if row.time < seen.minus(self.by.lateness) {
                self.counters.late.add(1);
                let behind = row.time.behind(seen);
                out.side.push(Timed { behind, ..row }.map(Aside::Late));
            } else {
                self.new.push(row);
            }
        }
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<D, Aside<D>>) -> bool {
        let complete = now.frontier.minus(self.by.lateness);
        self.complete = complete;
        let mut new = std::mem::take(&mut self.new);
        for row in new.extract_if(.., |row| Self::is_complete(row.time, complete)) {
            self.counters.kept.add(1);
            self.take(row, false);
        }
        self.new = new;
        loop {
            if fuel.left() == 0 {
                return false;
            }
            let Sorting { waiting, per_key, by, key, epoch, instant, .. } = self;
            let Some(time) = waiting.pop_instant(complete, instant) else { break };
            fuel.burn(instant.len());
            for row in instant.drain(..) {
                if by.most.is_some() {
                    let key = key(&row);
                    let hash = key.stable_hash();
                    let left = per_key.get_mut(hash, &key, *epoch).expect("it was counted");
                    *left -= 1;
                    if *left == 0 {
                        per_key.remove(hash, &key);
                    }
                }
                out.rows.push(Timed::on_time(time, row));
            }
        }
        let mut new = std::mem::take(&mut self.new);
        if self.by.most.is_some() {
            in_order(&mut new);
        }
        for row in new.drain(..) {
            match self.take(row, true) {
                None => self.counters.kept.add(1),
                Some(row) => {
                    self.counters.rejected.add(1);
                    out.side.push(row.map(Aside::Over));
                }
            }
        }
        self.new = new;
        self.counters.held.set(self.waiting.len() as u64);
        true
    }
}

/// Entries are the rows that wait, each with how often it is there.
impl<K, D, F> State for Sorting<K, D, F>
where
    K: Key,
    D: Data + Serialize + DeserializeOwned,
    F: Fn(&D) -> K,
{
    fn shape(&self) -> Shape {
        Shape::of("sort", &self.by.lateness).with::<K>().with::<D>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        let done = self.waiting.save(0, self.complete, fuel, out);
        if done {
            self.epoch.advance();
        }
        done
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        let Sorting { waiting, per_key, by, key, epoch, .. } = self;
        let count = waiting.load(entry, |row| {
            let key = key(row);
            let hash = key.stable_hash();
            if by.most.is_some() {
                *per_key.entry(hash, key, *epoch, || 0).0 += 1;
            }
            hash
        })?;
        self.counters.held.add(count);
        Ok(())
    }
}
