//! The most frequent values in bounded memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::bag::ByRank;
use super::super::{Aggregate, Ranked};

/// Values that are frequent among all rows, with counts in stated bounds, in bounded memory.
///
/// Every value that more than one row in `capacity + 1` has is found. While there are at most twice
/// `capacity` different values all counts are exact. With more of them, counts are lowered by what
/// the most frequent value that no longer has a place is counted, and the sum of that is the error:
/// a value is in at least as many rows as is said, and in at most `error` more; one that is not in
/// the list is in at most `error` rows; and the error is at most one row in `capacity + 1`.
///
/// Within those bounds, counts depend on the order of rows and on how they are spread over workers,
/// hence the name; [`Frequent`](super::super::Frequent) is exact and keeps every value. NaN does not
/// count. Method: Misra and Gries 1982, merged as Agarwal and others 2012. Cost: a search in a
/// sorted map a row; state: at most twice `capacity` values with their counts.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, FastFrequent};
///
/// let talkers = FastFrequent::of(10, |address: &u32| *address);
/// let mut state = talkers.create();
/// for row in 0..9_000 {
///     // One row in three is from address 7, the others are from 6,000 more.
///     talkers.add(&mut state, &if row % 3 == 0 { 7 } else { 1_000 + row });
/// }
/// let found = talkers.finish(&state);
/// let (address, at_least) = found.values[0];
/// assert_eq!(address, 7);
/// assert!(at_least <= 3_000 && 3_000 <= at_least + found.error);
/// assert!(found.error <= 9_000 / 11);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FastFrequent<F> {
    capacity: usize,
    value: F,
}

/// Frequent values, and how far their counts may be off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrequentValues<V> {
    /// Values and the number of rows that have them at least, most frequent first.
    pub values: Vec<(V, u64)>,
    /// How many rows more a value can be in, and how many one can be in that is not listed.
    pub error: u64,
}

/// Counts that were lowered so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "V: Ranked")]
pub struct Lowered<V> {
    counts: BTreeMap<ByRank<V>, u64>,
    by: u64,
}

impl<F> FastFrequent<F> {
    /// The frequent ones of what `value` takes from rows: those of more than one row in
    /// `capacity + 1`.
    ///
    /// # Panics
    /// If the capacity is zero.
    pub fn of<D, V: Ranked>(capacity: usize, value: F) -> Self
    where
        F: Fn(&D) -> V,
    {
        assert!(capacity > 0, "FastFrequent: a capacity of 0 holds no value");
        FastFrequent { capacity, value }
    }

    /// Leaves `capacity` values if there are more than twice as many.
    fn settle<V: Ranked>(&self, state: &mut Lowered<V>) {
        if state.counts.len() <= 2 * self.capacity {
            return;
        }
        let mut counts: Vec<u64> = state.counts.values().copied().collect();
        let (_, by, _) = counts.select_nth_unstable_by_key(self.capacity, |count| Reverse(*count));
        let by = *by;
        // At least `capacity + 1` counts are lowered by this much, so it cannot happen often.
        state.counts.retain(|_, count| {
            *count = count.saturating_sub(by);
            *count > 0
        });
        state.by += by;
    }
}

impl<D, V: Ranked, F: Fn(&D) -> V + Clone + 'static> Aggregate<D> for FastFrequent<F> {
    type State = Lowered<V>;
    type Output = FrequentValues<V>;

    fn create(&self) -> Lowered<V> {
        Lowered { counts: BTreeMap::new(), by: 0 }
    }

    #[inline]
    fn add(&self, state: &mut Lowered<V>, row: &D) {
        let value = (self.value)(row);
        if value.counts() {
            *state.counts.entry(ByRank(value)).or_insert(0) += 1;
            self.settle(state);
        }
    }

    fn merge(&self, state: &mut Lowered<V>, other: &Lowered<V>) {
        for (value, count) in &other.counts {
            *state.counts.entry(value.clone()).or_insert(0) += count;
        }
        state.by += other.by;
        self.settle(state);
    }

    fn is_small(&self) -> bool {
        false
    }

    fn finish(&self, state: &Lowered<V>) -> FrequentValues<V> {
        let mut values: Vec<(V, u64)> =
            state.counts.iter().map(|(value, count)| (value.0.clone(), *count)).collect();
        values.sort_by_key(|(_, count)| Reverse(*count));
        FrequentValues { values, error: state.by }
    }
}
