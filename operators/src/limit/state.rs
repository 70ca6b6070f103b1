//! What is open of each key. Plain data: no timely in here.

use std::fmt::Debug;
use std::sync::Arc;

use serde::Serialize;

use super::opens::{Opens, Stretch, gone_at};
use crate::events::Data;
use crate::key::Key;
use crate::observe::Counters;
use crate::order::Gathered;
use crate::state::{Corrupt, Entry, Epoch, Saver, Shape, State, Table};
use crate::tick::{Emit, Fuel, Now, TickLogic, Timer, Timers};
use crate::time::{EventTime, Span, Timed};

/// How finely it is worth to tell apart when keys are looked at.
const GRANULE: Span = Span::from_micros(1 << 20);

/// What is open of a key, in order; and when it is looked at again, which is not after the first of
/// them is gone.
#[derive(Clone, Debug)]
struct OfKey {
    open: Vec<Stretch>,
    timer: EventTime,
}

/// What is open of all keys of one worker.
pub(super) struct Limit<K, D, F, O> {
    opens: O,
    most: usize,
    /// Windows and sessions are open until the frontier has passed their end by this much.
    lateness: Span,
    key: F,
    keys: Table<K, OfKey>,
    timers: Timers<K>,
    /// The rows of the tick.
    rows: Gathered<D>,
    /// What a row is for, while it is looked at.
    wanted: Vec<Stretch>,
    /// How much is open.
    held: u64,
    epoch: Epoch,
    counters: Arc<Counters>,
}

impl<K: Key, D, F, O> Limit<K, D, F, O> {
    /// Nothing is open.
    pub fn new(opens: O, most: usize, lateness: Span, key: F, counters: Arc<Counters>) -> Self {
        Limit {
            opens,
            most,
            lateness,
            key,
            keys: Table::default(),
            timers: Timers::new(GRANULE),
            rows: Gathered::default(),
            wanted: Vec::new(),
            held: 0,
            epoch: Epoch::default(),
            counters,
        }
    }

    /// Whether there is room for a row, which is then taken.
    fn take(&mut self, row: &Timed<D>, seen: EventTime) -> bool
    where
        F: Fn(&D) -> K,
        O: Opens<D>,
    {
        let Limit { opens, wanted, lateness, keys, .. } = self;
        wanted.clear();
        opens.each(row, seen, *lateness, &mut |stretch| wanted.push(stretch));
        wanted.sort_unstable();
        let Some(first) = wanted.iter().map(|&stretch| gone_at(stretch, *lateness)).min() else {
            return true;
        };
        let key = (self.key)(&row.data);
        let hash = key.stable_hash();
        let is_over = |open: &[Stretch]| {
            let more = O::more(open, wanted);
            more > 0 && open.len() + more > self.most
        };
        let Some(of_key) = keys.get_unsaved(hash, &key) else {
            if is_over(&[]) {
                return false;
            }
            self.held += wanted.len() as u64;
            self.timers.push(Timer { due: first, hash, key: key.clone() });
            keys.entry(hash, key, self.epoch, || OfKey { open: wanted.clone(), timer: first });
            return true;
        };
        if is_over(&of_key.open) {
            return false;
        }
        let before = of_key.open.len() as u64;
        let changed = O::take(&mut of_key.open, wanted);
        self.held = self.held + of_key.open.len() as u64 - before;
        if first < of_key.timer {
            of_key.timer = first;
            self.timers.push(Timer { due: first, hash, key: key.clone() });
        }
        // Most rows change nothing, and then nothing is to be saved.
        if changed {
            keys.get_mut(hash, &key, self.epoch);
        }
        true
    }

    /// Lets go of what is over of a key.
    fn settle(&mut self, Timer { due, hash, key }: Timer<K>, frontier: EventTime) -> usize {
        let Some(of_key) = self.keys.get_unsaved(hash, &key).filter(|of_key| of_key.timer == due)
        else {
            // A timer that an earlier one has made superfluous.
            return 0;
        };
        let (before, lateness) = (of_key.open.len(), self.lateness);
        of_key.open.retain(|&stretch| gone_at(stretch, lateness) > frontier);
        let left = of_key.open.len();
        match of_key.open.iter().map(|&stretch| gone_at(stretch, lateness)).min() {
            Some(next) => {
                of_key.timer = next;
                if left < before {
                    self.keys.get_mut(hash, &key, self.epoch);
                }
                self.timers.push(Timer { due: next, hash, key });
            }
            None => _ = self.keys.remove(hash, &key),
        }
        self.held -= (before - left) as u64;
        before
    }
}

impl<K, D, F, O> TickLogic<D> for Limit<K, D, F, O>
where
    K: Key,
    D: Data + Serialize,
    F: Fn(&D) -> K + 'static,
    O: Opens<D> + Debug,
{
    type Out = D;
    type Side = D;

    fn apply(&mut self, _: EventTime, rows: &mut Vec<Timed<D>>, _: &mut Emit<D, D>) {
        rows.drain(..).for_each(|row| self.rows.push(row));
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<D, D>) -> bool {
        let (taken, over) = (out.rows.len(), out.side.len());
        while fuel.left() > 0
            && let Some(row) = self.rows.pop()
        {
            fuel.burn(1);
            let seen = row.seen_frontier().max(now.before);
            let to = if self.take(&row, seen) { &mut out.rows } else { &mut out.side };
            to.push(row);
        }
        self.counters.kept.add((out.rows.len() - taken) as u64);
        self.counters.rejected.add((out.side.len() - over) as u64);
        if !self.rows.is_empty() {
            return false;
        }
        while let Some(timer) = self.timers.pop(now.frontier, fuel) {
            let looked_at = self.settle(timer, now.frontier);
            fuel.burn(looked_at);
        }
        self.counters.held.set(self.held);
        self.counters.bytes.set(self.keys.bytes() as u64 + self.held * size_of::<Stretch>() as u64);
        fuel.left() > 0
    }
}

/// Entries are what is open of each key.
impl<K: Key, D, F, O: Debug> State for Limit<K, D, F, O> {
    fn shape(&self) -> Shape {
        Shape::of("limit", &(&self.opens, self.lateness)).with::<K>().with::<Vec<Stretch>>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        let done = self.keys.save_with((0, 0), self.epoch, fuel, out, |of_key| &of_key.open);
        if done {
            self.epoch.advance();
        }
        done
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        let (key, open): (K, Vec<Stretch>) = (entry.key()?, entry.value()?);
        let gone = open.iter().map(|&stretch| gone_at(stretch, self.lateness));
        let timer = gone.min().unwrap_or(EventTime::MIN);
        self.timers.push(Timer { due: timer, hash: key.stable_hash(), key: key.clone() });
        self.held += open.len() as u64;
        self.counters.held.set(self.held);
        self.keys.load(key, OfKey { open, timer });
        Ok(())
    }
}
