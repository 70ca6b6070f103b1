//! A hash table that only grows, laid out for rows that come in batches.
//!
//! Entries stand in an array at the place their hash points to, or in the next free one behind it
//! (linear probing). The place is the hash scaled to the size of the array, so that entries stand
//! nearly in the order of their hashes:
//!
//! ```text
//!   hash      0 ─────────────────────────────────────▶ 2^64
//!   places    │ a │   │ b │ c │   │   │ d │   │ e │   │        c belonged where b is
//! ```
//!
//! That is why the array can grow in one pass from front to back through both arrays. One of many
//! megabytes is not made longer but split in two by the next bit of the hash, and a directory tells
//! which array has which hashes (extendible hashing: Fagin, Nievergelt, Pippenger and Strong, 1979). So
//! no row ever waits for millions of entries to move.
//!
//! A row that finds its entry at once touches a single cache line. [`Store::warm`] asks for that line
//! before it is needed; asked for a batch of rows, the lines come side by side instead of one after
//! the other.
//!
//! Nothing is ever taken out of it, so that it needs no tombstones: it is dropped as a whole.

use std::mem::{needs_drop, size_of};
use std::vec;

use crate::huge;
use crate::prefetch::prefetch;

/// Places of the smallest array.
const FIRST: usize = 16;
/// An array of so many bytes is split and not made longer.
const MOST: usize = if cfg!(test) { 1 << 10 } else { 16 << 20 };

/// Entries with a hash. `E` is compared by the caller, who gives the hash of each.
#[derive(Debug)]
pub struct Store<E> {
    arrays: Vec<Array<E>>,
    /// By the upper bits of the mixed hash, as many as its length is a power of two, the array.
    directory: Vec<u32>,
    /// How many bits of a mixed hash are left without those of the directory.
    rest: u32,
    len: usize,
}

/// The entries whose mixed hashes begin with the same bits.
#[derive(Debug)]
struct Array<E> {
    places: Vec<Option<E>>,
    /// For entries that own memory, eight bits of the hash of each, so that they are seldom looked
    /// at in vain: that would be a cache miss of its own. Empty for others.
    tags: Vec<u8>,
    len: usize,
    /// How many bits they have in common.
    depth: u32,
}

impl<E> Default for Store<E> {
    fn default() -> Self {
        Store { arrays: Vec::new(), directory: Vec::new(), rest: 64, len: 0 }
    }
}

impl<E> Store<E> {
    pub fn len(&self) -> usize {
        self.len
    }

    /// Its memory in bytes; what entries own elsewhere is not counted.
    pub fn bytes(&self) -> usize {
        let arrays: usize = self.arrays.iter().map(Array::bytes).sum();
        arrays
            + self.arrays.capacity() * size_of::<Array<E>>()
            + self.directory.capacity() * size_of::<u32>()
    }

    /// How many places there are, taken or free.
    pub fn places(&self) -> usize {
        self.arrays.iter().map(|array| array.places.len()).sum()
    }

    /// Goes over the entries from one place up to another, in the order of the places.
    pub fn visit(&mut self, from: usize, until: usize, mut f: impl FnMut(&mut E)) {
        let (mut from, mut left) = (from, until.saturating_sub(from));
        for array in &mut self.arrays {
            let places = array.places.len();
            let here = array.places.iter_mut().skip(from).take(left);
            from = from.saturating_sub(places);
            left -= here.len();
            here.flatten().for_each(&mut f);
        }
    }

    /// Asks for the memory of the entry with this hash.
    #[inline]
    pub fn warm(&self, hash: u64) {
        let mixed = mix(hash);
        if let Some(array) = self.array(mixed) {
            array.warm(mixed);
        }
    }

    #[inline]
    pub fn find(&self, hash: u64, is: impl FnMut(&E) -> bool) -> Option<&E> {
        let mixed = mix(hash);
        let array = self.array(mixed)?;
        let at = array.position(mixed, is).ok()?;
        array.places[at].as_ref()
    }

    #[inline]
    pub fn find_mut(&mut self, hash: u64, is: impl FnMut(&E) -> bool) -> Option<&mut E> {
        let mixed = mix(hash);
        let at = self.number(mixed)?;
        let array = &mut self.arrays[at];
        let at = array.position(mixed, is).ok()?;
        array.places[at].as_mut()
    }

    /// The entry that is the same as this one, or else puts this one in. `rehash` gives the hash of
    /// any entry.
    #[inline]
    pub fn find_or_insert(
        &mut self,
        hash: u64,
        entry: E,
        same: impl Fn(&E, &E) -> bool,
        rehash: impl Fn(&E) -> u64,
    ) -> Option<&mut E> {
        let mixed = mix(hash);
        let at = match self.number(mixed) {
            Some(at) if !self.arrays[at].is_full() => at,
            _ => self.make_room(mixed, rehash),
        };
        let array = &mut self.arrays[at];
        match array.position(mixed, |other| same(other, &entry)) {
            Ok(at) => array.places[at].as_mut(),
            Err(at) => {
                array.put(at, mixed, entry);
                self.len += 1;
                None
            }
        }
    }

