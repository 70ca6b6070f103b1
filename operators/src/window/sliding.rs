//! Sliding windows: of one size, a new one at every slide.
//!
//! *A record at t is in every window `[s, s + size)` with `t − size < s ≤ t` and s on the grid
//! `k · slide + offset`.* These are `floor(size / slide)` windows or one more. With a slide longer
//! than the size there are gaps between windows, and records in them are in no window.
//!
//! Windows are told apart by their number k. The windows of a record are `first..=last`, and they
//! change at the start and at the end of a window only, which makes at most two **slices** a slide:
//!
//! ```text
//!  size 25, slide 10     0         10        20        30        40
//!  window 0              ├────────────────────────┤
//!  window 1                        ├────────────────────────┤
//!  window 2                                  ├────────────────────────┤
//!  slices                ├────┼────┼────┼────┼────┼────┼────┤
//!  first..=last           -2..0    -1..1     0..2      1..3
//!                             -1..0     0..1      1..2
//! ```
//!
//! A record is counted once, in its slice, and slices are put together when windows are complete:
//! the cost of a record does not grow with size / slide. Cutting at starts and ends only, rather
//! than at the greatest common divisor of size and slide, is Krishnamurthy, Wu and Franklin,
//! *On-the-fly sharing for streamed aggregation*, SIGMOD 2006 ("paired windows").
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::prelude::*;
//!
//! let results = Arc::new(Mutex::new(Vec::new()));
//! let late = Arc::new(Mutex::new(0));
//! let (into, late_in) = (results.clone(), late.clone());
//! let observer = Observer::default();
//! let observed = observer.clone();
//! timely::execute_directly(move |worker| {
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let (input, calls) = EventInput::<u32>::new(scope, 0, Policy::ascending(), &observed);
//!         let recent = calls.key_by(|&who| who).window(Sliding::of(secs(10), secs(5)));
//!         let recent = recent.aggregate("recent", Count);
//!         recent.inspect(move |row| {
//!             let end = row.data.window.end.millis() / 1000;
//!             into.lock().unwrap().push((end, row.data.value));
//!         });
//!         recent.late().inspect(move |_| *late_in.lock().unwrap() += 1);
//!         input
//!     });
//!     input.send(0, EventTime::from_secs(3), 7); // in the windows that end at 5 and at 10 s
//!     input.send(0, EventTime::from_secs(7), 7); // at 10 and at 15 s
//!     input.send(0, EventTime::from_secs(4), 7); // too late for the one that ends at 5 s
//!     input.send(0, EventTime::from_secs(10), 7); // at 15 and at 20 s
//!     input.send(0, EventTime::from_secs(2), 7); // late for both
//!     input.finish();
//! });
//! let mut results = results.lock().unwrap().clone();
//! results.sort();
//! assert_eq!(results, [(5, 1), (10, 3), (15, 2), (20, 1)]);
//! let counts = observer.counts("recent");
//! assert_eq!((*late.lock().unwrap(), counts.late, counts.late_windows), (1, 1, 1));
//! ```

use std::time::Duration;

use super::tumbling::{length, offset_within, saturated};
use super::{Assigner, Window};
use crate::time::{EventTime, Span};

/// Past the number of every window.
const END: i128 = 1 << 100;

/// Windows of one size that overlap, or leave gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sliding {
    size: i64,
    slide: i64,
    /// In `0..slide`.
    offset: i64,
    gaps: bool,
    /// How many whole slides the size has, and what is left.
    shape: (i64, i64),
}

/// A stretch of event time in which all instants are in the same windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// The stretch.
    pub time: Window,
    /// The first window it is in.
    pub first: i128,
    /// The last one.
    pub last: i128,
}

impl Sliding {
    /// Windows of this size, one starting every `slide`, aligned to 1970-01-01 00:00:00 UTC.
    ///
    /// # Panics
    /// If the size or the slide is less than a microsecond or more than 290,000 years.
    pub fn of(size: Duration, slide: Duration) -> Self {
        let size = length("sliding window: the size", size);
        let slide = length("sliding window: the slide", slide);
        Sliding { size, slide, offset: 0, gaps: false, shape: (size / slide, size % slide) }
    }

