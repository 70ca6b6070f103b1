//! What came out of a dataflow, in a form that does not depend on order or on who counted.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};
use serde::{Deserialize, Serialize};

/// A multiset of rows, summed up: two of them are equal if the multisets are, and differ otherwise
/// but for a chance of one in 2^127.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// How many rows it holds: those that were added and not taken back.
    pub rows: i64,
    hashes: [u64; 2],
}

impl Sum {
    /// Adds a row so many times; a negative number takes it back.
    pub fn add<R: Serialize>(&mut self, row: &R, times: i64, buffer: &mut Vec<u8>) {
        buffer.clear();
        postcard::to_io(row, &mut *buffer).expect("a row can be written to memory");
        self.rows = self.rows.wrapping_add(times);
        for (sum, seed) in self.hashes.iter_mut().zip(&SEEDS) {
            let hash = rapidhash_v3_seeded(buffer, seed);
            *sum = sum.wrapping_add(hash.wrapping_mul(times as u64));
        }
    }

    /// Both together.
    pub fn merge(&mut self, other: &Sum) {
        self.rows = self.rows.wrapping_add(other.rows);
        for (sum, more) in self.hashes.iter_mut().zip(other.hashes) {
            *sum = sum.wrapping_add(more);
        }
    }
}

const SEEDS: [RapidSecrets; 2] = [RapidSecrets::seed(1), RapidSecrets::seed(2)];

/// Where the workers of a process note what has come out.
#[derive(Debug, Default)]
pub struct Tally {
    /// Rows and corrections that were sent.
    sent: AtomicU64,
    net: AtomicI64,
    hashes: [AtomicU64; 2],
    /// The rows themselves as JSON, if they are kept.
    kept: Option<Mutex<Vec<(String, i64)>>>,
}

impl Tally {
    /// One that keeps the rows, too.
    pub fn keeping() -> Self {
        Tally { kept: Some(Mutex::default()), ..Tally::default() }
    }

    /// So many rows have come.
    pub fn count(&self, rows: usize) {
        self.sent.fetch_add(rows as u64, Relaxed);
    }

    /// A summary of some rows.
    pub fn add(&self, sum: &Sum) {
        self.net.fetch_add(sum.rows, Relaxed);
        for (all, more) in self.hashes.iter().zip(sum.hashes) {
            all.fetch_add(more, Relaxed);
        }
    }

    /// Keeps rows, if rows are kept.
    pub fn keep<'a, R: Serialize + 'a>(&self, rows: impl Iterator<Item = (&'a R, i64)>) {
        let Some(kept) = &self.kept else { return };
        let line = |row: &R| serde_json::to_string(row).expect("a row can be written as JSON");
        let mut kept = kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        kept.extend(rows.map(|(row, times)| (line(row), times)));
    }

    /// How many rows and corrections have come.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// All rows, summed up.
    pub fn sum(&self) -> Sum {
        let hashes = [self.hashes[0].load(Relaxed), self.hashes[1].load(Relaxed)];
        Sum { rows: self.net.load(Relaxed), hashes }
    }

    /// The rows that were kept and not taken back, sorted.
    pub fn rows(&self) -> Vec<String> {
        let Some(kept) = &self.kept else { return Vec::new() };
        let mut all = std::collections::BTreeMap::<String, i64>::new();
        for (row, times) in kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).drain(..) {
            *all.entry(row).or_default() += times;
        }
        let times = |times: i64| usize::try_from(times).unwrap_or(0);
        all.into_iter().flat_map(|(row, n)| std::iter::repeat_n(row, times(n))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(rows: &[(&str, i64)]) -> Sum {
        let (mut sum, mut buffer) = (Sum::default(), Vec::new());
        rows.iter().for_each(|(row, times)| sum.add(row, *times, &mut buffer));
        sum
    }

    #[test]
    fn a_sum_is_that_of_the_multiset() {
        assert_eq!(sum(&[("a", 1), ("b", 2)]), sum(&[("b", 1), ("a", 1), ("b", 1)]));
        assert_eq!(sum(&[("a", 1), ("b", 1), ("a", -1)]), sum(&[("b", 1)]));
        assert_ne!(sum(&[("a", 2)]), sum(&[("a", 1), ("b", 1)]));
        assert_ne!(sum(&[("a", 1)]), sum(&[("b", 1)]));
        let mut both = sum(&[("a", 1)]);
        both.merge(&sum(&[("b", 1)]));
        assert_eq!(both, sum(&[("a", 1), ("b", 1)]));
    }

    #[test]
    fn kept_rows_come_back_sorted_and_net() {
        let tally = Tally::keeping();
        tally.keep([(&2, 1), (&1, 2), (&2, -1), (&3, 1)].into_iter());
        assert_eq!(tally.rows(), ["1", "1", "3"]);
    }
}
