//! The rows of one side of a join, by stretches of event time and by key.
//!
//! Buckets of rows lie in the order of time. A bucket only grows, and is dropped as a whole; its
//! rows stand one after another, those of a key in a chain. Emptied buckets are used again, so that
//! in steady state a row costs no allocation. Each row is an entry of its own in a cut.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashTable;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::key::Key;
use crate::state::{Corrupt, Entry, Saver};
use crate::tick::Fuel;
use crate::time::{EventTime, Span};

/// The end of a chain.
pub(super) const END: u32 = u32::MAX;
/// How many emptied buckets are kept for later.
const SPARE: usize = 4;

/// A row, and what is known of it.
#[derive(Debug)]
pub(super) struct Slot<D> {
    pub time: EventTime,
    /// How far it was behind the frontier when it was taken in.
    pub behind: Span,
    /// Its place among all rows of the operator.
    pub sequence: u64,
    pub hash: u64,
    /// The next row of its key.
    pub next: u32,
    /// What has become of it so far: bits that the join gives their meaning.
    pub flags: u8,
    pub row: D,
}

impl<D> Slot<D> {
    /// A row that nothing has become of yet.
    pub fn new(time: EventTime, behind: Span, sequence: u64, hash: u64, row: D) -> Self {
        Slot { time, behind, sequence, hash, next: END, flags: 0, row }
    }

    /// The frontier that was seen when the row was read, if the row was behind it.
    pub fn seen(&self) -> EventTime {
        if self.behind.is_zero() { EventTime::MIN } else { self.time.plus(self.behind) }
    }
}

/// The first row of a key's chain.
#[derive(Debug)]
pub(super) struct Head<K> {
    pub key: K,
    pub hash: u64,
    pub first: u32,
}

/// The rows of a stretch of time.
#[derive(Debug)]
pub(super) struct Bucket<K, D> {
    pub rows: Vec<Slot<D>>,
    pub keys: Vec<Head<K>>,
    index: HashTable<u32>,
    /// How many of the rows are part of a cut.
    written: usize,
    /// Those of them whose flags have changed since.
    changed: Vec<u32>,
    /// It is among the buckets with something to write.
    touched: bool,
}

impl<K, D> Default for Bucket<K, D> {
    fn default() -> Self {
        let (rows, keys, index) = (Vec::new(), Vec::new(), HashTable::new());
        Bucket { rows, keys, index, written: 0, changed: Vec::new(), touched: false }
    }
}

impl<K: Key, D> Bucket<K, D> {
    /// The first row of a key, or [`END`].
    #[inline]
    pub fn first(&self, hash: u64, key: &K) -> u32 {
        let keys = &self.keys;
        let same = |&at: &u32| keys[at as usize].hash == hash && keys[at as usize].key == *key;
        self.index.find(hash, same).map_or(END, |&at| keys[at as usize].first)
    }

    fn insert(&mut self, key: K, mut slot: Slot<D>) -> u32 {
        use hashbrown::hash_table::Entry::{Occupied, Vacant};
        let at = u32::try_from(self.rows.len()).ok().filter(|&at| at != END);
        let at = at.expect("a stretch of a join's time holds less than 2^32 rows");
        let (keys, hash) = (&mut self.keys, slot.hash);
        let same = |&at: &u32| keys[at as usize].hash == hash && keys[at as usize].key == key;
        match self.index.entry(hash, same, |&at| keys[at as usize].hash) {
            Occupied(entry) => {
                let head = &mut keys[*entry.get() as usize];
                slot.next = std::mem::replace(&mut head.first, at);
            }
            Vacant(entry) => {
                slot.next = END;
                entry.insert(keys.len() as u32);
                keys.push(Head { key, hash, first: at });
            }
        }
        self.rows.push(slot);
        at
    }
}

/// Where a row is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub bucket: i64,
    pub at: u32,
}

/// Where a search through the rows of a key goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// The buckets that are still to be searched.
    next: i64,
    last: i64,
    /// The bucket that is being searched, and the next row there.
    chain: Option<Place>,
}