    /// Shifts the windows: one of them starts this long after 1970-01-01 00:00:00 UTC.
    #[must_use]
    pub fn offset_by(self, offset: Duration) -> Self {
        self.offset_micros(offset_within(self.slide, offset))
    }

    /// Shifts the windows by any number of microseconds, also a negative one.
    #[must_use]
    pub fn offset_micros(self, offset: i64) -> Self {
        Sliding { offset: offset.rem_euclid(self.slide), ..self }
    }

    /// Lets the slide be longer than the size. Records between windows are counted as filtered.
    #[must_use]
    pub fn allow_gaps(self) -> Self {
        Sliding { gaps: true, ..self }
    }

    /// The number of the last window that starts at this instant or before.
    #[inline]
    fn number(&self, time: EventTime) -> i128 {
        let (t, slide, offset) = (time.micros(), self.slide, self.offset);
        match t.checked_sub(offset) {
            Some(shifted) => shifted.div_euclid(slide).into(),
            None => (i128::from(t) - i128::from(offset)).div_euclid(slide.into()),
        }
    }

    /// Where a window starts, if time had no ends.
    fn start(&self, number: i128) -> i128 {
        number * i128::from(self.slide) + i128::from(self.offset)
    }

    /// The offset and the slide of the windows, and how long after a window's start another one ends.
    pub(super) fn grid(&self) -> (i64, u64, u64) {
        (self.offset, self.slide.unsigned_abs(), self.shape.1.unsigned_abs())
    }

    /// The slice an instant is in; `None` in a gap.
    #[inline]
    pub(super) fn slice_of(&self, time: EventTime) -> Option<Slice> {
        // Near enough to 1970 that nothing below leaves 64 bits, which is every instant but those
        // of some thousand years at either end of time.
        const NEAR: u64 = i64::MAX as u64 / 4;
        let (t, size, slide, offset) = (time.micros(), self.size, self.slide, self.offset);
        if t.unsigned_abs() > NEAR || size.max(slide) as u64 > NEAR {
            return self.slice_far(time);
        }
        let last = (t - offset).div_euclid(slide);
        let start = last * slide + offset;
        let (more, rest) = self.shape;
        let middle = start + rest;
        let (from, to, first) = if t < middle {
            (start, middle, last - more)
        } else {
            (middle, start + slide, last - more + 1)
        };
        let [start, end] = [from, to].map(EventTime::from_micros);
        let (first, last) = (first.into(), last.into());
        (first <= last).then_some(Slice { time: Window { start, end }, first, last })
    }

    /// The same near the ends of time.
    #[cold]
    fn slice_far(&self, time: EventTime) -> Option<Slice> {
        let last = self.number(time);
        let start = self.start(last);
        let more = i128::from(self.size / self.slide);
        let middle = start + i128::from(self.size % self.slide);
        let (from, to, first) = if i128::from(time.micros()) < middle {
            (start, middle, last - more)
        } else {
            (middle, start + i128::from(self.slide), last - more + 1)
        };
        let time = Window { start: saturated(from), end: saturated(to) };
        (first <= last).then_some(Slice { time, first, last })
    }

    /// The window of a number. Bounds saturate at the ends of time.
    pub(super) fn window(&self, number: i128) -> Window {
        let start = self.start(number);
        Window { start: saturated(start), end: saturated(start + i128::from(self.size)) }
    }

    /// The number of the last window that is complete: its end and the lateness have passed.
    pub(super) fn complete(&self, frontier: EventTime, lateness: Span) -> i128 {
        if frontier == EventTime::MAX {
            return END;
        }
        let [f, lateness, size, offset] =
            [frontier.micros(), lateness.micros(), self.size, self.offset].map(i128::from);
        (f - lateness - size - offset).div_euclid(self.slide.into())
    }
}

impl Assigner for Sliding {
    fn assign(&self, time: EventTime, f: &mut impl FnMut(Window)) {
        if let Some(slice) = self.slice_of(time) {
            (slice.first..=slice.last).for_each(|number| f(self.window(number)));
        }
    }

    fn most_at_once(&self) -> u64 {
        self.size.unsigned_abs().div_ceil(self.slide.unsigned_abs())
    }

