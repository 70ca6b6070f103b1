//! A hash table that only grows, laid out for rows that come in batches.
//!
//! Entries stand in one array at the place their hash points to, or in the next free one behind it
//! (linear probing). The place is the hash scaled to the size of the array, so that entries stand
//! nearly in the order of their hashes:
//!
//! ```text
//!   hash      0 ─────────────────────────────────────▶ 2^64
//!   places    │ a │   │ b │ c │   │   │ d │   │ e │   │        c belonged where b is
//! ```
//!
//! That is why the array can grow by half, and in one pass from front to back through both arrays,
//! where a table that grows by doubling jumps about in memory or wastes a half of it.
//!
//! A row that finds its entry at once touches a single cache line. [`Store::warm`] asks for that line
//! before it is needed; asked for a batch of rows, the lines come side by side instead of one after
//! the other.
//!
//! Nothing is ever taken out of it, so that it needs no tombstones: it is dropped as a whole.

use std::mem::{needs_drop, size_of};
use std::vec;

use crate::prefetch::prefetch;

/// Places of the smallest array.
const FIRST: usize = 16;

/// Entries with a hash. `E` is compared by the caller, who gives the hash of each.
#[derive(Debug)]
pub struct Store<E> {
    places: Vec<Option<E>>,
    /// For entries that own memory, eight bits of the hash of each, so that they are seldom looked
    /// at in vain: that would be a cache miss of its own. Empty for others.
    tags: Vec<u8>,
    len: usize,
}

impl<E> Default for Store<E> {
    fn default() -> Self {
        Store { places: Vec::new(), tags: Vec::new(), len: 0 }
    }
}

impl<E> Store<E> {
    const TAGGED: bool = needs_drop::<E>();

    pub fn len(&self) -> usize {
        self.len
    }

    /// Its memory in bytes; what entries own elsewhere is not counted.
    pub fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<Option<E>>() + self.tags.capacity()
    }

    /// How many places there are, taken or free.
    pub fn places(&self) -> usize {
        self.places.len()
    }

    /// The entry at a place.
    pub fn at_mut(&mut self, place: usize) -> Option<&mut E> {
        self.places[place].as_mut()
    }

    /// Asks for the memory of the entry with this hash.
    #[inline]
    pub fn warm(&self, hash: u64) {
        let home = self.home(hash);
        if let Some(place) = self.places.get(home) {
            prefetch(place);
            if Self::TAGGED {
                prefetch(&self.tags[home]);
            }
        }
    }

    #[inline]
    pub fn find(&self, hash: u64, is: impl FnMut(&E) -> bool) -> Option<&E> {
        let at = self.position(hash, is).ok()?;
        self.places[at].as_ref()
    }

    #[inline]
    pub fn find_mut(&mut self, hash: u64, is: impl FnMut(&E) -> bool) -> Option<&mut E> {
        let at = self.position(hash, is).ok()?;
        self.places[at].as_mut()
    }

    /// Takes in an entry that is not there. `rehash` gives the hash of any entry.
    #[inline]
    pub fn insert(&mut self, hash: u64, entry: E, rehash: impl Fn(&E) -> u64) {
        // Seven tenths full at most: a row that is not there looks at six places then, and at two
        // or three when it is half full.
        if self.len * 10 >= self.places.len() * 7 {
            self.grow(rehash);
        }
        self.place(hash, entry);
    }

    fn place(&mut self, hash: u64, entry: E) {
        if let Err(at) = self.position(hash, |_| false) {
            if Self::TAGGED {
                self.tags[at] = tag(hash);
            }
            self.places[at] = Some(entry);
            self.len += 1;
        }
    }

    /// Where the entry is, or the free place where it would be. There is always a free place, unless
    /// there are no places at all.
    #[inline]
    fn position(&self, hash: u64, mut is: impl FnMut(&E) -> bool) -> Result<usize, usize> {
        if self.places.is_empty() {
            return Err(0);
        }
        let mut at = self.home(hash);
        loop {
            let Some(entry) = &self.places[at] else { return Err(at) };
            if (!Self::TAGGED || self.tags[at] == tag(hash)) && is(entry) {
                return Ok(at);
            }
            at += 1;
            if at == self.places.len() {
                at = 0;
            }
        }
    }

    #[cold]
    fn grow(&mut self, rehash: impl Fn(&E) -> u64) {
        let places = (self.places.len() + self.places.len() / 2).max(FIRST);
        let mut bigger = Store { places: Vec::new(), tags: Vec::new(), len: 0 };
        bigger.places.resize_with(places, || None);
        if Self::TAGGED {
            bigger.tags.resize(places, 0);
        }
        for entry in std::mem::take(&mut self.places).into_iter().flatten() {
            bigger.place(rehash(&entry), entry);
        }
        *self = bigger;
    }

    /// The place a hash points to. The multiplication brings all bits of the hash into the upper
    /// ones, which count: rows of one worker have some of those in common.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((u128::from(mixed) * self.places.len() as u128) >> 64) as usize
    }
}

