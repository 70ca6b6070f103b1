//! Interval joins against nested loops over the accepted rows, over any cutting into ticks, workers,
//! cuts and restores.

#[path = "oracle/join.rs"]
mod oracle;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use oracle::{
    Join, an_hour_apart, check, check_cut, check_late_input, check_ticks_and_workers, feed_of,
    judge, latenesses, side_by_side, sides,
};
use proptest::prelude::*;
use tiderace_operators::join::{Bound, Interval, JoinInterval};
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{Feed, Out, Row, Step, Workers, cuts, feeds_of, run, sorted};
use tiderace_operators::time::Span;

/// The same feed with all times so many times as far from 1970.
fn scaled(feed: Feed<Row>, scale: i64) -> Feed<Row> {
    let mut feed = feed;
    feed.bound = Span::from_micros(feed.bound.micros() * scale);
    for step in &mut feed.steps {
        if let Step::Row { time, data, .. } = step {
            data.time *= scale;
            *time = EventTime::from_micros(data.time);
        }
    }
    feed
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Inner,
    Left,
    Right,
    Full,
    Semi,
    Anti,
    RevisedLeft,
    RevisedRight,
    RevisedFull,
    RevisedAnti,
}

const KINDS: [Kind; 10] = [
    Kind::Inner,
    Kind::Left,
    Kind::Right,
    Kind::Full,
    Kind::Semi,
    Kind::Anti,
    Kind::RevisedLeft,
    Kind::RevisedRight,
    Kind::RevisedFull,
    Kind::RevisedAnti,
];

/// Event time, how far behind, left row, right row, multiplicity.
type Result = (i64, i64, Option<Row>, Option<Row>, i64);

/// What comes out: results, and late rows with a mark.
type Got = (bool, Result);

#[derive(Clone, Copy, Debug)]
struct By {
    kind: Kind,
    lower: i64,
    upper: i64,
    lateness: i64,
}

fn bound(micros: i64) -> Bound {
    let distance = Duration::from_micros(micros.unsigned_abs());
    match micros {
        ..0 => Bound::Before(distance),
        0 => Bound::Same,
        _ => Bound::After(distance),
    }
}

type RowJoin<'scope, F> = JoinInterval<'scope, u64, Row, Row, F, F>;

fn join<'scope>(inputs: &[Events<'scope, u64, Row>], by: By) -> RowJoin<'scope, fn(&Row) -> u8> {
    let key: fn(&Row) -> u8 = |row| row.key;
    let interval = Interval::between(bound(by.lower), bound(by.upper));
    let join = inputs[0].key_by(key).join_interval("join", inputs[1].key_by(key), interval);
    join.allow_late(Duration::from_micros(by.lateness as u64))
}

impl Join for By {
    type Got = Got;

