//! Where the slots of a hash table are in memory, so that they can be asked for before they are needed.
//!
//! The table keeps a byte of every slot's hash in one array, by which it finds slots, and the slots in
//! another, which ends where that of the bytes begins. It tells neither address, but both follow from
//! that of any slot and its number. They are used for hints alone: were they wrong, nothing but time
//! would be lost.

use hashbrown::HashTable;

use crate::huge::Huge;
use crate::prefetch::prefetch_at;

/// The places of a table's slots.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    /// The end of the slots and begin of the bytes.
    middle: usize,
    /// How many places there are: with another number they are elsewhere.
    pub count: usize,
}

impl Places {
    /// Unknown as long as the table is empty.
    #[cold]
    pub fn of<S>(slots: &HashTable<S, Huge>) -> Self {
        let first = slots.iter_buckets().next();
        let found = first.and_then(|at| Some((at, slots.get_bucket(at)?)));
        found.map_or_else(Places::default, |(at, slot)| Places {
            middle: std::ptr::from_ref(slot).addr() + (at + 1) * size_of::<S>(),
            count: slots.num_buckets(),
        })
    }

    /// The place where the search for a hash begins.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        hash as usize & self.count.wrapping_sub(1)
    }

    /// Asks for the bytes by which a slot is found.
    #[inline]
    pub fn ask(&self, hash: u64) {
        if self.count > 0 {
            prefetch_at(self.middle + self.home(hash));
        }
    }

    /// Asks for the slot where a hash would be put.
    #[inline]
    pub fn ask_free<S>(&self, hash: u64, slots: &HashTable<S, Huge>) {
        if let Some(at) = self.free(hash, slots) {
            let slot = self.address::<S>(at);
            prefetch_at(slot);
            prefetch_at(slot + size_of::<S>() - 1);
        }
    }

    /// The first free place from a hash's home on, if it is among those that the table itself looks at
    /// in one go, where it nearly always is.
    #[inline]
    fn free<S>(&self, hash: u64, slots: &HashTable<S, Huge>) -> Option<usize> {
        if self.count == 0 || self.count != slots.num_buckets() {
            return None;
        }
        let home = self.home(hash);
        (home..home + 16).map(|at| at & (self.count - 1)).find(|&at| slots.get_bucket(at).is_none())
    }

    #[inline]
    fn address<S>(&self, at: usize) -> usize {
        self.middle.wrapping_sub((at + 1) * size_of::<S>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked for is where the table puts things: checked by address.
    #[test]
    fn slots_are_where_they_are_thought_to_be() {
        let mut slots: HashTable<[u64; 6], Huge> = HashTable::new_in(Huge);
        let mut hit = 0;
        for key in 0..10_000_u64 {
            let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            slots.reserve(1, |slot| slot[0]);
            let places = Places::of(&slots);
            let free = places.free(hash, &slots);
            let entry = slots.insert_unique(hash, [hash; 6], |slot| slot[0]);
            let at = entry.bucket_index();
            let address = std::ptr::from_ref(entry.get()).addr();
            if places.count > 0 {
                assert_eq!(address, places.address::<[u64; 6]>(at));
                hit += usize::from(free == Some(at));
            }
        }
        assert!(hit > 9_500, "{hit} of 10,000 were put where they were expected");
    }
}
