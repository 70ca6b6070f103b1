//! Tumbling windows: event time cut into equal pieces.
//!
//! *A record at t is in the window `[s, s + size)` with `s = floor((t − offset) / size) · size +
//! offset`.* Starts are inclusive, ends exclusive; the division rounds down, so that records before
//! 1970 find their windows as well.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::EventTime;

/// A stretch of event time `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The first instant in it.
    pub start: EventTime,
    /// The first instant after it.
    pub end: EventTime,
}

impl Window {
    /// Whether an instant is in it.
    #[inline]
    pub fn contains(&self, time: EventTime) -> bool {
        self.start <= time && time < self.end
    }

    /// The last instant in it: the event time of its results.
    #[inline]
    pub fn last(&self) -> EventTime {
        EventTime::from_micros(self.end.micros().saturating_sub(1))
    }
}

/// Windows of one size, side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tumbling {
    size: i64,
    /// In `0..size`.
    offset: i64,
}

impl Tumbling {
    /// Windows of this size, aligned to 1970-01-01 00:00:00 UTC.
    ///
    /// # Panics
    /// If the size is less than a microsecond or more than 290,000 years.
    pub fn every(size: Duration) -> Self {
        Tumbling { size: length("tumbling window: the size", size), offset: 0 }
    }

    /// Shifts the windows: one of them starts this long after 1970-01-01 00:00:00 UTC.
    #[must_use]
    pub fn offset_by(self, offset: Duration) -> Self {
        self.offset_micros(offset_within(self.size, offset))
    }

    /// Shifts the windows by any number of microseconds, also a negative one.
    #[must_use]
    pub fn offset_micros(self, offset: i64) -> Self {
        Tumbling { size: self.size, offset: offset.rem_euclid(self.size) }
    }

    /// The window an instant is in. Bounds saturate at the ends of time.
    #[inline]
    pub fn window_of(&self, time: EventTime) -> Window {
        let (t, size, offset) = (time.micros(), self.size, self.offset);
        let near =
            t.checked_sub(offset).and_then(|shifted| t.checked_sub(shifted.rem_euclid(size)));
        if let Some(start) = near {
            let end = start.saturating_add(size);
            return Window {
                start: EventTime::from_micros(start),
                end: EventTime::from_micros(end),
            };
        }
        let [t, size, offset] = [t, size, offset].map(i128::from);
        let start = (t - offset).div_euclid(size) * size + offset;
        Window { start: saturated(start), end: saturated(start + size) }
    }
}

/// The microseconds of a length of windows, which is named if it will not do.
pub(super) fn length(what: &str, length: Duration) -> i64 {
    assert!(length.as_micros() > 0, "{what} must be at least 1 us, and is {length:?}");
    let micros = i64::try_from(length.as_micros());
    micros.unwrap_or_else(|_| panic!("{what} must be less than 290,000 years, and is {length:?}"))
}

/// The microseconds of an offset, reduced modulo the distance of the windows' starts.
pub(super) fn offset_within(step: i64, offset: Duration) -> i64 {
    i64::try_from(offset.as_micros() % step as u128).expect("a remainder of an i64 fits")
}

/// The instant, or the end of time it is beyond.
pub(super) fn saturated(micros: i128) -> EventTime {
    let bound = if micros < 0 { i64::MIN } else { i64::MAX };
    EventTime::from_micros(i64::try_from(micros).unwrap_or(bound))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks the grid by brute force.
    fn brute(t: i128, size: i128, offset: i128) -> (i128, i128) {
        let mut start = offset;
        while start > t {
            start -= size;
        }
        while start + size <= t {
            start += size;
        }
        (start, start + size)
    }

    #[test]
    fn agrees_with_brute_force_around_1970() {
        for size in [1, 2, 3, 7, 1000, 4096] {
            for offset in [-5000, -7, -1, 0, 1, 6, 999, 12345] {
                let by = Tumbling::every(Duration::from_micros(size)).offset_micros(offset);
                for t in (-10_000i64..=10_000).step_by(13).chain(-9..=9) {
                    let window = by.window_of(EventTime::from_micros(t));
                    let (start, end) = brute(t.into(), size.into(), offset.into());
                    let got = (window.start.micros().into(), window.end.micros().into());
                    assert_eq!(got, (start, end), "t {t}, size {size}, offset {offset}");
                    assert!(window.contains(EventTime::from_micros(t)));
                }
            }
        }
    }

    #[test]
    fn saturates_at_the_ends_of_time() {
        for size in [1u64, 10, 60_000_000, i64::MAX as u64] {
            for offset in [0, 1, -1, i64::MAX, i64::MIN] {
                let by = Tumbling::every(Duration::from_micros(size)).offset_micros(offset);
                for t in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX] {
                    let window = by.window_of(EventTime::from_micros(t));
                    let (size, offset) = (i128::from(size), i128::from(offset));
                    let start = (i128::from(t) - offset).div_euclid(size) * size + offset;
                    assert_eq!(window.start, saturated(start), "t {t}");
                    assert_eq!(window.end, saturated(start + size), "t {t}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "tumbling window: the size must be at least 1 us")]
    fn a_size_of_nothing_is_refused() {
        let _ = Tumbling::every(Duration::ZERO);
    }

    #[test]
    fn an_offset_is_reduced_modulo_the_size() {
        let by = Tumbling::every(Duration::from_secs(60)).offset_by(Duration::from_secs(3_615));
        assert_eq!(by.window_of(EventTime::from_secs(0)).start, EventTime::from_secs(-45));
    }
}
