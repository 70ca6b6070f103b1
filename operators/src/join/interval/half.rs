//! One side of an interval join: its rows, and those of them that have no partner yet.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::meeting::{MATCHED, SENT_ALONE, shifted};
use crate::join::buffer::{Buffer, Cursor, Place, Slot};
use crate::key::Key;
use crate::tick::Fuel;
use crate::time::{EventTime, Span};

/// Buckets are not shorter than this, in microseconds.
const SHORTEST: i128 = 1_000;

/// One side.
pub(super) struct Half<K, D, F> {
    pub key: F,
    /// Its rows are accepted this far behind the frontier.
    pub late: Span,
    /// The least and the greatest distance of a partner.
    pub partners: (i64, i64),
    /// Rows go when the other frontier is this much past them.
    pub reach: i64,
    /// The length of a bucket.
    width: i64,
    pub rows: Buffer<K, D>,
    /// Rows that have no partner yet and are results without one: by time, with their place.
    pub alone: BinaryHeap<Reverse<(EventTime, u32)>>,
    /// What cuts hold of times before this has been dropped from them.
    pub dropped: EventTime,
}

impl<K: Key, D, F: Fn(&D) -> K> Half<K, D, F> {
    pub fn new(key: F, (late, other_late): (Span, Span), partners: (i64, i64)) -> Self {
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

    pub fn bucket(&self, time: EventTime) -> i64 {
        time.micros().div_euclid(self.width)
    }

    /// Where the partners of a row of the other side at this time are.
    pub fn cursor(&self, time: EventTime, partners: (i64, i64)) -> Cursor {
        let bucket = |by| self.bucket(shifted(time, by));
        Cursor::new(bucket(partners.0), bucket(partners.1))
    }

    /// Rows before this instant have an event time and a reach before the other side's frontier.
    pub fn limit(frontier: EventTime, reach: i64) -> EventTime {
        match frontier {
            EventTime::MIN | EventTime::MAX => frontier,
            _ => shifted(frontier, reach.saturating_neg()),
        }
    }

    /// Calls `f` with each row without a partner before the limit.
    pub fn fire(
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

    pub fn expire(&mut self, frontier: EventTime, fuel: &mut Fuel) -> bool {
        let limit = Self::limit(frontier, self.reach);
        let first = (limit != EventTime::MAX).then(|| self.bucket(limit));
        self.rows.drop_below(first, fuel)
    }
}
