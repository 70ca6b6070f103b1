//! Windows where an instant is in any number of them. Plain data: no timely in here.
//!
//! Nothing is known of how the windows lie, so nothing is shared between them: each row is added to
//! every window that it is in.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::pool::Pool;
use super::state::bucket_number;
use super::{Assigner, Custom, Pane, Window, WindowResult};
use crate::aggregate::Aggregate;
use crate::events::Data;
use crate::key::Key;
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Epoch, Saver, Shape, State};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::{EventTime, Span, Timed};

/// All open windows of one worker.
pub struct ManyWindows<K, F, A, S, W> {
    by: Custom<W>,
    /// State is kept until the frontier has passed a window's end by this much.
    lateness: Span,
    key: F,
    aggregate: A,
    /// The tables of windows, by end and start.
    open: BTreeMap<(EventTime, EventTime), usize>,
    tables: Pool<K, S>,
    /// The places of the windows of a row, while it is looked at.
    places: Vec<usize>,
    epoch: Epoch,
    /// Windows have been dropped that a cut holds.
    dropped: bool,
    /// The frontier as of the last tick.
    frontier: EventTime,
    counters: Arc<Counters>,
}

impl<K: Key, F, A, S, W: Assigner> ManyWindows<K, F, A, S, W> {
    /// No window is open.
    pub fn new(
        by: Custom<W>,
        lateness: Span,
        key: F,
        aggregate: A,
        counters: Arc<Counters>,
    ) -> Self {
        ManyWindows {
            by,
            lateness,
            key,
            aggregate,
            open: BTreeMap::new(),
            tables: Pool::default(),
            places: Vec::new(),
            epoch: Epoch::default(),
            dropped: false,
            frontier: EventTime::MIN,
            counters,
        }
    }

    /// The table of a window, made if it is not there.
    fn table(&mut self, window: Window) -> usize {
        *self.open.entry((window.end, window.start)).or_insert_with(|| self.tables.take())
    }

    /// Leaves in `places` the tables of the windows in which a row counts. Returns how many windows
    /// it is late for.
    fn find(&mut self, time: EventTime, seen: EventTime) -> u64 {
        let by = self.by.assigner.clone();
        let mut late = 0;
        self.places.clear();
        by.assign(time, &mut |window| {
            assert!(
                window.contains(time) || window.end == EventTime::MAX,
                "a window assigner gave {window:?} for the instant {time}, which is not in it: {:?}",
                self.by.assigner
            );
            if seen >= window.end.plus(self.lateness) && seen != EventTime::MIN {
                late += 1;
            } else {
                let place = self.table(window);
                self.places.push(place);
            }
        });
        late
    }
}

impl<K, D, F, A, W> TickLogic<D> for ManyWindows<K, F, A, A::State, W>
where
    K: Key,
    D: Data,
    F: Fn(&D) -> K + 'static,
    A: Aggregate<D>,
    A::Output: Data,
    W: Assigner,
{
    type Out = WindowResult<K, A::Output>;
    type Side = D;

    fn apply(&mut self, before: EventTime, rows: &mut Vec<Timed<D>>, out: &mut Emit<Self::Out, D>) {
        let (all, mut late, mut filtered, mut missed, mut created) =
            (rows.len() as u64, 0, 0, 0, 0);
        for row in rows.drain(..) {
            let seen = row.seen_frontier().max(before);
            let late_windows = self.find(row.time, seen);
            let Some((&last, others)) = self.places.split_last() else {
                if late_windows == 0 {
                    filtered += 1;
                } else {
                    late += 1;
                    let behind = row.time.behind(seen);
                    out.side.push(Timed { behind, ..row });
                }
                continue;
            };
            missed += late_windows;
            let key = (self.key)(&row.data);
            let hash = key.stable_hash();
            let mut add = |place: usize, key| {
                let create = || self.aggregate.create();
                let (state, new) = self.tables[place].entry(hash, key, self.epoch, create);
                self.aggregate.add_at(state, row.time, &row.data);
                created += u64::from(new);
            };
            others.iter().for_each(|&place| add(place, key.clone()));
            add(last, key);
        }
        self.counters.kept.add(all - late - filtered);
        self.counters.late.add(late);
        self.counters.filtered.add(filtered);
        self.counters.late_windows.add(missed);
        self.counters.held.add(created);
        self.counters.open.set(self.open.len() as u64);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<Self::Out, D>) -> bool {
        self.frontier = now.frontier;
        while let Some(entry) = self.open.first_entry() {
            let (end, start) = *entry.key();
            if now.frontier < end.plus(self.lateness) {
                break;
            }
            if fuel.left() == 0 {
                return false;
            }
            let (window, aggregate) = (Window { start, end }, &self.aggregate);
            let last = window.last();
            let result = |(key, state): (K, A::State)| {
                let value = aggregate.finish(&state);
                Timed::on_time(last, WindowResult { key, window, value, pane: Pane::FINAL })
            };
            let table = &mut self.tables[*entry.get()];
            let fired = table.len().min(fuel.left());
            out.rows.extend(table.drain_some(fired).map(result));
            fuel.burn(fired.max(1));
            self.counters.fired.add(fired as u64);
            self.counters.held.set(self.counters.held.get() - fired as u64);
            if table.is_empty() {
                self.dropped |= self.tables.give_back(entry.remove());
            }
        }
        self.counters.bytes.set(self.tables.bytes(self.open.values()) as u64);
        self.counters.oldest.set(self.open.keys().map(|&(_, start)| start).min());
        self.counters.open.set(self.open.len() as u64);
        true
    }
}

/// Entries are the keys of each window under its bounds, in the bucket of its end.
impl<K: Key, F, A, S, W: Assigner> State for ManyWindows<K, F, A, S, W>
where
    S: Serialize + DeserializeOwned,
{
    fn shape(&self) -> Shape {
        Shape::of("window", &(&self.by, self.lateness)).with::<K>().with::<S>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        for (&(end, start), &place) in &self.open {
            let (at, window) = ((0, bucket_number(end)), Window { start, end });
            if !self.tables[place].save_under(at, &window, self.epoch, fuel, out, |state| state) {
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
        let (window, key): (Window, K) = entry.key()?;
        let place = self.table(window);
        self.tables[place].load(key, entry.value()?);
        self.counters.held.add(1);
        self.counters.open.set(self.open.len() as u64);
        Ok(())
    }
}
