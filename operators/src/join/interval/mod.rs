//! Interval join: rows of one key whose event times are not too far apart.
//!
//! *A pair (l, r) of one key is a result iff both rows are accepted and `lower ≤ r.time − l.time ≤
//! upper`. It is sent in the tick in which the later of the two comes, with the event time
//! `max(l.time, r.time)`.* A left row without a partner, where the kind of the join asks for it, has
//! the event time of the last pair that could have been, `max(l.time, l.time + upper)`, and is sent
//! in the first tick e with `f_right(e) > l.time + upper + lateness`; a right one mirrors that:
//! `max(r.time, r.time − lower)`, and `f_left(e) > r.time − lower + lateness`.
//!
//! ```text
//!  left  ──────────────────── l ───────────────────────────────▶ event time
//!                      lower  │       upper
//!  right ──────────┄┄[════════╪══════════════]┄┄┄┄┄┄┄▲─────────▶
//!                     partners of l                  f_right: l has had all its partners
//! ```
//!
//! * **inner, left, right, full**: pairs, and the rows of the left, the right or either side that
//!   have no partner.
//! * **semi** and **anti**: the left rows with and those without a partner, each once, both at the
//!   time of the last pair that could have been. Together they are the accepted left rows.
//!
//! # Lateness
//! A row is refused iff its time is less than F − lateness, F being its partition's frontier when it
//! was read. With a lateness there are two ways to deal with what may still come:
//!
//! * The joins as they are give **final** results: rows without a partner wait that much longer.
//!   Pairs of the inner join are sent at once; those made with a late row say how far they are
//!   `behind`. The other kinds give a stream whose frontier is behind by the lateness.
//! * [`revised`](JoinInterval::revised) gives [`Changes`]: rows without a partner are sent in the
//!   first tick with `f_right(e) > l.time + upper`, and withdrawn when a late partner comes.
//!
//! # Why no result is behind the stream's frontier
//! Let f be the lesser of both frontiers as of the tick before. A pair is sent when one of its rows,
//! x, comes. If x is on time its time is not before f, and the pair's is not before x's. If x is
//! late, the pair carries `behind` up to the greater frontier that its two rows have seen, which is
//! not before f either; so it carries none only if its time is not before f. It does not matter
//! which of the rows came later, as it must not. That `behind` is not more than the lateness.
//! A row l without a partner is sent with a time T ≥ l + upper and T ≥ l. If it has been here since
//! an earlier tick, f_right was at most l + upper + lateness then, so T ≥ f − lateness; if it has
//! just come, T ≥ l ≥ f − lateness. For final results of those kinds the stream's delay is the
//! lateness, which covers this and late pairs; without a lateness it is zero. For revised ones
//! `behind` says it.
//!
//! # Cost
//! A row costs one hash, one insertion and at most six lookups, then one step for each row of its
//! key in the stretches of time that its interval touches. A row with more than 65,536 of them goes
//! on when the tick is complete, in turns. State: each row until the other side's frontier has
//! passed its last possible partner and the other side's lateness, in buckets of a quarter of the
//! interval, at least a millisecond. The method is that of a symmetric hash join with buckets of
//! time, as Flink's interval join has it in its state.

mod bounds;
mod half;
mod meeting;
mod saving;
mod state;
#[cfg(test)]
mod tests;

pub use bounds::{Bound, Interval};
use state::IntervalJoin;

use std::time::Duration;

use timely::ExchangeData;

use super::kind::{
    Anti, Final, FullOuter, Inner, Kind, LeftOuter, Mode, Revised, RightOuter, Semi,
};
use super::{Joined, keyed_pact};
use crate::change::Changes;
use crate::events::{Data, Events, Tick};
use crate::exchange::exchange_by;
use crate::key::Key;
use crate::keyed::Keyed;
use crate::tick::tick_operator_2;
use crate::time::Span;

