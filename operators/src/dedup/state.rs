//! The memory of deduplication: which keys passed, and when.
//!
//! *A copy at time t passes iff no copy of its key passed at a time less than `ttl` from t*, so the
//! kept times of a key are at least `ttl` apart. A copy that arrives later but is *earlier* by less
//! than `ttl` is a duplicate too.
//!
//! ```text
//!            kept                  kept
//!   ──┤─ ttl ─┼─ ttl ─├────┤─ ttl ─┼─ ttl ─├──▶ event time
//!       duplicates     pass   duplicates    pass
//! ```
//!
//! Where a duplicate prolongs the horizon, it counts like a copy that passed for those to come: a
//! copy passes iff no copy at all was less than `ttl` from it.

mod batch;

use super::Horizon;
use super::mark::{Mark, Stamped};
use super::slots::Slots;
use crate::key::Key;
use crate::state::{Corrupt, Entry, Saver};
use crate::tick::Fuel;
use crate::time::EventTime;
use serde::{Deserialize, Serialize};

/// What becomes of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No copy passed before: this one does.
    First,
    /// A copy passed already.
    Duplicate,
}

/// What is remembered of a key in a slot, for a verdict.
pub trait Memory: Mark {
    /// What the operator's saved state is called.
    const KIND: &'static str;

    /// A copy passed here.
    fn passed(offset: u64) -> Self;
    /// The first and the last instant at which a copy counts.
    fn ends(&self) -> (u64, u64);
    /// Takes in a duplicate in this slot, if duplicates count.
    fn duplicate(&mut self, offset: u64);
    /// Whether duplicates count.
    const REFRESHES: bool;
}

/// The time of the copy that passed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Once(Stamped);

impl Mark for Once {
    #[inline]
    fn offset(&self) -> u64 {
        self.0.offset()
    }

    fn is_dirty(&self) -> bool {
        self.0.is_dirty()
    }

    fn clean(&mut self) {
        self.0.clean();
    }
}

impl Memory for Once {
    const KIND: &'static str = "dedup";
    const REFRESHES: bool = false;

    #[inline]
    fn passed(offset: u64) -> Self {
        Once(Stamped::dirty(offset))
    }

    #[inline]
    fn ends(&self) -> (u64, u64) {
        (self.0.offset(), self.0.offset())
    }

    fn duplicate(&mut self, _: u64) {}
}

/// The times of the first and the last copy in a slot, whether they passed or not.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Refreshed {
    first: Stamped,
    last: u64,
}

impl Mark for Refreshed {
    #[inline]
    fn offset(&self) -> u64 {
        self.last
    }

    fn is_dirty(&self) -> bool {
        self.first.is_dirty()
    }

    fn clean(&mut self) {
        self.first.clean();
    }
}

impl Memory for Refreshed {
    const KIND: &'static str = "dedup refreshing";
    const REFRESHES: bool = true;

    fn passed(offset: u64) -> Self {
        Refreshed { first: Stamped::dirty(offset), last: offset }
    }

    #[inline]
    fn ends(&self) -> (u64, u64) {
        (self.first.offset(), self.last)
    }

    fn duplicate(&mut self, offset: u64) {
        if offset < self.first.offset() || offset > self.last {
            self.first = Stamped::dirty(self.first.offset().min(offset));
            self.last = self.last.max(offset);
        }
    }
}

/// Which keys passed at what times, within a [`Horizon`].
///
/// ```
/// use tiderace_operators::dedup::{DedupState, Horizon, Verdict};
/// use tiderace_operators::key::StableHash;
/// use tiderace_operators::time::{EventTime, mins, secs};
///
/// let mut seen = DedupState::new(Horizon::within(mins(10)).late_by(secs(30)));
/// let mut offer = |order: u64, at| {
///     seen.insert(order.stable_hash(), order, EventTime::from_secs(at))
/// };
/// assert_eq!(offer(7, 1_000), Verdict::First);
/// assert_eq!(offer(7, 1_000), Verdict::Duplicate);
/// assert_eq!(offer(7, 1_599), Verdict::Duplicate);
/// assert_eq!(offer(7, 1_600), Verdict::First);
/// assert_eq!(offer(8, 1_000), Verdict::First);
///
/// // Too late to be judged: not the state's to decide, the row leaves as late.
/// assert!(seen.horizon().is_late(EventTime::from_secs(969), EventTime::from_secs(1_000)));
///
/// assert_eq!(seen.len(), 3);
/// seen.expire(EventTime::MAX, usize::MAX);
/// assert_eq!(seen.len(), 0);
/// ```
#[derive(Debug)]
pub struct DedupState<K, M = Once> {
    slots: Slots<K, M>,
}

