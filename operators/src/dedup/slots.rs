//! What is remembered of keys, by slots of event time.
//!
//! Time is cut into slots as long as `ttl`. Two copies of a key in one slot are less than `ttl`
//! apart, so that a slot needs no more than one entry per key, and all in reach of an instant lies in
//! its slot or in one of those beside it.
//!
//! ```text
//!            ┌── bucket ──┐
//!   │ slot   │ slot  │ slot │ slot │ ──▶ event time      one entry per key and slot
//! ```
//!
//! A bucket is a table of one slot (of several where the lateness is much longer than `ttl`), and is
//! dropped whole once the frontier has left it behind: `frontier ≥ last instant + ttl + lateness`.
//! An entry tells the time by its distance from the bucket's start, which leaves a bit to note that it
//! has changed since the last cut: bookkeeping takes no memory.

use std::cell::Cell;
use std::mem::{needs_drop, size_of};

use super::Horizon;
use super::bucket::{Alone, Bucket, Kept, table_hash};
use super::buckets::Buckets;
use super::mark::Mark;
use super::store::Entries;
use crate::key::Key;
use crate::state::{Corrupt, Entry, Saver};
use crate::tick::Fuel;
use crate::time::EventTime;

/// Where a slot is.
#[derive(Clone, Copy, Debug)]
struct Place {
    bucket: i64,
    /// Its number in the bucket.
    number: u64,
}

/// What is remembered of keys within a [`Horizon`].
#[derive(Debug)]
pub struct Slots<K, M> {
    horizon: Horizon,
    ttl: i64,
    slots_per_bucket: i64,
    /// The slot that was asked for last, and where it starts: most rows spare a division by it.
    last: Cell<(i64, i64)>,
    buckets: Buckets<Bucket<K, M>>,
    /// How many entries the buckets hold.
    len: usize,
    /// A bucket that is behind the frontier and whose entries are being dropped, with its start.
    dying: Option<(i64, Entries<Kept<K, M>>)>,
    /// Up to where it has been forgotten.
    frontier: EventTime,
    /// Entries have been forgotten that are part of a cut.
    dropped: bool,
    /// Where a save that ran out of fuel goes on.
    cursor: usize,
}

impl<K: Key, M: Mark> Slots<K, M> {
    pub fn new(horizon: Horizon) -> Self {
        Slots {
            horizon,
            // With a ttl of zero nothing is asked and nothing is kept.
            ttl: horizon.ttl().micros().max(1),
            slots_per_bucket: horizon.slots_per_bucket(),
            last: Cell::new((0, 0)),
            buckets: Buckets::default(),
            len: 0,
            dying: None,
            frontier: EventTime::MIN,
            dropped: false,
            cursor: 0,
        }
    }

    pub fn horizon(&self) -> Horizon {
        self.horizon
    }

    /// The slot of an instant.
    #[inline]
    pub fn slot(&self, time: EventTime) -> i64 {
        let (last, start) = self.last.get();
        if (time.micros().wrapping_sub(start) as u64) < self.ttl as u64 {
            return last;
        }
        let slot = time.micros().div_euclid(self.ttl);
        // The first slot of all starts before time does.
        if let Some(start) = slot.checked_mul(self.ttl) {
            self.last.set((slot, start));
        }
        slot
    }

    /// How long an instant is after the start of the bucket of its slot.
    #[inline]
    pub fn offset(&self, slot: i64, time: EventTime) -> u64 {
        time.micros().wrapping_sub(self.start(self.place(slot).bucket)) as u64
    }

    /// Whether all that is remembered is in this slot, so that there is nothing beside it.
    #[inline]
    pub fn is_alone(&self, slot: i64) -> bool {
        self.buckets.len() == 1 && self.slots_per_bucket == 1 && self.buckets.get(slot).is_some()
    }

    /// The instant that is this long after the start of a slot's bucket.
    #[inline]
    pub fn time(&self, slot: i64, offset: u64) -> EventTime {
        time_at(self.start(self.place(slot).bucket), offset)
    }

