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
//! Time is cut into slots as long as `ttl`, which hold at most one kept time per key, and all in
//! reach of t lie in its slot or beside it. A bucket is a table of one slot (of several where the
//! lateness is much longer than `ttl`), and is dropped whole once the frontier has left it behind.

use std::collections::BTreeMap;
use std::mem::{needs_drop, size_of};

use hashbrown::HashTable;
use hashbrown::hash_table::IntoIter;

use crate::key::Key;
use crate::time::{EventTime, Span};

/// Live buckets per reach of time, at most: more would be many small tables.
const BUCKETS: i64 = 64;

/// What becomes of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No copy passed before: this one does.
    First,
    /// A copy passed already.
    Duplicate,
}

/// How far deduplication reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    ttl: i64,
    lateness: i64,
}

impl Horizon {
    /// Copies less than `ttl` apart are one record; with a `ttl` of zero nothing is a copy.
    pub fn within(ttl: impl Into<Span>) -> Self {
        Horizon { ttl: ttl.into().micros(), lateness: 0 }
    }

    /// Rows up to this far behind the frontier still take part.
    #[must_use]
    pub fn late_by(self, lateness: impl Into<Span>) -> Self {
        Horizon { lateness: lateness.into().micros(), ..self }
    }

    /// Rows at least this far behind the frontier still take part.
    pub(crate) fn late_by_at_least(self, lateness: Span) -> Self {
        Horizon { lateness: self.lateness.max(lateness.micros()), ..self }
    }

    /// Whether a row is too late to be judged, and has to leave as late: it is behind the frontier
    /// by more than the lateness. The frontier is the later one of that of the row's partition when
    /// it was read and that of the operator at the end of the tick before.
    #[inline]
    pub fn is_late(&self, time: EventTime, frontier: EventTime) -> bool {
        i128::from(time.micros()) < i128::from(frontier.micros()) - i128::from(self.lateness)
    }

    /// The distance from which on two records are not copies.
    pub fn ttl(&self) -> Span {
        Span::from_micros(self.ttl)
    }

    /// How far behind the frontier rows still take part.
    pub fn lateness(&self) -> Span {
        Span::from_micros(self.lateness)
    }

    #[inline]
    fn slot(&self, time: EventTime) -> i64 {
        time.micros().div_euclid(self.ttl)
    }

    fn slots_per_bucket(&self) -> i64 {
        if self.ttl == 0 { 1 } else { (self.lateness / BUCKETS / self.ttl).max(1) }
    }
}

/// A key that passed, and when.
#[derive(Clone, Debug)]
struct Kept<K> {
    key: K,
    time: EventTime,
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
///     seen.insert(order.stable_hash(), &order, EventTime::from_secs(at))
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
pub struct DedupState<K> {
    horizon: Horizon,
    slots_per_bucket: i64,
    buckets: BTreeMap<i64, HashTable<Kept<K>>>,
    /// How many kept copies the buckets hold.
    len: usize,
    /// A bucket that is behind the frontier and whose keys are being dropped.
    dying: Option<IntoIter<Kept<K>>>,
}

impl<K: Key> DedupState<K> {
    /// Nothing passed yet.
    pub fn new(horizon: Horizon) -> Self {
        DedupState {
            horizon,
            slots_per_bucket: horizon.slots_per_bucket(),
            buckets: BTreeMap::new(),
            len: 0,
            dying: None,
        }
    }

    /// How far it reaches.
    pub fn horizon(&self) -> Horizon {
        self.horizon
    }

    /// Judges a copy, and keeps it if it is the first. `hash` is the key's
    /// [`stable_hash`](crate::key::StableHash::stable_hash). The caller has refused late rows.
    ///
    /// The verdict is right for every row that is not late by the frontier that
    /// [`expire`](Self::expire) was last given.
    pub fn insert(&mut self, hash: u64, key: &K, time: EventTime) -> Verdict {
        debug_assert_eq!(hash, key.stable_hash(), "the hash must be that of the key");
        if self.horizon.ttl == 0 {
            return Verdict::First;
        }
        let slot = self.horizon.slot(time);
        let near = [Some(slot), slot.checked_sub(1), slot.checked_add(1)];
        if near.into_iter().flatten().any(|slot| self.holds(slot, hash, key, time)) {
            return Verdict::Duplicate;
        }
        self.keep(slot, hash, Kept { key: key.clone(), time });
        Verdict::First
    }

