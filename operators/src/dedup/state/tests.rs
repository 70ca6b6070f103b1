//! Deduplication against a model that keeps everything for ever and looks at all of it.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::key::StableHash;
use crate::state::{Shape, Snapshot};
use crate::time::Span;

const BOUND: i64 = 40;

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Judged(Verdict),
    Late,
}

/// A partition's frontier: the greatest time so far less the bound.
fn frontier_after(frontier: i64, time: i64) -> i64 {
    frontier.max(time.saturating_sub(BOUND))
}

/// Feeds rows of one partition, cut into ticks before the given rows, as the operator does.
fn run(horizon: Horizon, rows: &[(u8, i64)], cuts: &BTreeSet<usize>, fuel: usize) -> Vec<Fate> {
    let mut state = DedupState::new(horizon);
    let (mut frontier, mut operator) = (i64::MIN, i64::MIN);
    let mut fates = Vec::new();
    for (i, &(key, time)) in rows.iter().enumerate() {
        if cuts.contains(&i) {
            operator = frontier;
            state.expire(EventTime::from_micros(operator), fuel);
        }
        let at = EventTime::from_micros(time);
        let fate = if horizon.is_late(at, EventTime::from_micros(frontier.max(operator))) {
            Fate::Late
        } else {
            Fate::Judged(state.insert(key.stable_hash(), key, at))
        };
        fates.push(fate);
        frontier = frontier_after(frontier, time);
    }
    assert!(state.expire(EventTime::MAX, usize::MAX) && state.is_empty());
    fates
}

fn model(ttl: i64, lateness: i64, rows: &[(u8, i64)]) -> Vec<Fate> {
    let mut kept: Vec<(u8, i128)> = Vec::new();
    let mut frontier = i64::MIN;
    let mut fates = Vec::new();
    for &(key, time) in rows {
        let at = i128::from(time);
        fates.push(if at < i128::from(frontier) - i128::from(lateness) {
            Fate::Late
        } else if kept.iter().any(|&(k, t)| k == key && (at - t).abs() < i128::from(ttl)) {
            Fate::Judged(Verdict::Duplicate)
        } else {
            kept.push((key, at));
            Fate::Judged(Verdict::First)
        });
        frontier = frontier_after(frontier, time);
    }
    fates
}

/// Rows around a point of time, at distances where one microsecond decides.
fn rows(ttl: i64, lateness: i64) -> impl Strategy<Value = Vec<(u8, i64)>> {
    let edge =
        prop::sample::select(vec![0, ttl, 2 * ttl, 3 * ttl, lateness, ttl + lateness, BOUND]);
    let distance = (edge, -1..=1_i64, 0..2_i64).prop_map(|(edge, off, k)| edge + off + k * 7);
    let start =
        prop::sample::select(vec![0, -1, -1_000_003, 1_700_000_000_000_000, i64::MIN, i64::MAX]);
    let row = (0..4_u8, distance, prop::bool::weighted(0.8));
    (start, prop::collection::vec(row, 1..60)).prop_map(|(start, steps)| {
        let mut now: i64 = start;
        let towards_the_middle = if start == i64::MAX { -1 } else { 1 };
        let row = |(key, distance, stay): (u8, i64, bool)| {
            let time = now.saturating_add(distance * towards_the_middle);
            if !stay {
                now = time;
            }
            (key, time)
        };
        steps.into_iter().map(row).collect()
    })
}

fn case() -> impl Strategy<Value = (i64, i64, Vec<(u8, i64)>)> {
    let ttl = prop::sample::select(vec![0, 1, 2, 10, 100]);
    let lateness = prop::sample::select(vec![0, 1, 30, 1_000, 20_000]);
    (ttl, lateness)
        .prop_flat_map(|(ttl, lateness)| (Just(ttl), Just(lateness), rows(ttl, lateness)))
}

