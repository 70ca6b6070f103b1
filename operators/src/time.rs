//! Event time: instants, and rows that carry one.
//!
//! Event time is a property of the record, given by whoever made it. It is kept in microseconds
//! since 1970-01-01 UTC as a signed number, so every instant from about 290,000 BC to 290,000 AD has
//! a place, and all arithmetic saturates at the two ends instead of wrapping.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant of event time, in microseconds since 1970-01-01 00:00:00 UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct EventTime(i64);

impl EventTime {
    /// Before every record: a frontier about which nothing is known yet.
    pub const MIN: EventTime = EventTime(i64::MIN);
    /// After every record: the frontier when the input has ended.
    pub const MAX: EventTime = EventTime(i64::MAX);

    /// From microseconds since 1970.
    #[inline]
    pub const fn from_micros(micros: i64) -> Self {
        EventTime(micros)
    }

    /// From milliseconds since 1970; saturates.
    #[inline]
    pub const fn from_millis(millis: i64) -> Self {
        EventTime(millis.saturating_mul(1_000))
    }

    /// From seconds since 1970; saturates.
    #[inline]
    pub const fn from_secs(secs: i64) -> Self {
        EventTime(secs.saturating_mul(1_000_000))
    }

    /// From nanoseconds since 1970, rounded down to the microsecond, also before 1970.
    #[inline]
    pub const fn from_nanos(nanos: i64) -> Self {
        EventTime(nanos.div_euclid(1_000))
    }

    /// Microseconds since 1970.
    #[inline]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970, rounded down.
    #[inline]
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// This instant and a duration; saturates. The ends stay where they are.
    #[inline]
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        if self.0 == i64::MIN { self } else { EventTime(self.0.saturating_add(span.0)) }
    }

    /// This instant less a duration; saturates. The ends stay where they are.
    #[inline]
    #[must_use]
    pub const fn minus(self, span: Span) -> Self {
        if self.0 == i64::MAX { self } else { EventTime(self.0.saturating_sub(span.0)) }
    }

    /// How far this instant is behind another one; zero if it is not.
    #[inline]
    pub const fn behind(self, other: EventTime) -> Span {
        if other.0 > self.0 { Span(other.0.saturating_sub(self.0)) } else { Span(0) }
    }
}

impl fmt::Display for EventTime {
    /// Microseconds since 1970, or a word for the two ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            EventTime::MIN => f.write_str("before all time"),
            EventTime::MAX => f.write_str("end of time"),
            EventTime(micros) => write!(f, "{micros} us"),
        }
    }
}

/// A length of event time in microseconds, never negative.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Span(i64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);
    /// Longer than any two instants are apart.
    pub const MAX: Span = Span(i64::MAX);

    /// Microseconds; a negative number counts as zero.
    #[inline]
    pub const fn from_micros(micros: i64) -> Self {
        Span(if micros < 0 { 0 } else { micros })
    }

    /// Its microseconds.
    #[inline]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whether it is zero.
    #[inline]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl From<Duration> for Span {
    /// Rounds up to the microsecond, so that a wait is never shorter than asked; saturates.
    fn from(duration: Duration) -> Self {
        Span(i64::try_from(duration.as_nanos().div_ceil(1_000)).unwrap_or(i64::MAX))
    }
}

/// Milliseconds, as a duration.
pub const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Seconds, as a duration.
pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Minutes, as a duration.
pub const fn mins(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// Hours, as a duration.
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3_600)
}

/// A row with its event time.
///
/// `behind` is how far the row was behind the frontier of its own partition when it was read: zero
/// for a row on time. The sum of both is that frontier, so lateness is judged from the row alone and
/// does not depend on when the row arrives anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timed<D> {
    /// When it happened.
    pub time: EventTime,
    /// How far behind its partition's frontier it was read.
    pub behind: Span,
    /// What happened.
    pub data: D,
}

impl<D> Timed<D> {
    /// A row on time.
    #[inline]
    pub fn on_time(time: EventTime, data: D) -> Self {
        Timed { time, behind: Span::ZERO, data }
    }

    /// The frontier of the row's partition when it was read, as far as the row knows: that of a row
    /// on time is not after its own time.
    #[inline]
    pub fn seen_frontier(&self) -> EventTime {
        if self.behind.is_zero() { EventTime::MIN } else { self.time.plus(self.behind) }
    }

    /// Whether that frontier was before an instant which is itself after the row's time.
    #[inline(always)]
    pub(crate) fn saw_before(&self, after: EventTime) -> bool {
        let ahead = after.0.wrapping_sub(self.time.0) as u64;
        (self.behind.0 as u64) < ahead
    }

    /// The same row with other data.
    #[inline]
    pub fn map<E>(self, f: impl FnOnce(D) -> E) -> Timed<E> {
        Timed { time: self.time, behind: self.behind, data: f(self.data) }
    }
}
