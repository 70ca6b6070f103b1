//! Deduplication that passes the first copy by event time, whatever the order of arrival.
//!
//! *In (event time, canonical bytes) order a copy passes iff none passed less than `ttl` before it.*
//! Rows wait until the frontier has left them and the lateness behind, `f > t + lateness`: then no
//! earlier copy can come, and nothing is ever retracted. What passes is a function of the input alone,
//! however it is cut into ticks.
//!
//! ```text
//!   event time ──▶      b@30   a@41        a@30 arrives last, and passes:
//!   frontier                    ▲ 31       it is the first by event time
//! ```

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

use serde::Serialize;
use timely::ExchangeData;

use super::operator::in_time;
use super::{DedupState, Deduplicated, Horizon, SetAside, Verdict};
use crate::events::{Data, Tick};
use crate::key::{Key, StableHash};
use crate::keyed::{self, Keyed};
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Saver, Shape, State};
use crate::tick::{Emit, Fuel, Now, TickLogic, tick_operator};
use crate::time::{EventTime, Span, Timed};

/// The table of what passed.
const PASSED: u8 = 0;
/// The table of rows that wait.
const WAITING: u8 = 1;

impl<'scope, T: Tick, D: ExchangeData + Data, F> Keyed<'scope, T, D, F> {
    /// Lets the first copy of every record by event time pass, once no earlier one can come.
    ///
    /// What passes is a function of the input alone. It comes out later than it came in by the
    /// lateness and by what the input is out of order, and is on time where it comes out: rows up to
    /// the lateness behind the frontier take part, and those behind it by more are on the late
    /// stream. Among copies of one event time the one with the least postcard bytes passes.
    ///
    /// Cost: besides that of [`dedup`](Keyed::dedup) a place in a heap. State: the rows that wait,
    /// and an entry per key that passed. A cut writes the rows and keys that are new since the one
    /// before; rows that have gone are dropped by their time and cost nothing.
    pub fn dedup_first_by_time<K>(self, name: &str, horizon: Horizon) -> Deduplicated<'scope, T, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
    {
        let Keyed { events, key } = self;
        let (_, clock) = events.parts();
        let horizon = horizon.late_by_at_least(clock.late());
        let counters = clock.observer().register(name, "dedup", events.scope().index());
        let pact = keyed::exchange(key.clone());
        let logic = FirstByTime::new(DedupState::<K>::new(horizon), key, counters.clone());
        let (passed, aside) = tick_operator(name, &events, pact, logic, counters);
        let later = clock.delayed(horizon.lateness());
        Deduplicated::new((passed, later.clone().with_late(Span::ZERO)), (aside, later))
    }
}

/// What rows are judged by, in the order of their times, and what becomes of those that pass.
pub(super) trait Judge<D>: 'static {
    /// What rows are copies by.
    type Key: Key;
    /// What is sent.
    type Out: Data;
    /// What the operator's saved state is called.
    const KIND: &'static str;

    /// Judges a row, and sends it or sets it aside.
    fn judge(
        &mut self,
        hash: u64,
        key: Self::Key,
        time: EventTime,
        row: D,
        out: &mut Emit<Self::Out, SetAside<D>>,
    ) -> Verdict;
    /// Forgets what no row can ask for. Whether it is done.
    fn expire(
        &mut self,
        frontier: EventTime,
        fuel: usize,
        out: &mut Emit<Self::Out, SetAside<D>>,
    ) -> bool;
    fn horizon(&self) -> Horizon;
    fn len(&self) -> usize;
    fn bytes(&self) -> usize;
    fn save(&mut self, table: u8, fuel: &mut Fuel, out: &mut Saver) -> bool;
    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt>;
}

impl<K: Key, D: Data> Judge<D> for DedupState<K> {
    type Key = K;
    type Out = D;
    const KIND: &'static str = "dedup first by time";

    fn judge(
        &mut self,
        hash: u64,
        key: K,
        time: EventTime,
        row: D,
        out: &mut Emit<D, SetAside<D>>,
    ) -> Verdict {
        let verdict = self.insert(hash, key, time);
        match verdict {
            Verdict::First => out.rows.push(Timed::on_time(time, row)),
            Verdict::Duplicate => {
                out.side.push(Timed::on_time(time, SetAside::Duplicate(row)));
            }
        }
        verdict
    }

