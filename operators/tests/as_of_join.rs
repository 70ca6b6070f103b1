//! As-of joins against a search through all accepted rows of the right side, over any cutting into
//! ticks, workers, cuts and restores.

#[path = "oracle/join.rs"]
mod oracle;

use std::time::Duration;

use oracle::{
    Join, an_hour_apart, check, check_cut, check_late_input, check_ticks_and_workers, feed_of,
    judge, latenesses, side_by_side, sides,
};
use proptest::prelude::*;
use tiderace_operators::join::AsOf;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{Feed, Out, Row, Workers, cuts, feeds_of, sorted};

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

impl Join for By {
    type Got = Got;

    fn build(self, inputs: &[Events<'_, u64, Row>], out: &Out<Got>) {
        let micros = |micros| Duration::from_micros(micros as u64);
        let as_of = match self.direction {
            Direction::Backward => AsOf::backward(),
            Direction::BackwardWithin(distance) => AsOf::backward_within(micros(distance)),
            Direction::Forward(distance) => AsOf::forward(micros(distance)),
            Direction::Nearest(distance) => AsOf::nearest(micros(distance)),
        };
        let right = inputs[1].key_by(|row: &Row| row.key);
        let join = inputs[0].key_by(|row: &Row| row.key).join_as_of("join", right, as_of);
        let join = join.allow_late(micros(self.lateness));
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
            let (l, r) = sides(row.data);
            (true, row.time.micros(), l, r)
        });
    }

    fn model(self, feed: &Feed<Row>) -> Vec<Got> {
        let rows = judge(feed, |row, frontier| row.time < frontier.saturating_sub(self.lateness));
        let mut out = Vec::new();
        for (row, _) in rows.late {
            let (l, r) = if row.source == 0 { (Some(row), None) } else { (None, Some(row)) };
            out.push((true, row.time, l, r));
        }
        for (l, _) in rows.left {
            let bytes = |r: &Row| postcard::to_stdvec(r).unwrap();
            let mine = rows.right.iter().map(|(r, _)| r).filter(|r| r.key == l.key);
            let older =
                mine.clone().filter(|r| r.time <= l.time).max_by_key(|r| (r.time, bytes(r)));
            let newer = mine
                .filter(|r| r.time >= l.time)
                .max_by_key(|r| (std::cmp::Reverse(r.time), bytes(r)));
            let within = |r: Option<&Row>, distance| {
                r.filter(|r| (r.time - l.time).abs() <= distance).copied()
            };
            let (partner, ahead) = match self.direction {
                Direction::Backward => (older.copied(), 0),
                Direction::BackwardWithin(distance) => (within(older, distance), 0),
                Direction::Forward(distance) => (within(newer, distance), distance),
                Direction::Nearest(distance) => {
                    let both = [within(older, distance), within(newer, distance)];
                    let nearest = both
                        .into_iter()
                        .flatten()
                        .min_by_key(|r| ((r.time - l.time).abs(), r.time));
                    (nearest, distance)
                }
            };
            match partner {
                Some(r) => out.push((false, l.time.max(r.time), Some(l), Some(r))),
                None if self.inner => {}
                None => out.push((false, l.time + ahead, Some(l), None)),
            }
        }
        sorted(out)
    }
}

fn parameters() -> impl Strategy<Value = By> {
    let direction = prop_oneof![
        Just(Direction::Backward),
        (0i64..60).prop_map(Direction::BackwardWithin),
        (0i64..60).prop_map(Direction::Forward),
        (0i64..60).prop_map(Direction::Nearest),
    ];
    let by = (direction, any::<bool>(), latenesses());
    by.prop_map(|(direction, inner, lateness)| By { direction, inner, lateness })
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
            let feed = feed_of([(1, 50), (0, 100), (1, 100 + distance), (1, 150)]);
            check(&feed, Workers::threads(1), by);
            let met = match direction {
                Direction::Backward => true,
                Direction::BackwardWithin(_) => (-7..=0).contains(&distance),
                Direction::Forward(_) => (0..=7).contains(&distance),
                Direction::Nearest(_) => (-7..=7).contains(&distance),
            };
            assert_eq!(by.model(&feed).iter().all(|row| row.3.is_some()), met);
        }
    }
}

/// A left side that is an hour ahead waits, and finds the versions of its own time; so does one that
/// is an hour behind.
#[test]
fn an_hour_apart_loses_nothing() {
    for feed in [0, 1].map(an_hour_apart) {
        for workers in [1, 2, 5] {
            for direction in [Direction::Backward, Direction::Nearest(1)] {
                let by = By { direction, inner: true, lateness: 0 };
                check(&feed, Workers::threads(workers), by);
                let rows = by.model(&feed);
                assert!(rows.iter().all(|row| !row.0) && rows.len() >= 399, "{}", rows.len());
            }
        }
    }
}

#[test]
fn two_processes() {
    for direction in [Direction::Backward, Direction::Forward(4), Direction::Nearest(9)] {
        let by = By { direction, inner: false, lateness: 5 };
        check(&side_by_side(), Workers::processes(2, 1), by);
    }
}

#[test]
fn late_rows_of_either_side_are_taken_in() {
    for direction in [Direction::Backward, Direction::Forward(4), Direction::Nearest(4)] {
        check_late_input(By { direction, inner: false, lateness: 0 });
    }
}
