//! Lookup joins against a search through all accepted upserts, over any cutting into ticks, workers,
//! cuts and restores.

#[path = "oracle/join.rs"]
mod oracle;

use std::time::Duration;

use oracle::{
    Join, an_hour_apart, check, check_cut, check_late_input, check_ticks_and_workers, in_order,
    judge, latenesses, side_by_side, sides,
};
use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{Feed, Out, Row, Workers, cuts, feeds_of, run, run_cut, sorted};

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

impl Join for By {
    type Got = Got;

    fn build(self, inputs: &[Events<'_, u64, Row>], out: &Out<Got>) {
        let table = inputs[1].map(|row| (row.key, value(&row)));
        let join = inputs[0].lookup("join", &table, |row| row.key);
        let join = join.allow_late(Duration::from_micros(self.lateness as u64));
        let late = if self.inner {
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
        out.gather(&late, |row| {
            let (l, upsert) = sides(row.data);
            (true, row.time.micros(), l, upsert.and_then(|(_, value)| value))
        });
    }

    fn model(self, feed: &Feed<Row>) -> Vec<Got> {
        let rows = judge(feed, |row, frontier| row.time < frontier.saturating_sub(self.lateness));
        let late = |(row, _): &(Row, i64)| match row.source {
            0 => (true, row.time, Some(*row), None),
            _ => (true, row.time, None, value(row)),
        };
        let mut out: Vec<_> = rows.late.iter().map(late).collect();
        for (l, _) in rows.left {
            let table = rows.right.iter().map(|(r, _)| r);
            let known = table.filter(|r| r.key == l.key && r.time <= l.time);
            let valid = known.max_by_key(|r| (r.time, postcard::to_stdvec(&value(r)).unwrap()));
            match valid.and_then(value) {
                None if self.inner => {}
                value => out.push((false, l.time, Some(l), value)),
            }
        }
        sorted(out)
    }

    /// The table is on every worker.
    fn input(feed: &Feed<Row>, workers: Workers) -> u64 {
        let upserts = feed.rows().filter(|row| row.0 == 1).count();
        (feed.rows().count() - upserts + workers.count() * upserts) as u64
    }
}

fn parameters() -> impl Strategy<Value = By> {
    (any::<bool>(), latenesses()).prop_map(|(inner, lateness)| By { inner, lateness })
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn agree_with_the_model(feed in feeds_of(2), by in parameters()) {
        check_ticks_and_workers(&feed, by);
    }

    #[test]
    fn goes_on_after_cuts(
        feed in feeds_of(2), cuts in cuts(), last in 1usize..6, by in parameters(),
    ) {
        check_cut(&feed, &cuts, last, by);
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
            let second = if deletes { 3 } else { 2 };
            let rows = [row(1, 0, 50, 1), row(1, 0, 100, second), row(0, 0, 100 + distance, 0)];
            let feed = in_order(rows);
            let by = By { inner: false, lateness: 0 };
            check(&feed, Workers::threads(2), by);
            let wanted = if distance < 0 { Some(1) } else { value(&row(1, 0, 0, second)) };
            assert_eq!(by.model(&feed)[0].3, wanted);
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
    let cut =
        run_cut(&feed, &[(5, threads(2)), (5, threads(5))], threads(2), move |inputs, out| {
            by.build(inputs, out);
        });
    assert_eq!(cut.rows, vec![(false, 9, Some(row(0, 7, 9, 4)), Some(1)); 4]);
}

#[test]
fn an_hour_apart_loses_nothing() {
    for feed in [0, 1].map(an_hour_apart) {
        let by = By { inner: true, lateness: 0 };
        check(&feed, Workers::threads(2), by);
        assert!(by.model(&feed).len() >= 399);
    }
}

#[test]
fn two_processes() {
    check(&side_by_side(), Workers::processes(2, 1), By { inner: false, lateness: 5 });
}

/// The table is on every worker, and in a cut it is written once: what has come, and what has gone.
#[test]
fn a_cut_holds_the_table_once() {
    let mut feed = Feed::new(Duration::ZERO);
    feed.row(0, 0, EventTime::from_micros(1), row(0, 0, 1, 1));
    for round in 1..=2 {
        for key in 0..200u8 {
            let row = Row { key, ..row(1, 0, round * 10, 1) };
            feed.row(1, 0, EventTime::from_micros(row.time), row);
        }
        feed.end_tick_after(true);
        feed.row(0, 0, EventTime::from_micros(round * 10 + 5), row(0, 0, round * 10 + 5, 1));
        feed.end_tick_after(true);
    }
    feed.row(1, 0, EventTime::from_micros(30), row(1, 0, 30, 1));
    let (by, steps) = (By { inner: false, lateness: 0 }, feed.steps.len());
    let written = |workers| {
        let workers = Workers::threads(workers);
        let cuts = [(steps / 2, workers), (steps, workers)];
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Out<_>| by.build(inputs, out);
        let ran = run_cut(&feed, &cuts, workers, program);
        ran.cuts.iter().map(|cut| cut.frames.1).collect::<Vec<_>>()
    };
    let (one, four) = (written(1), written(4));
    for (one, four) in one.into_iter().zip(four) {
        assert!(one > 200 * 3 && four < one * 3 / 2, "{one} bytes by one worker, {four} by four");
    }
}

#[test]
fn late_rows_of_either_side_are_taken_in() {
    for inner in [true, false] {
        check_late_input(By { inner, lateness: 0 });
    }
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
