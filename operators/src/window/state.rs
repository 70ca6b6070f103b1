//! Open windows, each with its keys' partial results. Plain data: no timely in here.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::ahead::{AHEAD, is_large};
use super::pool::SPARE_TABLES;
use super::{Pane, SideBySide, Tumbling, Window, WindowResult};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aggregate::Aggregate;
use crate::events::Data;
use crate::key::Key;
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Epoch, Saver, Shape, State, Table};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::{EventTime, Span, Timed};

/// The partial results of one window.
struct Bucket<K, S> {
    window: Window,
    keys: Table<K, S>,
}

/// All open windows of one worker, where every instant is in one window.
pub struct Windows<K, F, A, S, W = Tumbling> {
    by: W,
    /// State is kept until the frontier has passed a window's end by this much.
    lateness: Span,
    key: F,
    aggregate: A,
    /// Windows by end. The number is the place of the window's bucket.
    open: BTreeMap<EventTime, usize>,
    buckets: Vec<Bucket<K, S>>,
    /// Places in `buckets` that are free.
    free: Vec<usize>,
    /// The window of the row before, and its bucket: rows come in runs.
    run: Option<usize>,
    /// Whether the tables are too large for the caches.
    large: bool,
    /// For a few rows to come, where they belong, and what they are found by.
    ahead: Vec<(Option<usize>, u64, K)>,
    epoch: Epoch,
    /// Windows have been dropped that a cut holds.
    dropped: bool,
    /// The frontier as of the last tick.
    frontier: EventTime,
    counters: Arc<Counters>,
}

impl<K: Key, F, A, S, W: SideBySide> Windows<K, F, A, S, W> {
    /// No window is open.
    pub fn new(by: W, lateness: Span, key: F, aggregate: A, counters: Arc<Counters>) -> Self {
        Windows {
            by,
            lateness,
            key,
            aggregate,
            open: BTreeMap::new(),
            buckets: Vec::new(),
            free: Vec::new(),
            run: None,
            large: false,
            ahead: Vec::new(),
            epoch: Epoch::default(),
            dropped: false,
            frontier: EventTime::MIN,
            counters,
        }
    }

    /// The bucket of a window, opened if it is not there.
    fn bucket(&mut self, window: Window) -> usize {
        *self.open.entry(window.end).or_insert_with(|| match self.free.pop() {
            Some(place) => {
                self.buckets[place].window = window;
                place
            }
            None => {
                self.buckets.push(Bucket { window, keys: Table::default() });
                self.buckets.len() - 1
            }
        })
    }

    /// The bucket for a row at this time; `None` if the window's state is gone for the row.
    #[inline(always)]
    fn place(&mut self, time: EventTime, seen: EventTime) -> Option<usize> {
        if let Some(place) = self.run
            && self.buckets[place].window.contains(time)
            && seen < self.buckets[place].window.end.plus(self.lateness)
        {
            return Some(place);
        }
        self.find(time, seen)
    }

    /// The same for a row that is not in the window of the row before.
    #[inline(never)]
    fn find(&mut self, time: EventTime, seen: EventTime) -> Option<usize> {
        // Windows lie side by side: one that is open and has the instant in it is the one.
        let after = (Bound::Excluded(time), Bound::Unbounded);
        let next = self.open.range(after).next().map(|(_, &place)| place);
        let open = next.filter(|&place| self.buckets[place].window.contains(time));
        let window = match open {
            Some(place) => self.buckets[place].window,
            None => self.by.window_of(time),
        };
        if seen >= window.end.plus(self.lateness) && seen != EventTime::MIN {
            return None;
        }
        let place = open.unwrap_or_else(|| self.bucket(window));
        self.run = Some(place);
        Some(place)
    }

    /// Takes in a row of which it is known where it belongs. Whether its key is new there.
    #[inline(always)]
    fn add<D>(&mut self, place: usize, hash: u64, key: K, row: &Timed<D>) -> bool
    where
        A: Aggregate<D, State = S>,
    {
        let keys = &mut self.buckets[place].keys;
        let (state, new) = keys.entry(hash, key, self.epoch, || self.aggregate.create());
        self.aggregate.add_at(state, row.time, &row.data);
        new
    }
}

