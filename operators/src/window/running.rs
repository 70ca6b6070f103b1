//! What the windows of each key are made from, as windows slide on.
//!
//! A key's partials come in at one end and leave at the other, as in a queue. To have their sum at
//! any time without adding all of them up, the queue is two stacks: the **back** takes new partials
//! and their running total, the **front** holds totals from each of its partials up to its newest
//! one, so that taking the oldest away leaves the total of the others on top. When the front runs
//! empty the back is turned over. Every partial is merged once on its way in, once when the back
//! is turned over, and a window's result is one merge more: three in all however many windows it is
//! in. For invertible and other aggregates alike.
//!
//! ```text
//!        oldest  ◀─ front ─┃─ back ─▶  newest
//!  partials:    a   b   c  ┃  d   e
//!  kept:       abc  bc  c  ┃  d   e    and the total de
//! ```
//!
//! Partials that come late leave before others that came earlier; they are merged into each total
//! that they are part of. The method is known as two-stacks; Tangwongsan, Hirzel and Schneider,
//! *Low-latency sliding-window aggregation in worst-case constant time*, DEBS 2017, compare it.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::key::Key;
use crate::tick::Fuel;

/// The partials of one key. A partial is told by the number of the last window it is in.
struct Queue<K, S> {
    key: K,
    /// The total of the partials from this one on to the newest in here, newest first.
    front: Vec<(i64, S)>,
    /// The newest partial in front; the least number if there is none.
    newest: i64,
    /// Partials, oldest first; none is older than those in front.
    back: Vec<(i64, S)>,
    /// The total of those in back.
    total: Option<S>,
}

/// The partials of the window that is giving results, by key.
pub(super) struct Running<K, S> {
    queues: HashTable<Queue<K, S>>,
    /// How many partials there are.
    partials: usize,
}

impl<K, S> Default for Running<K, S> {
    fn default() -> Self {
        Running { queues: HashTable::new(), partials: 0 }
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
                let (front, back) = (Vec::new(), Vec::new());
                let mut queue =
                    Queue { key: key.clone(), front, newest: i64::MIN, back, total: None };
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

impl<K, S: Clone> Queue<K, S> {
    fn is_empty(&self) -> bool {
        self.front.is_empty() && self.back.is_empty()
    }

    /// Takes in a partial. Returns how many there are more.
    fn push(&mut self, last: i64, state: &S, merge: impl Fn(&mut S, &S)) -> usize {
        if last <= self.newest {
            let at = self.front.partition_point(|&(other, _)| other > last);
            let new = self.front.get(at).is_none_or(|&(other, _)| other != last);
            if new {
                // There is a newer one, or it would be the newest.
                let newer = self.front[at - 1].1.clone();
                self.front.insert(at, (last, newer));
            }
            self.front[at..].iter_mut().for_each(|(_, total)| merge(total, state));
            return usize::from(new);
        }
        match &mut self.total {
            Some(total) => merge(total, state),
            None => self.total = Some(state.clone()),
        }
        // Nearly always it is newer than all others.
        if self.back.last().is_none_or(|&(newest, _)| newest < last) {
            self.back.push((last, state.clone()));
            return 1;
        }
        let at = self.back.partition_point(|&(other, _)| other < last);
        match self.back.get_mut(at).filter(|(other, _)| *other == last) {
            Some((_, same)) => {
                merge(same, state);
                0
            }
            None => {
                self.back.insert(at, (last, state.clone()));
                1
            }
        }
    }

    /// Hands out the total of all partials.
    fn total(&self, merge: impl Fn(&mut S, &S), mut f: impl FnMut(&K, &S)) {
        match (self.front.last(), &self.total) {
            (Some((_, front)), Some(back)) => {
                let mut total = front.clone();
                merge(&mut total, back);
                f(&self.key, &total);
            }
            (Some((_, total)), None) | (None, Some(total)) => f(&self.key, total),
            (None, None) => {}
        }
    }

    /// Lets go of partials whose last window this was. Returns how many there are less.
    fn pop(&mut self, number: i128, merge: impl Fn(&mut S, &S)) -> usize {
        let mut gone = 0;
        loop {
            while self.front.pop_if(|(last, _)| i128::from(*last) <= number).is_some() {
                gone += 1;
            }
            // What is in front is older: as long as there is any, the back need not be looked at,
            // and is not fetched from memory.
            if !self.front.is_empty() {
                return gone;
            }
            self.newest = i64::MIN;
            let due = self.back.first().is_some_and(|&(last, _)| i128::from(last) <= number);
            if !due {
                return gone;
            }
            self.newest = self.back.last().map_or(i64::MIN, |&(last, _)| last);
            self.total = None;
            for (last, mut state) in self.back.drain(..).rev() {
                if let Some((_, newer)) = self.front.last() {
                    merge(&mut state, newer);
                }
                self.front.push((last, state));
            }
        }
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