    fn expire(&mut self, frontier: EventTime, fuel: usize, _: &mut Emit<D, SetAside<D>>) -> bool {
        DedupState::expire(self, frontier, fuel)
    }

    fn horizon(&self) -> Horizon {
        DedupState::horizon(self)
    }

    fn len(&self) -> usize {
        DedupState::len(self)
    }

    fn bytes(&self) -> usize {
        DedupState::bytes(self)
    }

    fn save(&mut self, table: u8, fuel: &mut Fuel, out: &mut Saver) -> bool {
        DedupState::save(self, table, fuel, out)
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        DedupState::load(self, entry)
    }
}

/// Whether a row is part of a cut, and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// It came after the last cut.
    New,
    /// It came before it.
    Saved,
    /// It came before a restart, and was counted then.
    Restored,
}

/// A row that waits. Ordered by time, and so that copies are side by side.
#[derive(Debug)]
struct Waiting<D> {
    time: EventTime,
    hash: u64,
    origin: Origin,
    data: D,
}

impl<D> PartialEq for Waiting<D> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<D> Eq for Waiting<D> {}

impl<D> PartialOrd for Waiting<D> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<D> Ord for Waiting<D> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.hash).cmp(&(other.time, other.hash))
    }
}

/// Rows that wait for their turn, and the memory of those that passed.
pub(super) struct FirstByTime<F, D, J> {
    key: F,
    passed: J,
    waiting: BinaryHeap<Reverse<Waiting<D>>>,
    /// Copies that are judged together.
    copies: Vec<Waiting<D>>,
    /// The rows that wait, while they are being saved, and how many have been looked at.
    saving: Option<(Vec<Reverse<Waiting<D>>>, usize)>,
    frontier: EventTime,
    /// Rows have left that are part of a cut.
    dropped: bool,
    counters: Arc<Counters>,
}

impl<F, D, J: Judge<D>> FirstByTime<F, D, J> {
    /// Nothing waits.
    pub(super) fn new(passed: J, key: F, counters: Arc<Counters>) -> Self {
        FirstByTime {
            key,
            passed,
            waiting: BinaryHeap::new(),
            copies: Vec::new(),
            saving: None,
            frontier: EventTime::MIN,
            dropped: false,
            counters,
        }
    }

    /// Whether no row that is earlier can come any more, nor one of the same time.
    fn is_due(&self, time: EventTime) -> bool {
        self.frontier == EventTime::MAX || self.passed.horizon().is_late(time, self.frontier)
    }

    /// Takes all copies of one time and hash that are due into `copies`, in order. Whether there are
    /// any.
    fn take_due(&mut self) -> bool
    where
        D: Serialize,
    {
        let Some(Reverse(first)) = self.waiting.peek() else { return false };
        let (time, hash) = (first.time, first.hash);
        if !self.is_due(time) {
            return false;
        }
        while let Some(next) = self.waiting.peek_mut()
            && (next.0.time, next.0.hash) == (time, hash)
        {
            self.copies.push(PeekMut::pop(next).0);
        }
        if self.copies.len() > 1 {
            self.copies.sort_by_cached_key(|copy| canonical(&copy.data));
        }
        true
    }

    fn count(&self) {
        let waiting = self.waiting.len() + self.saving.as_ref().map_or(0, |(rows, _)| rows.len());
        self.counters.held.set((self.passed.len() + waiting) as u64);
        let waiting = self.waiting.capacity() * size_of::<Waiting<D>>();
        self.counters.bytes.set((self.passed.bytes() + waiting) as u64);
    }
}

/// The bytes that order rows of one time: the same on every machine.
pub(super) fn canonical<D: Serialize>(data: &D) -> Vec<u8> {
    postcard::to_stdvec(data).expect("what is exchanged between workers can be written down")
}