    /// Takes back a kept copy from a checkpoint.
    pub fn restore(&mut self, key: K, time: EventTime) {
        if self.horizon.ttl > 0 {
            let hash = key.stable_hash();
            self.keep(self.horizon.slot(time), hash, Kept { key, time });
        }
    }

    /// All kept copies, in no order, by the bucket that they are dropped with.
    pub fn kept(&self) -> impl Iterator<Item = (i64, &K, EventTime)> {
        self.buckets.iter().flat_map(|(&bucket, table)| {
            table.iter().map(move |kept| (bucket, &kept.key, kept.time))
        })
    }

    /// Forgets whole buckets that no row can ask for any more: those with
    /// `frontier ≥ kept time + ttl + lateness` for all times in them. Keys that own memory are
    /// dropped one by one, at most `fuel` of them. Returns whether nothing is left to do.
    pub fn expire(&mut self, frontier: EventTime, fuel: usize) -> bool {
        let mut fuel = fuel;
        loop {
            if let Some(dying) = &mut self.dying {
                fuel -= dying.by_ref().take(fuel).count();
                if dying.len() > 0 {
                    return false;
                }
                self.dying = None;
            }
            let Some(oldest) = self.buckets.first_entry() else { return true };
            if !is_behind(*oldest.key(), self.slots_per_bucket, self.horizon, frontier) {
                return true;
            }
            if fuel == 0 {
                return false;
            }
            let table = oldest.remove();
            self.len -= table.len();
            fuel -= 1;
            if needs_drop::<K>() {
                self.dying = Some(table.into_iter());
            }
        }
    }

    /// The first bucket that is still needed at a frontier: all before it may be dropped from a
    /// checkpoint.
    pub fn first_bucket(&self) -> Option<i64> {
        self.buckets.keys().next().copied()
    }

    /// How many kept copies it holds: one per key, unless a key passed more than once.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The memory of the tables in bytes; what keys own elsewhere is not counted.
    pub fn bytes(&self) -> usize {
        let tables: usize = self.buckets.values().map(HashTable::allocation_size).sum();
        tables + self.buckets.len() * size_of::<(i64, HashTable<Kept<K>>)>()
    }

    fn holds(&self, slot: i64, hash: u64, key: &K, time: EventTime) -> bool {
        let (bucket, place) = place(slot, self.slots_per_bucket);
        self.buckets.get(&bucket).is_some_and(|table| {
            let in_reach = |kept: &Kept<K>| {
                kept.time.micros().abs_diff(time.micros()) < self.horizon.ttl as u64
                    && kept.key == *key
            };
            table.find(table_hash(hash, place), in_reach).is_some()
        })
    }

    fn keep(&mut self, slot: i64, hash: u64, kept: Kept<K>) {
        let (horizon, slots_per_bucket) = (self.horizon, self.slots_per_bucket);
        let (bucket, slot_in_bucket) = place(slot, slots_per_bucket);
        let rehash = |kept: &Kept<K>| {
            let (_, slot_in_bucket) = place(horizon.slot(kept.time), slots_per_bucket);
            table_hash(kept.key.stable_hash(), slot_in_bucket)
        };
        let table = self.buckets.entry(bucket).or_default();
        table.insert_unique(table_hash(hash, slot_in_bucket), kept, rehash);
        self.len += 1;
    }
}

/// The bucket of a slot, and its number in there.
#[inline]
fn place(slot: i64, slots_per_bucket: i64) -> (i64, u64) {
    match slots_per_bucket {
        1 => (slot, 0),
        n => (slot.div_euclid(n), slot.rem_euclid(n) as u64),
    }
}

/// Copies of one key in several slots of a bucket must not all queue at one place of its table.
#[inline]
fn table_hash(hash: u64, slot_in_bucket: u64) -> u64 {
    hash.wrapping_add(slot_in_bucket.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Whether no row that is not late can be a copy of anything in the bucket.
fn is_behind(bucket: i64, slots: i64, horizon: Horizon, frontier: EventTime) -> bool {
    let end = (i128::from(bucket) + 1) * i128::from(slots) * i128::from(horizon.ttl);
    let last = (end - 1).min(i128::from(i64::MAX));
    frontier == EventTime::MAX
        || i128::from(frontier.micros())
            >= last + i128::from(horizon.ttl) + i128::from(horizon.lateness)
}

#[cfg(test)]
mod tests;