impl Cursor {
    /// Through these buckets, from the first to the last.
    pub fn new(first: i64, last: i64) -> Self {
        Cursor { next: first, last, chain: None }
    }
}

/// All rows of one side.
#[derive(Debug)]
pub(super) struct Buffer<K, D> {
    pub buckets: BTreeMap<i64, Bucket<K, D>>,
    spare: Vec<Bucket<K, D>>,
    /// Buckets that have something to write at the next cut. One that is dropped is taken out, as
    /// where no cuts are kept nothing else does.
    touched: BTreeSet<i64>,
    /// How many rows there are.
    pub len: usize,
}

impl<K, D> Default for Buffer<K, D> {
    fn default() -> Self {
        Buffer { buckets: BTreeMap::new(), spare: Vec::new(), touched: BTreeSet::new(), len: 0 }
    }
}

impl<K: Key, D> Buffer<K, D> {
    /// Takes in a row.
    pub fn insert(&mut self, bucket: i64, key: K, slot: Slot<D>) -> Place {
        let spare = &mut self.spare;
        let place = self.buckets.entry(bucket).or_insert_with(|| spare.pop().unwrap_or_default());
        if !place.touched {
            place.touched = true;
            self.touched.insert(bucket);
        }
        self.len += 1;
        Place { bucket, at: place.insert(key, slot) }
    }

    /// Puts back a row that is part of a cut.
    pub fn load(&mut self, bucket: i64, key: K, slot: Slot<D>) -> Place {
        let place = self.buckets.entry(bucket).or_default();
        let at = place.insert(key, slot);
        place.written = place.rows.len();
        self.len += 1;
        Place { bucket, at }
    }

    /// A row.
    pub fn slot(&mut self, place: Place) -> &mut Slot<D> {
        let bucket = self.buckets.get_mut(&place.bucket).expect("places are of buckets that are");
        &mut bucket.rows[place.at as usize]
    }

    /// Changes the flags of a row.
    pub fn flag(&mut self, place: Place, flag: u8) {
        let bucket = self.buckets.get_mut(&place.bucket).expect("places are of buckets that are");
        bucket.rows[place.at as usize].flags |= flag;
        Self::note(&mut self.touched, bucket, place);
    }

    fn note(touched: &mut BTreeSet<i64>, bucket: &mut Bucket<K, D>, place: Place) {
        if (place.at as usize) < bucket.written {
            bucket.changed.push(place.at);
            if !bucket.touched {
                bucket.touched = true;
                touched.insert(place.bucket);
            }
        }
    }

    /// Shows the rows of a key to a function that may change their flags, until it returns false.
    /// Looks at no more rows than the budget allows, and returns whether it came to the end.
    pub fn search(
        &mut self,
        cursor: &mut Cursor,
        (hash, key): (u64, &K),
        budget: &mut usize,
        mut f: impl FnMut(&mut Slot<D>) -> bool,
    ) -> bool {
        loop {
            if let Some(mut place) = cursor.chain.take() {
                let bucket = self.buckets.get_mut(&place.bucket);
                let bucket = bucket.expect("no bucket is dropped while it is searched");
                while place.at != END {
                    if *budget == 0 {
                        cursor.chain = Some(place);
                        return false;
                    }
                    *budget -= 1;
                    let slot = &mut bucket.rows[place.at as usize];
                    let (flags, next) = (slot.flags, slot.next);
                    let more = f(slot);
                    if slot.flags != flags {
                        Self::note(&mut self.touched, bucket, place);
                    }
                    if !more {
                        return true;
                    }
                    place.at = next;
                }
            }
            if cursor.next > cursor.last {
                return true;
            }
            let Some((&number, bucket)) = self.buckets.range(cursor.next..=cursor.last).next()
            else {
                return true;
            };
            match number.checked_add(1) {
                Some(next) => cursor.next = next,
                None => cursor.last = i64::MIN,
            }
            cursor.chain = Some(Place { bucket: number, at: bucket.first(hash, key) });
        }
    }

