//! Deduplication as an operator on a keyed stream.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use timely::ExchangeData;
use timely::dataflow::StreamVec;

use super::state::Memory;
use super::{DedupState, Horizon, Verdict};
use crate::events::{Clock, Data, Events, Tick};
use crate::key::Key;
use crate::keyed::{self, Keyed};
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Saver, Shape, State};
use crate::tick::{Emit, Fuel, Now, TickLogic, tick_operator};
use crate::time::{EventTime, Timed};

/// A row that did not pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetAside<D> {
    /// It came too late to be judged.
    Late(D),
    /// A copy of it passed before.
    Duplicate(D),
}

/// The rows that passed, and on streams of their own those that did not.
///
/// It stands for the stream of rows that passed wherever one is asked for.
pub struct Deduplicated<'scope, T: Tick, D: Data, R: Data = D> {
    passed: Events<'scope, T, R>,
    aside: Events<'scope, T, SetAside<D>>,
}

impl<'scope, T: Tick, D: Data, R: Data> Deref for Deduplicated<'scope, T, D, R> {
    type Target = Events<'scope, T, R>;

    fn deref(&self) -> &Self::Target {
        &self.passed
    }
}

impl<'scope, T: Tick, D: Data, R: Data> Deduplicated<'scope, T, D, R> {
    pub(super) fn new(
        (passed, passed_clock): (StreamVec<'scope, T, Timed<R>>, Clock<'scope, T>),
        (aside, aside_clock): (StreamVec<'scope, T, Timed<SetAside<D>>>, Clock<'scope, T>),
    ) -> Self {
        Deduplicated {
            passed: Events::from_parts(passed, passed_clock),
            aside: Events::from_parts(aside, aside_clock),
        }
    }

    /// The first copy of every record.
    pub fn passed(&self) -> Events<'scope, T, R> {
        self.passed.clone()
    }

    /// The records that came too late to be judged, as they came.
    pub fn late(&self) -> Events<'scope, T, D> {
        self.aside.pick("Late", |row| if let SetAside::Late(row) = row { Some(row) } else { None })
    }

    /// The records of which a copy had passed.
    pub fn duplicates(&self) -> Events<'scope, T, D> {
        let duplicate = |row| if let SetAside::Duplicate(row) = row { Some(row) } else { None };
        self.aside.pick("Duplicates", duplicate)
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data, F> Keyed<'scope, T, D, F> {
    /// Lets the first copy of every record pass, at once; see the [module](super) for which one.
    ///
    /// Rows are exchanged so that all copies of a key meet on one worker. Cost: a hash and at most
    /// three table lookups a row. State: an entry per key and kept time, until the frontier is the
    /// horizon and the lateness past it. A cut writes the keys that are new since the one before.
    pub fn dedup<K>(self, name: &str, horizon: Horizon) -> Deduplicated<'scope, T, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
    {
        self.first_seen(name, horizon, DedupState::new)
    }

    /// The same where a duplicate prolongs the horizon: *a copy passes iff no copy, whether it
    /// passed or not, came before it that is less than `ttl` from it.* A key that is repeated for ever
    /// passes once.
    ///
    /// Which of several copies of different event times pass depends on the order in which they
    /// come, within a tick too. State: an entry per key and stretch of time as long as `ttl`.
    pub fn dedup_refreshing<K>(self, name: &str, horizon: Horizon) -> Deduplicated<'scope, T, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
    {
        self.first_seen(name, horizon, DedupState::refreshing)
    }

    fn first_seen<K, M>(
        self,
        name: &str,
        horizon: Horizon,
        state: impl FnOnce(Horizon) -> DedupState<K, M>,
    ) -> Deduplicated<'scope, T, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        M: Memory + 'static,
    {
        let Keyed { events, key } = self;
        let (_, clock) = events.parts();
        let state = state(horizon.late_by_at_least(clock.late()));
        let counters = clock.observer().register(name, "dedup", events.scope().index());
        let pact = keyed::exchange(key.clone());
        let ahead = Vec::with_capacity(AHEAD);
        let logic = FirstSeen { key, state, ahead, counters: counters.clone() };
        let (passed, aside) = tick_operator(name, &events, pact, logic, counters);
        Deduplicated::new((passed, clock.clone()), (aside, clock))
    }
}

