//! Which records are under way: counted by the stage they were written in.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::error::KafkaError;

/// A record that was not delivered.
#[derive(Clone)]
pub(super) struct Failure {
    /// The partition, or -1 if none had been chosen.
    pub(super) partition: i32,
    pub(super) error: KafkaError,
}

/// The counts. A stage is what is written between two calls of `stage`.
#[derive(Default)]
pub(super) struct Ledger {
    /// The number of the oldest stage that is kept.
    first: usize,
    /// Stages that are closed, with their tick, and records of them that are under way.
    closed: VecDeque<(u64, i64)>,
    /// Records of the stage being written: all, and those under way. The latter may be below zero
    /// for a moment, when a report comes before the count of what was sent.
    written: u64,
    open: i64,
    /// The first record that was not delivered.
    pub(super) failure: Option<Failure>,
}

/// The counts as the worker and the client's callbacks share them.
#[derive(Default)]
pub(super) struct Shared(Mutex<Ledger>);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    /// The number of the stage being written.
    pub(super) fn stage(&self) -> usize {
        self.first + self.closed.len()
    }

    /// So many records were handed to the client for the stage being written.
    pub(super) fn sent(&mut self, records: u64) {
        self.written += records;
        self.open += i64::try_from(records).unwrap_or(i64::MAX);
    }

    /// A record is delivered, or has failed.
    pub(super) fn report(&mut self, stage: usize, failure: Option<Failure>) {
        if stage == self.stage() {
            self.open -= 1;
        } else if let Some((_, open)) =
            stage.checked_sub(self.first).and_then(|i| self.closed.get_mut(i))
        {
            *open -= 1;
        }
        if self.failure.is_none() {
            self.failure = failure;
        }
    }

    /// Ends the stage being written; how many records it holds.
    pub(super) fn close(&mut self, tick: u64) -> u64 {
        self.closed.push_back((tick, self.open));
        self.open = 0;
        std::mem::take(&mut self.written)
    }

    /// Whether all records staged up to a tick are delivered; forgets stages that are.
    pub(super) fn delivered(&mut self, tick: u64) -> bool {
        while self.closed.front().is_some_and(|(_, open)| *open == 0) {
            self.closed.pop_front();
            self.first += 1;
        }
        self.closed.front().is_none_or(|(staged, _)| *staged > tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_delivered_when_all_up_to_it_are() {
        let mut ledger = Ledger::default();
        let one = ledger.stage();
        ledger.sent(2);
        assert_eq!(ledger.close(10), 2);
        let two = ledger.stage();
        ledger.sent(1);
        assert_eq!(ledger.close(20), 1);
        // The later stage is first: it does not count before the earlier one.
        ledger.report(two, None);
        assert!(!ledger.delivered(10) && !ledger.delivered(20));
        assert!(ledger.delivered(5));
        ledger.report(one, None);
        assert!(!ledger.delivered(10));
        ledger.report(one, None);
        assert!(ledger.delivered(10) && ledger.delivered(20) && ledger.delivered(99));
        // A stage without records is delivered at once, and the numbers go on.
        assert_eq!(ledger.close(30), 0);
        assert!(ledger.delivered(30));
        assert_eq!(ledger.stage(), 3);
    }

    #[test]
    fn the_first_failure_is_kept() {
        let mut ledger = Ledger::default();
        ledger.sent(2);
        ledger.report(0, Some(Failure { partition: 3, error: KafkaError::Canceled }));
        ledger.report(0, Some(Failure { partition: 4, error: KafkaError::Canceled }));
        assert_eq!(ledger.failure.as_ref().map(|f| f.partition), Some(3));
        ledger.close(1);
        assert!(ledger.delivered(1));
    }
}
