//! Window joins against nested loops over the accepted rows of each window, over any cutting into
//! ticks, workers, cuts and restores.

use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{
    Feed, Out, Row, Workers, feeds_of, judged, run, run_cut, sorted,
};
use tiderace_operators::tick::Side;

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

fn model(feed: &Feed<Row>, by: By) -> Vec<Got> {
    let end = |row: &Row| (row.time.div_euclid(by.size) + 1) * by.size;
    let mut out = Vec::new();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for (row, frontier) in judged(feed) {
        match (frontier >= end(&row) + by.lateness, row.source) {
            (true, _) => out.push(Got::Late(row)),
            (false, 0) => left.push(row),
            (false, _) => right.push(row),
        }
    }
    let together = |l: &Row, r: &Row| l.key == r.key && end(l) == end(r);
    if by.kind == Kind::Cogroup {
        let all = left.iter().chain(&right).map(|row| (end(row), row.key));
        for (end_of, key) in all.collect::<std::collections::BTreeSet<_>>() {
            let mine = |row: &&Row| (end(row), row.key) == (end_of, key);
            let sum = right.iter().filter(mine).map(|row| i128::from(row.value)).sum();
            out.push(Got::Groups(end_of, key, left.iter().filter(mine).count() as u64, sum));
        }
        return sorted(out);
    }
    for l in &left {
        let partners = right.iter().filter(|r| together(l, r));
        let alone = partners.clone().next().is_none();
        if !matches!(by.kind, Kind::Semi | Kind::Anti) {
            out.extend(partners.map(|r| Got::Result(end(l), l.key, Some(*l), Some(*r))));
        }
        let single = match by.kind {
            Kind::Left | Kind::Full | Kind::Anti => alone,
            Kind::Semi => !alone,
            _ => false,
        };
        if single {
            out.push(Got::Result(end(l), l.key, Some(*l), None));
        }
    }
    if matches!(by.kind, Kind::Right | Kind::Full) {
        let alone = right.iter().filter(|r| !left.iter().any(|l| together(l, r)));
        out.extend(alone.map(|r| Got::Result(end(r), r.key, None, Some(*r))));
    }
    sorted(out)
}

fn program(by: By) -> impl Fn(&[Events<'_, u64, Row>], &Out<Got>) + Clone {
    move |inputs, out| {
        let windows = inputs[0]
            .key_by(|row: &Row| row.key)
            .window(Tumbling::every(Duration::from_micros(by.size as u64)))
            .allow_late(Duration::from_micros(by.lateness as u64));
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
        let late = match by.kind {
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
        out.gather(&late, |row| match row.data {
            Side::Left(row) | Side::Right(row) => Got::Late(row),
        });
    }
}

fn check(feed: &Feed<Row>, workers: Workers, by: By) {
    let ran = run(feed, workers, program(by));
    assert_eq!(sorted(ran.rows), model(feed, by), "{by:?}");
    let counts = ran.observer.counts("join");
    assert!(counts.balanced(), "{counts:?}");
    assert_eq!(counts.input, feed.rows().count() as u64);
    assert_eq!((counts.held, counts.open), (0, 0), "all state is gone");
}

fn parameters() -> impl Strategy<Value = By> {
    let kind = prop::sample::select(KINDS.to_vec());
    let lateness = prop_oneof![Just(0i64), 0i64..50];
    (kind, 1i64..60, lateness).prop_map(|(kind, size, lateness)| By { kind, size, lateness })
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

/// One microsecond to either side of a window's end, and of when it is complete.
#[test]
fn the_edges_of_a_window() {
    for kind in KINDS {
        for lateness in [0, 7] {
            let by = By { kind, size: 100, lateness };
            for time in [98, 99, 100, 101, 199, 200] {
                check(&feed_of(&[(0, 99), (1, time)]), Workers::threads(1), by);
            }
            for source in [0, 1] {
                for newest in 99 + lateness..=101 + lateness {
                    let feed = feed_of(&[(1 - source, 50), (source, newest), (source, 99)]);
                    check(&feed, Workers::threads(2), by);
                    let late = |row: &&Got| matches!(row, Got::Late(_));
                    let late = model(&feed, by).iter().filter(late).count();
                    assert_eq!(late, usize::from(newest >= 100 + lateness));
                }
            }
        }
    }
}

#[test]
fn an_hour_apart_loses_nothing() {
    let hour = 3_600_000_000;
    for ahead in [0u32, 1] {
        let first = (0..200).map(|i| (ahead, i * (hour / 200)));
        let then = (0..200).map(|i| (1 - ahead, i * (hour / 200)));
        let feed = feed_of(&first.chain(then).collect::<Vec<_>>());
        for (kind, workers) in [(Kind::Full, 1), (Kind::Inner, 2), (Kind::Cogroup, 5)] {
            let by = By { kind, size: 60_000_000, lateness: 0 };
            check(&feed, Workers::threads(workers), by);
            assert!(model(&feed, by).iter().all(|row| !matches!(row, Got::Late(_))));
        }
    }
}

#[test]
fn two_processes() {
    let rows: Vec<_> = (0..200).map(|i| (i % 2, i64::from(i) * 3 - 250)).collect();
    for kind in KINDS {
        let by = By { kind, size: 17, lateness: 5 };
        check(&feed_of(&rows), Workers::processes(2, 1), by);
    }
}
