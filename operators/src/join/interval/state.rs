//! The two sides of an interval join. Plain data: no timely in here.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::events::Data;
use crate::join::buffer::{Buffer, Cursor, Place, Slot};
use crate::join::kind::{Kind, Mode};
use crate::key::Key;
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Saver, Shape, State};
use crate::tick::{Emit, Fuel, Now, Side, Sides, TickLogic};
use crate::time::{EventTime, Span, Timed};

/// The row has met a partner.
const MATCHED: u8 = 1;
/// It was sent as one without a partner.
const SENT_ALONE: u8 = 2;
/// How many rows are looked at in one go before a tick is complete. What is more waits for its end.
const EAGER: usize = 1 << 16;
/// Buckets are not shorter than this, in microseconds.
const SHORTEST: i128 = 1_000;

/// An instant and a signed distance; saturates.
fn shifted(time: EventTime, by: i64) -> EventTime {
    EventTime::from_micros(time.micros().saturating_add(by))
}

/// One side.
struct Half<K, D, F> {
    key: F,
    /// Its rows are accepted this far behind the frontier.
    late: Span,
    /// The least and the greatest distance of a partner.
    partners: (i64, i64),
    /// Rows go when the other frontier is this much past them.
    reach: i64,
    /// The length of a bucket.
    width: i64,
    rows: Buffer<K, D>,
    /// Rows that have no partner yet and are results without one: by time, with their place.
    alone: BinaryHeap<Reverse<(EventTime, u32)>>,
    /// What cuts hold of times before this has been dropped from them.
    dropped: EventTime,
}

impl<K: Key, D, F: Fn(&D) -> K> Half<K, D, F> {
    fn new(key: F, (late, other_late): (Span, Span), partners: (i64, i64)) -> Self {
        let length = i128::from(partners.1) - i128::from(partners.0);
        let width = SHORTEST.max(length / 4).max(i128::from(late.micros()) / 256);
        Half {
            key,
            late,
            partners,
            reach: partners.1.saturating_add(other_late.micros()),
            width: i64::try_from(width).unwrap_or(i64::MAX),
            rows: Buffer::default(),
            alone: BinaryHeap::new(),
            dropped: EventTime::MIN,
        }
    }

    fn bucket(&self, time: EventTime) -> i64 {
        time.micros().div_euclid(self.width)
    }

    /// Where the partners of a row of the other side at this time are.
    fn cursor(&self, time: EventTime, partners: (i64, i64)) -> Cursor {
        let bucket = |by| self.bucket(shifted(time, by));
        Cursor::new(bucket(partners.0), bucket(partners.1))
    }

    /// Rows before this instant have an event time and a reach before the other side's frontier.
    fn limit(frontier: EventTime, reach: i64) -> EventTime {
        match frontier {
            EventTime::MIN | EventTime::MAX => frontier,
            _ => shifted(frontier, reach.saturating_neg()),
        }
    }

    /// Calls `f` with each row without a partner before the limit.
    fn fire(
        &mut self,
        limit: EventTime,
        fuel: &mut Fuel,
        mut f: impl FnMut(&Slot<D>),
        keep: bool,
    ) -> bool {
        while let Some(&Reverse((time, at))) = self.alone.peek() {
            if time >= limit && limit != EventTime::MAX {
                break;
            }
            if fuel.left() == 0 {
                return false;
            }
            fuel.burn(1);
            self.alone.pop();
            let place = Place { bucket: self.bucket(time), at };
            let slot = self.rows.slot(place);
            if slot.flags & MATCHED == 0 {
                f(slot);
                if keep {
                    self.rows.flag(place, SENT_ALONE);
                }
            }
        }
        true
    }

    fn expire(&mut self, frontier: EventTime, fuel: &mut Fuel) -> bool {
        let limit = Self::limit(frontier, self.reach);
        let first = (limit != EventTime::MAX).then(|| self.bucket(limit));
        self.rows.drop_below(first, fuel)
    }
}

impl<K, D, F> Half<K, D, F>
where
    K: Key,
    D: Serialize + DeserializeOwned,
    F: Fn(&D) -> K,
{
    /// Entries are in buckets of their exact time.
    fn save(&mut self, table: u8, frontier: EventTime, fuel: &mut Fuel, out: &mut Saver) -> bool {
        let limit = Self::limit(frontier, self.reach);
        let bucket_of = |_, time: EventTime| {
            let kept = time >= limit && limit != EventTime::MAX;
            kept.then(|| time.micros().min(i64::MAX - 1))
        };
        if !self.rows.save(table, bucket_of, fuel, out) {
            return false;
        }
        if limit > self.dropped {
            self.dropped = limit;
            out.drop_below(table, limit.micros());
        }
        true
    }

    fn load(&mut self, entry: &Entry<'_>, waits_alone: bool) -> Result<u64, Corrupt> {
        let mut slot = Buffer::<K, D>::read(entry)?;
        let key = (self.key)(&slot.row);
        slot.hash = key.stable_hash();
        let (time, sequence, flags) = (slot.time, slot.sequence, slot.flags);
        let place = self.rows.load(self.bucket(time), key, slot);
        if waits_alone && flags == 0 {
            self.alone.push(Reverse((time, place.at)));
        }
        Ok(sequence + 1)
    }
}