/// Two keyed streams that are to be joined by an interval of event time. See the
/// [module](super) for what all joins have in common.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use tiderace_operators::join::{Bound, Interval};
/// use tiderace_operators::prelude::*;
///
/// let results = Arc::new(Mutex::new(Vec::new()));
/// let late = Arc::new(Mutex::new(Vec::new()));
/// let (into, late_into) = (results.clone(), late.clone());
/// timely::execute_directly(move |worker| {
///     let observer = Observer::default();
///     let (mut orders, mut payments) = worker.dataflow::<u64, _, _>(|scope| {
///         let policy = Policy::bounded(secs(2));
///         let (orders_in, orders) = EventInput::<(u32, &str)>::new(scope, 0, policy, &observer);
///         let (payments_in, payments) = EventInput::<(u32, i64)>::new(scope, 1, policy, &observer);
///         let (orders, payments) =
///             (orders.map(|(id, item)| (id, item.to_string())), payments);
///         // Payments up to ten seconds after their order, and orders that have none.
///         let paid = orders.key_by(|order| order.0).join_interval(
///             "paid",
///             payments.key_by(|payment| payment.0),
///             Interval::between(Bound::Same, Bound::After(secs(10))),
///         );
///         let paid = paid.left();
///         paid.inspect(move |row| {
///             let ((id, item), payment) = row.data.clone();
///             let at = row.time.millis() / 1_000;
///             into.lock().unwrap().push((at, id, item, payment.map(|p| p.1)));
///         });
///         paid.late_left().inspect(move |row| late_into.lock().unwrap().push(row.data.0));
///         (orders_in, payments_in)
///     });
///     let at = EventTime::from_secs;
///     orders.send(0, at(100), (1, "tea"));
///     orders.send(0, at(103), (2, "cup"));
///     orders.end_tick();
///     payments.send(0, at(110), (1, 5)); // ten seconds later: just in time
///     payments.send(0, at(114), (2, 7)); // eleven
///     payments.end_tick();
///     orders.send(0, at(100), (3, "jug")); // the orders have come to 101: late
///     orders.finish();
///     payments.finish();
/// });
/// let mut results = results.lock().unwrap().clone();
/// results.sort();
/// // The order without a payment has the time of the last one that it could have had.
/// assert_eq!(
///     results,
///     [(110, 1, "tea".to_string(), Some(5)), (113, 2, "cup".to_string(), None)]
/// );
/// assert_eq!(*late.lock().unwrap(), [3]);
/// ```
pub struct JoinInterval<'scope, T: Tick, L: Data, R: Data, FL, FR> {
    name: String,
    left: Keyed<'scope, T, L, FL>,
    right: Keyed<'scope, T, R, FR>,
    bounds: (i64, i64),
    lateness: Span,
}

/// An interval join whose results may be withdrawn.
pub struct RevisedInterval<'scope, T: Tick, L: Data, R: Data, FL, FR>(
    JoinInterval<'scope, T, L, R, FL, FR>,
);

impl<'scope, T: Tick, L: Data, FL> Keyed<'scope, T, L, FL> {
    /// Joins each row with the rows of the same key on the other stream that are in an interval of
    /// event time around it.
    ///
    /// # Panics
    /// If no distance is in the interval.
    pub fn join_interval<R: Data, FR>(
        self,
        name: &str,
        right: Keyed<'scope, T, R, FR>,
        interval: Interval,
    ) -> JoinInterval<'scope, T, L, R, FL, FR> {
        let bounds = interval.micros();
        assert!(
            bounds.0 <= bounds.1,
            "interval join `{name}`: no distance is in the interval from {} us to {} us",
            bounds.0,
            bounds.1
        );
        JoinInterval { name: name.to_owned(), left: self, right, bounds, lateness: Span::ZERO }
    }
}

