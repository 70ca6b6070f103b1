//! Lookup joins against a search through all accepted upserts, over any cutting into ticks, workers,
//! cuts and restores.

use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{
    Feed, Out, Row, Workers, feeds_of, judged, run, run_cut, sorted,
};
use tiderace_operators::tick::Side;

#[derive(Clone, Copy, Debug)]
struct By {
    inner: bool,
    lateness: i64,
}

/// Late or not, event time, row, value.
type Got = (bool, i64, Option<Row>, Option<i32>);

/// Every third value is a deletion.
fn value(row: &Row) -> Option<i32> {
    (row.value % 3 != 0).then_some(row.value)
}

fn model(feed: &Feed<Row>, by: By) -> Vec<Got> {
    let mut out = Vec::new();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for (row, frontier) in judged(feed) {
        let late = row.time < frontier.saturating_sub(by.lateness);
        match (late, row.source) {
            (true, 0) => out.push((true, row.time, Some(row), None)),
            (true, _) => out.push((true, row.time, None, value(&row))),
            (false, 0) => left.push(row),
            (false, _) => right.push(row),
        }
    }
    for l in left {
        let known = right.iter().filter(|r| r.key == l.key && r.time <= l.time);
        let valid = known.max_by_key(|r| (r.time, postcard::to_stdvec(&value(r)).unwrap()));
        match valid.and_then(value) {
            None if by.inner => {}
            value => out.push((false, l.time, Some(l), value)),
        }
    }
    sorted(out)
}

