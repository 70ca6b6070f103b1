//! From views back to streams.

use std::sync::Arc;

use differential_dataflow::consolidation::consolidate;
use differential_dataflow::lattice::Lattice;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use super::row::{Row, hash_of};
use super::{Element, View};
use crate::change::{Change, Changes};
use crate::events::{Data, Events, Tick};
use crate::exchange::exchange_by;
use crate::keeps_nothing;
use crate::key::route;
use crate::observe::Counters;
use crate::tick::{Emit, Fuel, Now, TickLogic, tick_operator};
use crate::time::{EventTime, Span, Timed};

impl<'scope, T: Tick + Lattice, D: Element> View<'scope, T, D> {
    /// The changes of each tick: what is in the view as of its end and was not before, and what is
    /// no longer. *The changes up to tick e add up to the view as of the end of e.*
    ///
    /// A row is sent at most once a tick, with by how much its count has changed. Its event time is
    /// the frontier as of the tick before: nothing that comes out of a view is late. Rows are
    /// exchanged so that equal ones meet. Cost: the changes of a tick are held and sorted.
    pub fn changelog(&self, name: &str) -> Changes<'scope, T, D> {
        let send = |changes: &mut Vec<(D, i64)>| {
            changes.drain(..).map(|(data, diff)| Change { data, diff }).collect()
        };
        Changes::from_events(self.each_tick(name, "changelog", hash_of, send))
    }

    /// A stream of what each tick's changes, sorted and added up, come to. Rows whose `place` is
    /// equal meet on one worker.
    fn each_tick<O: Data>(
        &self,
        name: &str,
        kind: &'static str,
        place: impl Fn(&D, &mut Vec<u8>) -> u64 + 'static,
        send: impl FnMut(&mut Vec<(D, i64)>) -> Vec<O> + 'static,
    ) -> Events<'scope, T, O> {
        let clock = self.clock.clone().with_late(Span::ZERO);
        let counters = clock.observer().register(name, kind, self.scope().index());
        let updates = Events::from_parts(self.updates(place, false), clock.clone());
        let pact = exchange_by(|row: &Timed<Change<Row<D>>>| route(row.data.data.hash));
        let logic =
            EachTick { changes: Vec::new(), sending: None, send, counters: counters.clone() };
        let (rows, _) = tick_operator(name, &updates, pact, logic, counters);
        Events::from_parts(rows, clock)
    }

    /// The changes, each at its own tick. What a dataflow said before it went on after a cut has
    /// been said, and is there only if all are wanted.
    pub(super) fn updates(
        &self,
        place: impl Fn(&D, &mut Vec<u8>) -> u64 + 'static,
        all: bool,
    ) -> StreamVec<'scope, T, Timed<Change<Row<D>>>> {
        let said = self.clock.keeper().restored_at().filter(|_| !all).cloned();
        let mut scratch = Vec::new();
        self.rows.inner.clone().unary(Pipeline, "Updates", move |_, _| {
            move |input, output| {
                input.for_each(|cap, updates| {
                    updates.retain(|(_, tick, _)| said.as_ref().is_none_or(|said| tick > said));
                    // Differential sends changes of several ticks in one go.
                    updates.sort_by(|(_, a, _), (_, b, _)| a.cmp(b));
                    let mut row = |data, diff: isize| {
                        let data = Row { hash: place(&data, &mut scratch), data };
                        // Event time has no meaning here; the end of time is never behind.
                        Timed::on_time(EventTime::MAX, Change { data, diff: diff as i64 })
                    };
                    let mut updates = updates.drain(..).peekable();
                    while let Some((data, tick, diff)) = updates.next() {
                        let cap = cap.delayed(&tick, 0);
                        let mut session = output.session(&cap);
                        session.give(row(data, diff));
                        while let Some((data, _, diff)) = updates.next_if(|next| next.1 == tick) {
                            session.give(row(data, diff));
                        }
                    }
                });
            }
        })
    }
}

impl<'scope, T: Tick + Lattice, K: Element, V: Element> View<'scope, T, (K, V)> {
    /// For each key that has changed in a tick its new value, or `None` if it has none any more: one
    /// row per key and tick, for sinks that hold one value per key. For views that have at most one
    /// row per key, as counts, sums, least and greatest values and upserts do. Event times are those
    /// of [`changelog`](Self::changelog).
    ///
    /// # Panics
    /// When it sees a key with more than one row.
    pub fn upserts(&self, name: &str) -> Events<'scope, T, (K, Option<V>)> {
        let place = |(key, _): &(K, V), scratch: &mut Vec<u8>| hash_of(key, scratch);
        let called = name.to_owned();
        let send = move |changes: &mut Vec<((K, V), i64)>| {
            let mut rows: Vec<(K, Option<V>)> = Vec::new();
            let mut removed = 0;
            for ((key, value), diff) in changes.drain(..) {
                if rows.last().is_none_or(|(last, _)| *last != key) {
                    rows.push((key, None));
                    removed = 0;
                }
                let (_, now) = rows.last_mut().expect("one was pushed");
                match diff {
                    1 if now.is_none() => *now = Some(value),
                    -1 if removed == 0 => removed = 1,
                    _ => panic!("upserts `{called}`: the view has several rows for one key"),
                }
            }
            rows
        };
        self.each_tick(name, "upserts", place, send)
    }
}

/// Gathers a tick's changes and sends what they come to.
struct EachTick<D, O, F> {
    changes: Vec<(D, i64)>,
    /// What is still to be sent of this tick.
    sending: Option<std::vec::IntoIter<O>>,
    send: F,
    counters: Arc<Counters>,
}

keeps_nothing!(EachTick<D, O, F>; D, O, F);

impl<D, O, F> TickLogic<Change<Row<D>>> for EachTick<D, O, F>
where
    D: Element,
    O: Data,
    F: FnMut(&mut Vec<(D, i64)>) -> Vec<O> + 'static,
{
    type Out = O;
    type Side = ();

    fn apply(&mut self, _: EventTime, rows: &mut Vec<Timed<Change<Row<D>>>>, _: &mut Emit<O, ()>) {
        self.counters.kept.add(rows.len() as u64);
        let changes = rows.drain(..).map(|row| (row.data.data.data, row.data.diff));
        self.changes.extend(changes);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<O, ()>) -> bool {
        let sending = self.sending.get_or_insert_with(|| {
            consolidate(&mut self.changes);
            (self.send)(&mut self.changes).into_iter()
        });
        let some = sending.len().min(fuel.left());
        let on_time = |data| Timed::on_time(now.before, data);
        out.rows.extend(sending.by_ref().take(some).map(on_time));
        fuel.burn(some);
        let done = sending.len() == 0;
        if done {
            self.sending = None;
        }
        done
    }
}
