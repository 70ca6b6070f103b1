//! Collections in an order: what aggregates keep that need more than a number.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Ranked;

/// A value that is compared by its rank.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "V: Ranked")]
pub struct ByRank<V>(pub V);

impl<V: Ranked> PartialEq for ByRank<V> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<V: Ranked> Eq for ByRank<V> {}

impl<V: Ranked> PartialOrd for ByRank<V> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<V: Ranked> Ord for ByRank<V> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.rank(&other.0)
    }
}

/// A value with its order turned around.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "V: Ranked")]
pub struct Down<V>(pub V);

impl<V: Ranked> Ranked for Down<V> {
    #[inline]
    fn counts(&self) -> bool {
        self.0.counts()
    }

    #[inline]
    fn rank(&self, other: &Self) -> Ordering {
        other.0.rank(&self.0)
    }
}

/// How often each value was taken in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "V: Ranked")]
pub struct Bag<V> {
    counts: BTreeMap<ByRank<V>, u64>,
    total: u64,
}

impl<V> Default for Bag<V> {
    fn default() -> Self {
        Bag { counts: BTreeMap::new(), total: 0 }
    }
}

impl<V: Ranked> Bag<V> {
    /// Takes a value in so many times.
    #[inline]
    pub fn add(&mut self, value: V, times: u64) {
        *self.counts.entry(ByRank(value)).or_insert(0) += times;
        self.total += times;
    }

    /// Takes a value out once which was taken in before.
    pub fn remove(&mut self, value: V) {
        let value = ByRank(value);
        let count = self.counts.get_mut(&value);
        debug_assert!(count.is_some(), "a value is taken out that was not taken in");
        if let Some(count) = count {
            *count -= 1;
            self.total -= 1;
            if *count == 0 {
                self.counts.remove(&value);
            }
        }
    }

    /// Takes in everything of another bag.
    pub fn merge(&mut self, other: &Bag<V>) {
        if self.counts.is_empty() {
            self.clone_from(other);
            return;
        }
        for (value, times) in other.iter() {
            self.add(value.clone(), times);
        }
    }

    /// The values in their order, and how often each was taken in.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&V, u64)> {
        self.counts.iter().map(|(value, count)| (&value.0, *count))
    }

    /// How many values there are, each as often as it was taken in.
    #[inline]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many different values there are.
    #[inline]
    pub fn distinct(&self) -> usize {
        self.counts.len()
    }

    /// The value at a place of the sorted values, the first being at 1.
    pub fn at(&self, place: u64) -> Option<&V> {
        let mut passed = 0;
        let mut passes = |&(_, count): &(&V, u64)| {
            passed += count;
            passed >= place
        };
        self.iter().find(|entry| passes(entry)).map(|(value, _)| value)
    }
}

/// Values in their order, as a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "V: Ranked")]
pub struct Sorted<V>(Vec<V>);

impl<V> Default for Sorted<V> {
    fn default() -> Self {
        Sorted(Vec::new())
    }
}

impl<V: Ranked> Sorted<V> {
    /// Puts a value in its place: cheap at the end, where nearly all come in order.
    pub fn insert(&mut self, value: V) {
        let last = self.0.last();
        if last.is_none_or(|last| value.rank(last) != Ordering::Less) {
            self.0.push(value);
        } else {
            let place = self.0.partition_point(|held| held.rank(&value) == Ordering::Less);
            self.0.insert(place, value);
        }
    }

    /// Puts a value in its place if that is among the first so many.
    #[inline]
    pub fn insert_among_first(&mut self, value: V, limit: usize) {
        if self.0.len() >= limit {
            if self.0.last().is_none_or(|last| value.rank(last) != Ordering::Less) {
                return;
            }
            self.0.pop();
        }
        self.insert(value);
    }

    /// Puts a value in its place if that is among the last so many.
    #[inline]
    pub fn insert_among_last(&mut self, value: V, limit: usize) {
        if self.0.len() >= limit {
            if self.0.first().is_none_or(|first| value.rank(first) != Ordering::Greater) {
                return;
            }
            self.0.remove(0);
        }
        self.insert(value);
    }

    /// Takes out a value that was put in.
    pub fn remove(&mut self, value: &V) {
        let place = self.0.partition_point(|held| held.rank(value) == Ordering::Less);
        let found = self.0.get(place).is_some_and(|held| held.rank(value) == Ordering::Equal);
        debug_assert!(found, "a value is taken out that was not taken in");
        if found {
            self.0.remove(place);
        }
    }

    /// Puts in all values of another list.
    pub fn merge(&mut self, other: &Sorted<V>) {
        // Two runs in order: the sort joins them in one pass.
        self.0.extend_from_slice(&other.0);
        self.0.sort_by(Ranked::rank);
    }

    /// Keeps the first so many.
    pub fn keep_first(&mut self, limit: usize) {
        self.0.truncate(limit);
    }

    /// Keeps the last so many.
    pub fn keep_last(&mut self, limit: usize) {
        let before = self.0.len().saturating_sub(limit);
        self.0.drain(..before);
    }

    /// The values in their order.
    #[inline]
    pub fn values(&self) -> &[V] {
        &self.0
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0 = Vec::new();
    }
}