fn program(by: By) -> impl Fn(&[Events<'_, u64, Row>], &Out<Got>) + Clone {
    move |inputs, out| {
        let table = inputs[1].map(|row| (row.key, value(&row)));
        let join = inputs[0].lookup("join", &table, |row| row.key);
        let join = join.allow_late(Duration::from_micros(by.lateness as u64));
        let late = if by.inner {
            let joined = join.inner();
            out.gather(&joined, |row| {
                (false, row.time.micros(), Some(row.data.0), Some(row.data.1))
            });
            joined.late()
        } else {
            let joined = join.left();
            out.gather(&joined, |row| (false, row.time.micros(), Some(row.data.0), row.data.1));
            joined.late()
        };
        out.gather(&late, |row| match row.data {
            Side::Left(l) => (true, row.time.micros(), Some(l), None),
            Side::Right((_, value)) => (true, row.time.micros(), None, value),
        });
    }
}

fn check(feed: &Feed<Row>, workers: usize, by: By) {
    let ran = run(feed, Workers::threads(workers), program(by));
    assert_eq!(sorted(ran.rows), model(feed, by), "{by:?}");
    let counts = ran.observer.counts("join");
    assert!(counts.balanced(), "{counts:?}");
    let upserts = feed.rows().filter(|row| row.0 == 1).count();
    let rows = feed.rows().count() - upserts;
    assert_eq!(counts.input, (rows + workers * upserts) as u64, "the table is on every worker");
    assert_eq!(counts.held, 0, "all state is gone");
}

fn parameters() -> impl Strategy<Value = By> {
    let lateness = prop_oneof![Just(0i64), 0i64..50];
    (any::<bool>(), lateness).prop_map(|(inner, lateness)| By { inner, lateness })
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn agree_with_the_model(feed in feeds_of(2), by in parameters()) {
        for workers in [1, 2, 5] {
            for ticks in [feed.clone(), feed.ticks(true), feed.ticks(false)] {
                check(&ticks, workers, by);
            }
        }
    }

    #[test]
    fn goes_on_after_cuts(
        feed in feeds_of(2),
        cuts in prop::collection::vec((0usize..160, 1usize..6), 1..4),
        last in 1usize..6,
        by in parameters(),
    ) {
        let mut cuts: Vec<_> = cuts.into_iter().map(|(at, n)| (at, Workers::threads(n))).collect();
        cuts.sort_by_key(|cut| cut.0);
        let cut = run_cut(&feed, &cuts, Workers::threads(last), program(by));
        prop_assert_eq!(sorted(cut.rows), model(&feed, by));
    }
}

fn row(source: u32, partition: u32, time: i64, value: i32) -> Row {
    Row { source, partition, time, key: 0, value }
}

/// The table counts from its instant on, one microsecond to either side; a deletion too.
#[test]
fn the_edges_of_a_version() {
    for distance in [-1, 0, 1] {
        for deletes in [false, true] {
            let mut feed = Feed::new(Duration::ZERO);
            let second = if deletes { 3 } else { 2 };
            let rows = [row(1, 0, 50, 1), row(1, 0, 100, second), row(0, 0, 100 + distance, 0)];
            for row in rows {
                feed.row(row.source, 0, EventTime::from_micros(row.time), row);
                feed.end_tick_after(true);
            }
            let by = By { inner: false, lateness: 0 };
            check(&feed, 2, by);
            let wanted = if distance < 0 { Some(1) } else { value(&row(1, 0, 0, second)) };
            assert_eq!(model(&feed, by)[0].3, wanted);
        }
    }
}

/// Equal rows that wait on two workers at a cut stay two rows.
#[test]
fn equal_rows_on_two_workers_are_two() {
    let mut feed = Feed::new(Duration::ZERO);
    feed.partition(1, 0);
    for partition in [0, 1, 0, 1] {
        feed.row(0, partition, EventTime::from_micros(9), row(0, 7, 9, 4));
    }
    feed.row(1, 0, EventTime::from_micros(5), row(1, 0, 5, 1));
    let by = By { inner: true, lateness: 0 };
    let threads = Workers::threads;
    let cut = run_cut(&feed, &[(5, threads(2)), (5, threads(5))], threads(2), program(by));
    assert_eq!(cut.rows, vec![(false, 9, Some(row(0, 7, 9, 4)), Some(1)); 4]);
}

#[test]
fn an_hour_apart_loses_nothing() {
    let hour = 3_600_000_000;
    for ahead in [0u32, 1] {
        let mut feed = Feed::new(Duration::ZERO);
        for source in [ahead, 1 - ahead] {
            for i in 0..200i64 {
                let row = row(source, 0, i * (hour / 200), i as i32 * 3 + 1);
                feed.row(source, 0, EventTime::from_micros(row.time), row);
                feed.end_tick_after(true);
            }
        }
        let by = By { inner: true, lateness: 0 };
        check(&feed, 2, by);
        assert_eq!(model(&feed, by).len(), 200);
    }
}

#[test]
fn two_processes() {
    let mut feed = Feed::new(Duration::from_micros(3));
    for i in 0..200i64 {
        let row = row(i as u32 % 2, i as u32 / 2 % 2, i * 3 - 250, i as i32);
        feed.row(row.source, row.partition, EventTime::from_micros(row.time), row);
        feed.end_tick_after(i % 3 == 0);
    }
    let by = By { inner: false, lateness: 5 };
    let ran = run(&feed, Workers::processes(2, 1), program(by));
    assert_eq!(sorted(ran.rows), model(&feed, by));
}

/// Without waiting, a row meets the newest of what has come up to the end of its tick.
#[test]
fn the_latest_is_what_has_come() {
    let mut feed = Feed::new(Duration::from_micros(100));
    let rows = [
        row(0, 0, 10, 0),
        row(1, 0, 50, 1), // the tick after: too late for the first row
        row(0, 0, 20, 0),
        row(1, 0, 40, 2), // older than what is known
        row(0, 0, 30, 0),
        row(1, 0, 60, 3), // a deletion
        row(0, 0, 40, 0),
        row(1, 0, 55, 4), // older than the deletion
        row(0, 0, 41, 0),
    ];
    for row in rows {
        feed.row(row.source, 0, EventTime::from_micros(row.time), row);
        for source in 0..2 {
            let end = tiderace_operators::testing::Step::EndTick { source, partition: 0 };
            feed.steps.push(end);
        }
    }
    let program = |inputs: &[Events<'_, u64, Row>], out: &Out<_>| {
        let table = inputs[1].map(|row| (row.key, value(&row)));
        let joined = inputs[0].lookup("join", &table, |row| row.key).latest().left();
        out.gather(&joined, |row| (row.time.micros(), row.data.1));
    };
    let wanted = [(10, None), (20, Some(1)), (30, Some(1)), (40, None), (41, None)];
    assert_eq!(sorted(run(&feed, Workers::threads(1), program).rows), wanted);
    let threads = Workers::threads;
    let cut = run_cut(&feed, &[(9, threads(1)), (21, threads(3))], threads(1), program);
    assert_eq!(cut.rows.len(), wanted.len());
}
