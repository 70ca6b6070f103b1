//! How the frontier of a partition follows from its records.

use std::time::Duration;

use crate::time::Span;

/// How far the frontier of a partition follows the event times that were read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Records come at most this much out of order: the frontier is the greatest event time read so
    /// far less the bound. A record exactly the bound behind is on time.
    Bounded(Span),
    /// Only records that say so move the frontier: it is the greatest event time that was announced.
    Punctuated,
}

impl Policy {
    /// Records come at most `bound` out of order within their partition.
    pub fn bounded(bound: Duration) -> Self {
        Policy::Bounded(bound.into())
    }

    /// Records of a partition come in order of event time; equal times are in order.
    pub fn ascending() -> Self {
        Policy::Bounded(Span::ZERO)
    }
}
