//! Cumulative windows: they start together and end step by step.
//!
//! *A record at t is in every window `[s, e)` with `s = floor((t − offset) / size) · size + offset`
//! and `e = s + step, s + 2 · step … s + size` that ends after t.* So far today, every hour:
//!
//! ```text
//!  event time ──▶   0:00   1:00   2:00   3:00          24:00  1:00
//!                   ├──────┤                             ├──────┤
//!                   ├─────────────┤                      ├───── …
//!                   ├────────────────────┤
//!                   ├──────────────── … ─────────────────┤
//! ```
//!
//! One running total is kept for each key, and what its steps to come have so far.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::prelude::*;
//!
//! let results = Arc::new(Mutex::new(Vec::new()));
//! let late = Arc::new(Mutex::new(0));
//! let (into, late_in) = (results.clone(), late.clone());
//! timely::execute_directly(move |worker| {
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let (input, sales) =
//!             EventInput::<i64>::new(scope, 0, Policy::ascending(), &Observer::default());
//!         let today = sales.key_by(|_| 0u8).window(Cumulative::of(hours(24), hours(6)));
//!         let today = today.aggregate("today", Sum::of(|amount: &i64| *amount));
//!         today.inspect(move |row| {
//!             let hour = row.data.window.end.millis() / 3_600_000;
//!             into.lock().unwrap().push((hour, row.data.value));
//!         });
//!         today.late().inspect(move |_| *late_in.lock().unwrap() += 1);
//!         input
//!     });
//!     let at = |hour: i64| EventTime::from_secs(hour * 3600);
//!     input.send(0, at(1), 100);
//!     input.send(0, at(13), 20);
//!     input.send(0, at(2), 3); // counts from 18:00 on: the windows up to then are complete
//!     input.send(0, at(24), 5);
//!     input.send(0, at(23), 1); // late
//!     input.finish();
//! });
//! let mut results = results.lock().unwrap().clone();
//! results.sort();
//! assert_eq!(results, [(6, 100), (12, 100), (18, 123), (24, 123), (30, 5), (36, 5), (42, 5), (48, 5)]);
//! assert_eq!(*late.lock().unwrap(), 1);
//! ```

use std::time::Duration;

use super::tumbling::{length, offset_within, saturated};
use super::{Assigner, Window};
use crate::time::{EventTime, Span};

/// Past the number of every step.
const END: i128 = 1 << 100;

/// Windows that start together and end step by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cumulative {
    size: i64,
    step: i64,
    /// In `0..size`.
    offset: i64,
}

impl Cumulative {
    /// Periods of this size, each with a window up to the end of every step in it; aligned to
    /// 1970-01-01 00:00:00 UTC.
    ///
    /// # Panics
    /// If the size or the step is less than a microsecond or more than 290,000 years, or if the
    /// size is not a multiple of the step.
    pub fn of(size: Duration, step: Duration) -> Self {
        let micros = length("cumulative window: the size", size);
        let each = length("cumulative window: the step", step);
        assert!(
            micros % each == 0,
            "cumulative window: the size must be a multiple of the step, and {size:?} is not one of \
             {step:?}"
        );
        Cumulative { size: micros, step: each, offset: 0 }
    }

    /// Shifts the windows: a period starts this long after 1970-01-01 00:00:00 UTC.
    #[must_use]
    pub fn offset_by(self, offset: Duration) -> Self {
        self.offset_micros(offset_within(self.size, offset))
    }

    /// Shifts the windows by any number of microseconds, also a negative one.
    #[must_use]
    pub fn offset_micros(self, offset: i64) -> Self {
        Cumulative { offset: offset.rem_euclid(self.size), ..self }
    }

    /// Steps are numbered on through all periods: the one an instant is in. The window of this
    /// number is the first that the instant is in.
    #[inline]
    pub(super) fn step_of(&self, time: EventTime) -> i128 {
        let (t, step, offset) = (time.micros(), self.step, self.offset);
        match t.checked_sub(offset) {
            Some(shifted) => shifted.div_euclid(step).into(),
            None => (i128::from(t) - i128::from(offset)).div_euclid(step.into()),
        }
    }

