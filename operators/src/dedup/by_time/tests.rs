//! The first by event time passes, for every order of arrival and every amount of fuel.

use proptest::prelude::*;

use super::*;

type Row = (u8, i64, u8);
type State = FirstByTime<fn(&Row) -> u8, Row, DedupState<u8>>;

/// Sorts everything, then walks.
fn model(ttl: i64, rows: &[Row]) -> Vec<(Row, bool)> {
    let mut sorted = rows.to_vec();
    sorted.sort_by_key(|&(key, time, value)| (time, key, value));
    let mut kept: Vec<(u8, i64)> = Vec::new();
    let mut fates = Vec::new();
    for row @ (key, time, _) in sorted {
        let first = !kept.iter().any(|&(k, t)| k == key && time < t.saturating_add(ttl));
        if first {
            kept.push((key, time));
        }
        fates.push((row, first));
    }
    fates.sort();
    fates
}

fn close(state: &mut State, frontier: EventTime, fuel: usize) -> Vec<(Row, bool)> {
    let mut out = Emit::default();
    let now = Now { before: EventTime::MIN, frontier, wall: EventTime::MIN };
    while !state.close(now, &mut Fuel::new(fuel), &mut out) {}
    let passed = out.rows.into_iter().map(|row| (row.data, true));
    let aside = out.side.into_iter().map(|row| match row.data {
        SetAside::Duplicate(row) => (row, false),
        SetAside::Late(_) => panic!("nothing is late at the end of a tick"),
    });
    passed.chain(aside).collect()
}

fn state(ttl: i64, lateness: Span) -> State {
    let horizon = Horizon::within(Span::from_micros(ttl)).late_by(lateness);
    FirstByTime::new(DedupState::new(horizon), |row| row.0, Arc::default())
}

fn apply(state: &mut State, before: i64, row: Row) {
    let mut out = Emit::default();
    let mut rows = vec![Timed::on_time(EventTime::from_micros(row.1), row)];
    state.apply(EventTime::from_micros(before), &mut rows, &mut out);
    assert!(out.rows.is_empty() && out.side.is_empty(), "{row:?} is not late at {before}");
}

proptest! {
    #![proptest_config(crate::testing::cases(2_000))]

    #[test]
    fn agrees_with_the_model(
        rows in prop::collection::vec((0..4_u8, -60..60_i64, 0..3_u8), 0..60),
        ttl in prop::sample::select(vec![0, 1, 5, 30]),
        lateness in prop::sample::select(vec![0, 1, 25]),
        order in Just((0..60_usize).collect::<Vec<_>>()).prop_shuffle(),
        fuel in 1..9_usize,
        step in 1..20_i64,
    ) {
        let mut state = state(ttl, Span::from_micros(lateness));
        let mut found = Vec::new();
        // Rows arrive in any order, as long as none is late when it comes.
        let mut left: Vec<usize> = order.into_iter().filter(|&i| i < rows.len()).collect();
        let mut frontier = -80;
        while frontier < 140 {
            // Those that are due now or soon, and a few of the others.
            left.retain(|&i| {
                let row = rows[i];
                let comes =
                    row.1 < frontier + step - lateness || i % 7 == frontier.rem_euclid(7) as usize;
                if comes {
                    apply(&mut state, frontier, row);
                }
                !comes
            });
            frontier += step;
            found.extend(close(&mut state, EventTime::from_micros(frontier), fuel));
            for Reverse(row) in state.waiting.iter() {
                prop_assert!(row.time.micros() + lateness >= frontier);
            }
        }
        found.sort();
        prop_assert_eq!(found, model(ttl, &rows));
        prop_assert_eq!(state.waiting.len(), 0);
    }
}

#[test]
fn the_end_of_input_releases_everything() {
    let mut state = state(5, Span::MAX);
    apply(&mut state, i64::MIN, (1, i64::MAX, 0));
    apply(&mut state, i64::MIN, (1, i64::MIN, 0));
    assert_eq!(close(&mut state, EventTime::MAX, usize::MAX).len(), 2);
    assert!(state.passed.is_empty() && state.waiting.is_empty());
}

#[test]
fn a_row_goes_when_the_frontier_is_beyond_it_and_the_lateness() {
    let mut state = state(5, Span::from_micros(10));
    apply(&mut state, 0, (1, 100, 0));
    assert_eq!(close(&mut state, EventTime::from_micros(110), 9), []);
    assert_eq!(close(&mut state, EventTime::from_micros(111), 9), [((1, 100, 0), true)]);
}
