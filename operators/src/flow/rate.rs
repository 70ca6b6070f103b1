//! So many rows of each key in a stretch of event time, and no more.
//!
//! Event time is cut into periods as by [`Tumbling`] windows. *Of the rows of a key and a period the
//! first `n` pass, each at once and as it came*; the others go to the stream
//! [`over`](Limited::over), counted as rejected. First are those of earlier ticks, and in a tick those
//! that are first in the order of (event time, canonical bytes). How many pass is a function of the
//! input; which ones depends on where ticks end, unless a [`sort`](crate::keyed::Keyed::sort)
//! is in front. A row is late iff F ≥ the end of its period + lateness.
//!
//! The limit is on event time: rows of a day that are read in a second are limited as they were on
//! that day. State: a number per key and open period.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::flow::rate::Rate;
//! use tiderace_operators::prelude::*;
//!
//! let seen = Arc::new(Mutex::new(Vec::new()));
//! let [passed, over, late] = [seen.clone(), seen.clone(), seen.clone()];
//! timely::execute_directly(move |worker| {
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let (policy, observer) = (Policy::bounded(secs(1)), Observer::default());
//!         let (input, mails) = EventInput::<u32>::new(scope, 0, policy, &observer);
//!         let some = mails.key_by(|_| 0u8).rate_limit("some", Rate::of(2, mins(1)));
//!         some.inspect(move |row| passed.lock().unwrap().push(("passed", row.data)));
//!         some.over().inspect(move |row| over.lock().unwrap().push(("over", row.data)));
//!         some.late().inspect(move |row| late.lock().unwrap().push(("late", row.data)));
//!         input
//!     });
//!     for (at, mail) in [(30, 3), (10, 1), (20, 2), (60, 4), (61, 5), (50, 6)] {
//!         input.send(0, EventTime::from_secs(at), mail);
//!     }
//!     input.finish();
//! });
//! let mut seen = seen.lock().unwrap().clone();
//! seen.sort();
//! let passed = [("passed", 1), ("passed", 2), ("passed", 4), ("passed", 5)];
//! assert_eq!(seen[2..], passed);
//! assert_eq!(seen[..2], [("late", 6), ("over", 3)], "the frontier was at 60 s");
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use timely::ExchangeData;

use super::{Aside, Limited};
use crate::events::{Data, Events, Tick};
use crate::key::Key;
use crate::keyed::{self, Keyed};
use crate::observe::Counters;
use crate::order::Gathered;
use crate::state::{Corrupt, Entry, Epoch, Saver, Shape, State, Table};
use crate::tick::{Emit, Fuel, Now, TickLogic, tick_operator};
use crate::time::{EventTime, Span, Timed};
use crate::window::Tumbling;

/// How many rows, in how much event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    rows: u64,
    period: Tumbling,
    lateness: Span,
}

impl Rate {
    /// At most so many rows of each key in every period of this length.
    ///
    /// # Panics
    /// If no rows are allowed, or the period is less than a microsecond.
    pub fn of(rows: u64, period: Duration) -> Self {
        assert!(rows > 0, "rate limit: at least 1 row must be allowed, and {rows} are");
        let micros = period.as_micros();
        assert!(micros > 0, "rate limit: the period must be at least 1 us, and is {period:?}");
        Rate { rows, period: Tumbling::every(period), lateness: Span::ZERO }
    }

