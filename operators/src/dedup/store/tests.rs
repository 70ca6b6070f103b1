//! Tables against maps.

use super::*;
use crate::key::StableHash;
use proptest::prelude::*;
use std::collections::BTreeMap;

proptest! {
    #![proptest_config(crate::testing::cases(2_000))]

    /// It holds what a map holds, however many hashes fall on one place.
    #[test]
    fn is_a_map(
        entries in prop::collection::vec((0u16..300, any::<u32>()), 0..400),
        distinct in 1u64..400,
    ) {
        let hash = |key: &u16| (u64::from(*key) % distinct).stable_hash();
        let (mut store, mut model) = (Store::default(), BTreeMap::new());
        for (key, value) in entries {
            store.warm(hash(&key));
            let same = |a: &(u16, u32), b: &(u16, u32)| a.0 == b.0;
            let found =
                store.find_or_insert(hash(&key), (key, value), same, |(k, _)| hash(k));
            prop_assert_eq!(found.as_deref().map(|entry| &entry.1), model.get(&key));
            if let Some((_, old)) = found {
                *old = value;
            }
            model.insert(key, value);
        }
        prop_assert_eq!(store.len(), model.len());
        for key in 0..300 {
            let found = store.find(hash(&key), |(k, _)| *k == key).map(|(_, value)| value);
            prop_assert_eq!(found, model.get(&key));
        }
        let mut seen = BTreeMap::new();
        for at in (0..store.places()).step_by(7) {
            store.visit(at, at + 7, |(key, value)| _ = seen.insert(*key, *value));
        }
        prop_assert_eq!(&seen, &model);
        let all: BTreeMap<u16, u32> = store.into_iter().collect();
        prop_assert_eq!(all, model);
    }

    /// The same for entries that own memory, which have tags.
    #[test]
    fn is_a_map_of_strings(keys in prop::collection::vec("[a-d]{0,3}", 0..200)) {
        let (mut store, mut model) = (Store::default(), BTreeMap::new());
        for key in keys {
            let hash = key.stable_hash();
            match store.find_mut(hash, |(k, _): &(String, u32)| *k == key) {
                Some((_, copies)) => *copies += 1,
                None => {
                    let same = |a: &(String, u32), b: &(String, u32)| a.0 == b.0;
                    let rehash = |(key, _): &(String, u32)| key.stable_hash();
                    let found = store.find_or_insert(hash, (key.clone(), 1), same, rehash);
                    prop_assert!(found.is_none());
                }
            }
            *model.entry(key).or_insert(0) += 1;
        }
        let all: BTreeMap<String, u32> = store.into_iter().collect();
        prop_assert_eq!(all, model);
    }
}

fn with(store: &mut Store<u64>, key: u64, hash: impl Fn(&u64) -> u64) {
    assert!(store.find_or_insert(hash(&key), key, PartialEq::eq, hash).is_none());
}

/// And all of it is found, after arrays were made longer, cut up and split.
#[test]
fn it_is_about_half_full_however_much_it_holds() {
    let mut store = Store::default();
    for key in 0..100_000u64 {
        with(&mut store, key, StableHash::stable_hash);
        let (len, places) = (store.len() as f64, store.places() as f64);
        assert!(len <= 0.75 * places + 1.0, "{len} of {places}");
        assert!(len < 100.0 || len >= 0.46 * places, "{len} of {places}");
        assert!(len < 5_000.0 || len <= 0.6 * places, "{len} of {places}");
        if key % 1_000 == 999 {
            let found = |key: &u64| store.find(key.stable_hash(), |k| k == key).is_some();
            assert!((0..=key).all(|key| found(&key)) && !found(&(key + 1)), "{key}");
        }
    }
    assert!(store.arrays.len() > 100, "arrays of some kilobytes are split");
}

/// The directory stays in proportion where hashes cannot be told apart.
#[test]
fn a_single_hash_for_all_makes_one_long_array() {
    let mut store = Store::default();
    let hash = |key: &u64| if *key < 1_000 { 7 } else { key.stable_hash() };
    for key in 0..3_000 {
        with(&mut store, key, hash);
    }
    assert!(store.directory.len() <= 8 * store.arrays.len(), "{}", store.directory.len());
    for key in 0..3_000 {
        assert!(store.find(hash(&key), |k| *k == key).is_some());
    }
}