    /// The array with these hashes, which has a free place afterwards.
    #[cold]
    fn make_room(&mut self, mixed: u64, rehash: impl Fn(&E) -> u64) -> usize {
        let rehash = |entry: &E| mix(rehash(entry));
        loop {
            let Some(at) = self.number(mixed) else {
                self.arrays.push(Array::new(FIRST, 0));
                self.directory.push(0);
                continue;
            };
            let arrays = self.arrays.len();
            let array = &mut self.arrays[at];
            if !array.is_full() {
                return at;
            }
            // Hashes that have too many bits in common to be split make an array longer, lest the
            // directory grow out of proportion.
            let doubles = array.depth + self.rest == 64;
            if array.bytes() < MOST || doubles && self.directory.len() > 4 * arrays {
                array.lengthen(rehash);
                continue;
            }
            if doubles {
                self.directory = self.directory.iter().flat_map(|&at| [at, at]).collect();
                self.rest -= 1;
            }
            self.split(at, rehash);
        }
    }

    /// Gives those of an array whose next bit is set to one of their own.
    fn split(&mut self, at: usize, rehash: impl Fn(&E) -> u64) {
        let depth = self.arrays[at].depth;
        let places = self.arrays[at].places.len();
        // Two thirds, so that each is about as full as one is that has been made longer.
        let mut halves = [0, 1].map(|_| Array::new(places - places / 3, depth + 1));
        for entry in self.arrays[at].drain() {
            let mixed = rehash(&entry);
            let half = &mut halves[(mixed >> (63 - depth)) as usize & 1];
            if half.is_full() {
                half.lengthen(&rehash);
            }
            half.place(mixed, entry);
        }
        let [low, high] = halves;
        self.arrays[at] = low;
        let new = u32::try_from(self.arrays.len()).expect("there are fewer arrays than bytes");
        self.arrays.push(high);
        // Of the numbers in a row that lead to the array, the second half.
        let all = self.directory.iter().filter(|&&number| number as usize == at).count();
        let first = self.directory.iter().position(|&number| number as usize == at);
        let first = first.expect("every array is in the directory") + all / 2;
        self.directory[first..first + all / 2].fill(new);
    }

    /// The number of the array that has a hash.
    #[inline]
    fn number(&self, mixed: u64) -> Option<usize> {
        // In two steps: with one array there are 64 bits left, and no shift by so many.
        let at = mixed >> 1 >> (self.rest - 1);
        self.directory.get(at as usize).map(|&at| at as usize)
    }

    #[inline]
    fn array(&self, mixed: u64) -> Option<&Array<E>> {
        self.arrays.get(self.number(mixed)?)
    }
}

impl<E> Array<E> {
    const TAGGED: bool = needs_drop::<E>();

    fn new(places: usize, depth: u32) -> Self {
        let tags = if Self::TAGGED { vec![0; places] } else { Vec::new() };
        let mut free = huge::with_capacity(places);
        free.resize_with(places, || None);
        Array { places: free, tags, len: 0, depth }
    }

    fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<Option<E>>() + self.tags.capacity()
    }

    /// Seven tenths full: a row that is not there looks at six places then, and at two or three when
    /// it is half full.
    #[inline]
    fn is_full(&self) -> bool {
        self.len * 10 >= self.places.len() * 7
    }

    /// Has half as many places more.
    fn lengthen(&mut self, rehash: impl Fn(&E) -> u64) {
        let mut longer = Array::new(self.places.len() * 3 / 2, self.depth);
        self.drain().for_each(|entry| longer.place(rehash(&entry), entry));
        *self = longer;
    }

    fn drain(&mut self) -> impl Iterator<Item = E> + use<E> {
        self.len = 0;
        std::mem::take(&mut self.places).into_iter().flatten()
    }

    #[inline]
    fn warm(&self, mixed: u64) {
        let home = self.home(mixed);
        prefetch(&self.places[home]);
        prefetch(&self.places[(home + 3).min(self.places.len() - 1)]);
        if Self::TAGGED {
            prefetch(&self.tags[home]);
        }
    }

    #[inline]
    fn place(&mut self, mixed: u64, entry: E) {
        if let Err(at) = self.position(mixed, |_| false) {
            self.put(at, mixed, entry);
        }
    }

    #[inline]
    fn put(&mut self, at: usize, mixed: u64, entry: E) {
        if Self::TAGGED {
            self.tags[at] = tag(mixed);
        }
        self.places[at] = Some(entry);
        self.len += 1;
    }

    /// Where the entry is, or the free place where it would be. There is always a free place.
    #[inline]
    fn position(&self, mixed: u64, mut is: impl FnMut(&E) -> bool) -> Result<usize, usize> {
        let mut at = self.home(mixed);
        loop {
            let Some(entry) = &self.places[at] else { return Err(at) };
            if (!Self::TAGGED || self.tags[at] == tag(mixed)) && is(entry) {
                return Ok(at);
            }
            at += 1;
            if at == self.places.len() {
                at = 0;
            }
        }
    }

    /// The place a hash points to, by the bits behind those that all have in common.
    #[inline]
    fn home(&self, mixed: u64) -> usize {
        let rest = mixed << self.depth;
        ((u128::from(rest) * self.places.len() as u128) >> 64) as usize
    }
}

