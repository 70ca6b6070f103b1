//! How many different values there are.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Aggregate, Retract};
use crate::key::StableHash;
use crate::time::EventTime;

/// How many different values there are.
///
/// Exact; NaN does not count. Cost: a hash and a table lookup a row; state: every different value with
/// its count. [`ApproxDistinct`](super::ApproxDistinct) needs a few kilobytes at most.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, Distinct};
///
/// let visitors = Distinct::of(|name: &&str| name.to_string());
/// let mut state = visitors.create();
/// for name in ["ann", "bo", "ann"] {
///     visitors.add(&mut state, &name);
/// }
/// assert_eq!(visitors.finish(&state), 2);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Distinct<F> {
    value: F,
}

impl<F> Distinct<F> {
    /// Counts the different values that `value` takes from rows.
    pub fn of<D, V: Countable>(value: F) -> Self
    where
        F: Fn(&D) -> V,
    {
        Distinct { value }
    }
}

/// What can be told apart by [`Distinct`]: everything with a [`StableHash`] and [`Eq`], and floats.
pub trait Countable: Clone + Serialize + DeserializeOwned + Send + 'static {
    /// Whether this value counts at all: NaN does not.
    #[inline]
    fn counts(&self) -> bool {
        true
    }

    /// Whether two values are one.
    fn is(&self, other: &Self) -> bool;

    /// A hash that is the same for values that are one.
    fn hash(&self) -> u64;
}

impl<V: StableHash + Clone + Eq + Serialize + DeserializeOwned + Send + 'static> Countable for V {
    #[inline]
    fn is(&self, other: &Self) -> bool {
        self == other
    }

    #[inline]
    fn hash(&self) -> u64 {
        self.stable_hash()
    }
}

macro_rules! floats {
    ($($float:ident)+) => {$(
        impl Countable for $float {
            #[inline]
            fn counts(&self) -> bool {
                !self.is_nan()
            }

            #[inline]
            fn is(&self, other: &Self) -> bool {
                // The two zeros are told apart, as by everything that puts floats in order.
                self.to_bits() == other.to_bits()
            }

            #[inline]
            fn hash(&self) -> u64 {
                self.to_bits().stable_hash()
            }
        }
    )+};
}

floats! { f32 f64 }

/// How often each value was taken in.
#[derive(Clone, Debug)]
pub struct Counts<V> {
    values: HashTable<(V, u64)>,
}

impl<V> Default for Counts<V> {
    fn default() -> Self {
        Counts { values: HashTable::new() }
    }
}

impl<V: Countable> Counts<V> {
    #[inline]
    fn entry(&mut self, value: &V) -> Entry<'_, (V, u64)> {
        self.values.entry(value.hash(), |held| held.0.is(value), |held| held.0.hash())
    }

    #[inline]
    fn add(&mut self, value: V, times: u64) {
        if !value.counts() {
            return;
        }
        match self.entry(&value) {
            Entry::Occupied(mut held) => held.get_mut().1 += times,
            Entry::Vacant(place) => _ = place.insert((value, times)),
        }
    }

    fn remove(&mut self, value: &V) {
        if !value.counts() {
            return;
        }
        let Entry::Occupied(mut held) = self.entry(value) else {
            debug_assert!(false, "a value is taken out that was not taken in");
            return;
        };
        held.get_mut().1 -= 1;
        if held.get().1 == 0 {
            held.remove();
        }
    }
}

impl<D, V: Countable, F: Fn(&D) -> V + Clone + 'static> Aggregate<D> for Distinct<F> {
    type State = Counts<V>;
    type Output = u64;

    fn create(&self) -> Counts<V> {
        Counts::default()
    }

    #[inline]
    fn add(&self, state: &mut Counts<V>, row: &D) {
        state.add((self.value)(row), 1);
    }

    fn merge(&self, state: &mut Counts<V>, other: &Counts<V>) {
        if state.values.is_empty() {
            state.clone_from(other);
            return;
        }
        other.values.iter().for_each(|(value, times)| state.add(value.clone(), *times));
    }

    fn is_small(&self) -> bool {
        false
    }

    fn finish(&self, state: &Counts<V>) -> u64 {
        state.values.len() as u64
    }
}

impl<D, V: Countable, F: Fn(&D) -> V + Clone + 'static> Retract<D> for Distinct<F> {
    fn retract(&self, state: &mut Counts<V>, _time: EventTime, row: &D) {
        state.remove(&(self.value)(row));
    }
}

/// Values and their counts, in the order of their hashes: one multiset, one sequence of bytes, but
/// for values that hash alike.
impl<V: Countable> Serialize for Counts<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut values: Vec<&(V, u64)> = self.values.iter().collect();
        values.sort_by_key(|(value, _)| value.hash());
        serializer.collect_seq(values)
    }
}

impl<'de, V: Countable> Deserialize<'de> for Counts<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values: Vec<(V, u64)> = Vec::deserialize(deserializer)?;
        let mut counts = Counts::default();
        values.into_iter().for_each(|(value, times)| counts.add(value, times));
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(crate::testing::cases(2_000))]

        /// It counts what a map counts: over additions, removals, merges and bytes.
        #[test]
        fn counts_different_values(
            rows in prop::collection::vec((0u16..60, any::<bool>()), 0..200),
            split in 0usize..200,
        ) {
            let of = Distinct::of(|row: &u16| *row);
            let (mut states, mut model) = ([of.create(), of.create()], BTreeMap::new());
            for (i, (value, removed)) in rows.into_iter().enumerate() {
                let state = &mut states[usize::from(i >= split)];
                let held = state.values.find(value.stable_hash(), |held| held.0 == value).is_some();
                if removed && held {
                    of.retract(state, EventTime::MIN, &value);
                    *model.entry(value).or_insert(0) -= 1;
                } else {
                    of.add(state, &value);
                    *model.entry(value).or_insert(0) += 1;
                }
            }
            let [mut all, other] = states;
            of.merge(&mut all, &other);
            let different = model.values().filter(|count| **count > 0).count() as u64;
            prop_assert_eq!(of.finish(&all), different);
            let bytes = postcard::to_stdvec(&all).unwrap();
            let read: Counts<u16> = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(of.finish(&read), different);
            prop_assert_eq!(postcard::to_stdvec(&read).unwrap(), bytes);
        }
    }
}