    fn check(&self, name: &str) {
        let (size, slide) = (self.size, self.slide);
        assert!(
            self.gaps || slide <= size,
            "{name}: sliding window: the slide of {slide} us is longer than the size of {size} us, \
             so records between windows would not count; say allow_gaps() if that is meant"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(size: i64, slide: i64, offset: i64) -> Sliding {
        let micros = |n: i64| Duration::from_micros(n as u64);
        Sliding::of(micros(size), micros(slide)).offset_micros(offset)
    }

    fn assigned(by: Sliding, t: i64) -> Vec<(i64, i64)> {
        let mut windows = Vec::new();
        by.assign(EventTime::from_micros(t), &mut |window: Window| {
            windows.push((window.start.micros(), window.end.micros()));
        });
        windows
    }

    /// Walks the grid from far before the instant.
    fn brute(t: i128, size: i128, slide: i128, offset: i128) -> Vec<(i64, i64)> {
        let mut start = (t - size - slide - offset) / slide * slide + offset - 2 * slide;
        let mut windows = Vec::new();
        while start <= t {
            if t - size < start {
                windows.push((saturated(start).micros(), saturated(start + size).micros()));
            }
            start += slide;
        }
        windows
    }

    const SHAPES: [(i64, i64); 11] = [
        (1, 1),
        (10, 1),
        (10, 3),
        (10, 5),
        (10, 10),
        (7, 10),
        (1, 9),
        (60, 7),
        (100, 99),
        (99, 100),
        (64, 4),
    ];

    #[test]
    fn agrees_with_brute_force() {
        for (size, slide) in SHAPES {
            for offset in [-1000, -7, -1, 0, 1, 4, 12345] {
                let by = of(size, slide, offset);
                let near = |t: i64| (-40..=40).map(move |d| t.saturating_add(d));
                let ends = near(i64::MIN).chain(near(i64::MAX)).chain([i64::MAX - 1000]);
                for t in ends.chain((-10_000..=10_000).step_by(37)).chain(-150..=150) {
                    let reduced = i128::from(offset.rem_euclid(slide));
                    let wanted = brute(t.into(), size.into(), slide.into(), reduced);
                    assert_eq!(assigned(by, t), wanted, "t {t}, {by:?}");
                    let windows = wanted.len() as i64;
                    assert!(windows == size / slide || windows == size / slide + 1);
                }
            }
        }
    }

    #[test]
    fn slices_are_where_windows_are_the_same() {
        for (size, slide) in SHAPES {
            let by = of(size, slide, 3);
            let mut cuts = 0;
            for t in -300..300 {
                let slice = by.slice_of(EventTime::from_micros(t));
                let next = by.slice_of(EventTime::from_micros(t + 1));
                if let Some(slice) = slice {
                    assert!(slice.time.contains(EventTime::from_micros(t)));
                    let inside = slice.time.contains(EventTime::from_micros(t + 1));
                    assert_eq!(inside, Some(slice) == next, "t {t}, {by:?}");
                }
                assert_eq!(slice == next, assigned(by, t) == assigned(by, t + 1));
                cuts += i64::from(slice != next);
            }
            assert!(cuts <= 2 * (600 / slide + 1), "{by:?} has {cuts} slices");
        }
    }

    #[test]
    fn windows_are_complete_when_end_and_lateness_have_passed() {
        for (size, slide) in SHAPES {
            let by = of(size, slide, -2);
            for lateness in [0, 1, 13, i64::MAX].map(Span::from_micros) {
                let near = [i64::MIN, i64::MIN + 200, -100, 0, 77, i64::MAX - 1, i64::MAX];
                for f in near.map(EventTime::from_micros) {
                    let done = by.complete(f, lateness);
                    if f == EventTime::MAX {
                        assert_eq!(done, END);
                        continue;
                    }
                    let end = |number| by.start(number) + i128::from(size);
                    let passed = i128::from(f.micros()) - i128::from(lateness.micros());
                    assert!(end(done) <= passed && end(done + 1) > passed, "{by:?} at {f}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "sliding window: the slide must be at least 1 us, and is 0ns")]
    fn a_slide_of_nothing_is_refused() {
        let _ = Sliding::of(Duration::from_secs(1), Duration::ZERO);
    }

    #[test]
    #[should_panic(expected = "sliding window: the size must be less than 290,000 years")]
    fn a_size_of_all_time_is_refused() {
        let _ = Sliding::of(Duration::MAX, Duration::from_secs(1));
    }
}
