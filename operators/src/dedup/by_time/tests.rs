//! The first by event time passes, for every order of arrival and every way of releasing.

use proptest::prelude::*;

use super::*;
use crate::time::Span;

/// Sorts everything, then walks.
fn model(ttl: i64, rows: &[(u8, i64)]) -> Vec<(i64, u8, bool)> {
    let mut sorted: Vec<(i64, usize, u8)> =
        rows.iter().enumerate().map(|(i, &(key, time))| (time, i, key)).collect();
    sorted.sort_unstable();
    let mut kept: Vec<(u8, i64)> = Vec::new();
    let mut fates = Vec::new();
    for (time, _, key) in sorted {
        let first = !kept.iter().any(|&(k, t)| k == key && time < t.saturating_add(ttl));
        if first {
            kept.push((key, time));
        }
        fates.push((time, key, first));
    }
    fates
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn agrees_with_the_model(
        rows in prop::collection::vec((0..4_u8, -60..60_i64), 0..60),
        ttl in prop::sample::select(vec![0, 1, 5, 30]),
        lateness in prop::sample::select(vec![0, 1, 25]),
        order in Just((0..60_usize).collect::<Vec<_>>()).prop_shuffle(),
        fuel in 1..9_usize,
        step in 1..20_i64,
    ) {
        let horizon = Horizon::within(Span::from_micros(ttl)).late_by(Span::from_micros(lateness));
        let mut state = FirstByTime::new(horizon);
        let mut found = Vec::new();
        // Rows arrive in any order, as long as none is late when it comes.
        let mut left: Vec<usize> = order.into_iter().filter(|&i| i < rows.len()).collect();
        let mut frontier = -80;
        while frontier < 140 {
            let at = EventTime::from_micros(frontier);
            // Those that are due now or soon, and a few of the others.
            left.retain(|&i| {
                let (key, time) = rows[i];
                let comes = time < frontier + step - lateness || i % 7 == frontier.rem_euclid(7) as usize;
                if comes {
                    assert!(!horizon.is_late(EventTime::from_micros(time), at));
                    state.insert(key, EventTime::from_micros(time), i, ());
                }
                !comes
            });
            frontier += step;
            let pass = |time: EventTime, key, (), verdict| {
                found.push((time.micros(), key, verdict == Verdict::First));
            };
            let mut pass = pass;
            while !state.release(EventTime::from_micros(frontier), fuel, &mut pass) {}
            for (time, ..) in state.waiting() {
                prop_assert!(time.micros() + lateness >= frontier);
            }
        }
        prop_assert_eq!(found, model(ttl, &rows));
        prop_assert_eq!(state.waiting().count(), 0);
    }
}

#[test]
fn the_end_of_input_releases_everything() {
    let mut state = FirstByTime::new(Horizon::within(Span::from_micros(5)).late_by(Span::MAX));
    state.insert(1_u32, EventTime::MAX, 0, ());
    state.insert(1_u32, EventTime::MIN, 1, ());
    let mut passed = 0;
    assert!(state.release(EventTime::MAX, usize::MAX, |_, _, (), _| passed += 1));
    assert_eq!((passed, state.passed().len()), (2, 0));
}