    fn build(self, inputs: &[Events<'_, u64, Row>], out: &Out<Got>) {
        let join = join(inputs, self);
        macro_rules! events {
            ($joined:expr, $read:expr) => {{
                let joined = $joined;
                out.gather(&joined, move |row| {
                    let (l, r) = $read(row.data);
                    (false, (row.time.micros(), row.behind.micros(), l, r, 1))
                });
                joined.late()
            }};
        }
        macro_rules! changes {
            ($joined:expr, $read:expr) => {{
                let joined = $joined;
                out.changes(&joined, move |row| {
                    let (l, r) = $read(row.data.data);
                    // What is behind depends on when it was withdrawn.
                    (false, (row.time.micros(), 0, l, r, row.data.diff))
                });
                joined.late()
            }};
        }
        let late = match self.kind {
            Kind::Inner => events!(join.inner(), |(l, r)| (Some(l), Some(r))),
            Kind::Left => events!(join.left(), |(l, r)| (Some(l), r)),
            Kind::Right => events!(join.right(), |(l, r)| (l, Some(r))),
            Kind::Full => events!(join.full(), |pair| pair),
            Kind::Semi => events!(join.semi(), |l| (Some(l), None)),
            Kind::Anti => events!(join.anti(), |l| (Some(l), None)),
            Kind::RevisedLeft => changes!(join.revised().left(), |(l, r)| (Some(l), r)),
            Kind::RevisedRight => changes!(join.revised().right(), |(l, r)| (l, Some(r))),
            Kind::RevisedFull => changes!(join.revised().full(), |pair| pair),
            Kind::RevisedAnti => changes!(join.revised().anti(), |l| (Some(l), None)),
        };
        out.gather(&late, |row| {
            let (l, r) = sides(row.data);
            (true, (row.time.micros(), row.behind.micros(), l, r, 1))
        });
    }

    /// Nested loops over all accepted rows.
    fn model(self, feed: &Feed<Row>) -> Vec<Got> {
        let rows = judge(feed, |row, frontier| row.time < frontier.saturating_sub(self.lateness));
        // The frontier that was seen when the row was read, if the row was behind it.
        let seen =
            |&(row, frontier): &(Row, i64)| if row.time < frontier { frontier } else { i64::MIN };
        let partners = |l: &Row, r: &Row| {
            l.key == r.key && self.lower <= r.time - l.time && r.time - l.time <= self.upper
        };
        let mut out = Vec::new();
        for &(row, frontier) in &rows.late {
            let (l, r) = if row.source == 0 { (Some(row), None) } else { (None, Some(row)) };
            out.push((true, (row.time, frontier - row.time, l, r, 1)));
        }
        let pairs = !matches!(self.kind, Kind::Semi | Kind::Anti | Kind::RevisedAnti);
        for l in &rows.left {
            for r in rows.right.iter().filter(|r| pairs && partners(&l.0, &r.0)) {
                let time = l.0.time.max(r.0.time);
                let behind = match self.kind {
                    Kind::Inner => seen(l).max(seen(r)).saturating_sub(time).max(0),
                    _ => 0,
                };
                out.push((false, (time, behind, Some(l.0), Some(r.0), 1)));
            }
        }
        use Kind::{
            Anti, Full, Left, RevisedAnti, RevisedFull, RevisedLeft, RevisedRight, Right, Semi,
        };
        for (l, _) in &rows.left {
            let alone = rows.right.iter().all(|(r, _)| !partners(l, r));
            let is_result = match self.kind {
                Semi => !alone,
                Left | Full | Anti | RevisedLeft | RevisedFull | RevisedAnti => alone,
                _ => false,
            };
            if is_result {
                out.push((false, (l.time.max(l.time + self.upper), 0, Some(*l), None, 1)));
            }
        }
        for (r, _) in &rows.right {
            let alone = rows.left.iter().all(|(l, _)| !partners(l, r));
            if alone && matches!(self.kind, Right | Full | RevisedRight | RevisedFull) {
                out.push((false, (r.time.max(r.time - self.lower), 0, None, Some(*r), 1)));
            }
        }
        sorted(out)
    }

    /// What was added and withdrawn adds up.
    fn tidied(rows: Vec<Got>) -> Vec<Got> {
        let mut sums = BTreeMap::new();
        for (late, (time, behind, l, r, diff)) in rows {
            *sums.entry((late, time, behind, l, r)).or_insert(0) += diff;
        }
        let mut rows = Vec::new();
        for ((late, time, behind, l, r), n) in sums {
            assert!(n >= 0, "what was withdrawn was there");
            (0..n).for_each(|_| rows.push((late, (time, behind, l, r, 1))));
        }
        rows
    }
}

fn parameters() -> impl Strategy<Value = By> {
    let kind = prop::sample::select(KINDS.to_vec());
    (kind, -40i64..40, 0i64..60, latenesses()).prop_map(|(kind, lower, length, lateness)| By {
        kind,
        lower,
        upper: lower + length,
        lateness,
    })
}

fn scaled_by(by: By, scale: i64) -> By {
    let By { kind, lower, upper, lateness } = by;
    By { kind, lower: lower * scale, upper: upper * scale, lateness: lateness * scale }
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(100))]

    #[test]
    fn agree_with_the_model(
        feed in feeds_of(2),
        workers in prop::sample::select(vec![1usize, 2, 5]),
        by in parameters(),
        scale in prop::sample::select(vec![1i64, 150]),
    ) {
        check(&scaled(feed, scale), Workers::threads(workers), scaled_by(by, scale));
    }

    #[test]
    fn ticks_and_workers_change_nothing(feed in feeds_of(2), by in parameters()) {
        check_ticks_and_workers(&feed, by);
    }

    #[test]
    fn goes_on_after_cuts(
        feed in feeds_of(2), cuts in cuts(), last in 1usize..6, by in parameters(),
        scale in prop::sample::select(vec![1i64, 150]),
    ) {
        check_cut(&scaled(feed, scale), &cuts, last, scaled_by(by, scale));
    }
}

