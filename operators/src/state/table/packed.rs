//! Entries of a table that are kept for no other reason than to be saved.

use serde::Serialize;

use super::{Epoch, Slot, Stamp, Table};
use crate::key::Key;
use crate::state::Saver;
use crate::tick::Fuel;

/// Entries side by side: half the memory of a table, in which no key can be looked up.
pub struct Packed<K, V> {
    slots: Vec<Slot<K, V>>,
    /// Something has changed since the last save.
    touched: bool,
    /// Some entry has been saved.
    saved: bool,
    /// Where a save that ran out of fuel goes on.
    cursor: usize,
}

impl<K, V> Default for Packed<K, V> {
    fn default() -> Self {
        Packed { slots: Vec::new(), touched: false, saved: false, cursor: 0 }
    }
}

impl<K: Key, V> Packed<K, V> {
    /// Moves up to so many entries in here from a table that no key was removed from, and calls `f` with
    /// each. Returns how many there were.
    pub fn take(
        &mut self,
        table: &mut Table<K, V>,
        most: usize,
        mut f: impl FnMut(&K, &V),
    ) -> usize {
        debug_assert!(table.gone.is_empty(), "that keys were removed would be forgotten");
        self.touched |= table.touched;
        self.saved |= table.saved;
        self.slots.reserve_exact(table.len());
        let before = self.slots.len();
        table.take_some(most).for_each(|slot| {
            f(&slot.key, &slot.value);
            self.slots.push(slot);
        });
        self.slots.len() - before
    }

    /// Lets go of up to so many entries: where they were saved they are to be dropped by their bucket.
    /// Returns how many there were.
    pub fn let_go(&mut self, most: usize) -> usize {
        let left = self.slots.len().saturating_sub(most);
        let gone = self.slots.len() - left;
        self.slots.truncate(left);
        gone
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether any entry was saved, of those that it had as well.
    pub fn was_saved(&self) -> bool {
        self.saved
    }

    /// Its memory in bytes; what keys and values own elsewhere is not counted.
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<K, V>>()
    }

    /// As [`Table::save_under`].
    pub fn save_under<P: Serialize>(
        &mut self,
        (table, bucket): (u8, i64),
        under: &P,
        epoch: Epoch,
        fuel: &mut Fuel,
        out: &mut Saver,
    ) -> bool
    where
        V: Serialize,
    {
        if !self.touched {
            return true;
        }
        let end = self.slots.len();
        let until = end.min(self.cursor.saturating_add(fuel.left()));
        for slot in &mut self.slots[self.cursor..until] {
            if slot.stamp.is_dirty(epoch) {
                slot.stamp.0 |= Stamp::SAVED;
                self.saved = true;
                let key = (under, &slot.key);
                out.put(table, bucket, slot.key.stable_hash(), &key, &slot.value);
            }
        }
        fuel.burn(until - self.cursor);
        self.touched = until < end;
        self.cursor = if self.touched { until } else { 0 };
        !self.touched
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::StableHash;
    use crate::state::{Shape, Snapshot};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(crate::testing::cases(1_000))]

        /// A table that is packed between two cuts, piece by piece, is saved as if it had stayed one.
        #[test]
        fn what_was_not_saved_is_saved_later(
            before in prop::collection::vec((0u16..40, any::<u64>()), 0..30),
            after in prop::collection::vec((0u16..40, any::<u64>()), 0..30),
            fuel in 1usize..50,
        ) {
            let (mut table, mut epoch) = (Table::<u16, u64>::default(), Epoch::default());
            let (mut model, mut snapshot) = (BTreeMap::new(), Snapshot::default());
            let mut cut = |write: &mut dyn FnMut(Epoch, &mut Fuel, &mut Saver) -> bool| {
                let mut out = Saver::new("t", Shape::nothing(), 0, 1);
                while !write(epoch, &mut Fuel::new(fuel), &mut out) {}
                epoch.advance();
                let written = out.written().0;
                snapshot.apply(&out.take(true)).unwrap();
                (written, epoch)
            };
            let mut fill = |table: &mut Table<u16, u64>, epoch, rows: &[(u16, u64)]| {
                for &(key, value) in rows {
                    *table.entry(key.stable_hash(), key, epoch, || 0).0 = value;
                    model.insert(key, value);
                }
            };
            fill(&mut table, Epoch::default(), &before);
            let (_, now) =
                cut(&mut |epoch, fuel, out| table.save_under((0, 7), &1u8, epoch, fuel, out, |v| v));
            fill(&mut table, now, &after);
            let (mut packed, mut seen) = (Packed::default(), BTreeMap::new());
            while !table.is_empty() {
                let moved = packed.take(&mut table, fuel, |&key, &value| _ = seen.insert(key, value));
                prop_assert!(moved <= fuel);
            }
            prop_assert_eq!(&seen, &model);
            let (written, _) =
                cut(&mut |epoch, fuel, out| packed.save_under((0, 7), &1u8, epoch, fuel, out));
            let touched: BTreeMap<_, _> = after.into_iter().collect();
            prop_assert_eq!(written, touched.len() as u64);
            let (written, _) =
                cut(&mut |epoch, fuel, out| packed.save_under((0, 7), &1u8, epoch, fuel, out));
            prop_assert_eq!(written, 0);
            prop_assert_eq!(packed.was_saved(), !model.is_empty());
            let mut read = BTreeMap::new();
            if let Some(state) = snapshot.operator("t") {
                state.each(|entry| {
                    let (under, key): (u8, u16) = entry.key()?;
                    assert_eq!(under, 1);
                    read.insert(key, entry.value::<u64>()?);
                    Ok(())
                }).unwrap();
            }
            prop_assert_eq!(&read, &model);
            let mut gone = 0;
            while !packed.is_empty() {
                gone += packed.let_go(fuel);
            }
            prop_assert_eq!(gone, model.len());
        }
    }
}