impl<K: Key> DedupState<K> {
    /// Nothing passed yet.
    pub fn new(horizon: Horizon) -> Self {
        DedupState { slots: Slots::new(horizon) }
    }
}

impl<K: Key> DedupState<K, Refreshed> {
    /// The same where a duplicate prolongs the horizon.
    pub fn refreshing(horizon: Horizon) -> Self {
        DedupState { slots: Slots::new(horizon) }
    }
}

impl<K: Key, M: Memory> DedupState<K, M> {
    /// How far it reaches.
    pub fn horizon(&self) -> Horizon {
        self.slots.horizon()
    }

    /// Judges a copy, and keeps it if it is the first. `hash` is the key's
    /// [`stable_hash`](crate::key::StableHash::stable_hash). The caller has refused late rows.
    ///
    /// The verdict is right for every row that is not late by the frontier that
    /// [`expire`](Self::expire) was last given.
    #[inline]
    pub fn insert(&mut self, hash: u64, key: K, time: EventTime) -> Verdict {
        debug_assert_eq!(hash, key.stable_hash(), "the hash must be that of the key");
        if self.horizon().ttl().is_zero() {
            return Verdict::First;
        }
        let slot = self.slots.slot(time);
        // A copy in its own slot is always in reach.
        let reaches = |s: Option<i64>| s.is_some_and(|s| self.reaches(s, hash, &key, time));
        let duplicate = !self.slots.is_alone(slot)
            && (reaches(slot.checked_sub(1)) || reaches(slot.checked_add(1)));
        if duplicate && !M::REFRESHES {
            return Verdict::Duplicate;
        }
        let offset = self.slots.offset(slot, time);
        let known = |mark: &mut M| mark.duplicate(offset);
        let new = self.slots.insert_or(slot, hash, key, M::passed(offset), known);
        if new && !duplicate { Verdict::First } else { Verdict::Duplicate }
    }

    /// Forgets whole buckets that no row can ask for any more: those with
    /// `frontier ≥ kept time + ttl + lateness` for all times in them. Keys that own memory are
    /// dropped one by one, at most `fuel` of them. Returns whether nothing is left to do.
    pub fn expire(&mut self, frontier: EventTime, fuel: usize) -> bool {
        self.slots.expire(frontier, fuel, |_, _, _| ())
    }

    /// Writes what is new since the last cut as entries of a table, one for each key and slot of
    /// time. Returns whether it is done; if not, it is to be called again before anything else.
    pub fn save(&mut self, table: u8, fuel: &mut Fuel, out: &mut Saver) -> bool {
        self.slots.save(table, fuel, out)
    }

    /// Takes an entry back. Only for a fresh state of the same horizon.
    pub fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        self.slots.load(entry)
    }

    /// How many kept copies it holds: one per key, unless a key passed more than once.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory of the tables in bytes; what keys own elsewhere is not counted.
    pub fn bytes(&self) -> usize {
        self.slots.bytes()
    }

    #[inline]
    fn reaches(&self, slot: i64, hash: u64, key: &K, time: EventTime) -> bool {
        let ttl = self.horizon().ttl().micros() as u64;
        self.slots.get(slot, hash, key).is_some_and(|mark| {
            let (first, last) = mark.ends();
            let (first, last) = (self.slots.time(slot, first), self.slots.time(slot, last));
            let (first, last, time) = (first.micros(), last.micros(), time.micros());
            match time < first {
                true => first.abs_diff(time) < ttl,
                false => time <= last || time.abs_diff(last) < ttl,
            }
        })
    }
}

#[cfg(test)]
mod tests;
