//! New event times: moved back by at most so much, or all shifted alike.
//!
//! Event times are given at the source, per partition. Behind it there are two ways to change them,
//! for which the frontier is known when the dataflow is built:
//!
//! * [`Events::shift`] moves all rows alike, and the frontier exactly with them:
//!   *a row at t is at t + d, and f_out = f + d*. What was late stays so, by as much.
//! * [`Events::map_time`] gives each row a time of its own and allows for times up to `back` earlier:
//!   *f_out = f − back*. A row that is moved further back than that was on time and is late now: the
//!   excess is its `behind`, and whether it is still accepted is for the operators that follow to say.
//!   A row may move any way forward.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::events_time::Shift;
//! use tiderace_operators::prelude::*;
//!
//! let seen = Arc::new(Mutex::new((Vec::new(), Vec::new())));
//! let (into, late) = (seen.clone(), seen.clone());
//! timely::execute_directly(move |worker| {
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let observer = Observer::default();
//!         // Calls, with their length in seconds, are read in the order in which they end.
//!         let (input, calls) = EventInput::<u64>::new(scope, 0, Policy::ascending(), &observer);
//!         let started = calls.map_time(mins(1), |&length, end| end.minus(secs(length).into()));
//!         let local = started.shift(Shift::later(hours(1)));
//!         let per_minute = local.key_by(|_| 0u8).window(Tumbling::every(mins(1)));
//!         let per_minute = per_minute.aggregate("per_minute", Count);
//!         per_minute.inspect(move |row| {
//!             into.lock().unwrap().0.push((row.data.window.start.millis() / 60_000, row.data.value));
//!         });
//!         per_minute.late().inspect(move |row| late.lock().unwrap().1.push(row.data));
//!         input
//!     });
//!     for (end, length) in [(60, 10), (90, 40), (130, 5), (190, 60), (200, 190)] {
//!         input.send(0, EventTime::from_secs(end), length);
//!         input.end_tick();
//!     }
//!     input.finish();
//! });
//! let (counts, late) = seen.lock().unwrap().clone();
//! assert_eq!(counts, [(60, 2), (62, 2)]);
//! assert_eq!(late, [190], "moved back by more than a minute, into a minute that was complete");
//! ```

use std::time::Duration;

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use crate::events::{Data, Events, Tick};
use crate::time::{EventTime, Span, Timed};

/// A step in event time, to later or to earlier times. The earliest of two compares as the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shift(i64);

impl Shift {
    /// No step at all.
    pub const NONE: Shift = Shift(0);

    /// To times that are this much later.
    pub fn later(by: impl Into<Span>) -> Self {
        Shift(by.into().micros())
    }

    /// To times that are this much earlier.
    pub fn earlier(by: impl Into<Span>) -> Self {
        Shift(-by.into().micros())
    }

    /// This step and then another one; saturates.
    #[must_use]
    pub fn then(self, next: Shift) -> Self {
        Shift(self.0.saturating_add(next.0))
    }

    /// Where an instant comes to; saturates. The ends of time stay where they are.
    #[inline]
    pub fn of(self, time: EventTime) -> EventTime {
        match time {
            EventTime::MIN | EventTime::MAX => time,
            _ => EventTime::from_micros(time.micros().saturating_add(self.0)),
        }
    }
}

impl<'scope, T: Tick, D: Data> Events<'scope, T, D> {
    /// The same rows with other event times, which may be up to `back` before the present ones; see
    /// the [module](crate::events_time) for a row that is moved further. The function gets the row
    /// and its present time.
    #[must_use]
    pub fn map_time(
        &self,
        back: Duration,
        f: impl FnMut(&D, EventTime) -> EventTime + 'static,
    ) -> Self {
        let (mut f, back) = (f, Span::from(back));
        let moved = move |row: &mut Timed<D>| {
            let new = f(&row.data, row.time);
            row.behind = behind(row.time, row.behind, new, back);
            row.time = new;
        };
        let (rows, clock) = self.each_row("MapTime", moved).parts();
        Events::from_parts(rows, clock.delayed(back))
    }

    /// The same rows, all of them earlier or later by as much.
    #[must_use]
    pub fn shift(&self, by: Shift) -> Self {
        let (rows, clock) = self.each_row("Shift", move |row| row.time = by.of(row.time)).parts();
        Events::from_parts(rows, clock.shifted(by))
    }

    fn each_row(&self, name: &str, change: impl FnMut(&mut Timed<D>) + 'static) -> Self {
        let mut change = change;
        self.rows(|rows| {
            rows.unary(Pipeline, name, |_, _| {
                move |input, output| {
                    input.for_each(|tick, rows| {
                        rows.iter_mut().for_each(&mut change);
                        output.session(&tick).give_container(rows);
                    });
                }
            })
        })
    }
}

/// How far a row at a new time is behind, if the frontier that it was read with is now `back` earlier.
/// A row on time was read with a frontier of at most its time.
fn behind(time: EventTime, behind: Span, new: EventTime, back: Span) -> Span {
    new.behind(time.plus(behind).minus(back))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(micros: i64) -> EventTime {
        EventTime::from_micros(micros)
    }

    #[test]
    fn what_is_moved_too_far_is_behind_by_the_excess() {
        let behind =
            |was, new| behind(at(100), Span::from_micros(was), at(new), Span::from_micros(10));
        assert_eq!([90, 89, 91, 300].map(|new| behind(0, new).micros()), [0, 1, 0, 0]);
        // A row that was 5 behind a frontier of 105, which is 95 now.
        assert_eq!([95, 94, 90, 300].map(|new| behind(5, new).micros()), [0, 1, 5, 0]);
    }

    #[test]
    fn the_ends_of_time_stay() {
        for shift in [Shift::later(Span::MAX), Shift::earlier(Span::MAX), Shift::NONE] {
            assert_eq!(shift.of(EventTime::MIN), EventTime::MIN);
            assert_eq!(shift.of(EventTime::MAX), EventTime::MAX);
            let moved = [-1, 0, 1].map(|time| shift.of(at(time)));
            assert!(moved.is_sorted(), "later rows do not come before earlier ones");
        }
        let (later, earlier) =
            (Shift::later(Duration::from_secs(1)), Shift::earlier(Span::from_micros(3)));
        assert_eq!(later.then(earlier).of(at(5)), at(1_000_002));
        assert!(earlier < later);
    }
}
