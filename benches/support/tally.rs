//! What the runs of a benchmark have to agree on.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Two numbers of the results: how many there are, and what they add up to.
#[derive(Clone, Default)]
pub struct Shared(Arc<(AtomicU64, AtomicU64)>);

impl Shared {
    pub fn get(&self) -> (u64, u64) {
        (self.0.0.load(Relaxed), self.0.1.load(Relaxed))
    }
}

/// A worker's part of these numbers, which costs next to nothing to add to. It is added to the
/// others when the dataflow is gone.
#[derive(Clone)]
pub struct Tally(Rc<Local>);

struct Local {
    results: Cell<u64>,
    sum: Cell<u64>,
    into: Shared,
}

impl Tally {
    pub fn of(into: &Shared) -> Self {
        Tally(Rc::new(Local { results: Cell::new(0), sum: Cell::new(0), into: into.clone() }))
    }

    /// One more result, of so many events or whatever else tells results apart.
    #[inline]
    pub fn add(&self, events: u64) {
        self.0.results.set(self.0.results.get() + 1);
        self.0.sum.set(self.0.sum.get().wrapping_add(events));
    }

    /// One more result, to be counted with its sign.
    #[inline]
    pub fn add_signed(&self, events: i64) {
        self.add(events as u64);
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.into.0.0.fetch_add(self.results.get(), Relaxed);
        self.into.0.1.fetch_add(self.sum.get(), Relaxed);
    }
}