/// For how many rows memory is asked for before they are judged: as many as the misses that a core
/// can wait for at once, and then some.
const AHEAD: usize = 32;

/// Judges rows as they come.
struct FirstSeen<K, F, M> {
    key: F,
    state: DedupState<K, M>,
    /// Hashes and keys of the next rows.
    ahead: Vec<(u64, K)>,
    counters: Arc<Counters>,
}

impl<K: Key, D: Data, F: Fn(&D) -> K + 'static, M: Memory + 'static> TickLogic<D>
    for FirstSeen<K, F, M>
{
    type Out = D;
    type Side = SetAside<D>;

    fn apply(
        &mut self,
        before: EventTime,
        rows: &mut Vec<Timed<D>>,
        out: &mut Emit<D, SetAside<D>>,
    ) {
        let (mut late, mut duplicates, mut passed) = (0, 0, 0);
        let mut rows = rows.drain(..);
        while rows.len() > 0 {
            let next = &rows.as_slice()[..rows.len().min(AHEAD)];
            self.ahead.extend(next.iter().map(|row| {
                let key = (self.key)(&row.data);
                (key.stable_hash(), key)
            }));
            let [first, last] =
                next.iter().fold([EventTime::MAX, EventTime::MIN], |[a, b], row| {
                    [a.min(row.time), b.max(row.time)]
                });
            let horizon = self.state.horizon();
            let mut batch = self.state.between(first, last);
            next.iter().zip(&self.ahead).for_each(|(row, (hash, _))| batch.warm(*hash, row.time));
            for ((hash, key), row) in self.ahead.drain(..).zip(rows.by_ref()) {
                let row = match in_time(row, before, horizon) {
                    Ok(row) => row,
                    Err(row) => {
                        late += 1;
                        out.side.push(row.map(SetAside::Late));
                        continue;
                    }
                };
                match batch.insert(hash, key, row.time) {
                    Verdict::First => {
                        passed += 1;
                        out.rows.push(row);
                    }
                    Verdict::Duplicate => {
                        duplicates += 1;
                        out.side.push(row.map(SetAside::Duplicate));
                    }
                }
            }
        }
        self.counters.late.add(late);
        self.counters.duplicate.add(duplicates);
        self.counters.kept.add(passed);
        self.counters.held.set(self.state.len() as u64);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, _: &mut Emit<D, SetAside<D>>) -> bool {
        let before = self.state.len();
        let done = self.state.expire(now.frontier, fuel.left());
        fuel.burn(before - self.state.len());
        self.counters.held.set(self.state.len() as u64);
        self.counters.bytes.set(self.state.bytes() as u64);
        done
    }
}

/// Entries are the keys that passed.
impl<K: Key, F, M: Memory> State for FirstSeen<K, F, M> {
    fn shape(&self) -> Shape {
        Shape::of(M::KIND, &self.state.horizon()).with::<K>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        self.state.save(0, fuel, out)
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        self.state.load(entry)?;
        self.counters.held.set(self.state.len() as u64);
        Ok(())
    }
}

/// The row if it is not too late to be judged, or else as it goes to the late stream.
#[inline]
pub(super) fn in_time<D>(
    row: Timed<D>,
    before: EventTime,
    horizon: Horizon,
) -> Result<Timed<D>, Timed<D>> {
    let seen = row.seen_frontier().max(before);
    match horizon.is_late(row.time, seen) {
        true => Err(Timed { behind: row.time.behind(seen), ..row }),
        false => Ok(row),
    }
}
