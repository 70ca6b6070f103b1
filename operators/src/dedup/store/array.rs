//! The arrays that a table consists of.
//!
//! Four places in a row are a group, as long as a cache line for entries of sixteen bytes. An entry is
//! in the first free place of the group its hash points to, or where that is full of the next group that
//! is not (linear probing by buckets: Peterson, 1957):
//!
//! ```text
//!   hash      0 ─────────────────────────────────────▶ 2^32
//!   groups    │ a b c · │ d · · · │ e f g h │ i · · · │       i belonged where e to h are
//! ```
//!
//! A group points to its entries in the order of their hashes, so that an array becomes longer in one pass
//! from front to back through both the old and the new one.

use std::mem::{needs_drop, size_of};
use std::ops::Range;

use allocator_api2::vec::{self, Vec};

use crate::huge::Huge;
use crate::prefetch::prefetch;

/// Places in a group.
const GROUP: usize = 4;

type Group<E> = [Option<E>; GROUP];

/// Entries with a hash, of which all bits count.
#[derive(Debug)]
pub(super) struct Array<E> {
    groups: Vec<Group<E>, Huge>,
    /// For entries that own memory, eight bits of the hash of each, so that they are seldom looked
    /// at in vain: that would be a cache miss of its own. Empty for others.
    tags: Vec<[u8; GROUP], Huge>,
    len: usize,
    /// How many bits of the share the hashes have in common.
    pub depth: u32,
}

/// A place of a group.
#[derive(Clone, Copy, Debug)]
struct Place {
    group: usize,
    place: usize,
}

impl<E> Default for Array<E> {
    fn default() -> Self {
        Array { groups: Vec::new_in(Huge), tags: Vec::new_in(Huge), len: 0, depth: 0 }
    }
}

impl<E> Array<E> {
    const TAGGED: bool = needs_drop::<E>();

    /// Room for three quarters of so many entries, whose hashes have so many bits in common.
    pub fn new(places: usize, depth: u32) -> Self {
        let mut array = Array { depth, ..Array::default() };
        let groups = places.div_ceil(GROUP);
        array.groups.reserve_exact(groups);
        array.groups.resize_with(groups, || [const { None }; GROUP]);
        if Self::TAGGED {
            array.tags.reserve_exact(groups);
            array.tags.resize(groups, [0; GROUP]);
        }
        array
    }

    /// How many places, in whole groups, need at most so many bytes.
    pub const fn places_in(bytes: usize) -> usize {
        let group = size_of::<Group<E>>();
        if group >= bytes { GROUP } else { bytes / group * GROUP }
    }

    pub fn bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Group<E>>() + self.tags.capacity() * GROUP
    }

    pub fn places(&self) -> usize {
        self.groups.len() * GROUP
    }

    /// Three quarters full: a row that is not there looks at one and a half groups then.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len >= self.groups.len() * (GROUP * 3 / 4)
    }

    pub fn visit(&mut self, range: Range<usize>, f: impl FnMut(&mut E)) {
        self.groups.as_flattened_mut()[range].iter_mut().flatten().for_each(f);
    }

    /// Has this many places.
    pub fn lengthen(&mut self, places: usize, rehash: impl Fn(&E) -> u64) {
        let longer = Array::new(places, self.depth);
        let old = std::mem::replace(self, longer);
        old.into_iter().for_each(|entry| self.put(rehash(&entry), entry));
    }

    /// An array as long as this one gets those of its entries that move, all others stay.
    pub fn split(&mut self, rehash: impl Fn(&E) -> u64, moves: impl Fn(u64) -> bool) -> Self {
        self.depth += 1;
        let mut other = Array::new(self.places(), self.depth);
        // Behind a group that is not full, no entry is from before it: one that stays always finds
        // a place where it was, or nearer to where it belongs.
        let free = self.groups.iter().position(|group| group[GROUP - 1].is_none());
        let first = free.map_or(0, |group| group + 1);
        for group in (first..self.groups.len()).chain(0..first) {
            for place in 0..GROUP {
                if let Some(entry) = self.groups[group][place].take() {
                    self.len -= 1;
                    let mixed = rehash(&entry);
                    if moves(mixed) { &mut other } else { &mut *self }.put(mixed, entry);
                }
            }
        }
        other
    }

    #[inline]
    pub fn warm(&self, mixed: u64) {
        let home = self.home(mixed);
        prefetch(&self.groups[home]);
        if Self::TAGGED {
            prefetch(&self.tags[home]);
        }
    }

    #[inline]
    pub fn find(&self, mixed: u64, is: impl FnMut(&E) -> bool) -> Option<&E> {
        let Place { group, place } = self.place(mixed, is).ok()?;
        self.groups[group][place].as_ref()
    }

    #[inline]
    pub fn find_mut(&mut self, mixed: u64, is: impl FnMut(&E) -> bool) -> Option<&mut E> {
        let Place { group, place } = self.place(mixed, is).ok()?;
        self.groups[group][place].as_mut()
    }

    /// The entry that is the same as this one, or else puts this one in.
    #[inline]
    pub fn find_or_insert(
        &mut self,
        mixed: u64,
        entry: E,
        same: impl Fn(&E, &E) -> bool,
    ) -> Option<&mut E> {
        match self.place(mixed, |other| same(other, &entry)) {
            Ok(Place { group, place }) => self.groups[group][place].as_mut(),
            Err(at) => {
                self.set(at, mixed, entry);
                None
            }
        }
    }

    /// Puts in an entry that is not there.
    #[inline]
    pub fn put(&mut self, mixed: u64, entry: E) {
        if let Err(at) = self.place(mixed, |_| false) {
            self.set(at, mixed, entry);
        }
    }

    #[inline]
    fn set(&mut self, Place { group, place }: Place, mixed: u64, entry: E) {
        if Self::TAGGED {
            self.tags[group][place] = tag(mixed);
        }
        self.groups[group][place] = Some(entry);
        self.len += 1;
    }

    /// Where the entry is, or the free place where it would be. There is always a free place.
    #[inline]
    fn place(&self, mixed: u64, mut is: impl FnMut(&E) -> bool) -> Result<Place, Place> {
        let mut group = self.home(mixed);
        loop {
            for (place, entry) in self.groups[group].iter().enumerate() {
                let Some(entry) = entry else { return Err(Place { group, place }) };
                if (!Self::TAGGED || self.tags[group][place] == tag(mixed)) && is(entry) {
                    return Ok(Place { group, place });
                }
            }
            group += 1;
            if group == self.groups.len() {
                group = 0;
            }
        }
    }

    /// The group a hash points to, by other bits than those of its share.
    #[inline]
    fn home(&self, mixed: u64) -> usize {
        let bits = u64::from((mixed >> 8) as u32);
        ((bits * self.groups.len() as u64) >> 32) as usize
    }
}

/// The entries of an array that is given up.
pub(super) type Entries<E> = std::iter::Flatten<std::iter::Flatten<vec::IntoIter<Group<E>, Huge>>>;

impl<E> IntoIterator for Array<E> {
    type Item = E;
    type IntoIter = Entries<E>;

    fn into_iter(self) -> Entries<E> {
        self.groups.into_iter().flatten().flatten()
    }
}

#[inline]
fn tag(mixed: u64) -> u8 {
    mixed as u8
}
