//! The order of heaps of which the least event time is to come out first.

use std::cmp::Ordering;

use crate::time::EventTime;

/// Something that is due at an event time. Of two the earlier one is the greater; what is due at one
/// time comes in any order.
#[derive(Clone, Debug)]
pub(crate) struct Earliest<I> {
    pub time: EventTime,
    pub it: I,
}

impl<I> PartialEq for Earliest<I> {
    fn eq(&self, other: &Self) -> bool {
        self.time == other.time
    }
}

impl<I> Eq for Earliest<I> {}

impl<I> PartialOrd for Earliest<I> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<I> Ord for Earliest<I> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.time.cmp(&self.time)
    }
}
