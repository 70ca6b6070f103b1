//! What the windows of each key are made from, as windows slide on: a [`Queue`] for each key.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::pool::bound_of;
use super::queue::Queue;
use crate::huge::Huge;
use crate::key::Key;
use crate::tick::Fuel;

/// The partials of the window that is giving results, by key.
pub(super) struct Running<K, S> {
    queues: HashTable<Queue<K, S>, Huge>,
    /// How many partials there are.
    partials: usize,
}

impl<K, S> Default for Running<K, S> {
    fn default() -> Self {
        Running { queues: HashTable::new_in(Huge), partials: 0 }
    }
}

impl<K: Key, S: Clone> Running<K, S> {
    /// Takes in a partial that is part of the windows from here on up to `last`.
    pub fn take(&mut self, key: &K, state: &S, last: i128, merge: impl Fn(&mut S, &S)) {
        let last = i64::try_from(last).expect("a record's last window has a number in range");
        let hash = key.stable_hash();
        match self.queues.entry(hash, |queue| queue.key == *key, |queue| queue.key.stable_hash()) {
            Entry::Occupied(entry) => self.partials += entry.into_mut().push(last, state, merge),
            Entry::Vacant(entry) => {
                let mut queue = Queue::of(key.clone());
                self.partials += queue.push(last, state, merge);
                entry.insert(queue);
            }
        }
    }

    /// Hands out each key's total, and lets go of partials whose last window this is; from a place
    /// of the table on. Returns where to go on if fuel runs out.
    pub fn give(
        &mut self,
        number: i128,
        from: usize,
        fuel: &mut Fuel,
        merge: impl Fn(&mut S, &S),
        mut f: impl FnMut(&K, &S),
    ) -> Option<usize> {
        let number = bound_of(number);
        let end = self.queues.num_buckets();
        let until = end.min(from.saturating_add(fuel.left()));
        for at in from..until {
            let Some(queue) = self.queues.get_bucket_mut(at) else {
                continue;
            };
            queue.total(&merge, &mut f);
            self.partials -= queue.pop(number, &merge);
            if queue.is_empty()
                && let Ok(entry) = self.queues.get_bucket_entry(at)
            {
                entry.remove();
            }
        }
        fuel.burn((until - from).max(1));
        if until == end && self.queues.is_empty() {
            // Emptying entry by entry leaves tombstones.
            self.queues.clear();
        }
        (until < end).then_some(until)
    }
}

impl<K, S> Running<K, S> {
    /// Whether there are no partials.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// How many keys there are.
    pub fn keys(&self) -> usize {
        self.queues.len()
    }

    /// Its memory in bytes; what keys and values own elsewhere is not counted.
    pub fn bytes(&self) -> usize {
        self.queues.allocation_size() + self.partials * size_of::<(i64, S)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;
    use std::collections::{BTreeMap, BTreeSet};

    proptest! {
        #![proptest_config(crate::testing::cases(2_000))]

        /// Against a plain list of partials: sets of numbers, so that nothing counts twice.
        #[test]
        fn totals_are_those_of_the_partials(
            windows in prop::collection::vec(
                prop::collection::vec((0u8..3, 0i64..9), 0..5), 1..40,
            ),
            fuel in 1usize..9,
        ) {
            let mut running = Running::<u8, Vec<u32>>::default();
            let merge = |to: &mut Vec<u32>, from: &Vec<u32>| to.extend(from);
            let mut list: Vec<(u8, i64, u32)> = Vec::new();
            let mut id = 0;
            for (number, partials) in (0i64..).zip(windows) {
                for (key, more) in partials {
                    id += 1;
                    running.take(&key, &vec![id], (number + more).into(), merge);
                    list.push((key, number + more, id));
                }
                let mut wanted: BTreeMap<u8, BTreeSet<u32>> = BTreeMap::new();
                for &(key, _, id) in &list {
                    wanted.entry(key).or_default().insert(id);
                }
                let mut got: Vec<(u8, Vec<u32>)> = Vec::new();
                let mut from = 0;
                while let Some(on) = running.give(number.into(), from, &mut Fuel::new(fuel), merge,
                    |&key, total| got.push((key, total.clone()))) {
                    from = on;
                }
                got.iter_mut().for_each(|(_, ids)| ids.sort());
                got.sort();
                let wanted: Vec<_> =
                    wanted.into_iter().map(|(key, ids)| (key, Vec::from_iter(ids))).collect();
                prop_assert_eq!(got, wanted);
                list.retain(|&(_, last, _)| last > number);
                prop_assert_eq!(running.is_empty(), list.is_empty());
                let distinct: BTreeSet<_> =
                    list.iter().map(|&(key, last, _)| (key, last)).collect();
                prop_assert_eq!(running.partials, distinct.len());
            }
        }
    }

    /// Sixty slices a window: about three merges for each slice and key, not sixty.
    #[test]
    fn three_merges_a_partial() {
        let (mut running, merges) = (Running::<u8, u64>::default(), Cell::new(0));
        let merge = |to: &mut u64, from: &u64| {
            merges.set(merges.get() + 1);
            *to += from;
        };
        for number in 0..6_000 {
            running.take(&1, &1, number + 59, merge);
            let mut total = 0;
            let on = running.give(number, 0, &mut Fuel::new(100), merge, |_, sum| total = *sum);
            assert_eq!((on, total), (None, 60.min(number as u64 + 1)));
        }
        assert!(merges.get() <= 3 * 6_000, "{} merges", merges.get());
    }
}
