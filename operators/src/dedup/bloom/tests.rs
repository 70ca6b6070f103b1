//! The rate of loss is met, no copy passes, and memory is a fraction of the exact one's.

use super::*;
use crate::dedup::DedupState;
use crate::time::{Span, mins};

fn at(micros: i64) -> EventTime {
    EventTime::from_micros(micros)
}

/// Feeds keys that are all different, and says how many were lost.
fn lost(filters: &mut Filters, keys: std::ops::Range<u64>, time: impl Fn(u64) -> i64) -> usize {
    let mut lost = 0;
    for key in keys {
        let (slice, hash) = (filters.slice_of(at(time(key))), key.stable_hash());
        if filters.knows(slice, hash) {
            lost += 1;
        } else {
            filters.insert(slice, hash);
        }
        assert!(filters.knows(slice, hash), "a filter forgets nothing");
    }
    lost
}

/// With as many keys as expected, with a hundred times as many, and spread over all slices.
#[test]
fn the_rate_is_met() {
    for (rate, expected) in [(0.05, 100_000), (0.01, 100_000), (0.01, 1_000), (0.001, 100_000)] {
        let ttl = 4_000_000;
        let horizon = Horizon::within(Span::from_micros(ttl));
        let mut filters = Filters::new(horizon, Bloom::may_lose(rate).expecting(expected));
        let keys = 100_000;
        // The slices are filled one after another; at the end four behind and the last are in reach.
        let lost = lost(&mut filters, 0..keys, |key| (key as i64) * ttl / keys as i64);
        let share = lost as f64 / keys as f64;
        assert!(share <= rate, "{share} instead of {rate}");
        let unseen = (keys..2 * keys).filter(|key| filters.knows(2, key.stable_hash())).count();
        let share = unseen as f64 / keys as f64;
        assert!(share <= rate, "{share} instead of {rate}");
        assert!(share > 0.0 || rate < 0.005, "not a filter at all");
    }
}

#[test]
fn memory_is_a_fraction_of_the_exact_one() {
    let keys = 400_000;
    let horizon = Horizon::within(mins(10));
    let mut filters = Filters::new(horizon, Bloom::may_lose(0.01).expecting(keys as usize));
    let mut exact = DedupState::new(horizon);
    let time = |key: u64| key as i64 * 600_000_000 / keys as i64;
    lost(&mut filters, 0..keys, time);
    (0..keys).for_each(|key| _ = exact.insert(key.stable_hash(), key, at(time(key))));
    let (bits, table) = (filters.bytes as f64 / keys as f64, exact.bytes() as f64 / keys as f64);
    assert!(bits < 3.5 && table > 19.0, "{bits} and {table} bytes per key");
}

/// Copies less than `ttl` apart are found whatever the slices; from `ttl` and a quarter on they are
/// none.
#[test]
fn reach() {
    for ttl in [1i64, 2, 3, 4, 5, 7, 8, 100, 1_001] {
        let horizon = Horizon::within(Span::from_micros(ttl));
        for start in -9..9 {
            let mut filters = Filters::new(horizon, Bloom::may_lose(1e-9));
            let hash = 1u64.stable_hash();
            filters.insert(filters.slice_of(at(start)), hash);
            let knows = |time| filters.knows(filters.slice_of(at(time)), hash);
            for distance in [0, ttl / 2, ttl - 1] {
                assert!(knows(start + distance) && knows(start - distance), "{ttl} {start}");
            }
            let beyond = (filters.reach + 1) * filters.slice;
            assert!(beyond <= ttl + ttl / 4 + 5);
            assert!(!knows(start + beyond) && !knows(start - beyond), "{ttl} {start}");
            // It goes when no row in time can ask for it.
            let mut gone = 0;
            while filters.keys > 0 {
                assert!(gone <= 2 * (ttl + filters.slice), "{ttl} {start}");
                gone += 1;
                filters.expire(at(start + gone));
            }
            assert!(gone >= ttl && filters.bytes == 0, "{ttl} {start}: gone after {gone}");
        }
    }
}

#[test]
fn what_is_saved_is_loaded_and_no_more_than_was_touched_is_saved() {
    let horizon = Horizon::within(Span::from_micros(400));
    let bloom = Bloom::may_lose(0.01);
    let mut filters = Filters::new(horizon, bloom);
    let mut snapshot = crate::state::Snapshot::default();
    let mut save = |filters: &mut Filters| {
        let mut out = Saver::new("once", Shape::nothing(), 0, 1);
        while !filters.save(&mut Fuel::new(100), &mut out) {}
        let written = out.written().0;
        snapshot.apply(&out.take(true)).unwrap();
        let mut loaded = Filters::new(horizon, bloom);
        if let Some(saved) = snapshot.operator("once") {
            saved.each(|entry| loaded.load(entry)).unwrap();
        }
        assert_eq!((loaded.keys, loaded.bytes), (filters.keys, filters.bytes));
        for key in 0..50_000u64 {
            let (slice, hash) = ((key % 9) as i64 - 2, key.stable_hash());
            assert_eq!(loaded.knows(slice, hash), filters.knows(slice, hash));
        }
        written
    };
    lost(&mut filters, 0..40_000, |key| (key % 400) as i64);
    assert!(save(&mut filters) >= 4 * 4_096 / 2);
    assert_eq!(save(&mut filters), 0);
    filters.insert(3, 7_000_000u64.stable_hash());
    assert_eq!(save(&mut filters), 1);
    filters.expire(at(650));
    assert_eq!(save(&mut filters), 1);
    assert!(filters.slices.len() < 4 && filters.keys > 0);
}