fn horizon(ttl: i64, lateness: i64) -> Horizon {
    Horizon::within(Span::from_micros(ttl)).late_by(Span::from_micros(lateness))
}

proptest! {
    #![proptest_config(crate::testing::cases(3_000))]

    /// Copies judged many at a time are judged as one after the other.
    #[test]
    fn many_at_a_time((ttl, lateness, rows) in case(), many in 1..12_usize) {
        let horizon = horizon(ttl, lateness);
        let mut one = DedupState::new(horizon);
        let mut all = DedupState::new(horizon);
        let mut refreshed = [(); 2].map(|()| DedupState::refreshing(horizon));
        for rows in rows.chunks(many) {
            let rows = || rows.iter().map(|&(key, at)| {
                (key.stable_hash(), key, EventTime::from_micros(at))
            });
            let first = rows().map(|(.., at)| at).min().unwrap();
            let last = rows().map(|(.., at)| at).max().unwrap();
            let mut batch = all.between(first, last);
            rows().for_each(|(hash, _, at)| batch.warm(hash, at));
            for (hash, key, at) in rows() {
                prop_assert_eq!(batch.insert(hash, key, at), one.insert(hash, key, at));
            }
            let [one, all] = &mut refreshed;
            let mut batch = all.between(first, last);
            for (hash, key, at) in rows() {
                prop_assert_eq!(batch.insert(hash, key, at), one.insert(hash, key, at));
            }
        }
        prop_assert_eq!(all.len(), one.len());
    }

    #[test]
    fn agrees_with_the_model_for_all_cuts(
        (ttl, lateness, rows) in case(),
        cuts in prop::collection::btree_set(0..60_usize, 0..60),
        fuel in prop::sample::select(vec![0, 1, 3, usize::MAX]),
    ) {
        let expected = model(ttl, lateness, &rows);
        prop_assert_eq!(&run(horizon(ttl, lateness), &rows, &cuts, fuel), &expected);
        let every_row = (0..rows.len()).collect();
        prop_assert_eq!(&run(horizon(ttl, lateness), &rows, &every_row, usize::MAX), &expected);
    }

    /// Copies with one event time: what passes is the same for every order of arrival.
    #[test]
    fn redelivery_does_not_depend_on_arrival(
        times in prop::collection::vec(-500..500_i64, 1..20),
        copies in prop::collection::vec(any::<prop::sample::Index>(), 1..60),
        seed in any::<u64>(),
    ) {
        let mut rows: Vec<(u8, i64)> = copies
            .iter()
            .map(|copy| copy.index(times.len()))
            .map(|key| (key as u8, times[key]))
            .collect();
        let passed = |rows: &[(u8, i64)], cuts: &BTreeSet<usize>| {
            let fates = run(horizon(50, 2_000), rows, cuts, usize::MAX);
            let first = |fate: &Fate| *fate == Fate::Judged(Verdict::First);
            let mut passed: Vec<(u8, i64)> =
                rows.iter().zip(fates).filter(|(_, fate)| first(fate)).map(|(row, _)| *row).collect();
            passed.sort_unstable();
            passed
        };
        let one = passed(&rows, &BTreeSet::new());
        rows.sort_by_key(|row| (row.0 as u64 ^ seed).wrapping_mul(row.1 as u64 | 1));
        let other = passed(&rows, &(0..rows.len()).step_by(3).collect());
        prop_assert_eq!(&one, &other);
        let distinct: BTreeSet<(u8, i64)> = rows.into_iter().collect();
        prop_assert_eq!(one, distinct.into_iter().collect::<Vec<_>>());
    }
}

fn offer(state: &mut DedupState<u64>, key: u64, time: i64) -> Verdict {
    state.insert(key.stable_hash(), key, EventTime::from_micros(time))
}

