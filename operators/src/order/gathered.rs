//! The rows of a tick, for operators that decide once it is complete.

use serde::Serialize;

use super::in_order;
use crate::observe::Counters;
use crate::time::{EventTime, Span, Timed};

/// Rows as they come, and then in the order of (event time, canonical bytes).
#[derive(Debug)]
pub(crate) struct Gathered<D> {
    /// Once they are in order, the last one first.
    rows: Vec<Timed<D>>,
    in_order: bool,
}

impl<D> Default for Gathered<D> {
    fn default() -> Self {
        Gathered { rows: Vec::new(), in_order: false }
    }
}

impl<D> Gathered<D> {
    /// A row of the tick has come.
    pub fn push(&mut self, row: Timed<D>) {
        debug_assert!(!self.in_order, "a row came when its tick was complete");
        self.rows.push(row);
    }

    /// Rows of the tick have come. Those further behind than the lateness go aside, the others are
    /// kept, and all are counted.
    pub fn take(
        &mut self,
        before: EventTime,
        lateness: Span,
        rows: &mut Vec<Timed<D>>,
        late: &mut Vec<Timed<D>>,
        counters: &Counters,
    ) {
        let (all, already) = (rows.len(), late.len());
        for row in rows.drain(..) {
            let seen = row.seen_frontier().max(before);
            if row.time < seen.minus(lateness) {
                late.push(Timed { behind: row.time.behind(seen), ..row });
            } else {
                self.push(row);
            }
        }
        let refused = late.len() - already;
        counters.kept.add((all - refused) as u64);
        counters.late.add(refused as u64);
    }

    /// Whether no row is left.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl<D: Serialize> Gathered<D> {
    /// The tick is complete: when the next row happened.
    pub fn next_at(&mut self) -> Option<EventTime> {
        if !std::mem::replace(&mut self.in_order, true) {
            in_order(&mut self.rows);
            self.rows.reverse();
        }
        let next = self.rows.last().map(|row| row.time);
        self.in_order = next.is_some();
        next
    }

    /// The tick is complete: the next row in order.
    pub fn pop(&mut self) -> Option<Timed<D>> {
        self.next_at()?;
        let row = self.rows.pop();
        self.in_order = !self.rows.is_empty();
        row
    }
}