impl<K, D, F, A, W> TickLogic<D> for Windows<K, F, A, A::State, W>
where
    K: Key,
    D: Data,
    F: Fn(&D) -> K + 'static,
    A: Aggregate<D>,
    A::Output: Data,
    W: SideBySide,
{
    type Out = WindowResult<K, A::Output>;
    type Side = D;

    fn apply(&mut self, before: EventTime, rows: &mut Vec<Timed<D>>, out: &mut Emit<Self::Out, D>) {
        let (all, mut late, mut created) = (rows.len() as u64, 0, 0);
        let seen = |row: &Timed<D>| row.seen_frontier().max(before);
        let mut leave = |row: Timed<D>| {
            late += 1;
            out.side.push(Timed { behind: row.time.behind(seen(&row)), ..row });
        };
        let mut rows = rows.drain(..);
        let mut ahead = std::mem::take(&mut self.ahead);
        while self.large && rows.len() > 0 {
            for row in rows.as_slice().iter().take(AHEAD) {
                let (key, place) = ((self.key)(&row.data), self.place(row.time, seen(row)));
                let hash = key.stable_hash();
                if let Some(place) = place {
                    self.buckets[place].keys.ask(hash);
                }
                ahead.push((place, hash, key));
            }
            for (place, hash, _) in &ahead {
                if let Some(place) = *place {
                    self.buckets[place].keys.warm(*hash);
                }
            }
            for ((place, hash, key), row) in ahead.drain(..).zip(rows.by_ref()) {
                match place {
                    Some(place) => created += u64::from(self.add(place, hash, key, &row)),
                    None => leave(row),
                }
            }
        }
        self.ahead = ahead;
        let mut next = rows.next();
        while let Some(mut row) = next {
            let Some(place) = self.place(row.time, seen(&row)) else {
                leave(row);
                next = rows.next();
                continue;
            };
            // Rows come in runs, in which the window is looked up once.
            let Bucket { window, keys } = &mut self.buckets[place];
            let (window, gone) = (*window, window.end.plus(self.lateness));
            next = loop {
                let key = (self.key)(&row.data);
                let create = || self.aggregate.create();
                let (state, new) = keys.entry(key.stable_hash(), key, self.epoch, create);
                self.aggregate.add_at(state, row.time, &row.data);
                created += u64::from(new);
                match rows.next() {
                    Some(next) if window.contains(next.time) && next.saw_before(gone) => row = next,
                    next => break next,
                }
            };
        }
        self.counters.kept.add(all - late);
        self.counters.late.add(late);
        self.counters.held.add(created);
        self.counters.open.set(self.open.len() as u64);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<Self::Out, D>) -> bool {
        self.frontier = now.frontier;
        while let Some((&end, &place)) = self.open.first_key_value() {
            if now.frontier < end.plus(self.lateness) {
                break;
            }
            if fuel.left() == 0 {
                return false;
            }
            let Bucket { window, keys } = &mut self.buckets[place];
            let (window, last, aggregate) = (*window, window.last(), &self.aggregate);
            let result = |(key, state): (K, A::State)| {
                let value = aggregate.finish(&state);
                Timed::on_time(last, WindowResult { key, window, value, pane: Pane::FINAL })
            };
            let fired = keys.len().min(fuel.left());
            out.rows.reserve(fired);
            keys.drain_some(fired).map(result).for_each(|row| out.rows.push(row));
            fuel.burn(fired.max(1));
            self.counters.fired.add(fired as u64);
            self.counters.held.set(self.counters.held.get() - fired as u64);
            if keys.is_empty() {
                self.dropped |= keys.reset();
                self.open.pop_first();
                self.run = None;
                if self.free.len() >= SPARE_TABLES {
                    self.buckets[place].keys = Table::default();
                }
                self.free.push(place);
                self.counters.open.set(self.open.len() as u64);
            }
        }
        let bytes: usize = self.open.values().map(|&place| self.buckets[place].keys.bytes()).sum();
        self.large = is_large(bytes);
        self.counters.bytes.set(bytes as u64);
        // Side by side, the first to end is the first to start.
        let oldest =
            self.open.first_key_value().map(|(_, &place)| self.buckets[place].window.start);
        self.counters.oldest.set(oldest);
        true
    }
}

/// Buckets are numbered by their end; the last one of all, which has no end, can be dropped too.
pub(super) fn bucket_number(end: EventTime) -> i64 {
    end.micros().min(i64::MAX - 1)
}

/// Entries are the keys of each window, in the bucket of its end.
impl<K: Key, F, A, S, W: SideBySide> State for Windows<K, F, A, S, W>
where
    S: Serialize + DeserializeOwned,
{
    fn shape(&self) -> Shape {
        Shape::of("window", &(&self.by, self.lateness)).with::<K>().with::<S>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        for (end, &place) in &self.open {
            let keys = &mut self.buckets[place].keys;
            if !keys.save((0, bucket_number(*end)), self.epoch, fuel, out) {
                return false;
            }
        }
        if std::mem::take(&mut self.dropped) {
            let first = self.frontier.minus(self.lateness).micros().saturating_add(1);
            out.drop_below(0, first);
        }
        self.epoch.advance();
        true
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        let end = EventTime::from_micros(entry.bucket);
        let place = self.bucket(self.by.window_of(end.minus(Span::from_micros(1))));
        self.buckets[place].keys.load(entry.key()?, entry.value()?);
        self.counters.held.add(1);
        self.counters.open.set(self.open.len() as u64);
        Ok(())
    }
}