    /// Rows still pass for this long, in event time, after their period has ended.
    #[must_use]
    pub fn late_by(self, lateness: Duration) -> Self {
        Rate { lateness: lateness.into(), ..self }
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data, F> Keyed<'scope, T, D, F> {
    /// Lets so many rows of each key pass in a stretch of event time; see the
    /// [module](crate::flow::rate).
    pub fn rate_limit<K>(self, name: &str, rate: Rate) -> Limited<'scope, T, D, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
    {
        let Keyed { events, key } = self;
        let (_, clock) = events.parts();
        let rate = Rate { lateness: rate.lateness.max(clock.late()), ..rate };
        let counters = clock.observer().register(name, "rate_limit", events.scope().index());
        let pact = keyed::exchange(key.clone());
        let state = Passed::new(rate, key, counters.clone());
        let (passed, aside) = tick_operator(name, &events, pact, state, counters);
        // Rows pass as they came, and those behind are judged again by what follows.
        Limited::new(Events::from_parts(passed, clock.clone()), Events::from_parts(aside, clock))
    }
}

/// How many rows of each key have passed in each open period.
pub struct Passed<K, D, F> {
    rate: Rate,
    key: F,
    /// By the ends of periods.
    periods: BTreeMap<EventTime, Table<K, u64>>,
    /// The rows of the tick.
    rows: Gathered<D>,
    epoch: Epoch,
    /// Periods have been dropped that a cut holds.
    dropped: bool,
    frontier: EventTime,
    counters: Arc<Counters>,
}

impl<K: Key, D, F> Passed<K, D, F> {
    /// No row has passed.
    pub fn new(rate: Rate, key: F, counters: Arc<Counters>) -> Self {
        Passed {
            rate,
            key,
            periods: BTreeMap::new(),
            rows: Gathered::default(),
            epoch: Epoch::default(),
            dropped: false,
            frontier: EventTime::MIN,
            counters,
        }
    }

    fn is_over(&self, end: EventTime, frontier: EventTime) -> bool {
        frontier >= end.plus(self.rate.lateness) && frontier != EventTime::MIN
    }
}

impl<K, D, F> TickLogic<D> for Passed<K, D, F>
where
    K: Key,
    D: Data + Serialize,
    F: Fn(&D) -> K + 'static,
{
    type Out = D;
    type Side = Aside<D>;

    fn apply(&mut self, before: EventTime, rows: &mut Vec<Timed<D>>, out: &mut Emit<D, Aside<D>>) {
        for row in rows.drain(..) {
            let seen = row.seen_frontier().max(before);
            if self.is_over(self.rate.period.window_of(row.time).end, seen) {
                self.counters.late.add(1);
                let behind = row.time.behind(seen);
                out.side.push(Timed { behind, ..row }.map(Aside::Late));
            } else {
                self.rows.push(row);
            }
        }
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<D, Aside<D>>) -> bool {
        self.frontier = now.frontier;
        while fuel.left() > 0
            && let Some(row) = self.rows.pop()
        {
            fuel.burn(1);
            let period = self.periods.entry(self.rate.period.window_of(row.time).end).or_default();
            let key = (self.key)(&row.data);
            let (passed, new) = period.entry(key.stable_hash(), key, self.epoch, || 0);
            self.counters.held.add(u64::from(new));
            if *passed < self.rate.rows {
                *passed += 1;
                self.counters.kept.add(1);
                out.rows.push(row);
            } else {
                self.counters.rejected.add(1);
                out.side.push(row.map(Aside::Over));
            }
        }
        while fuel.left() > 0
            && let Some((&end, _)) = self.periods.first_key_value()
            && self.is_over(end, now.frontier)
        {
            let (_, mut keys) = self.periods.pop_first().expect("it is there");
            let gone = keys.drain_some(usize::MAX).count();
            self.dropped |= keys.reset();
            self.counters.held.set(self.counters.held.get() - gone as u64);
            fuel.burn(gone.max(1));
        }
        if fuel.left() == 0 {
            return false;
        }
        self.counters.open.set(self.periods.len() as u64);
        true
    }
}

/// Periods are numbered by their end; the last one of all, which has no end, can be dropped too.
fn bucket(end: EventTime) -> i64 {
    end.micros().min(i64::MAX - 1)
}

/// Entries are the keys of each period.
impl<K: Key, D, F> State for Passed<K, D, F> {
    fn shape(&self) -> Shape {
        Shape::of("rate_limit", &(self.rate.period, self.rate.lateness)).with::<K>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        for (&end, keys) in &mut self.periods {
            if !keys.save((0, bucket(end)), self.epoch, fuel, out) {
                return false;
            }
        }
        if std::mem::take(&mut self.dropped) {
            let first = self.frontier.minus(self.rate.lateness).micros().saturating_add(1);
            out.drop_below(0, first);
        }
        self.epoch.advance();
        true
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        let before_end = EventTime::from_micros(entry.bucket.saturating_sub(1));
        let end = self.rate.period.window_of(before_end).end;
        self.periods.entry(end).or_default().load(entry.key()?, entry.value()?);
        self.counters.held.add(1);
        Ok(())
    }
}
