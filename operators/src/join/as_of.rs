//! As-of join: each left row with the row of the other stream that was valid when it happened.
//!
//! *A left row at l is a result in the first tick e with `f_right(e) > l + lateness`, together with
//! the newest accepted right row of its key at or before l, if there is one.* The decision is made
//! at the tick's end. Of several right rows of a key at one instant the one with the greatest bytes
//! counts, as nothing tells which came first.
//!
//! ```text
//!  right ──── r1 ─────────── r2 ──────────── r3 ──▶ event time
//!  left  ─────────── l1 ──────────── l2 ─────────▶
//!                    r1              r2
//! ```
//!
//! [`AsOf::forward`] takes the first right row at or after l, [`AsOf::nearest`] the nearest of both
//! (of two at the same distance the earlier), each within a tolerance. A row can only meet what is
//! within it, so the row waits that much longer. A pair has the time `max(l, r.time)`; a left row
//! without a partner that of the last one that it could have had, `l` or `l + tolerance`.
//!
//! A row is refused iff its time is less than F − lateness, F being its partition's frontier when it
//! was read. Results are never withdrawn: they wait for what may still be late.
//!
//! Cost: a hash and one push onto a heap of rows for a left row; a hash, a lookup and an insertion
//! for a right one. State: left rows until they are sent. Of the right side: the newest row of every
//! key at or before `min(f_left − lateness, f_right − lateness)`, and all later ones; a key that is
//! not heard of again keeps its last row until both inputs end, but with a tolerance, which lets it
//! go. The lesser of both frontiers counts, not the left one alone: rows of a left side that is ahead
//! wait for the right one, and have to find the versions of their own time.
//!
//! No result is behind the stream's frontier: it is at or after its left row's time l. That row has
//! either just come, so l ≥ f_left − lateness as of the tick before, or has waited there, so
//! l ≥ f_right − lateness − tolerance, the tolerance being zero for the backward direction. The
//! stream's delay is the greater of these, zero without lateness and tolerance.

use std::time::Duration;

use timely::ExchangeData;

use super::kind::{Inner, Kind, LeftOuter};
use super::versions::{Pick, Plan, VersionJoin};
use super::{Joined, keyed_pact};
use crate::events::{Data, Events, Tick};
use crate::exchange::exchange_by;
use crate::key::Key;
use crate::keyed::Keyed;
use crate::tick::tick_operator_2;
use crate::time::Span;

/// Which right row a left row meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf(Pick);

impl AsOf {
    /// The newest one at or before it.
    pub fn backward() -> Self {
        AsOf(Pick::Backward(None))
    }

    /// The newest one at or before it, if that is not older than this.
    pub fn backward_within(tolerance: Duration) -> Self {
        AsOf(Pick::Backward(Some(tolerance.into())))
    }

    /// The first one at or after it, if that is not later than this.
    pub fn forward(tolerance: Duration) -> Self {
        AsOf(Pick::Forward(tolerance.into()))
    }

    /// The nearest one in either direction, if that is not further away than this.
    pub fn nearest(tolerance: Duration) -> Self {
        AsOf(Pick::Nearest(tolerance.into()))
    }
}

