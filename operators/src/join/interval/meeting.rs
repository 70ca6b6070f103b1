//! What two rows of an interval join make of each other when they meet.

use std::marker::PhantomData;

use crate::join::buffer::Slot;
use crate::join::kind::{Kind, Mode};
use crate::tick::Sides;
use crate::time::{EventTime, Span, Timed};

/// The row has met a partner.
pub(super) const MATCHED: u8 = 1;
/// It was sent as one without a partner.
pub(super) const SENT_ALONE: u8 = 2;

/// An instant and a signed distance; saturates.
pub(super) fn shifted(time: EventTime, by: i64) -> EventTime {
    EventTime::from_micros(time.micros().saturating_add(by))
}

/// What happens when two rows meet.
pub(super) struct Meeting<J, M> {
    /// The least and the greatest distance of right from left.
    pub bounds: (i64, i64),
    /// Results made with late rows say how far they are behind.
    pub marks: bool,
    pub kind: PhantomData<(J, M)>,
}

impl<J, M> Meeting<J, M> {
    pub fn at<L, R>(
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

    pub fn timed<O>(&self, time: EventTime, seen: EventTime, data: O) -> Timed<O> {
        let behind = if self.marks { time.behind(seen) } else { Span::ZERO };
        Timed { time, behind, data }
    }
}
