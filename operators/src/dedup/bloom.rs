//! Deduplication by Bloom filters: a tenth of the memory, and real records are lost.
//!
//! A filter never forgets a key and sometimes takes a new one for known: a *false positive*, which here
//! is a record that is lost though no copy of it ever passed. So this is for streams that can spare
//! some, and asked for by [`Bloom::may_lose`].
//!
//! *In the order of ticks, and within one in that of (time, canonical bytes), a row passes iff no
//! filter in reach knows its key.* Filters do not know the time of a key. There is one per quarter of
//! `ttl`, and those in reach of an instant are the ones that any copy less than `ttl` away is in:
//!
//! ```text
//!   distance of the copies     0 ──────────── ttl ──── ttl + ttl/4 ────▶
//!   the later arrival is       a duplicate    either    passes, but for the rate of loss
//! ```
//!
//! Each quarter and [key group](crate::key::group) has a filter of its own, so that what passes does
//! not depend on the number of workers. A filter that holds as many keys as it was made for is joined by
//! one twice as large with half the rate (P. Almeida et al., *Scalable Bloom Filters*, 2007): the rate
//! is kept however many keys come, at the price of memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastbloom::BloomFilter;
use timely::ExchangeData;

use super::by_time::canonical;
use super::operator::in_time;
use super::{Deduplicated, Horizon, SetAside};
use crate::events::{Data, Tick};
use crate::key::{GROUPS, Key, StableHash, group};
use crate::keyed::{self, Keyed};
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Saver, Shape, State};
use crate::tick::{Emit, Fuel, Now, TickLogic, tick_operator};
use crate::time::{EventTime, Timed};

/// Filters per `ttl`.
const SLICES: i64 = 4;
/// The least number of keys that a filter is made for.
const LEAST_KEYS: usize = 8;

/// What a Bloom filter may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bloom {
    rate: f64,
    keys: usize,
}

impl Bloom {
    /// Of the records that no copy came of before, this share may be lost at most, on average.
    pub fn may_lose(rate: f64) -> Self {
        Bloom { rate, keys: 0 }
    }

    /// So many different keys are expected within each `ttl`. More are no harm to the rate; with the
    /// right number memory is least: about 2.5 bytes a key at a rate of one in a hundred, 3 at one in a
    /// thousand.
    #[must_use]
    pub fn expecting(self, keys: usize) -> Self {
        Bloom { keys, ..self }
    }

    /// How many keys the first filter of a slice and group is made for, and each one that joins it.
    fn capacity(&self, layer: usize) -> usize {
        let first = (self.keys / SLICES as usize / GROUPS as usize * 5 / 4).max(LEAST_KEYS);
        first.saturating_mul(1 << layer.min(40))
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data, F> Keyed<'scope, T, D, F> {
    /// Lets the first copy of every record pass, at the end of its tick, but for a share of records
    /// that are lost; see [`Bloom`] and the [module](super).
    ///
    /// Lost records are among the duplicates, and counted as such. What is lost depends on what came in
    /// which tick; on nothing else. Cost: up to nine filters a row, and a sort of the tick. State: bits
    /// of each key, for `ttl` and a quarter and the lateness. A cut writes, for each quarter of `ttl`
    /// and key group that a key was added to since the one before, its newest filter: at most all
    /// the filters of the quarters that rows come for, however many keys are new.
    pub fn dedup_bloom<K>(
        self,
        name: &str,
        horizon: Horizon,
        bloom: Bloom,
    ) -> Deduplicated<'scope, T, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
    {
        let rate = bloom.rate;
        assert!(
            rate > 0.0 && rate < 1.0,
            "deduplication `{name}`: the rate of loss must be between 0 and 1, and is {rate}"
        );
        let Keyed { events, key } = self;
        let (_, clock) = events.parts();
        let horizon = horizon.late_by_at_least(clock.late());
        assert!(
            !horizon.ttl().is_zero(),
            "deduplication `{name}`: with a horizon of zero nothing is a copy"
        );
        let counters = clock.observer().register(name, "dedup", events.scope().index());
        let pact = keyed::exchange(key.clone());
        let logic = Judge {
            key,
            filters: Filters::new(horizon, bloom),
            tick: Vec::new(),
            judged: None,
            passed: Vec::new(),
            counters: counters.clone(),
        };
        let (passed, aside) = tick_operator(name, &events, pact, logic, counters);
        Deduplicated::new((passed, clock.clone()), (aside, clock))
    }
}

/// A filter and how many keys it holds.
struct Layer {
    filter: BloomFilter,
    keys: usize,
    touched: bool,
}

/// The filters of a slice of time, by key group.
struct Slice {
    groups: Vec<Vec<Layer>>,
    touched: bool,
    saved: bool,
}

/// The filters of all slices in reach.
struct Filters {
    horizon: Horizon,
    bloom: Bloom,
    slice: i64,
    /// A copy less than `ttl` away is at most so many slices away.
    reach: i64,
    slices: BTreeMap<i64, Slice>,
    keys: usize,
    bytes: usize,
    frontier: EventTime,
    dropped: bool,
    /// The group at which a save that ran out of fuel goes on.
    cursor: usize,
}

impl Filters {
    fn new(horizon: Horizon, bloom: Bloom) -> Self {
        let ttl = horizon.ttl().micros();
        // Of two microseconds at least, so that the last slice of all can be dropped by its number.
        let slice = (ttl / SLICES + i64::from(ttl % SLICES != 0)).max(2);
        Filters {
            horizon,
            bloom,
            slice,
            reach: (ttl - 1) / slice + i64::from((ttl - 1) % slice != 0),
            slices: BTreeMap::new(),
            keys: 0,
            bytes: 0,
            frontier: EventTime::MIN,
            dropped: false,
            cursor: 0,
        }
    }

