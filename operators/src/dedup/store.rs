//! A hash table that only grows, laid out for rows that come in batches.
//!
//! Entries stand in arrays ([`Array`]), all in one as long as they are few. An array that is full becomes
//! twice as long; one as long as a large page of memory gives half of its entries to a new one instead,
//! by the next bit of the hash. So a large table takes memory from the system only once, and no row ever
//! waits for more than a page of entries to move. A directory tells which array has which hashes
//! (extendible hashing: Fagin, Nievergelt, Pippenger and Strong, 1979).
//!
//! Arrays with equal shares of the hashes would all be full at about the same time, and the table half
//! empty after that. So the shares are uneven, the largest nearly twice as large as the smallest, and arrays grow
//! one after the other: all of them together are about 0.54 full whatever they hold (spiral storage:
//! Martin, 1979).
//!
//! A row usually touches a single cache line. [`Store::warm`] asks for it before it is needed; asked
//! for a batch of rows, the lines come side by side instead of one after the other.
//!
//! Nothing is ever taken out of it, so that it needs no tombstones: it is dropped as a whole.

mod array;

use std::vec;

use array::Array;

use crate::huge;

/// Places of the smallest array.
const FIRST: usize = 16;
/// With so many places a single array is cut up.
const SINGLE: usize = if cfg!(test) { 1 << 7 } else { 1 << 12 };
/// How many bits of the hash it is cut up by.
const CUT: u32 = 4;
/// An array of so many bytes is split and not made longer.
const MOST: usize = if cfg!(test) { 1 << 12 } else { huge::LARGE };

/// Entries with a hash. `E` is compared by the caller, who gives the hash of each.
#[derive(Debug)]
pub struct Store<E> {
    arrays: Vec<Array<E>>,
    /// By the upper bits of a [`share`], as many as its length is a power of two, the array.
    directory: Vec<u32>,
    /// How many bits of a share are left without those of the directory.
    rest: u32,
    len: usize,
}

impl<E> Default for Store<E> {
    fn default() -> Self {
        Store { arrays: Vec::new(), directory: Vec::new(), rest: 64, len: 0 }
    }
}

