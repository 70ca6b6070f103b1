//! What the tests of all joins have in common: rows judged against their own partition, a join run
//! beside its model over any cutting into ticks, workers, cuts and restores, and some feeds.

use std::fmt::Debug;
use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::events::Events;
use tiderace_operators::join::{Bound, Interval};
use tiderace_operators::testing::{Feed, Out, Row, Workers, judged, run, run_cut, sorted};
use tiderace_operators::tick::Side;
use tiderace_operators::time::EventTime;

/// A join with its parameters, called `join`, and the slow model of it.
pub trait Join: Copy + Debug + Send + Sync + 'static {
    /// A result, or a row that was refused.
    type Got: Clone + Debug + Ord + Send + 'static;

    /// Joins the first input with the second one.
    fn build(self, inputs: &[Events<'_, u64, Row>], out: &Out<Self::Got>);

    /// All that has to come out, sorted.
    fn model(self, feed: &Feed<Row>) -> Vec<Self::Got>;

    /// What has come out, to be compared with the model.
    fn tidied(got: Vec<Self::Got>) -> Vec<Self::Got> {
        sorted(got)
    }

    /// How many rows all workers take in.
    fn input(feed: &Feed<Row>, _: Workers) -> u64 {
        feed.rows().count() as u64
    }
}

/// Runs a join without a cut. Every row is accounted for, and when both inputs have ended nothing of
/// either side is held.
pub fn check<J: Join>(feed: &Feed<Row>, workers: Workers, join: J) {
    let ran = run(feed, workers, move |inputs, out| join.build(inputs, out));
    assert_eq!(J::tidied(ran.rows), join.model(feed), "{join:?}");
    let counts = ran.observer.counts("join");
    assert!(counts.balanced(), "{counts:?}");
    assert_eq!(counts.input, J::input(feed, workers));
    assert_eq!((counts.held, counts.open), (0, 0), "all state is gone");
}

/// Where ticks end, and on which worker a partition is read, changes no final result.
pub fn check_ticks_and_workers<J: Join>(feed: &Feed<Row>, join: J) {
    for workers in [1, 2, 5] {
        for ticks in [feed.clone(), feed.ticks(true), feed.ticks(false)] {
            check(&ticks, Workers::threads(workers), join);
        }
    }
}

/// Runs a join over cuts.
pub fn check_cut<J: Join>(feed: &Feed<Row>, cuts: &[(usize, Workers)], last: usize, join: J) {
    let program = move |inputs: &[Events<'_, u64, Row>], out: &Out<_>| join.build(inputs, out);
    let cut = run_cut(feed, cuts, Workers::threads(last), program);
    assert_eq!(J::tidied(cut.rows), join.model(feed), "{join:?}");
}

/// One side, the left or the right one, are the pairs of a join that lets late ones through; the other
/// side is a stream on time. Nothing is refused, and what comes out is what the model makes of it.
pub fn check_late_input<J: Join>(join: J) {
    let near = Interval::between(Bound::Same, Bound::After(Duration::from_micros(5)));
    let lateness = Duration::from_micros(150);
    // 94 comes 108 late, and 50 never has a partner.
    let pairs = [(100, 101), (200, 202), (93, 94), (400, 401), (600, 601)];
    let alone = [50, 97, 205, 404, 607];
    let mut rows = Vec::new();
    for (pair, row) in pairs.into_iter().zip(alone) {
        rows.extend([(0, pair.0), (1, pair.1), (2, row)]);
    }
    let feed = feed_of(rows);
    for side in [0, 1] {
        let of_side = |row: Row, side| Row { source: side, ..row };
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Out<_>| {
            let key = |row: &Row| row.key;
            let pairs = inputs[0].key_by(key).join_interval("pairs", inputs[1].key_by(key), near);
            let pairs = pairs.allow_late(lateness).inner().results();
            let pairs =
                pairs.map(move |(l, r)| of_side(Row { time: l.time.max(r.time), ..l }, side));
            let alone = inputs[2].map(move |row| of_side(row, 1 - side));
            let inputs = if side == 0 { [pairs, alone] } else { [alone, pairs] };
            join.build(&inputs, out);
        };
        let mut on_time = Vec::new();
        for (at, (_, _, _, row)) in feed.rows().enumerate() {
            match at % 3 {
                0 => on_time.push(of_side(Row { time: pairs[at / 3].1, ..*row }, side)),
                1 => {}
                _ => on_time.push(of_side(*row, 1 - side)),
            }
        }
        on_time.sort_by_key(|row| row.time);
        let wanted = join.model(&in_order(on_time));
        for workers in [1, 2, 5] {
            let ran = run(&feed, Workers::threads(workers), program);
            assert_eq!(J::tidied(ran.rows), wanted, "{join:?}, late rows on side {side}");
            let counts = ran.observer.counts("join");
            assert_eq!((counts.late, counts.held), (0, 0), "{counts:?}");
        }
    }
}

/// The rows of a feed, each with the frontier of its partition just before it was read.
#[derive(Debug, Default)]
pub struct Judged {
    pub late: Vec<(Row, i64)>,
    pub left: Vec<(Row, i64)>,
    pub right: Vec<(Row, i64)>,
}

/// Tells apart the rows that are late, and those of both sides that are not.
pub fn judge(feed: &Feed<Row>, is_late: impl Fn(&Row, i64) -> bool) -> Judged {
    let mut rows = Judged::default();
    for (row, frontier) in judged(feed) {
        let side = match (is_late(&row, frontier), row.source) {
            (true, _) => &mut rows.late,
            (false, 0) => &mut rows.left,
            (false, _) => &mut rows.right,
        };
        side.push((row, frontier));
    }
    rows
}

/// A row of either side as a pair.
pub fn sides<L, R>(row: Side<L, R>) -> (Option<L>, Option<R>) {
    match row {
        Side::Left(row) => (Some(row), None),
        Side::Right(row) => (None, Some(row)),
    }
}

/// None, or some.
pub fn latenesses() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0i64), 0i64..50]
}

