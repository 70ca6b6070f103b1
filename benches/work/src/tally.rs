//! What came out, in two numbers that do not depend on the order in which it came.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use crate::mix;

/// How many results there are, and the sum of a hash of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Results, corrections included.
    pub results: u64,
    /// The sum of their hashes; a result that was taken back is subtracted.
    pub sum: u64,
}

impl Totals {
    /// One more result.
    #[inline]
    pub fn add(&mut self, result: u64) {
        *self = self.and(Totals { results: 1, sum: result });
    }

    /// Both together.
    #[inline]
    pub fn and(self, other: Totals) -> Totals {
        let sum = self.sum.wrapping_add(other.sum);
        Totals { results: self.results.wrapping_add(other.results), sum }
    }
}

/// A number that tells a result from others, made of what it says.
#[inline]
pub(crate) fn hash<const N: usize>(parts: [u64; N]) -> u64 {
    parts.into_iter().fold(N as u64, |hash, part| mix(hash ^ part))
}

/// The totals of all workers of a process.
#[derive(Debug, Default)]
pub struct Shared {
    results: AtomicU64,
    sum: AtomicU64,
}

impl Shared {
    /// Some more results.
    pub fn add(&self, totals: Totals) {
        self.results.fetch_add(totals.results, Relaxed);
        self.sum.fetch_add(totals.sum, Relaxed);
    }

    /// What has come so far.
    pub fn totals(&self) -> Totals {
        Totals { results: self.results.load(Relaxed), sum: self.sum.load(Relaxed) }
    }
}

/// A worker's part of the totals, which costs next to nothing to add to. It goes to the others when
/// the last copy of it is dropped: with the dataflow.
#[derive(Clone)]
pub struct Tally(Rc<Local>);

struct Local {
    totals: Cell<Totals>,
    into: Arc<Shared>,
}

impl Tally {
    /// One that goes there.
    pub fn of(into: &Arc<Shared>) -> Self {
        Tally(Rc::new(Local { totals: Cell::default(), into: into.clone() }))
    }

    /// One more result.
    #[inline]
    pub fn add(&self, result: u64) {
        let mut totals = self.0.totals.get();
        totals.add(result);
        self.0.totals.set(totals);
    }

    /// A result that came, or was taken back, so many times.
    #[inline]
    pub fn add_times(&self, result: u64, times: i64) {
        self.add(result.wrapping_mul(times as u64));
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.into.add(self.totals.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_what_is_taken_back_is_gone() {
        let shared = Arc::new(Shared::default());
        let tally = Tally::of(&shared);
        let (a, b) = (hash([1, 2]), hash([2, 1]));
        assert_ne!(a, b);
        [a, b].into_iter().for_each(|result| tally.add(result));
        tally.add_times(a, -1);
        let copy = tally.clone();
        drop(tally);
        assert_eq!(shared.totals(), Totals::default());
        drop(copy);
        assert_eq!(shared.totals(), Totals { results: 3, sum: b });
    }
}