impl<E> Store<E> {
    /// Places of an array that is split and not made longer.
    const MOST: usize = Array::<E>::places_in(MOST);

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
        self.arrays.iter().map(Array::places).sum()
    }

    /// Goes over the entries from one place up to another, in the order of the places.
    pub fn visit(&mut self, mut from: usize, until: usize, mut f: impl FnMut(&mut E)) {
        let mut left = until.saturating_sub(from);
        for array in &mut self.arrays {
            let places = array.places();
            let here = from.min(places)..from.saturating_add(left).min(places);
            from -= here.start;
            left -= here.len();
            array.visit(here, &mut f);
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
        self.array(mixed)?.find(mixed, is)
    }

    #[inline]
    pub fn find_mut(&mut self, hash: u64, is: impl FnMut(&E) -> bool) -> Option<&mut E> {
        let mixed = mix(hash);
        let at = self.number(mixed)?;
        self.arrays[at].find_mut(mixed, is)
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
        let at = self.room(mixed, &|entry: &E| mix(rehash(entry)));
        let found = self.arrays[at].find_or_insert(mixed, entry, same);
        self.len += usize::from(found.is_none());
        found
    }

    /// The array with these hashes, which has a free place.
    #[inline]
    fn room<R: Fn(&E) -> u64>(&mut self, mixed: u64, rehash: &R) -> usize {
        match self.number(mixed) {
            Some(at) if !self.arrays[at].is_full() => at,
            _ => self.make_room(mixed, rehash),
        }
    }

    #[cold]
    fn make_room<R: Fn(&E) -> u64>(&mut self, mixed: u64, rehash: &R) -> usize {
        loop {
            let Some(at) = self.number(mixed) else {
                self.arrays.push(Array::new(FIRST, 0));
                self.directory.push(0);
                continue;
            };
            let (array, single) = (&mut self.arrays[at], self.directory.len() == 1);
            let places = array.places();
            if !array.is_full() {
                return at;
            } else if single && places < SINGLE {
                array.lengthen(places * 3 / 2, rehash);
            } else if single {
                self.cut_up(rehash);
            } else if places < Self::MOST {
                self.arrays[at].lengthen((places * 2).min(Self::MOST), rehash);
            } else if !self.can_tell_apart(at) {
                self.arrays[at].lengthen(places * 2, rehash);
            } else {
                self.split(at, mixed, rehash);
            }
        }
    }

    /// The single array becomes several.
    fn cut_up<R: Fn(&E) -> u64>(&mut self, rehash: &R) {
        let old = std::mem::take(self);
        self.rest -= CUT;
        self.directory = (0..1 << CUT).collect();
        self.arrays.extend(self.directory.iter().map(|_| Array::new(SINGLE >> CUT, CUT)));
        self.len = old.len;
        for entry in old {
            let mixed = rehash(&entry);
            let at = self.room(mixed, rehash);
            self.arrays[at].put(mixed, entry);
        }
    }

    /// Whether the directory can tell the two halves of an array apart. It becomes longer for it, but
    /// not out of proportion: hashes that have very many bits in common make an array longer.
    fn can_tell_apart(&mut self, at: usize) -> bool {
        if self.arrays[at].depth + self.rest < 64 {
            return true;
        }
        let can = self.directory.len() <= 4 * self.arrays.len();
        if can {
            self.directory = self.directory.iter().flat_map(|&at| [at, at]).collect();
            self.rest -= 1;
        }
        can
    }

    /// Gives those of an array whose next bit is set to one of their own. `mixed` is one of its hashes.
    fn split<R: Fn(&E) -> u64>(&mut self, at: usize, mixed: u64, rehash: &R) {
        let array = &mut self.arrays[at];
        let depth = array.depth;
        let high = array.split(rehash, |mixed| share(mixed) >> (63 - depth) & 1 == 1);
        let new = u32::try_from(self.arrays.len()).expect("there are fewer arrays than bytes");
        self.arrays.push(high);
        // Of the numbers in a row that lead to the array, the second half.
        let all = self.directory.len() >> depth;
        let first = (share(mixed) >> self.rest) as usize & !(all - 1);
        self.directory[first + all / 2..first + all].fill(new);
    }

    /// The number of the array that has a hash.
    #[inline]
    fn number(&self, mixed: u64) -> Option<usize> {
        // In two steps: with one array there are 64 bits left, and no shift by so many.
        let at = share(mixed) >> 1 >> (self.rest - 1);
        self.directory.get(at as usize).map(|&at| at as usize)
    }

    #[inline]
    fn array(&self, mixed: u64) -> Option<&Array<E>> {
        self.arrays.get(self.number(mixed)?)
    }
}

impl<E> IntoIterator for Store<E> {
    type Item = E;
    type IntoIter = Entries<E>;

    fn into_iter(self) -> Entries<E> {
        Entries {
            arrays: self.arrays.into_iter(),
            here: Array::default().into_iter(),
            left: self.len,
        }
    }
}

/// The entries of a table that is given up, one by one.
#[derive(Debug)]
pub struct Entries<E> {
    arrays: vec::IntoIter<Array<E>>,
    here: array::Entries<E>,
    left: usize,
}

impl<E> Iterator for Entries<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        loop {
            if let Some(entry) = self.here.next() {
                self.left -= 1;
                return Some(entry);
            }
            self.here = self.arrays.next()?.into_iter();
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

/// By what the directory finds arrays: x (11 + 5 x) / 16 of a mixed hash x, as a part of one. As many
/// hashes fall on the shares at the beginning as on 1.9 times as many at the end.
#[inline]
fn share(mixed: u64) -> u64 {
    let slope = (11 << 60) + (mixed >> 4) * 5;
    ((u128::from(mixed) * u128::from(slope)) >> 64) as u64
}

#[cfg(test)]
mod tests;