#[test]
fn a_slot_that_is_alone_is_found_once_for_many() {
    let mut state = DedupState::new(horizon(100, 0));
    let mut in_one_slot = |insert: i64, [first, last]: [i64; 2]| {
        let [insert, first, last] = [insert, first, last].map(EventTime::from_micros);
        state.insert(7_u8.stable_hash(), 7, insert);
        matches!(state.between(first, last), batch::Batch::OneSlot(_))
    };
    assert!(in_one_slot(5, [0, 99]));
    assert!(!in_one_slot(5, [0, 100]));
    assert!(!in_one_slot(5, [100, 101]));
    assert!(!in_one_slot(250, [0, 99]));
}

#[test]
fn the_edge_is_at_ttl() {
    for start in [0, -7, i64::MIN + 100, i64::MAX - 300] {
        let mut state = DedupState::new(horizon(100, 0));
        assert_eq!(offer(&mut state, 1, start), Verdict::First);
        assert_eq!(offer(&mut state, 1, start + 99), Verdict::Duplicate);
        assert_eq!(offer(&mut state, 1, start + 100), Verdict::First);
        assert_eq!(offer(&mut state, 2, start + 101), Verdict::First);
        // Earlier, but arrived later: a duplicate too.
        assert_eq!(offer(&mut state, 2, start + 2), Verdict::Duplicate);
        assert_eq!(offer(&mut state, 2, start + 1), Verdict::First);
    }
}

#[test]
fn state_goes_when_its_bucket_is_behind_and_not_before() {
    // Slots of 100: a key kept at 250 goes with those up to 299, at 299 + 100 + 20.
    let mut state = DedupState::new(horizon(100, 20));
    offer(&mut state, 1, 250);
    offer(&mut state, 1, 450);
    for (frontier, left) in [(i64::MIN, 2), (250, 2), (418, 2), (419, 1), (618, 1), (619, 0)] {
        assert!(state.expire(EventTime::from_micros(frontier), usize::MAX));
        assert_eq!(state.len(), left, "at {frontier}");
    }
}

#[test]
fn keys_that_own_memory_are_dropped_by_fuel() {
    let mut state = DedupState::new(horizon(100, 0));
    for i in 0..50 {
        let key = format!("key {i}");
        state.insert(key.stable_hash(), key, EventTime::from_micros(i64::from(i) % 2 * 100));
    }
    let mut slices = 0;
    while !state.expire(EventTime::from_micros(10_000), 7) {
        slices += 1;
    }
    assert!(state.is_empty() && (6..=8).contains(&slices), "{slices} slices");
}

/// Saves what has changed and loads all that was saved so far into a fresh state.
fn over_a_cut<M: Memory>(
    state: &mut DedupState<u8, M>,
    fresh: DedupState<u8, M>,
    snapshot: &mut Snapshot,
    fuel: usize,
) -> DedupState<u8, M> {
    let mut out = Saver::new("dedup", Shape::nothing(), 0, 1);
    while !state.save(0, &mut Fuel::new(fuel), &mut out) {}
    snapshot.apply(&out.take(true)).unwrap();
    let mut fresh = fresh;
    if let Some(saved) = snapshot.operator("dedup") {
        saved.each(|entry| fresh.load(entry)).unwrap();
    }
    assert_eq!(fresh.len(), state.len(), "what was forgotten is gone from the snapshot too");
    fresh
}