/// Bounds below, above and around zero, one microsecond to either side.
#[test]
fn the_edges_of_an_interval() {
    for (lower, upper) in [(0, 0), (-5, -2), (2, 5), (-3, 4), (0, 7), (-7, 0)] {
        for edge in [lower, upper] {
            for distance in edge - 1..=edge + 1 {
                let feed = feed_of([(0, 100), (1, 100 + distance)]);
                for kind in KINDS {
                    let by = By { kind, lower, upper, lateness: 0 };
                    check(&feed, Workers::threads(1), by);
                }
                let by = By { kind: Kind::Inner, lower, upper, lateness: 0 };
                let met = (lower..=upper).contains(&distance);
                assert_eq!(by.model(&feed).len(), usize::from(met));
            }
        }
    }
}

/// A row is late when it is further behind its partition's frontier than allowed.
#[test]
fn the_edge_of_lateness() {
    for lateness in [0, 7] {
        for behind in [lateness - 1, lateness, lateness + 1] {
            for source in [0, 1] {
                let feed = feed_of([(1 - source, 80), (source, 100), (source, 100 - behind)]);
                for kind in KINDS {
                    let by = By { kind, lower: -30, upper: 30, lateness };
                    check(&feed, Workers::threads(2), by);
                    let late = by.model(&feed).iter().filter(|row| row.0).count();
                    assert_eq!(late, usize::from(behind > lateness));
                }
            }
        }
    }
}

/// Two inputs whose frontiers differ by an hour lose nothing, whichever is ahead.
#[test]
fn an_hour_apart_loses_nothing() {
    for feed in [0, 1].map(an_hour_apart) {
        for (kind, workers) in [(Kind::Full, 1), (Kind::Inner, 2), (Kind::RevisedFull, 5)] {
            let by = By { kind, lower: -10_000_000, upper: 10_000_000, lateness: 0 };
            check(&feed, Workers::threads(workers), by);
            assert!(by.model(&feed).iter().all(|row| !row.0), "nothing is late");
            assert_eq!(by.model(&feed).len(), 400);
        }
    }
}

#[test]
fn two_processes() {
    for kind in KINDS {
        let by = By { kind, lower: -4, upper: 9, lateness: 5 };
        check(&side_by_side(), Workers::processes(2, 1), by);
    }
}

/// A join of the results of a join that lets late results through loses none of them.
#[test]
fn late_results_are_not_refused_downstream() {
    let feed = feed_of([(0, 100), (1, 101), (0, 200), (1, 202), (0, 103), (1, 104), (0, 205)]);
    for workers in [1, 2, 5] {
        let ran = run(&feed, Workers::threads(workers), |inputs, out| {
            let by = By { kind: Kind::Inner, lower: -5, upper: 5, lateness: 150 };
            let pairs = join(inputs, by).inner().results();
            let key = |row: &Row| row.key;
            let thrice = pairs.key_by(|pair: &(Row, Row)| pair.0.key).join_interval(
                "second",
                inputs[1].key_by(key),
                Interval::within(Duration::from_micros(5)),
            );
            let thrice = thrice.left();
            out.gather(&thrice, |row| (row.data.0, row.data.1));
        });
        assert_eq!(ran.observer.counts("second").late, 1, "104 of the right input alone");
        let firsts: BTreeSet<_> = ran.rows.iter().map(|row| row.0).collect();
        assert_eq!(firsts.len(), 6);
    }
}

/// What the join of another operator's late rows gives depends on which side they are on in nothing
/// but how far it is behind, which is told for pairs alone.
#[test]
fn late_rows_of_either_side_are_taken_in() {
    for kind in KINDS.into_iter().filter(|kind| *kind != Kind::Inner) {
        check_late_input(By { kind, lower: -4, upper: 4, lateness: 0 });
    }
}

#[test]
#[should_panic(expected = "interval join `join`: no distance is in the interval from 5 us to 4 us")]
fn an_empty_interval_is_refused() {
    timely::execute_directly(|worker| {
        worker.dataflow::<u64, _, _>(|scope| {
            let (_, rows) = EventInput::new(scope, 0, Policy::ascending(), &Observer::default());
            let _ = join(
                &[rows.clone(), rows],
                By { kind: Kind::Inner, lower: 5, upper: 4, lateness: 0 },
            );
        });
    });
}
