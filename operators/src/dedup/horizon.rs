//! How far deduplication reaches in event time.

use crate::time::{EventTime, Span};

/// Live buckets per reach of time, at most: more would be many small tables.
const BUCKETS: i64 = 64;

/// How far deduplication reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    ttl: i64,
    lateness: i64,
}

impl Horizon {
    /// Copies less than `ttl` apart are one record; with a `ttl` of zero nothing is a copy.
    pub fn within(ttl: impl Into<Span>) -> Self {
        Horizon { ttl: ttl.into().micros(), lateness: 0 }
    }

    /// Rows up to this far behind the frontier still take part.
    #[must_use]
    pub fn late_by(self, lateness: impl Into<Span>) -> Self {
        Horizon { lateness: lateness.into().micros(), ..self }
    }

    /// Rows at least this far behind the frontier still take part.
    pub(crate) fn late_by_at_least(self, lateness: Span) -> Self {
        Horizon { lateness: self.lateness.max(lateness.micros()), ..self }
    }

    /// Whether a row is too late to be judged, and has to leave as late: it is behind the frontier
    /// by more than the lateness. The frontier is the later one of that of the row's partition when
    /// it was read and that of the operator at the end of the tick before.
    #[inline]
    pub fn is_late(&self, time: EventTime, frontier: EventTime) -> bool {
        time.micros() < frontier.micros().saturating_sub(self.lateness)
    }

    /// The distance from which on two records are not copies.
    pub fn ttl(&self) -> Span {
        Span::from_micros(self.ttl)
    }

    /// How far behind the frontier rows still take part.
    pub fn lateness(&self) -> Span {
        Span::from_micros(self.lateness)
    }

    /// Both together.
    pub(super) fn reach(&self) -> Span {
        Span::from_micros(self.ttl.saturating_add(self.lateness))
    }

    /// How far behind the frontier something is at most when it is forgotten.
    pub(super) fn until_forgotten(&self) -> Span {
        let bucket = self.ttl.saturating_mul(self.slots_per_bucket());
        Span::from_micros(self.reach().micros().saturating_add(bucket))
    }

    /// How many slots as long as `ttl` are kept and dropped as one.
    pub(super) fn slots_per_bucket(&self) -> i64 {
        if self.ttl == 0 { 1 } else { (self.lateness / BUCKETS / self.ttl).max(1) }
    }
}
