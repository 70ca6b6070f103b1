//! The two sides of an interval join. Plain data: no timely in here.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::half::Half;
use super::meeting::{MATCHED, Meeting, shifted};
use crate::events::Data;
use crate::join::buffer::{Cursor, Place, Slot};
use crate::join::kind::{Kind, Mode};
use crate::key::Key;
use crate::observe::Counters;
use crate::tick::{Emit, Fuel, Now, Side, Sides, TickLogic};
use crate::time::{EventTime, Span, Timed};

/// How many rows are looked at in one go before a tick is complete. What is more waits for its end.
const EAGER: usize = 1 << 16;

/// A search for partners that is not done. Which side the row is of, where it is, and its key.
struct Search<K> {
    row: Side<Place, Place>,
    key: K,
    hash: u64,
    cursor: Cursor,
}

/// All rows of both sides on one worker that may still meet a partner.
pub struct IntervalJoin<K, L, R, FL, FR, J, M> {
    pub(super) left: Half<K, L, FL>,
    pub(super) right: Half<K, R, FR>,
    pub(super) meeting: Meeting<J, M>,
    /// The number of the next row. Of two rows that meet, the later one makes the result.
    pub(super) sequence: u64,
    /// Searches of this tick's rows that were too long for one turn.
    searches: VecDeque<Search<K>>,
    pub(super) frontier: Sides,
    counters: Arc<Counters>,
}

impl<K, L, R, FL, FR, J, M> IntervalJoin<K, L, R, FL, FR, J, M>
where
    K: Key,
    L: Data,
    R: Data,
    FL: Fn(&L) -> K,
    FR: Fn(&R) -> K,
    J: Kind<L, R>,
    M: Mode<J::Out>,
{
    /// No row has come. The bounds are distances of right from left, `late` is how far behind its
    /// frontier a row of either side is accepted.
    pub fn new(
        bounds: (i64, i64),
        keys: (FL, FR),
        late: (Span, Span),
        counters: Arc<Counters>,
    ) -> Self {
        let mirrored = (bounds.1.saturating_neg(), bounds.0.saturating_neg());
        IntervalJoin {
            left: Half::new(keys.0, late, bounds),
            right: Half::new(keys.1, (late.1, late.0), mirrored),
            meeting: Meeting { bounds, marks: Self::marks(), kind: PhantomData },
            sequence: 0,
            searches: VecDeque::new(),
            frontier: Sides { left: EventTime::MIN, right: EventTime::MIN },
            counters,
        }
    }

    /// Whether results made with late rows are marked as late; otherwise the stream waits for them.
    pub fn marks() -> bool {
        M::REVISES || J::PAIRS && !J::LEFT && !J::RIGHT
    }

    /// Goes on with a search. Returns whether it is done.
    fn search(
        &mut self,
        search: &mut Search<K>,
        budget: &mut usize,
        before: Sides,
        out: &mut Vec<Timed<M::Out>>,
    ) -> bool {
        let IntervalJoin { left, right, meeting, .. } = self;
        let key = (search.hash, &search.key);
        match search.row {
            Side::Left(place) => {
                let row = left.rows.slot(place);
                right.rows.search(&mut search.cursor, key, budget, |other| {
                    if other.sequence < row.sequence {
                        meeting.at(before, row, other, out);
                    }
                    // Where left rows count once, one partner is enough.
                    J::PAIRS || J::RIGHT || row.flags & MATCHED == 0
                })
            }
            Side::Right(place) => {
                let row = right.rows.slot(place);
                left.rows.search(&mut search.cursor, key, budget, |other| {
                    if other.sequence < row.sequence {
                        meeting.at(before, other, row, out);
                    }
                    true
                })
            }
        }
    }

    /// Takes in a row and lets it meet its partners, as far as the budget goes.
    fn insert(
        &mut self,
        time: EventTime,
        seen: EventTime,
        row: Side<L, R>,
        (budget, before): (&mut usize, Sides),
        out: &mut Vec<Timed<M::Out>>,
    ) {
        let behind = time.behind(seen);
        let sequence = self.sequence;
        self.sequence += 1;
        let IntervalJoin { left, right, .. } = self;
        let (row, key, hash, cursor) = match row {
            Side::Left(row) => {
                let key = (left.key)(&row);
                let hash = key.stable_hash();
                let cursor = right.cursor(time, left.partners);
                let slot = Slot::new(time, behind, sequence, hash, row);
                let place = left.rows.insert(left.bucket(time), key.clone(), slot);
                (Side::Left(place), key, hash, cursor)
            }
            Side::Right(row) => {
                let key = (right.key)(&row);
                let hash = key.stable_hash();
                let cursor = left.cursor(time, right.partners);
                let slot = Slot::new(time, behind, sequence, hash, row);
                let place = right.rows.insert(right.bucket(time), key.clone(), slot);
                (Side::Right(place), key, hash, cursor)
            }
        };
        let mut search = Search { row, key, hash, cursor };
        let done = self.search(&mut search, budget, before, out);
        match search.row {
            Side::Left(place) if J::LEFT && self.left.rows.slot(place).flags == 0 => {
                self.left.alone.push(Reverse((time, place.at)));
            }
            Side::Right(place) if J::RIGHT && self.right.rows.slot(place).flags == 0 => {
                self.right.alone.push(Reverse((time, place.at)));
            }
            _ => {}
        }
        if !done {
            self.searches.push_back(search);
        }
    }

    pub(super) fn count(&self) {
        self.counters.held.set((self.left.rows.len + self.right.rows.len) as u64);
        let open = self.left.rows.buckets.len() + self.right.rows.buckets.len();
        self.counters.open.set(open as u64);
    }

    /// Sends the rows that have waited for a partner in vain.
    fn fire(&mut self, now: Sides, fuel: &mut Fuel, out: &mut Vec<Timed<M::Out>>) -> bool {
        let IntervalJoin { left, right, meeting, .. } = self;
        let (lower, upper) = meeting.bounds;
        // What may be withdrawn is sent as soon as no partner on time can come.
        let reach = |reach: i64, partner: i64| if M::REVISES { partner } else { reach };
        let send = |time: EventTime, seen, by, row: Option<J::Out>| {
            let row = row.expect("such a join has results of single rows");
            meeting.timed(time.max(shifted(time, by)), seen, M::add(row))
        };
        let limit = Half::<K, L, FL>::limit(now.right, reach(left.reach, upper));
        let alone = |slot: &Slot<L>| {
            out.push(send(slot.time, slot.seen(), upper, J::left(&slot.row)));
        };
        if !left.fire(limit, fuel, alone, M::REVISES) {
            return false;
        }
        let lower = lower.saturating_neg();
        let limit = Half::<K, R, FR>::limit(now.left, reach(right.reach, lower));
        let alone = |slot: &Slot<R>| {
            out.push(send(slot.time, slot.seen(), lower, J::right(&slot.row)));
        };
        right.fire(limit, fuel, alone, M::REVISES)
    }
}

