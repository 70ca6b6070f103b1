//! Window joins against nested loops over the accepted rows of each window, over any cutting into
//! ticks, workers, cuts and restores.

#[path = "oracle/join.rs"]
mod oracle;

use std::collections::BTreeSet;
use std::time::Duration;

use oracle::{
    Join, an_hour_apart, check, check_cut, check_late_input, check_ticks_and_workers, feed_of,
    judge, latenesses, side_by_side, sides,
};
use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{Feed, Out, Row, Workers, cuts, feeds_of, sorted};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Inner,
    Left,
    Right,
    Full,
    Semi,
    Anti,
    Cogroup,
}

const KINDS: [Kind; 7] =
    [Kind::Inner, Kind::Left, Kind::Right, Kind::Full, Kind::Semi, Kind::Anti, Kind::Cogroup];

#[derive(Clone, Copy, Debug)]
struct By {
    kind: Kind,
    size: i64,
    lateness: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Got {
    Late(Row),
    Result(i64, u8, Option<Row>, Option<Row>),
    Groups(i64, u8, u64, i128),
}

impl Join for By {
    type Got = Got;

    fn build(self, inputs: &[Events<'_, u64, Row>], out: &Out<Got>) {
        let windows = inputs[0]
            .key_by(|row: &Row| row.key)
            .window(Tumbling::every(Duration::from_micros(self.size as u64)))
            .allow_late(Duration::from_micros(self.lateness as u64));
        let right = inputs[1].key_by(|row: &Row| row.key);
        macro_rules! joined {
            ($joined:expr, $read:expr) => {{
                let joined = $joined;
                out.gather(&joined, move |row| {
                    let (l, r) = $read(row.data.value);
                    assert_eq!(row.time, row.data.window.last());
                    Got::Result(row.data.window.end.micros(), row.data.key, l, r)
                });
                joined.late()
            }};
        }
        let late = match self.kind {
            Kind::Inner => {
                joined!(windows.join("join", right).inner(), |(l, r)| (Some(l), Some(r)))
            }
            Kind::Left => joined!(windows.join("join", right).left(), |(l, r)| (Some(l), r)),
            Kind::Right => joined!(windows.join("join", right).right(), |(l, r)| (l, Some(r))),
            Kind::Full => joined!(windows.join("join", right).full(), |pair| pair),
            Kind::Semi => joined!(windows.join("join", right).semi(), |l| (Some(l), None)),
            Kind::Anti => joined!(windows.join("join", right).anti(), |l| (Some(l), None)),
            Kind::Cogroup => {
                let sum = Sum::of(|row: &Row| row.value);
                let groups = windows.cogroup("join", right, Count, sum);
                out.gather(&groups, |row| {
                    let (count, sum) = row.data.value;
                    Got::Groups(row.data.window.end.micros(), row.data.key, count, sum)
                });
                groups.late()
            }
        };
        out.gather(&late, |row| {
            let (l, r) = sides(row.data);
            Got::Late(l.or(r).expect("a row is of one side"))
        });
    }

    fn model(self, feed: &Feed<Row>) -> Vec<Got> {
        let end = |row: &Row| (row.time.div_euclid(self.size) + 1) * self.size;
        let rows = judge(feed, |row, frontier| frontier >= end(row) + self.lateness);
        let mut out: Vec<_> = rows.late.iter().map(|(row, _)| Got::Late(*row)).collect();
        let left: Vec<Row> = rows.left.iter().map(|(row, _)| *row).collect();
        let right: Vec<Row> = rows.right.iter().map(|(row, _)| *row).collect();
        let together = |l: &Row, r: &Row| l.key == r.key && end(l) == end(r);
        if self.kind == Kind::Cogroup {
            let all = left.iter().chain(&right).map(|row| (end(row), row.key));
            for (end_of, key) in all.collect::<BTreeSet<_>>() {
                let mine = |row: &&Row| (end(row), row.key) == (end_of, key);
                let sum = right.iter().filter(mine).map(|row| i128::from(row.value)).sum();
                out.push(Got::Groups(end_of, key, left.iter().filter(mine).count() as u64, sum));
            }
            return sorted(out);
        }
        for l in &left {
            let partners = right.iter().filter(|r| together(l, r));
            let alone = partners.clone().next().is_none();
            if !matches!(self.kind, Kind::Semi | Kind::Anti) {
                out.extend(partners.map(|r| Got::Result(end(l), l.key, Some(*l), Some(*r))));
            }
            let single = match self.kind {
                Kind::Left | Kind::Full | Kind::Anti => alone,
                Kind::Semi => !alone,
                _ => false,
            };
            if single {
                out.push(Got::Result(end(l), l.key, Some(*l), None));
            }
        }
        if matches!(self.kind, Kind::Right | Kind::Full) {
            let alone = right.iter().filter(|r| !left.iter().any(|l| together(l, r)));
            out.extend(alone.map(|r| Got::Result(end(r), r.key, None, Some(*r))));
        }
        sorted(out)
    }
}

fn parameters() -> impl Strategy<Value = By> {
    let kind = prop::sample::select(KINDS.to_vec());
    (kind, 1i64..60, latenesses()).prop_map(|(kind, size, lateness)| By { kind, size, lateness })
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

/// One microsecond to either side of a window's end, and of when it is complete.
#[test]
fn the_edges_of_a_window() {
    for kind in KINDS {
        for lateness in [0, 7] {
            let by = By { kind, size: 100, lateness };
            for time in [98, 99, 100, 101, 199, 200] {
                check(&feed_of([(0, 99), (1, time)]), Workers::threads(1), by);
            }
            for source in [0, 1] {
                for newest in 99 + lateness..=101 + lateness {
                    let feed = feed_of([(1 - source, 50), (source, newest), (source, 99)]);
                    check(&feed, Workers::threads(2), by);
                    let late = |row: &&Got| matches!(row, Got::Late(_));
                    let late = by.model(&feed).iter().filter(late).count();
                    assert_eq!(late, usize::from(newest >= 100 + lateness));
                }
            }
        }
    }
}

#[test]
fn an_hour_apart_loses_nothing() {
    for feed in [0, 1].map(an_hour_apart) {
        for (kind, workers) in [(Kind::Full, 1), (Kind::Inner, 2), (Kind::Cogroup, 5)] {
            let by = By { kind, size: 60_000_000, lateness: 0 };
            check(&feed, Workers::threads(workers), by);
            assert!(by.model(&feed).iter().all(|row| !matches!(row, Got::Late(_))));
        }
    }
}

#[test]
fn two_processes() {
    for kind in KINDS {
        let by = By { kind, size: 17, lateness: 5 };
        check(&side_by_side(), Workers::processes(2, 1), by);
    }
}

#[test]
fn late_rows_of_either_side_are_taken_in() {
    for kind in KINDS {
        check_late_input(By { kind, size: 10, lateness: 0 });
    }
}