    fn slice_of(&self, time: EventTime) -> i64 {
        time.micros().div_euclid(self.slice)
    }

    /// Whether a filter in reach knows the key.
    fn knows(&self, slice: i64, hash: u64) -> bool {
        let (group, hash) = (group(hash) as usize, spread(hash));
        let near = slice.saturating_sub(self.reach)..=slice.saturating_add(self.reach);
        self.slices.range(near).any(|(_, slice)| {
            slice.groups[group].iter().any(|layer| layer.filter.contains_hash(hash))
        })
    }

    fn insert(&mut self, slice: i64, hash: u64) {
        let (group, hash) = (group(hash) as usize, spread(hash));
        let slice = self.slices.entry(slice).or_insert_with(Slice::new);
        slice.touched = true;
        let layers = &mut slice.groups[group];
        let newest = layers.len().saturating_sub(1);
        if layers.last().is_none_or(|layer| layer.keys >= self.bloom.capacity(newest)) {
            let filter = made_for(self.bloom, self.reach, layers.len());
            self.bytes += size_of_val(filter.as_slice());
            layers.push(Layer { filter, keys: 0, touched: true });
        }
        if let Some(layer) = layers.last_mut() {
            layer.filter.insert_hash(hash);
            layer.keys += 1;
            layer.touched = true;
        }
        self.keys += 1;
    }

    /// The first slice that a row in time can ask for.
    fn first_needed(&self) -> i64 {
        if self.frontier == EventTime::MAX {
            return i64::MAX;
        }
        let oldest = self.frontier.minus(self.horizon.lateness());
        self.slice_of(oldest).saturating_sub(self.reach)
    }