impl<K, L, R, FL, FR, J, M> TickLogic<Side<L, R>, Sides> for IntervalJoin<K, L, R, FL, FR, J, M>
where
    K: Key,
    L: Data + Serialize + DeserializeOwned,
    R: Data + Serialize + DeserializeOwned,
    FL: Fn(&L) -> K + 'static,
    FR: Fn(&R) -> K + 'static,
    J: Kind<L, R>,
    M: Mode<J::Out>,
{
    type Out = M::Out;
    type Side = Side<L, R>;

    fn apply(
        &mut self,
        before: Sides,
        rows: &mut Vec<Timed<Side<L, R>>>,
        out: &mut Emit<M::Out, Side<L, R>>,
    ) {
        let (all, mut late) = (rows.len() as u64, 0);
        let mut budget = EAGER;
        for row in rows.drain(..) {
            let (frontier, lateness) = match row.data {
                Side::Left(_) => (before.left, self.left.late),
                Side::Right(_) => (before.right, self.right.late),
            };
            let seen = row.seen_frontier().max(frontier);
            if row.time < seen.minus(lateness) {
                late += 1;
                let behind = row.time.behind(seen);
                out.side.push(Timed { behind, ..row });
                continue;
            }
            self.insert(row.time, seen, row.data, (&mut budget, before), &mut out.rows);
        }
        self.counters.kept.add(all - late);
        self.counters.late.add(late);
        self.count();
    }

    fn close(
        &mut self,
        now: Now<Sides>,
        fuel: &mut Fuel,
        out: &mut Emit<M::Out, Side<L, R>>,
    ) -> bool {
        self.frontier = now.frontier;
        while let Some(mut search) = self.searches.pop_front() {
            let before = fuel.left();
            let mut budget = before;
            let done = self.search(&mut search, &mut budget, now.before, &mut out.rows);
            fuel.burn(before - budget);
            if !done {
                self.searches.push_front(search);
                return false;
            }
        }
        let done = self.fire(now.frontier, fuel, &mut out.rows)
            && self.left.expire(now.frontier.right, fuel)
            && self.right.expire(now.frontier.left, fuel);
        self.count();
        done
    }
}