/// A search for partners that is not done. Which side the row is of, where it is, and its key.
struct Search<K> {
    row: Side<Place, Place>,
    key: K,
    hash: u64,
    cursor: Cursor,
}

/// What happens when two rows meet.
struct Meeting<J, M> {
    /// The least and the greatest distance of right from left.
    bounds: (i64, i64),
    /// Results made with late rows say how far they are behind.
    marks: bool,
    kind: PhantomData<(J, M)>,
}

impl<J, M> Meeting<J, M> {
    fn at<L, R>(
        &self,
        before: Sides,
        left: &mut Slot<L>,
        right: &mut Slot<R>,
        out: &mut Vec<Timed<M::Out>>,
    ) where
        J: Kind<L, R>,
        M: Mode<J::Out>,
    {
        let distance = i128::from(right.time.micros()) - i128::from(left.time.micros());
        if distance < self.bounds.0.into() || distance > self.bounds.1.into() {
            return;
        }
        if let Some(pair) = J::pair(&left.row, &right.row) {
            let time = left.time.max(right.time);
            out.push(self.timed(time, left.seen().max(right.seen()), M::add(pair)));
        }
        if (J::ONCE || J::LEFT) && left.flags & MATCHED == 0 {
            left.flags |= MATCHED;
            let row = || J::left(&left.row).expect("such a join has results of left rows");
            let time = left.time.max(shifted(left.time, self.bounds.1));
            if J::ONCE {
                out.push(self.timed(time, EventTime::MIN, M::add(row())));
            } else if left.flags & SENT_ALONE != 0 {
                out.push(self.timed(time, before.right, M::remove(row())));
            }
        }
        if J::RIGHT && right.flags & MATCHED == 0 {
            right.flags |= MATCHED;
            if right.flags & SENT_ALONE != 0 {
                let row = J::right(&right.row).expect("such a join has results of right rows");
                let time = right.time.max(shifted(right.time, self.bounds.0.saturating_neg()));
                out.push(self.timed(time, before.left, M::remove(row)));
            }
        }
    }

    fn timed<O>(&self, time: EventTime, seen: EventTime, data: O) -> Timed<O> {
        let behind = if self.marks { time.behind(seen) } else { Span::ZERO };
        Timed { time, behind, data }
    }
}

/// All rows of both sides on one worker that may still meet a partner.
pub struct IntervalJoin<K, L, R, FL, FR, J, M> {
    left: Half<K, L, FL>,
    right: Half<K, R, FR>,
    meeting: Meeting<J, M>,
    /// The number of the next row. Of two rows that meet, the later one makes the result.
    sequence: u64,
    /// Searches of this tick's rows that were too long for one turn.
    searches: VecDeque<Search<K>>,
    frontier: Sides,
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

    fn count(&self) {
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

/// Entries are rows, in buckets of their time: those of the left side in table 0, of the right in 1.
impl<K, L, R, FL, FR, J, M> State for IntervalJoin<K, L, R, FL, FR, J, M>
where
    K: Key,
    L: Data + Serialize + DeserializeOwned,
    R: Data + Serialize + DeserializeOwned,
    FL: Fn(&L) -> K,
    FR: Fn(&R) -> K,
    J: Kind<L, R>,
    M: Mode<J::Out>,
{
    fn shape(&self) -> Shape {
        let parameters = (self.meeting.bounds, self.left.late, self.right.late);
        let kind = (J::PAIRS, J::ONCE, J::LEFT, J::RIGHT, M::REVISES);
        Shape::of("interval_join", &(parameters, kind)).with::<K>().with::<L>().with::<R>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        self.left.save(0, self.frontier.right, fuel, out)
            && self.right.save(1, self.frontier.left, fuel, out)
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        let next = match entry.table {
            0 => self.left.load(entry, J::LEFT)?,
            1 => self.right.load(entry, J::RIGHT)?,
            table => return Err(Corrupt(format!("an interval join has no table {table}"))),
        };
        self.sequence = self.sequence.max(next);
        self.count();
        Ok(())
    }
}
