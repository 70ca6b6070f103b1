//! The keys of a bucket, which are dropped as one.

use super::mark::Mark;
use super::store::Store;
use crate::key::Key;
use crate::time::EventTime;

/// A key and what is remembered of it.
#[derive(Clone, Debug)]
pub struct Kept<K, M> {
    pub key: K,
    pub mark: M,
}

#[derive(Debug)]
pub struct Bucket<K, M> {
    pub table: Store<Kept<K, M>>,
    /// Some entry has changed since the last cut.
    pub touched: bool,
    /// Some entry is part of a cut.
    pub saved: bool,
}

impl<K, M> Default for Bucket<K, M> {
    fn default() -> Self {
        Bucket { table: Store::default(), touched: false, saved: false }
    }
}

impl<K: Key, M: Mark> Bucket<K, M> {
    /// Remembers a key, or changes what is remembered of it. `number` tells the slot in the bucket.
    #[inline]
    pub fn insert_or(
        &mut self,
        hash: u64,
        key: K,
        mark: M,
        number: impl Fn(&M) -> u64,
        known: impl FnOnce(&mut M),
    ) -> bool {
        let dirty = mark.is_dirty();
        let found = self.table.find_or_insert(
            table_hash(hash, number(&mark)),
            Kept { key, mark },
            |kept, new| kept.key == new.key && number(&kept.mark) == number(&new.mark),
            |kept| table_hash(kept.key.stable_hash(), number(&kept.mark)),
        );
        let new = found.is_none();
        match found {
            Some(kept) => {
                known(&mut kept.mark);
                self.touched |= kept.mark.is_dirty();
            }
            None => {
                self.touched |= dirty;
                self.saved |= !dirty;
            }
        }
        new
    }
}

/// A bucket of a single slot, which is all that there is: rows find it once for many of them.
#[derive(Debug)]
pub struct Alone<'a, K, M> {
    pub bucket: &'a mut Bucket<K, M>,
    /// Where it starts, in microseconds.
    pub start: i64,
    /// How many entries all buckets hold.
    pub len: &'a mut usize,
}

impl<K: Key, M: Mark> Alone<'_, K, M> {
    /// How long an instant in it is after its start.
    #[inline]
    pub fn offset(&self, time: EventTime) -> u64 {
        time.micros().wrapping_sub(self.start) as u64
    }

    /// Asks for the memory in which a key would be.
    #[inline]
    pub fn warm(&self, hash: u64) {
        self.bucket.table.warm(hash);
    }

    /// Remembers a key; if it is known, what is remembered may change instead. Whether it was not.
    #[inline]
    pub fn insert_or(&mut self, hash: u64, key: K, mark: M, known: impl FnOnce(&mut M)) -> bool {
        let new = self.bucket.insert_or(hash, key, mark, |_| 0, known);
        *self.len += usize::from(new);
        new
    }
}

/// Entries of one key in several slots of a bucket must not all queue at one place of its table.
#[inline]
pub fn table_hash(hash: u64, number: u64) -> u64 {
    hash.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
