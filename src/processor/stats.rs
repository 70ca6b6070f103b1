//! What a processor counts, and the handle through which others see it and stop it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The books of a processor at one moment.
///
/// At all times `consumed = processed + skipped + failed + in_flight`; see [`Stats::balanced`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Records that the source has handed over, good or bad.
    pub consumed: u64,
    /// Records that went through the function into the sink.
    pub processed: u64,
    /// Records that the function dropped on purpose.
    pub skipped: u64,
    /// Records that could not be decoded or that the function refused, by class.
    pub failed: BTreeMap<String, u64>,
    /// Records that were handed over and not looked at yet.
    pub in_flight: u64,
    /// Positions that the source has been told and has taken, one for each partition and commit.
    pub committed: u64,
    /// Positions that the source has not taken.
    pub commit_failures: u64,
}

impl Stats {
    /// Failed records of all classes.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Whether every record that was consumed is accounted for.
    pub fn balanced(&self) -> bool {
        self.consumed == self.processed + self.skipped + self.failures() + self.in_flight
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { consumed, processed, skipped, in_flight, committed, .. } = self;
        let (failed, commit_failures) = (self.failures(), self.commit_failures);
        write!(
            f,
            "consumed {consumed}, processed {processed}, skipped {skipped}, failed {failed}, \
             in flight {in_flight}, committed {committed}, commit failures {commit_failures}"
        )
    }
}

/// Sees and steers a processor from anywhere, also while it runs. Cheap to clone.
#[derive(Clone, Default)]
pub struct Handle(Arc<Shared>);

#[derive(Default)]
struct Shared {
    stats: Mutex<Stats>,
    stop: AtomicBool,
    commit: AtomicBool,
    woken: Mutex<bool>,
    wake: Condvar,
}

/// No code of a user runs under these locks, so a poisoned one still guards a whole value.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handle {
    /// The books now. One consistent picture, taken without stopping the work.
    pub fn stats(&self) -> Stats {
        lock(&self.0.stats).clone()
    }

    /// Asks the run to stop: nothing more is read; what has been read is processed, written and
    /// committed, and the run returns its statistics.
    pub fn stop(&self) {
        self.0.stop.store(true, SeqCst);
        self.wake();
    }

    /// Asks the run to commit what has been delivered, for processors without auto-commit.
    pub fn commit(&self) {
        self.0.commit.store(true, SeqCst);
        self.wake();
    }

    pub(super) fn stopping(&self) -> bool {
        self.0.stop.load(SeqCst)
    }

    pub(super) fn takes_commit(&self) -> bool {
        self.0.commit.swap(false, SeqCst)
    }

    /// Changes the books. Each change keeps them balanced.
    pub(super) fn count(&self, change: impl FnOnce(&mut Stats)) {
        let mut stats = lock(&self.0.stats);
        change(&mut stats);
        debug_assert!(stats.balanced(), "the books do not balance: {stats}");
    }

    /// Has a run that waits look again.
    pub(super) fn wake(&self) {
        *lock(&self.0.woken) = true;
        self.0.wake.notify_all();
    }

    /// Waits until it is woken, at most so long.
    pub(super) fn wait(&self, at_most: Duration) {
        let woken = lock(&self.0.woken);
        let waited = self.0.wake.wait_timeout_while(woken, at_most, |woken| !*woken);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}