impl<D, F, J> TickLogic<D> for FirstByTime<F, D, J>
where
    D: ExchangeData + Data,
    F: Fn(&D) -> J::Key + 'static,
    J: Judge<D>,
{
    type Out = J::Out;
    type Side = SetAside<D>;

    fn apply(
        &mut self,
        before: EventTime,
        rows: &mut Vec<Timed<D>>,
        out: &mut Emit<J::Out, SetAside<D>>,
    ) {
        let (all, mut late) = (rows.len() as u64, 0);
        for row in rows.drain(..) {
            match in_time(row, before, self.passed.horizon()) {
                Ok(Timed { time, data, .. }) => {
                    let hash = (self.key)(&data).stable_hash();
                    self.waiting.push(Reverse(Waiting { time, hash, origin: Origin::New, data }));
                }
                Err(row) => {
                    late += 1;
                    out.side.push(row.map(SetAside::Late));
                }
            }
        }
        self.counters.late.add(late);
        self.counters.kept.add(all - late);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<J::Out, SetAside<D>>) -> bool {
        self.frontier = now.frontier;
        loop {
            if fuel.left() == 0 {
                return false;
            }
            if !self.take_due() {
                break;
            }
            fuel.burn(self.copies.len());
            for Waiting { time, hash, origin, data } in self.copies.drain(..) {
                self.dropped |= origin != Origin::New;
                let key = (self.key)(&data);
                let verdict = self.passed.judge(hash, key, time, data, out);
                if verdict == Verdict::Duplicate && origin != Origin::Restored {
                    // It was kept when it came; now it is known to be a copy.
                    self.counters.kept.set(self.counters.kept.get() - 1);
                    self.counters.duplicate.add(1);
                }
            }
        }
        // Only now: rows that waited were judged by what is forgotten here.
        let held = self.passed.len();
        let done = self.passed.expire(now.frontier, fuel.left(), out);
        fuel.burn(held - self.passed.len());
        self.count();
        done
    }
}

/// Entries are the keys that passed, and the rows that wait: how many of each, in the bucket of
/// their time, so that all which have left are dropped by the frontier.
impl<D, F, J> State for FirstByTime<F, D, J>
where
    D: ExchangeData + Data,
    F: Fn(&D) -> J::Key + 'static,
    J: Judge<D>,
{
    fn shape(&self) -> Shape {
        Shape::of(J::KIND, &self.passed.horizon()).with::<J::Key>().with::<D>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        if self.saving.is_none() {
            self.saving = Some((std::mem::take(&mut self.waiting).into_vec(), 0));
        }
        let (rows, looked_at) = self.saving.as_mut().expect("it has just been made");
        let until = rows.len().min(looked_at.saturating_add(fuel.left()));
        for Reverse(row) in &mut rows[*looked_at..until] {
            if row.origin == Origin::New {
                row.origin = Origin::Saved;
                let (bucket, beyond) = bucket(row.time);
                out.add(WAITING, bucket, row.hash, &(beyond, &row.data), 1);
            }
        }
        fuel.burn(until - *looked_at);
        *looked_at = until;
        if until < rows.len() || !self.passed.save(PASSED, fuel, out) {
            return false;
        }
        if let Some((rows, _)) = self.saving.take() {
            // They were a heap before, and their order has not changed.
            self.waiting = BinaryHeap::from(rows);
        }
        if std::mem::take(&mut self.dropped) {
            out.drop_below(WAITING, self.frontier.minus(self.passed.horizon().lateness()).micros());
        }
        true
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        match entry.table {
            PASSED => self.passed.load(entry)?,
            _ => {
                let (beyond, data): (i64, D) = entry.key()?;
                let time = EventTime::from_micros(entry.bucket + beyond);
                let hash = (self.key)(&data).stable_hash();
                for _ in 0..entry.value::<i64>()? {
                    let (origin, data) = (Origin::Restored, data.clone());
                    self.waiting.push(Reverse(Waiting { time, hash, origin, data }));
                }
            }
        }
        self.count();
        Ok(())
    }
}

/// The bucket of a row, and how far it is beyond it: the last bucket of all could not be dropped.
fn bucket(time: EventTime) -> (i64, i64) {
    let bucket = time.micros().min(i64::MAX - 1);
    (bucket, time.micros() - bucket)
}

#[cfg(test)]
mod tests;