    /// How many steps a period has.
    fn steps(&self) -> i128 {
        (self.size / self.step).into()
    }

    /// The period of a step.
    pub(super) fn period(&self, step: i128) -> i128 {
        step.div_euclid(self.steps())
    }

    /// The last step of a period.
    pub(super) fn last_step(&self, period: i128) -> i128 {
        (period + 1) * self.steps() - 1
    }

    /// A step's stretch of time.
    pub(super) fn stretch(&self, step: i128) -> Window {
        let start = step * i128::from(self.step) + i128::from(self.offset);
        Window { start: saturated(start), end: saturated(start + i128::from(self.step)) }
    }

    /// The window up to the end of a step. Bounds saturate at the ends of time.
    pub(super) fn window(&self, step: i128) -> Window {
        let start = self.period(step) * i128::from(self.size) + i128::from(self.offset);
        Window { start: saturated(start), end: self.stretch(step).end }
    }

    /// The last step whose window is complete: its end and the lateness have passed.
    pub(super) fn complete(&self, frontier: EventTime, lateness: Span) -> i128 {
        if frontier == EventTime::MAX {
            return END;
        }
        let [f, lateness, step, offset] =
            [frontier.micros(), lateness.micros(), self.step, self.offset].map(i128::from);
        (f - lateness - offset).div_euclid(step) - 1
    }
}

impl Assigner for Cumulative {
    fn assign(&self, time: EventTime, f: &mut impl FnMut(Window)) {
        let first = self.step_of(time);
        (first..=self.last_step(self.period(first))).for_each(|step| f(self.window(step)));
    }

    fn most_at_once(&self) -> u64 {
        self.size.unsigned_abs() / self.step.unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(size: i64, step: i64, offset: i64) -> Cumulative {
        let micros = |n: i64| Duration::from_micros(n as u64);
        Cumulative::of(micros(size), micros(step)).offset_micros(offset)
    }

    #[test]
    fn agrees_with_brute_force() {
        for (size, step) in [(1, 1), (10, 1), (10, 5), (60, 12), (7, 7), (99, 3)] {
            for offset in [-1000, -7, 0, 1, 4, 12345] {
                let by = of(size, step, offset);
                let near = |t: i64| (-40..=40).map(move |d| t.saturating_add(d));
                let ends = near(i64::MIN).chain(near(i64::MAX));
                for t in ends.chain((-5_000..=5_000).step_by(37)).chain(-150..=150) {
                    let (at, offset) = (i128::from(t), i128::from(offset.rem_euclid(size)));
                    let mut start = (at - offset) / i128::from(size) * i128::from(size) + offset;
                    while start > at {
                        start -= i128::from(size);
                    }
                    let ends = (1..=size / step).map(|n| start + i128::from(n * step));
                    let wanted: Vec<_> = ends
                        .filter(|&end| at < end)
                        .map(|end| Window { start: saturated(start), end: saturated(end) })
                        .collect();
                    let mut got = Vec::new();
                    by.assign(EventTime::from_micros(t), &mut |window| got.push(window));
                    assert_eq!(got, wanted, "t {t}, {by:?}");
                    for f in [t, t.saturating_add(1), t.saturating_add(step)] {
                        let done = by.complete(EventTime::from_micros(f), Span::ZERO);
                        for &window in &wanted {
                            let number = by.step_of(EventTime::from_micros(t));
                            let at = wanted.iter().position(|w| *w == window).unwrap() as i128;
                            let passed = window.end.micros() <= f;
                            assert_eq!(number + at <= done, passed, "f {f}, t {t}, {by:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "multiple of the step, and 10s is not one of 3s")]
    fn a_size_between_steps_is_refused() {
        let _ = Cumulative::of(Duration::from_secs(10), Duration::from_secs(3));
    }

    #[test]
    #[should_panic(expected = "cumulative window: the step must be at least 1 us, and is 0ns")]
    fn a_step_of_nothing_is_refused() {
        let _ = Cumulative::of(Duration::from_secs(10), Duration::ZERO);
    }
}
