//! Deduplication that passes the first copy by event time, whatever the order of arrival.
//!
//! *In (event time, order) order a copy passes iff none passed less than `ttl` before it.* Rows wait
//! until the frontier has left them and the lateness behind: then no earlier copy can come.

use std::collections::BTreeMap;

use super::{DedupState, Horizon, Verdict};
use crate::key::Key;
use crate::time::EventTime;

/// Rows that wait for their turn, and the memory of those that passed.
///
/// `O` orders rows of one event time: partition and offset for rows of a source, their canonical
/// bytes for others. It must tell the rows of one key and time apart, unless they are equal.
///
/// ```
/// use tiderace_operators::dedup::{FirstByTime, Horizon, Verdict};
/// use tiderace_operators::key::StableHash;
/// use tiderace_operators::time::{EventTime, mins};
///
/// let mut state = FirstByTime::new(Horizon::within(mins(10)));
/// let at = EventTime::from_secs;
/// state.insert("a".to_string(), at(60), 0_u64, "second");
/// state.insert("a".to_string(), at(30), 1, "first");
///
/// let mut passed = Vec::new();
/// let pass = |_, _, row, verdict| if verdict == Verdict::First { passed.push(row) };
/// assert!(state.release(at(61), usize::MAX, pass));
/// assert_eq!(passed, ["first"]);
/// ```
#[derive(Debug)]
pub struct FirstByTime<K, O, D> {
    passed: DedupState<K>,
    waiting: BTreeMap<(EventTime, O), Vec<(K, D)>>,
}

impl<K: Key, O: Ord + Clone, D> FirstByTime<K, O, D> {
    /// Nothing passed, nothing waits.
    pub fn new(horizon: Horizon) -> Self {
        FirstByTime { passed: DedupState::new(horizon), waiting: BTreeMap::new() }
    }

    /// How far it reaches.
    pub fn horizon(&self) -> Horizon {
        self.passed.horizon()
    }

    /// Takes in a row, which is not late by [`Horizon::is_late`].
    pub fn insert(&mut self, key: K, time: EventTime, order: O, row: D) {
        self.waiting.entry((time, order)).or_default().push((key, row));
    }

    /// Lets every row go for which no earlier one can come (`frontier > time + lateness`), in order,
    /// each with its verdict; then forgets what nobody can ask for. At most about `fuel` rows.
    /// Returns whether nothing is left to do at this frontier.
    pub fn release(
        &mut self,
        frontier: EventTime,
        fuel: usize,
        mut pass: impl FnMut(EventTime, K, D, Verdict),
    ) -> bool {
        let mut fuel = fuel;
        while let Some(first) = self.waiting.first_entry() {
            // Rows that may still come are not before `frontier − lateness`.
            let time = first.key().0;
            if !self.passed.horizon().is_late(time, frontier) && frontier != EventTime::MAX {
                break;
            }
            if fuel == 0 {
                return false;
            }
            for (key, row) in first.remove() {
                fuel = fuel.saturating_sub(1);
                let verdict = self.passed.insert(key.stable_hash(), &key, time);
                pass(time, key, row, verdict);
            }
        }
        // Only now: rows that waited were judged by what is forgotten here.
        self.passed.expire(frontier, fuel)
    }

    /// The rows that wait.
    pub fn waiting(&self) -> impl Iterator<Item = (EventTime, &O, &K, &D)> {
        self.waiting.iter().flat_map(|((time, order), rows)| {
            rows.iter().map(move |(key, row)| (*time, order, key, row))
        })
    }

    /// What passed.
    pub fn passed(&self) -> &DedupState<K> {
        &self.passed
    }

    /// What passed, to restore it.
    pub fn passed_mut(&mut self) -> &mut DedupState<K> {
        &mut self.passed
    }
}

#[cfg(test)]
mod tests;
