//! How long a view holds its rows.

use std::time::Duration;

use crate::time::Span;
use crate::window::Tumbling;

/// The least part of the span that a bucket covers, unless it is chosen.
const BUCKETS: u128 = 16;

/// How long a view holds the rows of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retain {
    pub(super) span: Option<(Span, Tumbling)>,
}

impl Retain {
    /// Until they are taken away.
    pub fn forever() -> Self {
        Retain { span: None }
    }

    /// For this long in event time after they happened. Rows are let go in buckets that are a
    /// sixteenth of the span, so that a row stays up to that much longer.
    pub fn for_span(span: Duration) -> Self {
        let micros = (span.as_micros() / BUCKETS).clamp(1, 1 << 62);
        let width = Duration::from_micros(u64::try_from(micros).expect("it is clamped"));
        Retain { span: Some((span.into(), Tumbling::every(width))) }
    }

    /// Lets rows go in buckets of this width instead.
    ///
    /// # Panics
    /// If rows are held for ever, or the width is less than a microsecond.
    #[must_use]
    pub fn in_buckets_of(self, width: Duration) -> Self {
        let Some((span, _)) = self.span else {
            panic!("retain: rows that are held for ever are not in buckets")
        };
        assert!(width.as_micros() > 0, "retain: buckets must be at least 1 us wide");
        Retain { span: Some((span, Tumbling::every(width))) }
    }

    /// The same, or as long as an operator upstream may correct itself.
    pub(super) fn at_least(self, late: Span) -> Self {
        Retain { span: self.span.map(|(span, by)| (span.max(late), by)) }
    }
}