/// Rows in order of their reading, each a tick of its own. No partition may be out of order.
pub fn in_order(rows: impl IntoIterator<Item = Row>) -> Feed<Row> {
    let mut feed = Feed::new(Duration::ZERO);
    (0..2).for_each(|source| feed.partition(source, 0));
    for row in rows {
        feed.row(row.source, row.partition, EventTime::from_micros(row.time), row);
        feed.end_tick_after(true);
    }
    feed
}

/// The same of one key, by side and time. Values are numbers that three does not divide.
pub fn feed_of(rows: impl IntoIterator<Item = (u32, i64)>) -> Feed<Row> {
    let row = |((source, time), value)| Row { source, partition: 0, time, key: 0, value };
    in_order(rows.into_iter().zip((1..).step_by(3)).map(row))
}

/// Four hundred rows of each side, of which one is an hour of event time ahead throughout. Every
/// second row of the other one is a microsecond earlier than its partner. Nothing is late.
pub fn an_hour_apart(ahead: u32) -> Feed<Row> {
    let step = 3_600_000_000 / 200;
    let first = |i: i64| (ahead, i * step);
    let then = |i: i64| (1 - ahead, i * step - i % 2);
    let together = (0..200).flat_map(|i| [first(i + 200), then(i)]);
    feed_of((0..200).map(first).chain(together).chain((200..400).map(then)))
}

/// Two partitions a side, somewhat out of order, that go on together.
pub fn side_by_side() -> Feed<Row> {
    let mut feed = Feed::new(Duration::from_micros(3));
    for i in 0..200u32 {
        let (source, partition) = (i % 2, i / 2 % 2);
        let time = i64::from(i) * 3 - 250 - i64::from(i % 5);
        let row = Row { source, partition, time, key: 0, value: i as i32 };
        feed.row(source, partition, EventTime::from_micros(time), row);
        feed.end_tick_after(i % 3 == 0);
    }
    feed
}
