//! The whole contents of a view, from time to time.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::Duration;

use differential_dataflow::lattice::Lattice;
use serde::{Deserialize, Serialize};

use super::row::{Row, hash_of};
use super::{Element, View};
use crate::change::Change;
use crate::events::{Events, Tick};
use crate::exchange::exchange_by;
use crate::keeps_nothing;
use crate::key::route;
use crate::observe::Counters;
use crate::tick::{Emit, Fuel, Now, TickLogic, tick_operator};
use crate::time::{EventTime, Span, Timed};

/// A row that a view held at some instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Snapshot<D> {
    /// The instant: all rows with the same one are the contents of the view. The end of time when
    /// the input has ended.
    pub at: EventTime,
    /// The row.
    pub data: D,
    /// How often the view held it.
    pub count: i64,
}

impl<'scope, T: Tick + Lattice, D: Element> View<'scope, T, D> {
    /// All rows of the view, whenever event time has come further by a period.
    ///
    /// *Let m be the last multiple of `every` that f(e) has reached. If f(e−1) < m, every row that
    /// the view holds as of the end of tick e is sent once in tick e, with m and how often it is
    /// there; when the input has ended, what the view holds in the end.* Several multiples passed in
    /// one tick give one snapshot. An empty view has no rows to send.
    ///
    /// Which of the rows around an instant are in its snapshot depends on where ticks end, as with
    /// all that views say of single ticks; the last snapshot is a function of the input alone. Event
    /// times are those of [`changelog`](Self::changelog).
    ///
    /// Rows are exchanged so that equal ones meet. State: the rows of the view, held in a tree beside
    /// the view itself, and nothing at cuts, because the view gives them again. Cost: a place in the
    /// tree per change, and at each snapshot every row of the view.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use tiderace_operators::prelude::*;
    ///
    /// let stock = Arc::new(Mutex::new(Vec::new()));
    /// let into = stock.clone();
    /// timely::execute_directly(move |worker| {
    ///     let observer = Observer::default();
    ///     let mut moves = worker.dataflow::<u64, _, _>(|scope| {
    ///         let policy = Policy::bounded(secs(0));
    ///         let (input, moves) = EventInput::<(u32, i64)>::new(scope, 0, policy, &observer);
    ///         let stock = moves.view("moves", Retain::forever()).sum(|&pieces| pieces);
    ///         stock.snapshots("stock", secs(60)).inspect(move |row| {
    ///             let Snapshot { at, data, .. } = row.data;
    ///             into.lock().unwrap().push((at.micros() / 1_000_000, data));
    ///         });
    ///         input
    ///     });
    ///     moves.send(0, EventTime::from_secs(10), (7, 100));
    ///     moves.send(0, EventTime::from_secs(61), (7, -20));
    ///     moves.end_tick(); // the frontier is at 61 s: a snapshot as of 60 s
    ///     for _ in 0..20 { worker.step(); }
    ///     moves.send(0, EventTime::from_secs(62), (8, 3));
    ///     moves.send(0, EventTime::from_secs(30), (7, -1)); // late, and counted
    ///     moves.end_tick(); // no further minute has passed
    ///     for _ in 0..20 { worker.step(); }
    ///     moves.finish();
    /// });
    /// let mut stock = stock.lock().unwrap().clone();
    /// stock.sort();
    /// let end = EventTime::MAX.micros() / 1_000_000;
    /// assert_eq!(stock, [(60, (7, 80)), (end, (7, 79)), (end, (8, 3))]);
    /// ```
    ///
    /// # Panics
    /// If the period is less than a microsecond.
    pub fn snapshots(&self, name: &str, every: Duration) -> Events<'scope, T, Snapshot<D>> {
        let period = Span::from(every).micros();
        assert!(
            period > 0,
            "snapshots `{name}`: the period must be at least 1 us, and is {every:?}"
        );
        let clock = self.clock.clone().with_late(Span::ZERO);
        let counters = clock.observer().register(name, "snapshots", self.scope().index());
        let updates = Events::from_parts(self.updates(hash_of, true), clock.clone());
        let pact = exchange_by(|row: &Timed<Change<Row<D>>>| route(row.data.data.hash));
        let logic = Contents::new(period, counters.clone());
        let (rows, _) = tick_operator(name, &updates, pact, logic, counters);
        Events::from_parts(rows, clock)
    }
}

/// What the view holds, as of the end of the last tick that was completed.
struct Contents<D> {
    period: i64,
    rows: BTreeMap<D, i64>,
    /// The row that was sent last, while a snapshot is being sent.
    sent: Option<D>,
    counters: Arc<Counters>,
}

