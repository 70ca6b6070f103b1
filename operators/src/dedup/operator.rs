//! Deduplication as an operator on a keyed stream.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use timely::ExchangeData;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::Operator;

use super::{DedupState, Horizon, Verdict};
use crate::events::{Data, Events, Tick};
use crate::key::{Key, route};
use crate::keyed::Keyed;
use crate::observe::Counters;
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
pub struct Deduplicated<'scope, T: Tick, D: Data> {
    passed: Events<'scope, T, D>,
    aside: Events<'scope, T, SetAside<D>>,
}

impl<'scope, T: Tick, D: Data> Deref for Deduplicated<'scope, T, D> {
    type Target = Events<'scope, T, D>;

    fn deref(&self) -> &Self::Target {
        &self.passed
    }
}

impl<'scope, T: Tick, D: Data> Deduplicated<'scope, T, D> {
    /// The first copy of every record.
    pub fn passed(&self) -> Events<'scope, T, D> {
        self.passed.clone()
    }

    /// The records that came too late to be judged, as they came.
    pub fn late(&self) -> Events<'scope, T, D> {
        self.pick("Late", |row| if let SetAside::Late(row) = row { Some(row) } else { None })
    }

    /// The records of which a copy had passed.
    pub fn duplicates(&self) -> Events<'scope, T, D> {
        let duplicate = |row| if let SetAside::Duplicate(row) = row { Some(row) } else { None };
        self.pick("Duplicates", duplicate)
    }

    fn pick(
        &self,
        name: &str,
        choose: impl Fn(SetAside<D>) -> Option<D> + 'static,
    ) -> Events<'scope, T, D> {
        self.aside.rows(|rows| {
            rows.unary(Pipeline, name, |_, _| {
                move |input, output| {
                    input.for_each(|tick, rows| {
                        let chosen = rows.drain(..).filter_map(|Timed { time, behind, data }| {
                            Some(Timed { time, behind, data: choose(data)? })
                        });
                        output.session(&tick).give_iterator(chosen);
                    });
                }
            })
        })
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data, F> Keyed<'scope, T, D, F> {
    /// Lets the first copy of every record pass, at once; see the [module](super) for which one.
    ///
    /// Rows are exchanged so that all copies of a key meet on one worker. Cost: a hash and at most
    /// three table lookups a row. State: an entry per key and kept time, until the frontier is the
    /// horizon and the lateness past it.
    pub fn dedup<K>(self, name: &str, horizon: Horizon) -> Deduplicated<'scope, T, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
    {
        let Keyed { events, key } = self;
        let (_, clock) = events.parts();
        let horizon = horizon.late_by_at_least(clock.late());
        let counters = clock.observer().register(name, "dedup", events.scope().index());
        let by_key = key.clone();
        let pact = Exchange::new(move |row: &Timed<D>| route(by_key(&row.data).stable_hash()));
        let logic = FirstSeen { key, state: DedupState::new(horizon), counters: counters.clone() };
        let (passed, aside) = tick_operator(name, &events, pact, logic, counters);
        Deduplicated {
            passed: Events::from_parts(passed, clock.clone()),
            aside: Events::from_parts(aside, clock),
        }
    }
}

crate::keeps_nothing!(FirstSeen<K, F>; K: Key, F);

/// Judges rows as they come.
struct FirstSeen<K, F> {
    key: F,
    state: DedupState<K>,
    counters: Arc<Counters>,
}

impl<K: Key, D: Data, F: Fn(&D) -> K + 'static> TickLogic<D> for FirstSeen<K, F> {
    type Out = D;
    type Side = SetAside<D>;

    fn apply(
        &mut self,
        before: EventTime,
        rows: &mut Vec<Timed<D>>,
        out: &mut Emit<D, SetAside<D>>,
    ) {
        let (mut late, mut duplicates, mut passed) = (0, 0, 0);
        for row in rows.drain(..) {
            let seen = row.seen_frontier().max(before);
            if self.state.horizon().is_late(row.time, seen) {
                late += 1;
                let behind = row.time.behind(seen);
                out.side.push(Timed { behind, time: row.time, data: SetAside::Late(row.data) });
                continue;
            }
            let key = (self.key)(&row.data);
            match self.state.insert(key.stable_hash(), &key, row.time) {
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
        done
    }
}
