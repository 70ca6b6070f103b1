//! Open windows, each with its keys' partial results. Plain data: no timely in here.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::{Tumbling, Window, WindowResult};
use crate::aggregate::Aggregate;
use crate::events::Data;
use crate::key::Key;
use crate::observe::Counters;
use crate::tick::{Emit, Fuel, TickLogic};
use crate::time::{EventTime, Span, Timed};

/// How many emptied tables are kept for windows to come.
const SPARE_TABLES: usize = 2;

/// The partial results of one window.
struct Bucket<K, S> {
    window: Window,
    keys: HashTable<(K, S)>,
}

/// All open windows of one worker.
pub struct Windows<K, F, A, S> {
    by: Tumbling,
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
    counters: Arc<Counters>,
}

impl<K, F, A, S> Windows<K, F, A, S> {
    /// No window is open.
    pub fn new(
        by: Tumbling,
        lateness: Span,
        key: F,
        aggregate: A,
        counters: Arc<Counters>,
    ) -> Self {
        Windows {
            by,
            lateness,
            key,
            aggregate,
            open: BTreeMap::new(),
            buckets: Vec::new(),
            free: Vec::new(),
            run: None,
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
                self.buckets.push(Bucket { window, keys: HashTable::new() });
                self.buckets.len() - 1
            }
        })
    }

    /// The bucket for a row at this time; `None` if the window's state is gone for the row.
    #[inline]
    fn place(&mut self, time: EventTime, seen: EventTime) -> Option<usize> {
        if let Some(place) = self.run
            && self.buckets[place].window.contains(time)
            && seen < self.buckets[place].window.end.plus(self.lateness)
        {
            return Some(place);
        }
        let window = self.by.window_of(time);
        if seen >= window.end.plus(self.lateness) && seen != EventTime::MIN {
            return None;
        }
        let place = self.bucket(window);
        self.run = Some(place);
        Some(place)
    }
}

impl<K, D, F, A> TickLogic<D> for Windows<K, F, A, A::State>
where
    K: Key,
    D: Data,
    F: Fn(&D) -> K + 'static,
    A: Aggregate<D>,
    A::Output: Data,
{
    type Out = WindowResult<K, A::Output>;
    type Side = D;

    fn apply(&mut self, before: EventTime, rows: &mut Vec<Timed<D>>, out: &mut Emit<Self::Out, D>) {
        let (all, mut late, mut created) = (rows.len() as u64, 0, 0);
        for row in rows.drain(..) {
            let seen = row.seen_frontier().max(before);
            let Some(place) = self.place(row.time, seen) else {
                late += 1;
                let behind = row.time.behind(seen);
                out.side.push(Timed { behind, ..row });
                continue;
            };
            let key = (self.key)(&row.data);
            let keys = &mut self.buckets[place].keys;
            let entry = keys.entry(key.stable_hash(), |(k, _)| *k == key, |(k, _)| k.stable_hash());
            match entry {
                Entry::Occupied(mut entry) => self.aggregate.add(&mut entry.get_mut().1, &row.data),
                Entry::Vacant(entry) => {
                    let mut state = self.aggregate.create();
                    self.aggregate.add(&mut state, &row.data);
                    entry.insert((key, state));
                    created += 1;
                }
            }
        }
        self.counters.kept.add(all - late);
        self.counters.late.add(late);
        self.counters.held.add(created);
        self.counters.open.set(self.open.len() as u64);
    }

    fn close(
        &mut self,
        _before: EventTime,
        frontier: EventTime,
        fuel: &mut Fuel,
        out: &mut Emit<Self::Out, D>,
    ) -> bool {
        while let Some((&end, &place)) = self.open.first_key_value() {
            if frontier < end.plus(self.lateness) {
                break;
            }
            if fuel.left() == 0 {
                return false;
            }
            let Bucket { window, keys } = &mut self.buckets[place];
            let (window, last, aggregate) = (*window, window.last(), &self.aggregate);
            let result = |(key, state): (K, A::State)| {
                let value = aggregate.finish(&state);
                Timed::on_time(last, WindowResult { key, window, value })
            };
            let fired = keys.len().min(fuel.left());
            if fired == keys.len() {
                out.rows.extend(keys.drain().map(result));
            } else {
                out.rows.extend(keys.extract_if(|_| true).take(fired).map(result));
            }
            fuel.burn(fired.max(1));
            self.counters.held.set(self.counters.held.get() - fired as u64);
            if self.buckets[place].keys.is_empty() {
                self.open.pop_first();
                self.run = None;
                if self.free.len() >= SPARE_TABLES {
                    self.buckets[place].keys = HashTable::new();
                }
                self.free.push(place);
                self.counters.open.set(self.open.len() as u64);
            }
        }
        true
    }
}