impl<D> Contents<D> {
    fn new(period: i64, counters: Arc<Counters>) -> Self {
        Contents { period, rows: BTreeMap::new(), sent: None, counters }
    }

    /// The last multiple of the period that the frontier has reached.
    fn reached(&self, frontier: EventTime) -> EventTime {
        match frontier {
            EventTime::MAX | EventTime::MIN => frontier,
            at => {
                let periods = at.micros().div_euclid(self.period);
                EventTime::from_micros(periods.saturating_mul(self.period))
            }
        }
    }
}

keeps_nothing!(Contents<D>; D);

impl<D: Element> TickLogic<Change<Row<D>>> for Contents<D> {
    type Out = Snapshot<D>;
    type Side = ();

    fn apply(
        &mut self,
        _: EventTime,
        rows: &mut Vec<Timed<Change<Row<D>>>>,
        _: &mut Emit<Snapshot<D>, ()>,
    ) {
        self.counters.kept.add(rows.len() as u64);
        for Change { data: Row { data, .. }, diff } in rows.drain(..).map(|row| row.data) {
            use std::collections::btree_map::Entry::{Occupied, Vacant};
            match self.rows.entry(data) {
                Vacant(free) => _ = free.insert(diff),
                Occupied(mut held) => {
                    *held.get_mut() += diff;
                    if *held.get() == 0 {
                        held.remove();
                    }
                }
            }
        }
        self.counters.held.set(self.rows.len() as u64);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<Snapshot<D>, ()>) -> bool {
        let at = self.reached(now.frontier);
        if at <= now.before {
            return true;
        }
        let rest = match &self.sent {
            Some(last) => self.rows.range((Excluded(last), Unbounded)),
            None => self.rows.range(..),
        };
        let (before, most) = (out.rows.len(), fuel.left());
        let snapshot = |(data, &count): (&D, &i64)| {
            Timed::on_time(now.before, Snapshot { at, data: data.clone(), count })
        };
        out.rows.extend(rest.take(most).map(snapshot));
        let sent = out.rows.len() - before;
        fuel.burn(sent);
        let done = sent < most;
        if done {
            self.sent = None;
        } else if sent > 0 {
            self.sent = out.rows.last().map(|row| row.data.data.clone());
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(rows: u64) -> Contents<u64> {
        let mut contents = Contents::new(10, Arc::default());
        contents.rows = (0..rows).map(|row| (row, 1)).collect();
        contents
    }

    fn close(contents: &mut Contents<u64>, now: (i64, i64), fuel: usize) -> (Vec<u64>, usize) {
        let [before, frontier] = [now.0, now.1].map(EventTime::from_micros);
        let now = Now { before, frontier, wall: EventTime::MIN };
        let (mut out, mut turns) = (Emit::default(), 1);
        while !contents.close(now, &mut Fuel::new(fuel), &mut out) {
            turns += 1;
        }
        (out.rows.into_iter().map(|row| row.data.data).collect(), turns)
    }

    #[test]
    fn a_snapshot_is_sent_in_slices() {
        for (rows, fuel, turns) in [(10, 3, 4), (9, 3, 4), (9, 100, 1), (0, 1, 1)] {
            let mut contents = contents(rows);
            for now in [(9, 10), (10, 25)] {
                assert_eq!(close(&mut contents, now, fuel), ((0..rows).collect(), turns));
            }
        }
    }

    /// A turn without fuel does not make it begin anew.
    #[test]
    fn a_turn_may_have_no_fuel() {
        let mut contents = contents(5);
        let [before, frontier] = [9, 10].map(EventTime::from_micros);
        let now = Now { before, frontier, wall: EventTime::MIN };
        let mut sent = Vec::new();
        for (fuel, done) in [(0, false), (2, false), (0, false), (9, true)] {
            let mut out = Emit::default();
            assert_eq!(contents.close(now, &mut Fuel::new(fuel), &mut out), done);
            sent.extend(out.rows.into_iter().map(|row| row.data.data));
        }
        assert_eq!(sent, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn multiples_of_the_period_count_from_zero() {
        for (now, sent) in
            [((1, 9), 0), ((9, 19), 5), ((10, 19), 0), ((-11, -10), 5), ((-10, -1), 0)]
        {
            assert_eq!(close(&mut contents(5), now, 100).0.len(), sent, "{now:?}");
        }
        let ends = [(i64::MIN, i64::MIN + 1), (i64::MIN, i64::MIN), (i64::MAX, i64::MAX)];
        for now in ends {
            assert!(close(&mut contents(5), now, 100).0.is_empty(), "{now:?}");
        }
        assert_eq!(close(&mut contents(5), (i64::MAX - 1, i64::MAX), 100).0.len(), 5);
    }
}
