//! Windows of so many rows of a key.
//!
//! The rows of a key are numbered from 0 in processing order: *those of earlier ticks first, and
//! those of a tick, once it is complete, in the order of (event time, canonical bytes).* Then
//!
//! * [`CountWindow::every`]`(n)`: the rows `[i·n, (i + 1)·n)` are a window; it gives a result in the
//!   tick in which it is full. When the input has ended, those that are not full give theirs.
//! * [`CountWindow::sliding`]`(n, step)`: the rows `[i·step, i·step + n)` are one, when it is full.
//! * [`CountWindow::last`]`(n)`: each row gives a result, of the last n rows, or of all as long as
//!   there are fewer. With an exact percentile it is the median of the last n values, and so on.
//!
//! ```text
//!  rows of a key      a  b  c  d  e  f  g
//!  every(3)           ├─abc──┤ ├─def──┤ ├─g (at the end)
//!  sliding(3, 2)      ├─abc──┤
//!                           ├─cde──┤
//!                                 ├─efg──┤
//!  last(2)            a  ab bc cd de ef fg
//! ```
//!
//! **Which rows share a window depends on where ticks end**, and so may differ from run to run, as
//! arrival does. With a [`sort`](crate::keyed::Keyed::sort) in front it does not: windows are then
//! a function of each partition's content.
//!
//! A result is at the latest event time of its rows. That is not before the event time of the row
//! that completes it, which was not late: `t ≥ F − lateness`. So results are at most the lateness
//! behind; one that is given because the input has ended is, if need be, at the last promised time.
//!
//! Cost: a row takes two table lookups, and a result merges n / gcd(n, step) partial results: one for
//! `every`, n for `last`. State: a partial result for each gcd(n, step) rows, up to n of them, each
//! an entry; those of sliding windows stay for as long as the dataflow, for each key.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::count_window::CountWindow;
//! use tiderace_operators::prelude::*;
//!
//! let seen = Arc::new(Mutex::new((Vec::new(), Vec::new())));
//! let (into, late) = (seen.clone(), seen.clone());
//! timely::execute_directly(move |worker| {
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let observer = Observer::default();
//!         let (input, values) = EventInput::<i64>::new(scope, 0, Policy::ascending(), &observer);
//!         let windows = values.key_by(|_| 0u8).count_window(CountWindow::every(2));
//!         let sums = windows.aggregate("sums", Sum::of(|value: &i64| *value));
//!         sums.inspect(move |row| into.lock().unwrap().0.push((row.time, row.data.value)));
//!         sums.late().inspect(move |row| late.lock().unwrap().1.push(row.data));
//!         input
//!     });
//!     for (at, value) in [(1, 10), (2, 20), (3, 30), (1, 99), (4, 40), (5, 50)] {
//!         input.send(0, EventTime::from_secs(at), value);
//!         input.end_tick();
//!     }
//!     input.finish();
//! });
//! let (sums, late) = seen.lock().unwrap().clone();
//! let at = EventTime::from_secs;
//! assert_eq!(sums, [(at(2), 30), (at(4), 70), (at(5), 50)]);
//! assert_eq!(late, [99]);
//! ```

mod state;

pub use state::CountWindows;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use timely::ExchangeData;

use crate::aggregate::Aggregate;
use crate::events::{Data, Events, Tick};
use crate::key::Key;
use crate::keyed::{self, Keyed};
use crate::tick::tick_operator;
use crate::time::{EventTime, Span};
use crate::window::WithLate;

/// How many rows are a window, and after how many the next one starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountWindow {
    rows: u64,
    step: u64,
    /// Results of fewer rows are given as long as there are no more.
    partial: bool,
}

impl CountWindow {
    /// Windows of so many rows, one after the other.
    ///
    /// # Panics
    /// If that is zero.
    pub fn every(rows: u64) -> Self {
        Self::sliding(rows, rows)
    }

    /// Windows of so many rows, each starting `step` rows after the one before; with a step of all
    /// rows they are those of [`CountWindow::every`].
    ///
    /// # Panics
    /// If one of the two is zero, or the step is more than the rows.
    pub fn sliding(rows: u64, step: u64) -> Self {
        assert!(rows > 0, "count window: it must have at least 1 row, and has {rows}");
        assert!(
            (1..=rows).contains(&step),
            "count window: the step must be from 1 to the {rows} rows of the window, and is {step}"
        );
        CountWindow { rows, step, partial: false }
    }

    /// A window for each row: the last so many rows, or fewer as long as there are no more.
    ///
    /// # Panics
    /// If that is zero.
    pub fn last(rows: u64) -> Self {
        CountWindow { partial: true, ..Self::sliding(rows, 1) }
    }
}

/// What a window of rows has to say about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CountResult<K, V> {
    /// The key.
    pub key: K,
    /// How many rows it is made of.
    pub rows: u64,
    /// The earliest event time of its rows.
    pub first: EventTime,
    /// The latest event time of its rows.
    pub last: EventTime,
    /// The aggregate of its rows.
    pub value: V,
}

/// A keyed stream cut into windows of rows, to be aggregated.
pub struct CountWindowed<'scope, T: Tick, D: Data, F> {
    keyed: Keyed<'scope, T, D, F>,
    by: CountWindow,
    lateness: Span,
}

impl<'scope, T: Tick, D: Data, F> Keyed<'scope, T, D, F> {
    /// Groups each key's rows by their number; see the [module](crate::count_window).
    pub fn count_window(self, by: CountWindow) -> CountWindowed<'scope, T, D, F> {
        CountWindowed { keyed: self, by, lateness: Span::ZERO }
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data, F> CountWindowed<'scope, T, D, F> {
    /// Rows up to this far behind the frontier still count. Results come out this much later.
    #[must_use]
    pub fn allow_late(self, lateness: Duration) -> Self {
        CountWindowed { lateness: lateness.into(), ..self }
    }

    /// One result for each key and window.
    pub fn aggregate<K, A>(
        self,
        name: &str,
        aggregate: A,
    ) -> WithLate<'scope, T, CountResult<K, A::Output>, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        A: Aggregate<D>,
        A::Output: Data,
    {
        let Keyed { events, key } = self.keyed;
        let (_, clock) = events.parts();
        let lateness = self.lateness.max(clock.late());
        let counters = clock.observer().register(name, "count_window", events.scope().index());
        let pact = keyed::exchange(key.clone());
        let state = CountWindows::new(self.by, lateness, key, aggregate, counters.clone());
        let (results, late) = tick_operator(name, &events, pact, state, counters);
        WithLate::new(
            Events::from_parts(results, clock.clone().delayed(lateness).with_late(Span::ZERO)),
            Events::from_parts(late, clock),
        )
    }
}
