//! What a cut writes of a table is what has changed.

use super::*;
use crate::key::StableHash;
use crate::state::{Shape, Snapshot};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn saved(table: &mut Table<u16, u64>, epoch: &mut Epoch, fuel: usize) -> (Snapshot, u64) {
    let mut out = Saver::new("t", Shape::nothing(), 0, 1);
    while !table.save((0, 7), *epoch, &mut Fuel::new(fuel), &mut out) {}
    epoch.advance();
    let written = out.written().0;
    let mut snapshot = Snapshot::default();
    snapshot.apply(&out.take(true)).unwrap();
    (snapshot, written)
}

proptest! {
    #![proptest_config(crate::testing::cases(2_000))]

    /// Changes at cuts add up to the table, and a cut writes just the keys that were touched.
    #[test]
    fn saves_what_was_touched(
        steps in prop::collection::vec(
            prop::collection::vec((0u16..40, prop::option::of(any::<u64>())), 0..30),
            1..6,
        ),
        fuel in 1usize..50,
    ) {
        let (mut table, mut epoch) = (Table::default(), Epoch::default());
        let mut model = BTreeMap::new();
        let mut snapshot = Snapshot::default();
        for step in steps {
            let mut touched = std::collections::BTreeSet::new();
            for (key, value) in step {
                let hash = key.stable_hash();
                touched.insert(key);
                match value {
                    Some(value) => {
                        *table.entry(hash, key, epoch, || 0).0 = value;
                        model.insert(key, value);
                    }
                    None => prop_assert_eq!(table.remove(hash, &key), model.remove(&key)),
                }
            }
            let mut out = Saver::new("t", Shape::nothing(), 0, 1);
            while !table.save((0, 7), epoch, &mut Fuel::new(fuel), &mut out) {}
            epoch.advance();
            // A key may be removed and put back, which are two entries.
            prop_assert!(out.written().0 <= 2 * touched.len() as u64);
            snapshot.apply(&out.take(true)).unwrap();
            let mut read = Table::<u16, u64>::default();
            if let Some(state) = snapshot.operator("t") {
                state.each(|entry| {
                    read.load(entry.key()?, entry.value()?);
                    Ok(())
                }).unwrap();
            }
            let read: BTreeMap<_, _> = read.iter().map(|(&k, &v)| (k, v)).collect();
            prop_assert_eq!(&read, &model);
        }
    }
}

#[test]
fn what_is_not_touched_is_not_written() {
    let (mut table, mut epoch) = (Table::default(), Epoch::default());
    for key in 0..1_000u16 {
        table.entry(key.stable_hash(), key, epoch, || 1u64);
    }
    assert_eq!(saved(&mut table, &mut epoch, 100).1, 1_000);
    assert_eq!(saved(&mut table, &mut epoch, 100).1, 0);
    *table.get_mut(5u16.stable_hash(), &5, epoch).unwrap() = 2;
    assert_eq!(saved(&mut table, &mut epoch, 100).1, 1);
}