/// Two keyed streams that are to be joined as of the left one's event times.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use tiderace_operators::join::AsOf;
/// use tiderace_operators::prelude::*;
///
/// let results = Arc::new(Mutex::new(Vec::new()));
/// let late = Arc::new(Mutex::new(Vec::new()));
/// let (into, late_into) = (results.clone(), late.clone());
/// timely::execute_directly(move |worker| {
///     let observer = Observer::default();
///     let (mut trades, mut quotes) = worker.dataflow::<u64, _, _>(|scope| {
///         let policy = Policy::bounded(secs(2));
///         let (trades_in, trades) = EventInput::<(u32, i64)>::new(scope, 0, policy, &observer);
///         let (quotes_in, quotes) = EventInput::<(u32, i64)>::new(scope, 1, policy, &observer);
///         let quoted = trades
///             .key_by(|trade| trade.0)
///             .join_as_of("quoted", quotes.key_by(|quote| quote.0), AsOf::backward())
///             .left();
///         quoted.inspect(move |row| {
///             let (trade, quote) = row.data;
///             into.lock().unwrap().push((row.time.millis() / 1_000, trade.1, quote.map(|q| q.1)));
///         });
///         quoted.late_right().inspect(move |row| late_into.lock().unwrap().push(row.data.1));
///         (trades_in, quotes_in)
///     });
///     let at = EventTime::from_secs;
///     trades.send(0, at(9), (7, 1));
///     trades.send(0, at(15), (7, 2));
///     trades.end_tick();
///     quotes.send(0, at(16), (7, 102));
///     quotes.send(0, at(14), (7, 101)); // two seconds behind: waited for
///     quotes.send(0, at(11), (7, 100)); // three: late
///     quotes.finish();
///     trades.finish();
/// });
/// let mut results = results.lock().unwrap().clone();
/// results.sort();
/// assert_eq!(results, [(9, 1, None), (15, 2, Some(101))]);
/// assert_eq!(*late.lock().unwrap(), [100]);
/// ```
pub struct JoinAsOf<'scope, T: Tick, L: Data, R: Data, FL, FR> {
    name: String,
    left: Keyed<'scope, T, L, FL>,
    right: Keyed<'scope, T, R, FR>,
    as_of: AsOf,
    lateness: Span,
}

impl<'scope, T: Tick, L: Data, FL> Keyed<'scope, T, L, FL> {
    /// Joins each row with the row of the same key on the other stream that was valid at its time.
    pub fn join_as_of<R: Data, FR>(
        self,
        name: &str,
        right: Keyed<'scope, T, R, FR>,
        as_of: AsOf,
    ) -> JoinAsOf<'scope, T, L, R, FL, FR> {
        JoinAsOf { name: name.to_owned(), left: self, right, as_of, lateness: Span::ZERO }
    }
}

impl<'scope, T, K, L, R, FL, FR> JoinAsOf<'scope, T, L, R, FL, FR>
where
    T: Tick,
    K: Key,
    L: ExchangeData + Data,
    R: ExchangeData + Data,
    FL: Fn(&L) -> K + Clone + 'static,
    FR: Fn(&R) -> K + Clone + 'static,
{
    /// Accepts rows of either side that are this far behind their partition's frontier, and waits
    /// that much longer for those of the right one.
    #[must_use]
    pub fn allow_late(mut self, lateness: Duration) -> Self {
        self.lateness = lateness.into();
        self
    }

    /// Left rows that have a partner, each with it.
    pub fn inner(self) -> Joined<'scope, T, Events<'scope, T, (L, R)>, L, R> {
        self.build::<Inner>()
    }

    /// All left rows, each with its partner if there is one.
    pub fn left(self) -> Joined<'scope, T, Events<'scope, T, (L, Option<R>)>, L, R> {
        self.build::<LeftOuter>()
    }

    fn build<J: Kind<L, R>>(self) -> Joined<'scope, T, Events<'scope, T, J::Out>, L, R> {
        let JoinAsOf { name, left, right, as_of: AsOf(pick), lateness } = self;
        let (left_clock, right_clock) = (left.events.clock(), right.events.clock());
        let late = (lateness.max(left_clock.late()), lateness.max(right_clock.late()));
        let scope = left.events.scope();
        let counters = left_clock.observer().register(&name, "as_of_join", scope.index());
        let pact = exchange_by(keyed_pact::<L, R, K>(left.key.clone(), right.key.clone()));
        let plan = Plan { pick, late, shared: None };
        let of = right.key;
        let split = move |row: R| (of(&row), Some(row));
        let logic =
            VersionJoin::<K, L, R, R, _, _, J>::new(plan, left.key, split, counters.clone());
        let (results, refused) =
            tick_operator_2(&name, &left.events, &right.events, pact, logic, counters);
        let clock = left_clock.union(&right_clock);
        Joined::new(
            Events::from_parts(results, clock.clone().delayed(plan.delay()).with_late(Span::ZERO)),
            Events::from_parts(refused, clock),
        )
    }
}