    /// What is remembered of a key in a slot.
    #[inline]
    pub fn get(&self, slot: i64, hash: u64, key: &K) -> Option<&M> {
        let place = self.place(slot);
        let table = &self.buckets.get(place.bucket)?.table;
        let found = table.find(table_hash(hash, place.number), |kept| {
            kept.key == *key && self.is_number(kept.mark.offset(), place.number)
        });
        found.map(|kept| &kept.mark)
    }

    /// The same, to be changed.
    #[inline]
    pub fn get_mut(&mut self, slot: i64, hash: u64, key: &K) -> Option<&mut M> {
        let place = self.place(slot);
        let (ttl, many) = (self.ttl, self.slots_per_bucket > 1);
        let bucket = self.buckets.get_mut(place.bucket)?;
        let found = bucket.table.find_mut(table_hash(hash, place.number), |kept| {
            kept.key == *key && (!many || kept.mark.offset() / ttl as u64 == place.number)
        });
        bucket.touched |= found.is_some();
        found.map(|kept| &mut kept.mark)
    }

    /// Asks for the memory in which a key would be, in this slot and those beside it.
    #[inline]
    pub fn warm(&self, slot: i64, hash: u64) {
        self.warm_one(slot, hash);
        if !self.is_alone(slot) {
            self.warm_one(slot.saturating_sub(1), hash);
            self.warm_one(slot.saturating_add(1), hash);
        }
    }

    #[inline]
    fn warm_one(&self, slot: i64, hash: u64) {
        let place = self.place(slot);
        if let Some(bucket) = self.buckets.get(place.bucket) {
            bucket.table.warm(table_hash(hash, place.number));
        }
    }

    /// Remembers a key in a slot in which it is not known.
    #[inline]
    pub fn insert(&mut self, slot: i64, hash: u64, key: K, mark: M) {
        let new = self.insert_or(slot, hash, key, mark, |_| ());
        debug_assert!(new, "one entry per key and slot");
    }

    /// Remembers a key in a slot; if it is known there, what is remembered may change instead.
    /// Whether it was not known.
    #[inline]
    pub fn insert_or(
        &mut self,
        slot: i64,
        hash: u64,
        key: K,
        mark: M,
        known: impl FnOnce(&mut M),
    ) -> bool {
        let place = self.place(slot);
        let (ttl, many) = (self.ttl as u64, self.slots_per_bucket > 1);
        let number = |mark: &M| if many { mark.offset() / ttl } else { 0 };
        let new = self.buckets.or_default(place.bucket).insert_or(hash, key, mark, number, known);
        self.len += usize::from(new);
        new
    }

    /// Whether all instants between two are in one slot, and nothing is remembered but there.
    #[inline]
    pub fn are_alone(&self, first: EventTime, last: EventTime) -> bool {
        let slot = self.slot(first);
        self.slot(last) == slot && self.is_alone(slot)
    }

