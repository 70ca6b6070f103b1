//! As-of joins against a search through all accepted rows of the right side, over any cutting into
//! ticks, workers, cuts and restores.

use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::join::AsOf;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{
    Feed, Out, Row, Workers, feeds_of, judged, run, run_cut, sorted,
};
use tiderace_operators::tick::Side;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Backward,
    BackwardWithin(i64),
    Forward(i64),
    Nearest(i64),
}

#[derive(Clone, Copy, Debug)]
struct By {
    direction: Direction,
    inner: bool,
    lateness: i64,
}

/// Late or not, event time, left row, right row.
type Got = (bool, i64, Option<Row>, Option<Row>);

fn model(feed: &Feed<Row>, by: By) -> Vec<Got> {
    let mut out = Vec::new();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for (row, frontier) in judged(feed) {
        let late = row.time < frontier.saturating_sub(by.lateness);
        match (late, row.source) {
            (true, 0) => out.push((true, row.time, Some(row), None)),
            (true, _) => out.push((true, row.time, None, Some(row))),
            (false, 0) => left.push(row),
            (false, _) => right.push(row),
        }
    }
    for l in left {
        let bytes = |r: &Row| postcard::to_stdvec(r).unwrap();
        let mine = right.iter().filter(|r| r.key == l.key);
        let older = mine.clone().filter(|r| r.time <= l.time).max_by_key(|r| (r.time, bytes(r)));
        let newer =
            mine.filter(|r| r.time >= l.time).max_by_key(|r| (std::cmp::Reverse(r.time), bytes(r)));
        let within =
            |r: Option<&Row>, distance| r.filter(|r| (r.time - l.time).abs() <= distance).copied();
        let (partner, ahead) = match by.direction {
            Direction::Backward => (older.copied(), 0),
            Direction::BackwardWithin(distance) => (within(older, distance), 0),
            Direction::Forward(distance) => (within(newer, distance), distance),
            Direction::Nearest(distance) => {
                let both = [within(older, distance), within(newer, distance)];
                let nearest =
                    both.into_iter().flatten().min_by_key(|r| ((r.time - l.time).abs(), r.time));
                (nearest, distance)
            }
        };
        match partner {
            Some(r) => out.push((false, l.time.max(r.time), Some(l), Some(r))),
            None if by.inner => {}
            None => out.push((false, l.time + ahead, Some(l), None)),
        }
    }
    sorted(out)
}

fn program(by: By) -> impl Fn(&[Events<'_, u64, Row>], &Out<Got>) + Clone {
    move |inputs, out| {
        let micros = |micros| Duration::from_micros(micros as u64);
        let as_of = match by.direction {
            Direction::Backward => AsOf::backward(),
            Direction::BackwardWithin(distance) => AsOf::backward_within(micros(distance)),
            Direction::Forward(distance) => AsOf::forward(micros(distance)),
            Direction::Nearest(distance) => AsOf::nearest(micros(distance)),
        };
        let right = inputs[1].key_by(|row: &Row| row.key);
        let join = inputs[0].key_by(|row: &Row| row.key).join_as_of("join", right, as_of);
        let join = join.allow_late(micros(by.lateness));
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
            Side::Right(r) => (true, row.time.micros(), None, Some(r)),
        });
    }
}

fn check(feed: &Feed<Row>, workers: Workers, by: By) {
    let ran = run(feed, workers, program(by));
    assert_eq!(sorted(ran.rows), model(feed, by), "{by:?}");
    let counts = ran.observer.counts("join");
    assert!(counts.balanced(), "{counts:?}");
    assert_eq!(counts.input, feed.rows().count() as u64);
    assert_eq!(counts.held, 0, "all state is gone");
}

fn parameters() -> impl Strategy<Value = By> {
    let direction = prop_oneof![
        Just(Direction::Backward),
        (0i64..60).prop_map(Direction::BackwardWithin),
        (0i64..60).prop_map(Direction::Forward),
        (0i64..60).prop_map(Direction::Nearest),
    ];
    let lateness = prop_oneof![Just(0i64), 0i64..50];
    let by = (direction, any::<bool>(), lateness);
    by.prop_map(|(direction, inner, lateness)| By { direction, inner, lateness })
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn agree_with_the_model(feed in feeds_of(2), by in parameters()) {
        for workers in [1, 2, 5] {
            for ticks in [feed.clone(), feed.ticks(true), feed.ticks(false)] {
                check(&ticks, Workers::threads(workers), by);
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

fn feed_of(rows: &[(u32, i64)]) -> Feed<Row> {
    let mut feed = Feed::new(Duration::ZERO);
    (0..2).for_each(|source| feed.partition(source, 0));
    for (n, &(source, time)) in rows.iter().enumerate() {
        let row = Row { source, partition: 0, time, key: 0, value: n as i32 };
        feed.row(source, 0, EventTime::from_micros(time), row);
        feed.end_tick_after(true);
    }
    feed
}

/// One microsecond to either side of the same instant, and of the tolerance.
#[test]
fn the_edges() {
    let directions = [
        Direction::Backward,
        Direction::BackwardWithin(7),
        Direction::Forward(7),
        Direction::Nearest(7),
    ];
    for direction in directions {
        for distance in [-8, -7, -6, -1, 0, 1, 6, 7, 8] {
            let by = By { direction, inner: false, lateness: 0 };
            let feed = feed_of(&[(1, 50), (0, 100), (1, 100 + distance), (1, 150)]);
            check(&feed, Workers::threads(1), by);
            let met = match direction {
                Direction::Backward => true,
                Direction::BackwardWithin(_) => (-7..=0).contains(&distance),
                Direction::Forward(_) => (0..=7).contains(&distance),
                Direction::Nearest(_) => (-7..=7).contains(&distance),
            };
            assert_eq!(model(&feed, by).iter().all(|row| row.3.is_some()), met);
        }
    }
}

/// A left side that is an hour ahead waits, and finds the versions of its own time; so does one that
/// is an hour behind.
#[test]
fn an_hour_apart_loses_nothing() {
    let hour = 3_600_000_000;
    for ahead in [0u32, 1] {
        let first = (0..200).map(|i| (ahead, i * (hour / 200)));
        let then = (0..200).map(|i| (1 - ahead, i * (hour / 200) - i % 2));
        let feed = feed_of(&first.chain(then).collect::<Vec<_>>());
        for workers in [1, 2, 5] {
            for direction in [Direction::Backward, Direction::Nearest(1)] {
                let by = By { direction, inner: true, lateness: 0 };
                check(&feed, Workers::threads(workers), by);
                let rows = model(&feed, by);
                assert!(rows.iter().all(|row| !row.0) && rows.len() >= 199, "{}", rows.len());
            }
        }
    }
}

#[test]
fn two_processes() {
    let rows: Vec<_> = (0..200).map(|i| (i % 2, i64::from(i) * 3 - 250)).collect();
    for direction in [Direction::Backward, Direction::Forward(4), Direction::Nearest(9)] {
        let by = By { direction, inner: false, lateness: 5 };
        check(&feed_of(&rows), Workers::processes(2, 1), by);
    }
}