    /// Drops all buckets before this one, or all of them; returns whether it is done.
    pub fn drop_below(&mut self, first: Option<i64>, fuel: &mut Fuel) -> bool {
        while let Some(mut entry) = self.buckets.first_entry() {
            if first.is_some_and(|first| *entry.key() >= first) {
                break;
            }
            if fuel.left() == 0 {
                return false;
            }
            let bucket = entry.get_mut();
            let rest = bucket.rows.len().saturating_sub(fuel.left());
            fuel.burn((bucket.rows.len() - rest).max(1));
            self.len -= bucket.rows.len() - rest;
            bucket.rows.truncate(rest);
            if rest == 0 {
                let (number, mut bucket) = entry.remove_entry();
                if bucket.touched {
                    self.touched.remove(&number);
                }
                if self.spare.len() < SPARE {
                    bucket.keys.clear();
                    bucket.index.clear();
                    bucket.changed.clear();
                    (bucket.written, bucket.touched) = (0, false);
                    self.spare.push(bucket);
                }
            }
        }
        true
    }
}

/// A row is the entry (its bucket; its time and sequence number) with the rest as its value.
impl<K: Key, D: Serialize + DeserializeOwned> Buffer<K, D> {
    /// Writes what is new, but for rows that are not kept. `bucket_of` numbers the buckets of the
    /// cut, which may be finer than those in memory.
    pub fn save(
        &mut self,
        table: u8,
        bucket_of: impl Fn(i64, EventTime) -> Option<i64>,
        fuel: &mut Fuel,
        out: &mut Saver,
    ) -> bool {
        let write = |number: i64, slot: &Slot<D>, out: &mut Saver| {
            if let Some(bucket) = bucket_of(number, slot.time) {
                let key = (slot.time, slot.sequence);
                out.put(table, bucket, slot.hash, &key, &(slot.behind, slot.flags, &slot.row));
            }
        };
        while let Some(&number) = self.touched.first() {
            let bucket = self.buckets.get_mut(&number).expect("what is touched is there");
            while bucket.written < bucket.rows.len() || !bucket.changed.is_empty() {
                if fuel.left() == 0 {
                    return false;
                }
                fuel.burn(1);
                if let Some(at) = bucket.changed.pop() {
                    write(number, &bucket.rows[at as usize], out);
                } else {
                    write(number, &bucket.rows[bucket.written], out);
                    bucket.written += 1;
                }
            }
            bucket.touched = false;
            self.touched.pop_first();
        }
        true
    }

    /// Reads a row back. The hash is for the caller to fill in.
    pub fn read(entry: &Entry<'_>) -> Result<Slot<D>, Corrupt> {
        let (time, sequence) = entry.key()?;
        let (behind, flags, row) = entry.value()?;
        Ok(Slot { time, behind, sequence, hash: 0, next: END, flags, row })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::StableHash;

    /// After a burst only a few emptied buckets are kept, and nothing is noted of those that went.
    #[test]
    fn what_is_dropped_is_forgotten() {
        let mut buffer = Buffer::<u64, ()>::default();
        for number in 0..100 {
            let time = EventTime::from_micros(number);
            for sequence in 0..3 {
                let slot = Slot::new(time, Span::ZERO, sequence, 7u64.stable_hash(), ());
                buffer.insert(number, 7, slot);
            }
        }
        assert_eq!((buffer.len, buffer.buckets.len(), buffer.touched.len()), (300, 100, 100));
        while !buffer.drop_below(Some(40), &mut Fuel::new(1)) {}
        assert_eq!((buffer.len, buffer.buckets.len(), buffer.touched.len()), (180, 60, 60));
        assert_eq!(buffer.buckets.first_key_value().map(|(number, _)| *number), Some(40));
        while !buffer.drop_below(None, &mut Fuel::new(7)) {}
        assert_eq!((buffer.len, buffer.buckets.len(), buffer.touched.len()), (0, 0, 0));
        assert_eq!(buffer.spare.len(), SPARE);
        let empty = |bucket: &Bucket<_, _>| bucket.rows.is_empty() && bucket.keys.is_empty();
        assert!(buffer.spare.iter().all(empty));
    }
}