    fn expire(&mut self, frontier: EventTime) -> usize {
        self.frontier = frontier;
        let (first, mut dropped) = (self.first_needed(), 0);
        while let Some(oldest) = self.slices.first_entry()
            && *oldest.key() < first
        {
            let slice = oldest.remove();
            self.dropped |= slice.saved;
            for layer in slice.groups.iter().flatten() {
                dropped += 1;
                self.keys -= layer.keys;
                self.bytes -= size_of_val(layer.filter.as_slice());
            }
        }
        dropped
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        for (&number, slice) in self.slices.iter_mut().filter(|(_, slice)| slice.touched) {
            while self.cursor < slice.groups.len() {
                if fuel.left() == 0 {
                    return false;
                }
                let group = (self.cursor as u64) << 32;
                for (at, layer) in slice.groups[self.cursor].iter_mut().enumerate() {
                    if std::mem::take(&mut layer.touched) {
                        let Layer { filter, keys, .. } = layer;
                        let bytes: Vec<u8> =
                            filter.as_slice().iter().flat_map(|word| word.to_le_bytes()).collect();
                        let value = (*keys, filter.num_hashes(), bytes);
                        out.put(0, number, group, &(at as u64), &value);
                        fuel.burn(filter.as_slice().len());
                    }
                }
                fuel.burn(1);
                self.cursor += 1;
            }
            self.cursor = 0;
            (slice.touched, slice.saved) = (false, true);
        }
        if std::mem::take(&mut self.dropped) {
            out.drop_below(0, self.first_needed());
        }
        true
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        let (keys, hashes, bytes): (usize, u32, Vec<u8>) = entry.value()?;
        let (words, rest) = bytes.as_chunks();
        if words.is_empty() || !rest.is_empty() {
            return Err(Corrupt(format!("a Bloom filter of {} bytes", bytes.len())));
        }
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let slice = self.slices.entry(entry.bucket).or_insert_with(Slice::new);
        slice.saved = true;
        let layers = slice
            .groups
            .get_mut(usize::from(entry.group))
            .ok_or_else(|| Corrupt(format!("key group {}", entry.group)))?;
        if entry.key::<u64>()? != layers.len() as u64 {
            return Err(Corrupt("a Bloom filter is missing".into()));
        }
        self.bytes += bytes.len();
        self.keys += keys;
        let filter = BloomFilter::from_vec(words).seed(&0).hashes(hashes);
        layers.push(Layer { filter, keys, touched: false });
        Ok(())
    }
}

impl Slice {
    fn new() -> Self {
        let groups = std::iter::repeat_with(Vec::new).take(GROUPS as usize).collect();
        Slice { groups, touched: false, saved: false }
    }
}

/// The keys of a group share some bits of their hash; a filter wants all of them to differ.
fn spread(hash: u64) -> u64 {
    hash.stable_hash()
}

/// An empty filter. All in reach together, each with those that join it, keep the rate.
fn made_for(bloom: Bloom, reach: i64, layer: usize) -> BloomFilter {
    let rate = bloom.rate / (2 * reach + 1) as f64 / 2f64.powi(layer.min(60) as i32 + 1);
    BloomFilter::with_false_pos(rate).seed(&0).expected_items(bloom.capacity(layer))
}

/// A row of the tick with the hash of its key.
struct Hashed<D> {
    hash: u64,
    row: Timed<D>,
}

/// Judges the rows of a tick at its end.
struct Judge<F, D> {
    key: F,
    filters: Filters,
    /// The rows of the tick.
    tick: Vec<Hashed<D>>,
    /// The rows of the tick in order, from the last one; once it is complete.
    judged: Option<Vec<Hashed<D>>>,
    /// The hash and slice of those that passed in this tick: not yet in the filters.
    passed: Vec<(u64, i64)>,
    counters: Arc<Counters>,
}

impl<F, D: ExchangeData + Data> Judge<F, D> {
    /// Takes the rows in the order in which they are judged, the last one first.
    fn in_order(&mut self) -> Vec<Hashed<D>> {
        let place = |one: &Hashed<D>| (one.hash, one.row.time);
        let mut rows = std::mem::take(&mut self.tick);
        rows.sort_unstable_by_key(|one| std::cmp::Reverse(place(one)));
        for copies in rows.chunk_by_mut(|one, other| place(one) == place(other)) {
            if copies.len() > 1 {
                let bytes = |one: &Hashed<D>| (canonical(&one.row.data), one.row.behind);
                copies.sort_by_cached_key(|one| std::cmp::Reverse(bytes(one)));
            }
        }
        rows
    }
}

impl<K, D, F> TickLogic<D> for Judge<F, D>
where
    K: Key,
    D: ExchangeData + Data,
    F: Fn(&D) -> K + 'static,
{
    type Out = D;
    type Side = SetAside<D>;

    fn apply(
        &mut self,
        before: EventTime,
        rows: &mut Vec<Timed<D>>,
        out: &mut Emit<D, SetAside<D>>,
    ) {
        let mut late = 0;
        for row in rows.drain(..) {
            match in_time(row, before, self.filters.horizon) {
                Ok(row) => {
                    let hash = (self.key)(&row.data).stable_hash();
                    self.tick.push(Hashed { hash, row });
                }
                Err(row) => {
                    late += 1;
                    out.side.push(row.map(SetAside::Late));
                }
            }
        }
        self.counters.late.add(late);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<D, SetAside<D>>) -> bool {
        let mut rows = match self.judged.take() {
            Some(rows) => rows,
            None => self.in_order(),
        };
        let (mut passed, mut duplicates) = (0, 0);
        while fuel.left() > 0
            && let Some(Hashed { hash, row }) = rows.pop()
        {
            fuel.burn(1);
            let slice = self.filters.slice_of(row.time);
            // The copies of this tick come in the order of time: the last that passed is the nearest.
            let in_tick = self.passed.last().is_some_and(|&(last, at)| {
                last == hash && slice.saturating_sub(at) <= self.filters.reach
            });
            if in_tick || self.filters.knows(slice, hash) {
                duplicates += 1;
                out.side.push(row.map(SetAside::Duplicate));
            } else {
                passed += 1;
                self.passed.push((hash, slice));
                out.rows.push(row);
            }
        }
        self.counters.kept.add(passed);
        self.counters.duplicate.add(duplicates);
        if !rows.is_empty() {
            self.judged = Some(rows);
            return false;
        }
        // The vector is used again for the next tick.
        self.tick = rows;
        for (hash, slice) in self.passed.drain(..) {
            self.filters.insert(slice, hash);
        }
        fuel.burn(self.filters.expire(now.frontier));
        self.counters.held.set(self.filters.keys as u64);
        self.counters.bytes.set(self.filters.bytes as u64);
        true
    }
}

/// Entries are filters: the bucket is the slice of time, the key the filter's number among those of
/// its slice and group.
impl<K, D, F> State for Judge<F, D>
where
    K: Key,
    D: ExchangeData + Data,
    F: Fn(&D) -> K + 'static,
{
    fn shape(&self) -> Shape {
        // Which bits belong to a key is decided by the library.
        Shape::of("dedup fastbloom 0.17", &(self.filters.horizon, self.filters.bloom)).with::<K>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        self.filters.save(fuel, out)
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        self.filters.load(entry)?;
        self.counters.held.set(self.filters.keys as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
