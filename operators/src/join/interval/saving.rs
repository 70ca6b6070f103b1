//! An interval join over cuts: each row is an entry.

use std::cmp::Reverse;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::half::Half;
use super::state::IntervalJoin;
use crate::events::Data;
use crate::join::buffer::Buffer;
use crate::join::kind::{Kind, Mode};
use crate::key::Key;
use crate::state::{Corrupt, Entry, Saver, Shape, State};
use crate::tick::Fuel;
use crate::time::EventTime;

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