impl<E> IntoIterator for Store<E> {
    type Item = E;
    type IntoIter = Entries<E>;

    fn into_iter(self) -> Entries<E> {
        Entries { places: self.places.into_iter(), left: self.len }
    }
}

/// The entries of a table that is given up, one by one.
#[derive(Debug)]
pub struct Entries<E> {
    places: vec::IntoIter<Option<E>>,
    left: usize,
}

impl<E> Iterator for Entries<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        let entry = self.places.by_ref().flatten().next()?;
        self.left -= 1;
        Some(entry)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<E> ExactSizeIterator for Entries<E> {}

#[inline]
fn tag(hash: u64) -> u8 {
    hash as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::StableHash;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(crate::testing::cases(2_000))]

        /// It holds what a map holds, however many hashes fall on one place.
        #[test]
        fn is_a_map(
            entries in prop::collection::vec((0u16..300, any::<u32>()), 0..400),
            distinct in 1u64..400,
        ) {
            let hash = |key: &u16| (u64::from(*key) % distinct).stable_hash();
            let (mut store, mut model) = (Store::default(), BTreeMap::new());
            for (key, value) in entries {
                store.warm(hash(&key));
                match store.find_mut(hash(&key), |(k, _)| *k == key) {
                    Some((_, old)) => *old = value,
                    None => store.insert(hash(&key), (key, value), |(k, _)| hash(k)),
                }
                model.insert(key, value);
            }
            prop_assert_eq!(store.len(), model.len());
            for key in 0..300 {
                let found = store.find(hash(&key), |(k, _)| *k == key).map(|(_, value)| value);
                prop_assert_eq!(found, model.get(&key));
            }
            let all: BTreeMap<u16, u32> = store.into_iter().collect();
            prop_assert_eq!(all, model);
        }

        /// The same for entries that own memory, which have tags.
        #[test]
        fn is_a_map_of_strings(keys in prop::collection::vec("[a-d]{0,3}", 0..200)) {
            let (mut store, mut model) = (Store::default(), BTreeMap::new());
            for key in keys {
                let hash = key.stable_hash();
                match store.find_mut(hash, |(k, _): &(String, u32)| *k == key) {
                    Some((_, copies)) => *copies += 1,
                    None => store.insert(hash, (key.clone(), 1), |(k, _)| k.stable_hash()),
                }
                *model.entry(key).or_insert(0) += 1;
            }
            let all: BTreeMap<String, u32> = store.into_iter().collect();
            prop_assert_eq!(all, model);
        }
    }

    #[test]
    fn it_is_never_more_than_seven_tenths_full_and_seldom_less_than_half() {
        let mut store = Store::default();
        for key in 0..100_000u64 {
            store.insert(key.stable_hash(), key, StableHash::stable_hash);
            let (len, places) = (store.len() as f64, store.places() as f64);
            assert!(len <= 0.7 * places + 1.0, "{len} of {places}");
            assert!(len < 100.0 || len >= 0.46 * places, "{len} of {places}");
        }
    }
}