proptest! {
    #![proptest_config(crate::testing::cases(2_000))]

    /// A copy that was saved and restored judges as the one that went on, cut after cut.
    #[test]
    fn a_restored_state_judges_alike(
        (ttl, lateness, rows) in case(),
        cuts in prop::collection::btree_set(0..60_usize, 0..8),
        fuel in prop::sample::select(vec![1, 3, usize::MAX]),
    ) {
        let horizon = horizon(ttl, lateness);
        let mut whole = DedupState::new(horizon);
        let (mut cut, mut snapshot) = (DedupState::new(horizon), Snapshot::default());
        let (mut refreshed, mut refreshed_cut) =
            (DedupState::refreshing(horizon), DedupState::refreshing(horizon));
        let mut refreshed_snapshot = Snapshot::default();
        let mut frontier = i64::MIN;
        for (i, &(key, time)) in rows.iter().enumerate() {
            if cuts.contains(&i) {
                let at = EventTime::from_micros(frontier);
                whole.expire(at, usize::MAX);
                cut.expire(at, usize::MAX);
                refreshed.expire(at, usize::MAX);
                refreshed_cut.expire(at, usize::MAX);
                cut = over_a_cut(&mut cut, DedupState::new(horizon), &mut snapshot, fuel);
                refreshed_cut = over_a_cut(
                    &mut refreshed_cut,
                    DedupState::refreshing(horizon),
                    &mut refreshed_snapshot,
                    fuel,
                );
            }
            let at = EventTime::from_micros(time);
            if !horizon.is_late(at, EventTime::from_micros(frontier)) {
                let hash = key.stable_hash();
                prop_assert_eq!(cut.insert(hash, key, at), whole.insert(hash, key, at));
                let (one, other) =
                    (refreshed_cut.insert(hash, key, at), refreshed.insert(hash, key, at));
                prop_assert_eq!(one, other);
            }
            frontier = frontier_after(frontier, time);
        }
    }

    /// Where duplicates count: a copy passes iff no copy at all that was not late is in reach.
    #[test]
    fn a_duplicate_prolongs_the_horizon(
        (ttl, lateness, rows) in case(),
        cuts in prop::collection::btree_set(0..60_usize, 0..60),
    ) {
        let horizon = horizon(ttl, lateness);
        let mut state = DedupState::refreshing(horizon);
        let mut copies: Vec<(u8, i128)> = Vec::new();
        let mut frontier = i64::MIN;
        for (i, &(key, time)) in rows.iter().enumerate() {
            if cuts.contains(&i) {
                state.expire(EventTime::from_micros(frontier), usize::MAX);
            }
            let at = i128::from(time);
            if !horizon.is_late(EventTime::from_micros(time), EventTime::from_micros(frontier)) {
                let known = copies.iter().any(|&(k, t)| k == key && (at - t).abs() < i128::from(ttl));
                copies.push((key, at));
                let verdict = state.insert(key.stable_hash(), key, EventTime::from_micros(time));
                prop_assert_eq!(verdict == Verdict::Duplicate, known);
            }
            frontier = frontier_after(frontier, time);
        }
    }
}

#[test]
fn a_cut_writes_what_is_new() {
    let mut state = DedupState::new(horizon(100, 0));
    let written = |state: &mut DedupState<u64>| {
        let mut out = Saver::new("dedup", Shape::nothing(), 0, 1);
        while !state.save(0, &mut Fuel::new(64), &mut out) {}
        out.written().0
    };
    (0..1_000).for_each(|key| _ = offer(&mut state, key, 10));
    assert_eq!(written(&mut state), 1_000);
    assert_eq!(written(&mut state), 0);
    (995..1_003).for_each(|key| _ = offer(&mut state, key, 11));
    assert_eq!(written(&mut state), 3);
    // What is forgotten is one entry, however much it was; what was never saved is none.
    offer(&mut state, 1, 500);
    assert!(state.expire(EventTime::from_micros(450), usize::MAX));
    assert_eq!(written(&mut state), 2);
    offer(&mut state, 2, 600);
    assert!(state.expire(EventTime::MAX, usize::MAX));
    assert_eq!(written(&mut state), 1);
    assert_eq!(written(&mut state), 0);
}

/// Many kept copies of one key must not make each look-up a walk along all of them.
#[test]
fn one_hot_key_with_a_long_lateness_is_no_trap() {
    let mut state = DedupState::new(horizon(1, 1 << 40));
    for time in 0..200_000 {
        assert_eq!(offer(&mut state, 1, time), Verdict::First);
    }
    assert_eq!(offer(&mut state, 1, 77_777), Verdict::Duplicate);
    assert_eq!(state.len(), 200_000);
}