impl<'scope, T, K, L, R, FL, FR> JoinInterval<'scope, T, L, R, FL, FR>
where
    T: Tick,
    K: Key,
    L: ExchangeData + Data,
    R: ExchangeData + Data,
    FL: Fn(&L) -> K + Clone + 'static,
    FR: Fn(&R) -> K + Clone + 'static,
{
    /// Accepts rows of either side that are this far behind their partition's frontier.
    #[must_use]
    pub fn allow_late(mut self, lateness: Duration) -> Self {
        self.lateness = lateness.into();
        self
    }

    /// Sends rows without a partner as soon as no partner on time can come, and withdraws them when
    /// a late one does.
    pub fn revised(self) -> RevisedInterval<'scope, T, L, R, FL, FR> {
        RevisedInterval(self)
    }

    /// All pairs.
    pub fn inner(self) -> Joined<'scope, T, Events<'scope, T, (L, R)>, L, R> {
        self.build::<Inner, Final>()
    }

    /// All pairs, and left rows without a partner.
    pub fn left(self) -> Joined<'scope, T, Events<'scope, T, (L, Option<R>)>, L, R> {
        self.build::<LeftOuter, Final>()
    }

    /// All pairs, and right rows without a partner.
    pub fn right(self) -> Joined<'scope, T, Events<'scope, T, (Option<L>, R)>, L, R> {
        self.build::<RightOuter, Final>()
    }

    /// All pairs, and rows of both sides without a partner.
    pub fn full(self) -> Joined<'scope, T, Events<'scope, T, (Option<L>, Option<R>)>, L, R> {
        self.build::<FullOuter, Final>()
    }

    /// Left rows that have a partner, each once.
    pub fn semi(self) -> Joined<'scope, T, Events<'scope, T, L>, L, R> {
        self.build::<Semi, Final>()
    }

    /// Left rows that have no partner.
    pub fn anti(self) -> Joined<'scope, T, Events<'scope, T, L>, L, R> {
        self.build::<Anti, Final>()
    }

    fn build<J, M>(self) -> Joined<'scope, T, Events<'scope, T, M::Out>, L, R>
    where
        J: Kind<L, R>,
        M: Mode<J::Out>,
    {
        let JoinInterval { name, left, right, bounds, lateness } = self;
        let (left_clock, right_clock) = (left.events.clock(), right.events.clock());
        let late = (lateness.max(left_clock.late()), lateness.max(right_clock.late()));
        let scope = left.events.scope();
        let counters = left_clock.observer().register(&name, "interval_join", scope.index());
        let pact = exchange_by(keyed_pact::<L, R, K>(left.key.clone(), right.key.clone()));
        let keys = (left.key, right.key);
        let logic =
            IntervalJoin::<K, L, R, FL, FR, J, M>::new(bounds, keys, late, counters.clone());
        let (results, refused) =
            tick_operator_2(&name, &left.events, &right.events, pact, logic, counters);
        let clock = left_clock.union(&right_clock);
        let late = late.0.max(late.1);
        let (delay, late) = match IntervalJoin::<K, L, R, FL, FR, J, M>::marks() {
            true => (Span::ZERO, late),
            false => (late, Span::ZERO),
        };
        Joined::new(
            Events::from_parts(results, clock.clone().delayed(delay).with_late(late)),
            Events::from_parts(refused, clock),
        )
    }
}

impl<'scope, T, K, L, R, FL, FR> RevisedInterval<'scope, T, L, R, FL, FR>
where
    T: Tick,
    K: Key,
    L: ExchangeData + Data,
    R: ExchangeData + Data,
    FL: Fn(&L) -> K + Clone + 'static,
    FR: Fn(&R) -> K + Clone + 'static,
{
    /// All pairs, and left rows without a partner for as long as they have none.
    pub fn left(self) -> Joined<'scope, T, Changes<'scope, T, (L, Option<R>)>, L, R> {
        self.build::<LeftOuter>()
    }

    /// All pairs, and right rows without a partner for as long as they have none.
    pub fn right(self) -> Joined<'scope, T, Changes<'scope, T, (Option<L>, R)>, L, R> {
        self.build::<RightOuter>()
    }

    /// All pairs, and rows of both sides without a partner for as long as they have none.
    pub fn full(self) -> Joined<'scope, T, Changes<'scope, T, (Option<L>, Option<R>)>, L, R> {
        self.build::<FullOuter>()
    }

    /// Left rows for as long as they have no partner.
    pub fn anti(self) -> Joined<'scope, T, Changes<'scope, T, L>, L, R> {
        self.build::<Anti>()
    }

    fn build<J>(self) -> Joined<'scope, T, Changes<'scope, T, J::Out>, L, R>
    where
        J: Kind<L, R>,
    {
        let joined = self.0.build::<J, Revised>();
        Joined::new(Changes::from_events(joined.results()), joined.late())
    }
}