    /// That slot.
    #[inline]
    pub fn alone(&mut self, first: EventTime) -> Alone<'_, K, M> {
        let slot = self.slot(first);
        let start = self.start(slot);
        Alone { bucket: self.buckets.or_default(slot), start, len: &mut self.len }
    }

    /// Forgets whole buckets that no row can ask for any more, at most about `fuel` entries, and hands
    /// them out if their kind asks for it. Returns whether nothing is left to do at this frontier.
    pub fn expire(
        &mut self,
        frontier: EventTime,
        fuel: usize,
        mut forget: impl FnMut(EventTime, K, M),
    ) -> bool {
        self.frontier = frontier;
        let mut fuel = fuel;
        loop {
            if let Some((start, dying)) = &mut self.dying {
                for Kept { key, mark } in dying.by_ref().take(fuel) {
                    fuel -= 1;
                    if M::HANDED_OUT {
                        forget(time_at(*start, mark.offset()), key, mark);
                    }
                }
                if dying.len() > 0 {
                    return false;
                }
                self.dying = None;
            }
            let first = self.first_needed();
            let Some(number) = self.buckets.first() else { return true };
            if number >= first && frontier != EventTime::MAX {
                return true;
            }
            if fuel == 0 {
                return false;
            }
            let bucket = self.buckets.remove(number).expect("the first of them");
            self.len -= bucket.table.len();
            self.dropped |= bucket.saved;
            fuel -= 1;
            if needs_drop::<Kept<K, M>>() || M::HANDED_OUT {
                self.dying = Some((self.start(number), bucket.table.into_iter()));
            }
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The memory of the tables in bytes; what keys own elsewhere is not counted.
    pub fn bytes(&self) -> usize {
        let tables: usize = self.buckets.values().map(|b| b.table.bytes()).sum();
        tables + self.buckets.len() * size_of::<(i64, Bucket<K, M>)>()
    }

    /// Writes what has changed since the last cut as entries of a table. Returns whether it is done.
    ///
    /// An entry's key is the number of its slot in the bucket and the key, its bucket the bucket.
    pub fn save(&mut self, table: u8, fuel: &mut Fuel, out: &mut Saver) -> bool {
        let (ttl, slots) = (self.ttl as u64, self.slots_per_bucket);
        let cursor = &mut self.cursor;
        let done = self.buckets.all_mut(|number, bucket| {
            if !bucket.touched {
                return true;
            }
            let end = bucket.table.places();
            let until = end.min(cursor.saturating_add(fuel.left()));
            // The last bucket of all could not be dropped by its own number.
            let named = number.min(i64::MAX - 1);
            let beyond = (number - named).wrapping_mul(slots) as u64;
            bucket.table.visit(*cursor, until, |Kept { key, mark }| {
                if mark.is_dirty() {
                    mark.clean();
                    let slot = mark.offset() / ttl + beyond;
                    out.put(table, named, key.stable_hash(), &(slot, &*key), &*mark);
                }
            });
            fuel.burn(until - *cursor);
            *cursor = until;
            if until < end {
                return false;
            }
            *cursor = 0;
            (bucket.touched, bucket.saved) = (false, true);
            true
        });
        if !done {
            return false;
        }
        if std::mem::take(&mut self.dropped) {
            out.drop_below(table, self.first_needed());
        }
        true
    }

    /// Takes back an entry.
    pub fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        let (number, key): (u64, K) = entry.key()?;
        let slot = entry.bucket.wrapping_mul(self.slots_per_bucket).wrapping_add(number as i64);
        self.insert(slot, key.stable_hash(), key, entry.value()?);
        Ok(())
    }

    /// The first bucket that some row may still ask for.
    fn first_needed(&self) -> i64 {
        if self.frontier == EventTime::MAX {
            return i64::MAX;
        }
        let [frontier, ttl, lateness, slots] = [
            self.frontier.micros(),
            self.ttl,
            self.horizon.lateness().micros(),
            self.slots_per_bucket,
        ]
        .map(i128::from);
        let first = (frontier - ttl - lateness + 1).div_euclid(ttl * slots);
        i64::try_from(first).unwrap_or(i64::MIN)
    }

    /// The bucket of a slot, and its number in there.
    #[inline]
    fn place(&self, slot: i64) -> Place {
        match self.slots_per_bucket {
            1 => Place { bucket: slot, number: 0 },
            n => Place { bucket: slot.div_euclid(n), number: slot.rem_euclid(n) as u64 },
        }
    }

    #[inline]
    fn is_number(&self, offset: u64, number: u64) -> bool {
        self.slots_per_bucket == 1 || offset / self.ttl as u64 == number
    }

    /// Where a bucket starts. The first one may start before time does: it wraps, and so does what
    /// is added to it.
    #[inline]
    fn start(&self, bucket: i64) -> i64 {
        bucket.wrapping_mul(self.slots_per_bucket).wrapping_mul(self.ttl)
    }
}

#[inline]
fn time_at(start: i64, offset: u64) -> EventTime {
    EventTime::from_micros(start.wrapping_add(offset as i64))
}