impl<E> IntoIterator for Store<E> {
    type Item = E;
    type IntoIter = Entries<E>;

    fn into_iter(self) -> Entries<E> {
        let left = self.len;
        Entries { arrays: self.arrays.into_iter(), places: Vec::new().into_iter(), left }
    }
}

/// The entries of a table that is given up, one by one.
#[derive(Debug)]
pub struct Entries<E> {
    arrays: vec::IntoIter<Array<E>>,
    places: vec::IntoIter<Option<E>>,
    left: usize,
}

impl<E> Iterator for Entries<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        loop {
            if let Some(entry) = self.places.by_ref().flatten().next() {
                self.left -= 1;
                return Some(entry);
            }
            self.places = self.arrays.next()?.places.into_iter();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<E> ExactSizeIterator for Entries<E> {}

/// Brings all bits of a hash into the upper ones, which count: rows of one worker have some of those
/// in common.
#[inline]
fn mix(hash: u64) -> u64 {
    hash.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[inline]
fn tag(mixed: u64) -> u8 {
    mixed as u8
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
                let same = |a: &(u16, u32), b: &(u16, u32)| a.0 == b.0;
                let found =
                    store.find_or_insert(hash(&key), (key, value), same, |(k, _)| hash(k));
                prop_assert_eq!(found.as_deref().map(|entry| &entry.1), model.get(&key));
                if let Some((_, old)) = found {
                    *old = value;
                }
                model.insert(key, value);
            }
            prop_assert_eq!(store.len(), model.len());
            for key in 0..300 {
                let found = store.find(hash(&key), |(k, _)| *k == key).map(|(_, value)| value);
                prop_assert_eq!(found, model.get(&key));
            }
            let mut seen = BTreeMap::new();
            for at in (0..store.places()).step_by(7) {
                store.visit(at, at + 7, |(key, value)| _ = seen.insert(*key, *value));
            }
            prop_assert_eq!(&seen, &model);
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
                    None => {
                        let same = |a: &(String, u32), b: &(String, u32)| a.0 == b.0;
                        let rehash = |(key, _): &(String, u32)| key.stable_hash();
                        let found = store.find_or_insert(hash, (key.clone(), 1), same, rehash);
                        prop_assert!(found.is_none());
                    }
                }
                *model.entry(key).or_insert(0) += 1;
            }
            let all: BTreeMap<String, u32> = store.into_iter().collect();
            prop_assert_eq!(all, model);
        }
    }

    fn with(store: &mut Store<u64>, key: u64, hash: impl Fn(&u64) -> u64) {
        assert!(store.find_or_insert(hash(&key), key, PartialEq::eq, hash).is_none());
    }

    #[test]
    fn it_is_never_more_than_seven_tenths_full_and_seldom_less_than_half() {
        let mut store = Store::default();
        for key in 0..100_000u64 {
            with(&mut store, key, StableHash::stable_hash);
            let (len, places) = (store.len() as f64, store.places() as f64);
            assert!(len <= 0.7 * places + 1.0, "{len} of {places}");
            assert!(len < 100.0 || len >= 0.46 * places, "{len} of {places}");
        }
        assert!(store.arrays.len() > 100, "arrays of one kilobyte are split");
    }

    /// The directory stays in proportion where hashes cannot be told apart.
    #[test]
    fn a_single_hash_for_all_makes_one_long_array() {
        let mut store = Store::default();
        let hash = |key: &u64| if *key < 1_000 { 7 } else { key.stable_hash() };
        for key in 0..3_000 {
            with(&mut store, key, hash);
        }
        assert!(store.directory.len() <= 8 * store.arrays.len(), "{}", store.directory.len());
        for key in 0..3_000 {
            assert!(store.find(hash(&key), |k| *k == key).is_some());
        }
    }
}
