//! The newest value of each key. The state is plain data: no timely in it.
//!
//! *As of the end of tick e the view holds (k, v) iff of all rows of key k in ticks up to e the one
//! with the greatest event time says that the value is v.* Of rows with the same event time the
//! greatest value counts, and no value is less than any. A row that says there is no value takes the
//! key out of the view and is remembered, so that an older row does not bring it back.

use std::collections::VecDeque;
use std::sync::Arc;

use differential_dataflow::lattice::Lattice;

use super::forever::give_back;
use super::{Element, UpsertKey, View};
use crate::change::Change;
use crate::events::{Data, Events, Tick};
use crate::exchange::exchange_by;
use crate::key::route;
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Epoch, Saver, Shape, State, Table};
use crate::tick::{Emit, Fuel, Now, TickLogic, tick_operator};
use crate::time::{EventTime, Span, Timed};

impl<'scope, T: Tick + Lattice, D: Data> Events<'scope, T, D> {
    /// The newest value of each key by event time, as a view. `None` says that the key has no value
    /// any more. No row is too late: one that is older than what its key has changes nothing.
    ///
    /// Rows are exchanged so that all of a key meet on one worker. Cost: one hash and one table
    /// lookup a row. State: an entry per key, also of those that have no value any more, beside what
    /// the view holds; written at cuts for the keys that have changed.
    pub fn upsert<K: UpsertKey, V: Element>(
        &self,
        name: &str,
        key: impl Fn(&D) -> K + 'static,
        value: impl Fn(&D) -> Option<V> + 'static,
    ) -> View<'scope, T, (K, V)> {
        let clock = self.clock();
        let counters = clock.observer().register(name, "upsert", self.scope().index());
        let rows = self.map(move |row| (key(&row), value(&row)));
        let pact = exchange_by(|row: &Timed<(K, Option<V>)>| route(row.data.0.stable_hash()));
        let logic = Newest::new(counters.clone());
        let (changes, _) = tick_operator(name, &rows, pact, logic, counters);
        View::from_changes(&Events::from_parts(changes, clock.with_late(Span::ZERO)))
    }
}

/// What is known of a key.
struct Last<V> {
    time: EventTime,
    value: Option<V>,
    /// What the view holds of it, where that may be something else.
    told: Option<Option<V>>,
}

/// The newest value of each key.
pub(super) struct Newest<K, V> {
    keys: Table<K, Last<V>>,
    /// Keys that have changed in this tick.
    touched: Vec<K>,
    /// What was saved, to be given to the view before anything else.
    restored: VecDeque<((K, V), i64)>,
    epoch: Epoch,
    counters: Arc<Counters>,
}

impl<K: UpsertKey, V> Newest<K, V> {
    pub fn new(counters: Arc<Counters>) -> Self {
        let (touched, restored) = (Vec::new(), VecDeque::new());
        Newest { keys: Table::default(), touched, restored, epoch: Epoch::default(), counters }
    }
}

impl<K: UpsertKey, V: Element> TickLogic<(K, Option<V>)> for Newest<K, V> {
    type Out = Change<(K, V)>;
    type Side = ();

    fn apply(
        &mut self,
        _: EventTime,
        rows: &mut Vec<Timed<(K, Option<V>)>>,
        _: &mut Emit<Self::Out, ()>,
    ) {
        self.counters.kept.add(rows.len() as u64);
        for Timed { time, data: (key, value), .. } in rows.drain(..) {
            let hash = key.stable_hash();
            if let Some(last) = self.keys.get(hash, &key)
                && (last.time, &last.value) >= (time, &value)
            {
                continue;
            }
            let nothing = || Last { time, value: None, told: None };
            let (last, _) = self.keys.entry(hash, key.clone(), self.epoch, nothing);
            let before = std::mem::replace(&mut last.value, value);
            last.time = time;
            if last.told.is_none() {
                last.told = Some(before);
                self.touched.push(key);
            }
        }
        self.counters.held.set(self.keys.len() as u64);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<Self::Out, ()>) -> bool {
        if !give_back(&mut self.restored, fuel, out) {
            return false;
        }
        while let Some(key) = self.touched.pop() {
            let last = self.keys.get_mut(key.stable_hash(), &key, self.epoch);
            let last = last.expect("what is touched is in the table");
            let told = last.told.take().expect("what is touched has been told otherwise");
            if told != last.value {
                let mut send = |value, diff| {
                    let data = Change { data: (key.clone(), value), diff };
                    out.rows.push(Timed::on_time(now.before, data));
                };
                told.into_iter().for_each(|value| send(value, -1));
                last.value.iter().for_each(|value| send(value.clone(), 1));
            }
            fuel.burn(1);
            if fuel.left() == 0 {
                return self.touched.is_empty();
            }
        }
        true
    }
}

/// Entries are keys with the time and the value that they have last had.
impl<K: UpsertKey, V: Element> State for Newest<K, V> {
    fn shape(&self) -> Shape {
        Shape::of("upsert", &()).with::<K>().with::<V>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        let newest = |last: &Last<V>| (last.time, last.value.clone());
        if !self.keys.save_with((0, 0), self.epoch, fuel, out, newest) {
            return false;
        }
        self.epoch.advance();
        true
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        let (key, (time, value)): (K, (EventTime, Option<V>)) = (entry.key()?, entry.value()?);
        if let Some(value) = &value {
            self.restored.push_back(((key.clone(), value.clone()), 1));
        }
        self.keys.load(key, Last { time, value, told: None });
        self.counters.held.set(self.keys.len() as u64);
        Ok(())
    }
}
