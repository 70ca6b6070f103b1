//! Copies judged many at a time.

use super::{DedupState, Memory, Verdict};
use crate::dedup::bucket::Alone;
use crate::key::Key;
use crate::time::EventTime;

/// Copies that are judged one after the other, the next of many.
#[derive(Debug)]
pub enum Batch<'a, K, M> {
    /// All of them are in one slot, and nothing is remembered but there.
    OneSlot(Alone<'a, K, M>),
    AnySlot(&'a mut DedupState<K, M>),
}

impl<K: Key, M: Memory> Batch<'_, K, M> {
    /// Asks for the memory that a hash will need: asked for all copies before they are judged, it comes
    /// for all at once.
    #[inline]
    pub fn warm(&self, hash: u64, time: EventTime) {
        match self {
            Batch::OneSlot(alone) => alone.warm(hash),
            Batch::AnySlot(state) => state.slots.warm(state.slots.slot(time), hash),
        }
    }

    /// The same as [`DedupState::insert`].
    #[inline]
    pub fn insert(&mut self, hash: u64, key: K, time: EventTime) -> Verdict {
        match self {
            Batch::OneSlot(alone) => {
                let offset = alone.offset(time);
                let known = |mark: &mut M| mark.duplicate(offset);
                match alone.insert_or(hash, key, M::passed(offset), known) {
                    true => Verdict::First,
                    false => Verdict::Duplicate,
                }
            }
            Batch::AnySlot(state) => state.insert(hash, key, time),
        }
    }
}

impl<K: Key, M: Memory> DedupState<K, M> {
    /// To judge copies of which many are to come, all of them between two instants.
    #[inline]
    pub(in crate::dedup) fn between(
        &mut self,
        first: EventTime,
        last: EventTime,
    ) -> Batch<'_, K, M> {
        match !self.horizon().ttl().is_zero() && self.slots.are_alone(first, last) {
            true => Batch::OneSlot(self.slots.alone(first)),
            false => Batch::AnySlot(self),
        }
    }
}
