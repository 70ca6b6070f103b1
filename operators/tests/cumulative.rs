//! Cumulative windows against the model.

mod oracle;

use std::time::Duration;

use oracle::{check, check_cut, model, ordered};
use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::cuts;
use tiderace_operators::testing::{Feed, Out, Row, Workers, feeds, run_cut};

fn by(steps: i64, step: i64, offset: i64) -> Cumulative {
    let micros = |n: i64| Duration::from_micros(n as u64);
    Cumulative::of(micros(steps * step), micros(step)).offset_micros(offset)
}

/// Walks to the period, and tries every end in it.
fn windows(t: i64, steps: i64, step: i64, offset: i64) -> Vec<(i64, i64)> {
    let mut start = offset;
    while start > t {
        start -= steps * step;
    }
    while start + steps * step <= t {
        start += steps * step;
    }
    let ends = (1..=steps).map(|n| start + n * step);
    ends.filter(|&end| end > t).map(|end| (start, end)).collect()
}

fn wanted(feed: &Feed<Row>, shape: (i64, i64, i64), lateness: i64) -> oracle::Wanted {
    model(feed, lateness, |t| windows(t, shape.0, shape.1, shape.2))
}

fn shapes() -> impl Strategy<Value = (i64, i64, i64)> {
    (1i64..9, 1i64..25, -90i64..90)
}

fn lateness() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0i64), 0i64..50]
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(80))]

    #[test]
    fn agree_with_the_model(
        feed in feeds(),
        workers in prop::sample::select(vec![1usize, 2, 5]),
        shape in shapes(),
        late in lateness(),
    ) {
        let wanted = wanted(&feed, shape, late);
        check(&feed, workers, &wanted, program!(by(shape.0, shape.1, shape.2), late));
    }

    /// Where ticks end, and on which worker a partition is read, changes no final result.
    #[test]
    fn ticks_and_workers_change_nothing(feed in feeds(), shape in shapes(), late in lateness()) {
        let wanted = wanted(&feed, shape, late);
        for workers in [1, 2, 5] {
            for feed in [feed.ticks(true), feed.ticks(false)] {
                check(&feed, workers, &wanted, program!(by(shape.0, shape.1, shape.2), late));
            }
        }
    }

    #[test]
    fn go_on_after_cuts(
        feed in feeds(),
        cuts in cuts(),
        last in 1usize..6,
        shape in shapes(),
        late in lateness(),
    ) {
        let wanted = wanted(&feed, shape, late);
        check_cut(&feed, &cuts, last, &wanted, program!(by(shape.0, shape.1, shape.2), late));
    }
}

/// One unit either way of the end of each window.
#[test]
fn the_edges_of_windows() {
    for late in [0, 7] {
        let mut seen = std::collections::BTreeSet::new();
        for newest in 15..50 {
            let feed = ordered([-30, 14, newest, 14]);
            let wanted = wanted(&feed, (3, 10, 0), late);
            seen.insert((newest.min(31 + late), wanted.late, wanted.late_windows));
            check(&feed, 2, &wanted, program!(by(3, 10, 0), late));
        }
        // 14 is in the windows that end at 20 and 30.
        let at = |newest| seen.iter().find(|seen| seen.0 == newest).map(|seen| (seen.1, seen.2));
        assert_eq!(at(19 + late), Some((0, 0)));
        assert_eq!(at(20 + late), Some((0, 1)));
        assert_eq!(at(29 + late), Some((0, 1)));
        assert_eq!(at(30 + late), Some((1, 0)));
    }
}

/// One total a key, however many steps it was made in; it is gone when the period is over.
#[test]
fn one_total_is_kept() {
    let feed = ordered(0..100);
    let program = |inputs: &[Events<'_, u64, Row>], out: &Out<u64>| {
        let windows = inputs[0].key_by(|row| row.key).window(by(50, 1, 0));
        out.gather(&windows.aggregate("windows", Count), |row| row.data.value);
    };
    let one = Workers::threads(1);
    let ran = run_cut(&feed, &[(40 * 2, one), (41 * 2, one), (51 * 2, one)], one, program);
    assert_eq!(ran.rows.iter().sum::<u64>(), 2 * (1..=50).sum::<u64>());
    let bytes: Vec<_> = ran.cuts.iter().map(|cut| cut.frames.1).collect();
    assert!(bytes.iter().all(|&bytes| bytes < 150), "{bytes:?}");
}
