//! The rows of each key, in slices. Plain data: no timely in here.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{CountResult, CountWindow};
use crate::aggregate::Aggregate;
use crate::events::Data;
use crate::key::{Key, StableHash};
use crate::observe::Counters;
use crate::order::{Element, Gathered};
use crate::state::{Corrupt, Entry, Epoch, Saver, Shape, State, Table};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::{EventTime, Span, Timed};

/// The tables of the saved state: how many rows of each key, and their slices.
const SEEN: u8 = 0;
const SLICES: u8 = 1;

/// Some rows of a key that follow one another.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Slice<S> {
    state: S,
    rows: u64,
    first: EventTime,
    last: EventTime,
}

/// The windows of all keys of one worker.
pub struct CountWindows<K, D, F, A, S> {
    by: CountWindow,
    lateness: Span,
    key: F,
    aggregate: A,
    /// How many rows of each key have come; for windows side by side, to the open one.
    seen: Table<K, u64>,
    /// The slices that windows to come are made of, each in the place of one that no window needs.
    slices: Table<Element<K, u64>, Slice<S>>,
    /// The rows of the tick.
    rows: Gathered<D>,
    /// The input has ended, and no window is open any more.
    ended: bool,
    epoch: Epoch,
    counters: Arc<Counters>,
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl<K, D, F, A> CountWindows<K, D, F, A, A::State>
where
    K: Key,
    D: Data,
    F: Fn(&D) -> K + 'static,
    A: Aggregate<D>,
    A::Output: Data,
{
    /// No row has come.
    pub fn new(
        by: CountWindow,
        lateness: Span,
        key: F,
        aggregate: A,
        counters: Arc<Counters>,
    ) -> Self {
        CountWindows {
            by,
            lateness,
            key,
            aggregate,
            seen: Table::default(),
            slices: Table::default(),
            rows: Gathered::default(),
            ended: false,
            epoch: Epoch::default(),
            counters,
        }
    }

    /// Whether no two windows share a row.
    fn is_apart(&self) -> bool {
        self.by.step == self.by.rows
    }

    /// Takes the next row of its key, and gives the result of the window that it completes. Returns
    /// how much work that was.
    fn take(&mut self, row: &Timed<D>, out: &mut Vec<Timed<CountResult<K, A::Output>>>) -> usize {
        let CountWindow { rows: size, step, partial } = self.by;
        let (per_slice, epoch) = (gcd(size, step), self.epoch);
        let places = size / per_slice;
        let key = (self.key)(&row.data);
        let hash = key.stable_hash();
        let (seen, _) = self.seen.entry(hash, key.clone(), epoch, || 0);
        let slice = *seen / per_slice;
        let starts = *seen % per_slice == 0;
        *seen += 1;
        let seen = *seen;
        let element = Element { key, element: slice % places };
        let create = || Slice {
            state: self.aggregate.create(),
            rows: 0,
            first: EventTime::MAX,
            last: EventTime::MIN,
        };
        let (at, _) = self.slices.entry(element.stable_hash(), element.clone(), epoch, create);
        if starts {
            *at = create();
        }
        self.aggregate.add_at(&mut at.state, row.time, &row.data);
        at.rows += 1;
        (at.first, at.last) = (at.first.min(row.time), at.last.max(row.time));
        let full = seen >= size && (seen - size).is_multiple_of(step);
        let gives = full || (partial && seen.is_multiple_of(step));
        if !gives {
            return 1;
        }
        let Element { key, .. } = element;
        if self.is_apart() {
            self.seen.remove(hash, &key);
            let only = Element { key, element: 0 };
            let slice = self.slices.remove(only.stable_hash(), &only).expect("it was just there");
            out.push(result(&self.aggregate, only.key, slice, EventTime::MIN));
            return 1;
        }
        // From the oldest slice to the one that is full now.
        let mut all = create();
        let parts = places.min(slice + 1);
        for number in slice + 1 - parts..=slice {
            let element = Element { key: key.clone(), element: number % places };
            let part = self.slices.get(element.stable_hash(), &element).expect("it is in reach");
            self.aggregate.merge(&mut all.state, &part.state);
            all.rows += part.rows;
            (all.first, all.last) = (all.first.min(part.first), all.last.max(part.last));
        }
        out.push(result(&self.aggregate, key, all, EventTime::MIN));
        1 + parts as usize
    }
}

fn result<K, D, A: Aggregate<D>>(
    aggregate: &A,
    key: K,
    window: Slice<A::State>,
    promised: EventTime,
) -> Timed<CountResult<K, A::Output>> {
    let Slice { state, rows, first, last } = window;
    let value = aggregate.finish(&state);
    Timed::on_time(last.max(promised), CountResult { key, rows, first, last, value })
}

impl<K, D, F, A> TickLogic<D> for CountWindows<K, D, F, A, A::State>
where
    K: Key,
    D: Data + Serialize,
    F: Fn(&D) -> K + 'static,
    A: Aggregate<D>,
    A::Output: Data,
{
    type Out = CountResult<K, A::Output>;
    type Side = D;

    fn apply(&mut self, before: EventTime, rows: &mut Vec<Timed<D>>, out: &mut Emit<Self::Out, D>) {
        self.rows.take(before, self.lateness, rows, &mut out.side, &self.counters);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<Self::Out, D>) -> bool {
        let before = out.rows.len();
        while fuel.left() > 0
            && let Some(row) = self.rows.pop()
        {
            fuel.burn(self.take(&row, &mut out.rows));
        }
        if now.frontier == EventTime::MAX && self.is_apart() && self.rows.is_empty() {
            self.ended = true;
            let promised = match now.before {
                EventTime::MAX => EventTime::MIN,
                before => before.minus(self.lateness),
            };
            let some = fuel.left();
            fuel.burn(self.slices.len());
            let open = self.slices.drain_some(some);
            let finish = |(element, slice): (Element<K, u64>, _)| {
                result(&self.aggregate, element.key, slice, promised)
            };
            out.rows.extend(open.map(finish));
            if self.slices.is_empty() {
                self.seen.drain_some(usize::MAX).for_each(drop);
            }
        }
        self.counters.fired.add((out.rows.len() - before) as u64);
        self.counters.held.set((self.seen.len() + self.slices.len()) as u64);
        self.rows.is_empty() && (!self.ended || self.slices.is_empty())
    }
}

/// Entries are the number of rows of each key, and its slices.
impl<K: Key, D, F, A, S> State for CountWindows<K, D, F, A, S>
where
    S: Serialize + DeserializeOwned,
{
    fn shape(&self) -> Shape {
        Shape::of("count_window", &(self.by, self.lateness)).with::<K>().with::<S>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        if std::mem::take(&mut self.ended) {
            // Nothing is open any more, on any worker.
            out.drop_below(SEEN, 1);
            out.drop_below(SLICES, 1);
            self.seen.reset();
            self.slices.reset();
        }
        let done = self.seen.save((SEEN, 0), self.epoch, fuel, out)
            && self.slices.save((SLICES, 0), self.epoch, fuel, out);
        if done {
            self.epoch.advance();
        }
        done
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        match entry.table {
            SEEN => self.seen.load(entry.key()?, entry.value()?),
            _ => self.slices.load(entry.key()?, entry.value()?),
        }
        self.counters.held.add(1);
        Ok(())
    }
}
