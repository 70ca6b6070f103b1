//! Sliding windows against the model.

mod oracle;

use std::time::Duration;

use oracle::{check, check_cut, model, ordered};
use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::cuts;
use tiderace_operators::testing::{Feed, Out, Row, Workers, feeds, run};

fn micros(n: i64) -> Duration {
    Duration::from_micros(n as u64)
}

fn by(size: i64, slide: i64, offset: i64) -> Sliding {
    Sliding::of(micros(size), micros(slide)).offset_micros(offset).allow_gaps()
}

/// Tries every start that there could be.
fn windows(t: i64, size: i64, slide: i64, offset: i64) -> Vec<(i64, i64)> {
    let starts = t - size + 1..=t;
    let on_grid = |start: &i64| (start - offset).rem_euclid(slide) == 0;
    starts.filter(on_grid).map(|start| (start, start + size)).collect()
}

fn wanted(feed: &Feed<Row>, shape: (i64, i64, i64), lateness: i64) -> oracle::Wanted {
    model(feed, lateness, |t| windows(t, shape.0, shape.1, shape.2))
}

/// Sizes that are and are not multiples of the slide, and gaps.
fn shapes() -> impl Strategy<Value = (i64, i64, i64)> {
    let size = prop_oneof![1i64..60, Just(60), Just(100)];
    let slide = prop_oneof![1i64..12, 1i64..80, Just(5)];
    (size, slide, -90i64..90)
}

fn lateness() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0i64), 0i64..50]
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(100))]

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

/// One unit either way of the end of each window: a row is late for those that are complete, and
/// late in all only when its last window is.
#[test]
fn the_edges_of_windows() {
    let shape = (25, 10, 0);
    for late in [0, 7] {
        let mut seen = std::collections::BTreeSet::new();
        for newest in 20..60 {
            let feed = ordered([-30, 14, newest, 14]);
            let wanted = wanted(&feed, shape, late);
            seen.insert((wanted.late, wanted.late_windows));
            for workers in [1, 2] {
                check(&feed, workers, &wanted, program!(by(25, 10, 0), late));
            }
        }
        // 14 is in windows that end at 15, 25 and 35.
        let edges = [(0, 0), (0, 1), (0, 2), (1, 0)];
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), &edges[usize::from(late == 0)..]);
    }
}

/// Times at both ends of what a number holds.
#[test]
fn windows_at_the_ends_of_time() {
    for times in
        [[i64::MIN, i64::MIN + 1, i64::MIN + 30], [i64::MAX - 30, i64::MAX - 9, i64::MAX - 1]]
    {
        let feed = ordered(times);
        let saturated = |t: i64| {
            let of = |k: i128| {
                let start = k * 7;
                let clamp = |n: i128| n.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
                (clamp(start), clamp(start + 25))
            };
            let last = i128::from(t).div_euclid(7);
            let numbers = (last - 10..=last).filter(|k| k * 7 + 25 > i128::from(t));
            numbers.map(of).collect::<Vec<_>>()
        };
        let mut all = std::collections::BTreeMap::new();
        for time in times {
            for window in saturated(time) {
                *all.entry(window).or_insert(0) += 1;
            }
        }
        let ran = run(&feed, Workers::threads(1), program!(by(25, 7, 0), 0));
        assert_eq!(ran.rows.len(), all.len());
        for row in ran.rows {
            let oracle::Got::Result { start, end, count, .. } = row else {
                panic!("nothing is late: {row:?}")
            };
            assert_eq!(all.get(&(start, end)), Some(&count));
        }
    }
}

/// Windows on the results of windows lose nothing, whatever the lateness of the first.
#[test]
fn windows_follow_windows() {
    for (workers, late) in [(1, 0), (2, 40), (5, 13)] {
        let feed = ordered((0..300).map(|i| i * 7 - 900 - (i % 3) * 9));
        let ran = run(&feed, Workers::threads(workers), move |inputs, out: &Out<u64>| {
            let small = inputs[0].key_by(|row: &Row| row.key).window(by(20, 5, 0));
            let small = small.allow_late(micros(late)).aggregate("small", Count).results();
            let large = small.key_by(|row| row.key).window(by(100, 50, 0));
            let large = large.aggregate("large", Sum::of(|row: &WindowResult<u8, u64>| row.value));
            out.gather(&large, |row| row.data.value as u64);
        });
        let late_rows = ran.observer.counts("small").late;
        // Four windows of 20 a row, but for those it was late for, and each in two of 100.
        let missed = ran.observer.counts("small").late_windows + 4 * late_rows;
        assert_eq!(ran.rows.iter().sum::<u64>(), (300 * 4 - missed) * 2);
        assert_eq!(ran.observer.counts("large").late, 0);
        assert!(late > 0 || missed > 0);
    }
}

/// An hour each second: a row is kept once, not 3,600 times, and one cut writes it once.
#[test]
fn a_row_is_kept_once() {
    let mut feed = ordered((0..200).map(|second| second * 1_000_000));
    let row = |key| Row { source: 0, partition: 0, time: 200_000_000, key, value: 1 };
    (0..100).for_each(|key| feed.row(0, 0, EventTime::from_secs(200), row(key)));
    let cut = [(400, Workers::threads(1)), (500, Workers::threads(1))];
    let program = |inputs: &[Events<'_, u64, Row>], out: &Out<u64>| {
        let windows = inputs[0].key_by(|row| row.key).window(Sliding::of(hours(1), secs(1)));
        out.gather(&windows.aggregate("windows", Count), |row| row.data.value);
    };
    let ran = tiderace_operators::testing::run_cut(&feed, &cut, Workers::threads(1), program);
    assert_eq!(ran.rows.iter().sum::<u64>(), 300 * 3_600);
    let bytes: Vec<_> = ran.cuts.iter().map(|cut| cut.frames.1).collect();
    assert!(bytes[0] < 200 * 30 && bytes[1] < 100 * 30, "{bytes:?}");
}

#[test]
#[should_panic(
    expected = "moves: sliding window: the slide of 10000000 us is longer than the size"
)]
fn gaps_have_to_be_asked_for() {
    timely::execute_directly(|worker| {
        worker.dataflow::<u64, _, _>(|scope| {
            let policy = Policy::ascending();
            let (_, events) = EventInput::<u64>::new(scope, 0, policy, &Observer::default());
            let windows = events.key_by(|&key| key).window(Sliding::of(secs(5), secs(10)));
            windows.aggregate("moves", Count);
        });
    });
}

#[test]
#[should_panic(expected = "moves: sliding window: the slide of 10000000 us is longer")]
fn gaps_have_to_be_asked_for_with_triggers_too() {
    timely::execute_directly(|worker| {
        worker.dataflow::<u64, _, _>(|scope| {
            let policy = Policy::ascending();
            let (_, events) = EventInput::<u64>::new(scope, 0, policy, &Observer::default());
            let windows = events.key_by(|&key| key).window(Sliding::of(secs(5), secs(10)));
            windows.trigger(Trigger::count(3)).retracting("moves", Count);
        });
    });
}
