//! An input of a view whose rows are held for a span of event time. Plain data: no timely in here.
//!
//! *A row at t is given to the view in the tick it comes in, and taken back in tick e iff f(e−1) <
//! end(b) + span ≤ f(e), where b is the bucket that t is in. It is refused as late iff the frontier
//! of its own partition had passed end(b) + span when it was read.*
//!
//! ```text
//!  event time ──▶  ├─ b0 ─┼─ b1 ─┼─ b2 ─┼─ b3 ─┤
//!                         └──────── span ───────▶▲ f: b0 goes
//! ```
//!
//! Rows are held once here, in buckets, and once in the view. Nothing is scheduled ahead: what is to
//! go is known by its bucket, and goes in slices.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Element;
use super::forever::give_back;
use super::row::Row;
use crate::change::Change;
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Epoch, Saver, Shape, State, Table};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::{EventTime, Span, Timed};
use crate::window::{Tumbling, Window};

/// A change that does not go into the view, or goes with nobody having asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SetAside<D> {
    /// It came too late.
    Late(Change<D>),
    /// The row has been held for the span.
    Expired(Change<D>),
}

/// The rows that are held, by the bucket of their event time.
pub(super) struct Buckets<D> {
    by: Tumbling,
    span: Span,
    /// By the end of the bucket: rows and how often they are there.
    held: BTreeMap<EventTime, Table<Row<D>, i64>>,
    rows: u64,
    /// What was saved, to be given to the view before anything else.
    restored: VecDeque<(D, i64)>,
    epoch: Epoch,
    /// Buckets have been dropped that a cut holds.
    dropped: bool,
    /// The frontier as of the last tick.
    frontier: EventTime,
    counters: Arc<Counters>,
}

impl<D> Buckets<D> {
    pub fn new(by: Tumbling, span: Span, counters: Arc<Counters>) -> Self {
        Buckets {
            by,
            span,
            held: BTreeMap::new(),
            rows: 0,
            restored: VecDeque::new(),
            epoch: Epoch::default(),
            dropped: false,
            frontier: EventTime::MIN,
            counters,
        }
    }

    fn is_over(&self, bucket: Window, frontier: EventTime) -> bool {
        frontier >= bucket.end.plus(self.span) && frontier != EventTime::MIN
    }
}

impl<D: Element> TickLogic<Change<Row<D>>> for Buckets<D> {
    type Out = Change<D>;
    type Side = SetAside<D>;

    fn apply(
        &mut self,
        before: EventTime,
        rows: &mut Vec<Timed<Change<Row<D>>>>,
        out: &mut Emit<Change<D>, SetAside<D>>,
    ) {
        let (all, mut late) = (rows.len() as u64, 0);
        for row in rows.drain(..) {
            let seen = row.seen_frontier().max(before);
            let bucket = self.by.window_of(row.time);
            let Change { data: Row { hash, data }, diff } = row.data;
            if self.is_over(bucket, seen) {
                late += 1;
                let data = SetAside::Late(Change { data, diff });
                out.side.push(Timed { time: row.time, behind: row.time.behind(seen), data });
                continue;
            }
            let table = self.held.entry(bucket.end).or_default();
            let held = Row { hash, data: data.clone() };
            let (count, new) = table.entry(hash, held, self.epoch, || 0);
            *count += diff;
            self.rows += u64::from(new);
            if *count == 0 {
                table.remove(hash, &Row { hash, data: data.clone() });
                self.rows -= 1;
            }
            let (time, behind) = (row.time, row.behind);
            out.rows.push(Timed { time, behind, data: Change { data, diff } });
        }
        self.counters.kept.add(all - late);
        self.counters.late.add(late);
        self.counters.held.set(self.rows);
        self.counters.open.set(self.held.len() as u64);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<Change<D>, SetAside<D>>) -> bool {
        self.frontier = now.frontier;
        if !give_back(&mut self.restored, fuel, out) {
            return false;
        }
        while let Some(mut first) = self.held.first_entry() {
            let end = *first.key();
            if now.frontier < end.plus(self.span) {
                break;
            }
            if fuel.left() == 0 {
                return false;
            }
            let table = first.get_mut();
            let some = table.len().min(fuel.left());
            for (row, count) in table.drain_some(some) {
                let gone = Change { data: row.data, diff: -count };
                out.side.push(Timed::on_time(now.before, SetAside::Expired(gone.clone())));
                out.rows.push(Timed::on_time(now.before, gone));
            }
            fuel.burn(some.max(1));
            self.rows -= some as u64;
            if table.is_empty() {
                self.dropped |= table.reset();
                first.remove();
            }
        }
        self.counters.held.set(self.rows);
        self.counters.open.set(self.held.len() as u64);
        true
    }
}

/// Buckets are numbered by their end; the last one of all, which has no end, can be dropped too.
fn bucket_number(end: EventTime) -> i64 {
    end.micros().min(i64::MAX - 1)
}

/// Entries are rows with their counts, in the buckets they are dropped with.
impl<D: Element> State for Buckets<D> {
    fn shape(&self) -> Shape {
        Shape::of("view", &(self.by, self.span)).with::<D>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        for (&end, table) in &mut self.held {
            if !table.save((0, bucket_number(end)), self.epoch, fuel, out) {
                return false;
            }
        }
        if std::mem::take(&mut self.dropped) {
            let over = self.frontier.minus(self.span);
            let next = over.plus(Span::from_micros(1));
            // The last bucket of all goes with the end of time alone.
            let all = over == EventTime::MAX;
            out.drop_below(0, if all { i64::MAX } else { bucket_number(next) });
        }
        self.epoch.advance();
        true
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        let (row, count): (Row<D>, i64) = (entry.key()?, entry.value()?);
        let before_end = EventTime::from_micros(entry.bucket).minus(Span::from_micros(1));
        let end = self.by.window_of(before_end).end;
        self.restored.push_back((row.data.clone(), count));
        self.held.entry(end).or_default().load(row, count);
        self.rows += 1;
        self.counters.held.set(self.rows);
        self.counters.open.set(self.held.len() as u64);
        Ok(())
    }
}
