//! Every mode of deduplication against the plainest model of it: on several workers, with the input
//! cut into other ticks, and over cuts and restores.

use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::dedup::Bloom;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{
    Feed, Out, Row, Workers, cuts, feeds, judged, run, run_cut, sorted,
};

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Passed,
    Duplicate,
    Late,
}

type Fates = Vec<(Fate, Row)>;

fn micros(n: i64) -> Duration {
    Duration::from_micros(n as u64)
}

/// The rows that are in time, and those that are late.
fn in_time(feed: &Feed<Row>, lateness: i64) -> (Vec<Row>, Vec<Row>) {
    let (late, in_time): (Vec<_>, Vec<_>) = judged(feed)
        .into_iter()
        .partition(|(row, frontier)| row.time < frontier.saturating_sub(lateness));
    let rows = |judged: Vec<(Row, i64)>| judged.into_iter().map(|(row, _)| row).collect();
    (rows(in_time), rows(late))
}

/// Walks the rows in an order; one passes iff none of its key that passed is less than `ttl` away.
fn walk(rows: &[Row], ttl: i64) -> Fates {
    let mut kept: Vec<Row> = Vec::new();
    let judge = |row: &Row| {
        if kept.iter().any(|k| k.key == row.key && (k.time - row.time).abs() < ttl) {
            return (Fate::Duplicate, *row);
        }
        kept.push(*row);
        (Fate::Passed, *row)
    };
    rows.iter().map(judge).collect()
}

/// Rows of one time are ordered by their postcard bytes; of a row these are mostly its fields.
fn by_time(rows: &[Row]) -> Vec<Row> {
    let mut rows = rows.to_vec();
    rows.sort_by_cached_key(|row| (row.time, postcard::to_stdvec(row).unwrap()));
    rows
}

fn first_by_time_model(feed: &Feed<Row>, ttl: i64, lateness: i64) -> Fates {
    let (in_time, late) = in_time(feed, lateness);
    let mut fates = walk(&by_time(&in_time), ttl);
    fates.extend(late.into_iter().map(|row| (Fate::Late, row)));
    sorted(fates)
}

fn gather(once: &tiderace_operators::dedup::Deduplicated<'_, u64, Row>, out: &Out<(Fate, Row)>) {
    out.gather(once, |row| (Fate::Passed, row.data));
    out.gather(&once.duplicates(), |row| (Fate::Duplicate, row.data));
    out.gather(&once.late(), |row| (Fate::Late, row.data));
}

fn first_by_time(horizon: Horizon) -> impl Fn(&[Events<'_, u64, Row>], &Out<(Fate, Row)>) + Clone {
    move |inputs, out| {
        gather(&inputs[0].key_by(|row| row.key).dedup_first_by_time("once", horizon), out);
    }
}

fn first_seen(horizon: Horizon) -> impl Fn(&[Events<'_, u64, Row>], &Out<(Fate, Row)>) + Clone {
    move |inputs, out| gather(&inputs[0].key_by(|row| row.key).dedup("once", horizon), out)
}

fn refreshing(horizon: Horizon) -> impl Fn(&[Events<'_, u64, Row>], &Out<(Fate, Row)>) + Clone {
    move |inputs, out| {
        gather(&inputs[0].key_by(|row| row.key).dedup_refreshing("once", horizon), out);
    }
}

fn bloom(
    horizon: Horizon,
    bloom: Bloom,
) -> impl Fn(&[Events<'_, u64, Row>], &Out<(Fate, Row)>) + Clone {
    move |inputs, out| {
        gather(&inputs[0].key_by(|row| row.key).dedup_bloom("once", horizon, bloom), out);
    }
}

/// The feed with times at multiples of `ttl`: copies carry equal times, and other times of a key are
/// at least `ttl` away.
fn with_equal_times(feed: &Feed<Row>, ttl: i64) -> Feed<Row> {
    let mut feed = feed.clone();
    for step in &mut feed.steps {
        if let tiderace_operators::testing::Step::Row { time, data, .. } = step {
            data.time = data.time.div_euclid(ttl) * ttl;
            *time = EventTime::from_micros(data.time);
        }
    }
    feed
}

/// Which key and time passed how often, how many copies did not, and the late rows: what is a
/// function of the input where copies carry equal times.
fn up_to_copies(fates: &[(Fate, Row)]) -> Vec<(Fate, u8, i64)> {
    sorted(fates.iter().map(|(fate, row)| (*fate, row.key, row.time)).collect())
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    /// Any input at all, however it is cut into ticks.
    #[test]
    fn first_by_time_is_a_function_of_the_input(
        feed in feeds(),
        ttl in 0i64..60,
        lateness in prop_oneof![Just(0i64), 0i64..60],
    ) {
        let program = first_by_time(Horizon::within(micros(ttl)).late_by(micros(lateness)));
        let expected = first_by_time_model(&feed, ttl, lateness);
        for (feed, workers) in [(feed.clone(), 1), (feed.ticks(true), 2), (feed.ticks(false), 5)] {
            let ran = run(&feed, Workers::threads(workers), program.clone());
            prop_assert_eq!(sorted(ran.rows), expected.clone());
            let counts = ran.observer.counts("once");
            prop_assert!(counts.balanced() && counts.held == 0, "{:?}", counts);
            let duplicates = expected.iter().filter(|(fate, _)| *fate == Fate::Duplicate).count();
            prop_assert_eq!(counts.duplicate, duplicates as u64);
        }
    }

    #[test]
    fn first_by_time_goes_on(
        feed in feeds(), cuts in cuts(), last in 1usize..6, ttl in 1i64..60, lateness in 0i64..40,
    ) {
        let program = first_by_time(Horizon::within(micros(ttl)).late_by(micros(lateness)));
        let ran = run_cut(&feed, &cuts, Workers::threads(last), program);
        prop_assert_eq!(sorted(ran.rows), first_by_time_model(&feed, ttl, lateness));
    }

    /// Redelivery: copies carry equal times.
    #[test]
    fn first_seen_and_refreshing_go_on(
        feed in feeds(), cuts in cuts(), last in 1usize..6, ttl in 1i64..60, lateness in 0i64..40,
    ) {
        let feed = with_equal_times(&feed, ttl);
        let horizon = Horizon::within(micros(ttl)).late_by(micros(lateness));
        let expected = up_to_copies(&first_by_time_model(&feed, ttl, lateness));
        let ran = run_cut(&feed, &cuts, Workers::threads(last), first_seen(horizon));
        prop_assert_eq!(up_to_copies(&ran.rows), expected.clone());
        let ran = run_cut(&feed, &cuts, Workers::threads(last), refreshing(horizon));
        prop_assert_eq!(up_to_copies(&ran.rows), expected);
    }

    /// A rate at which nothing is lost here, and times at which a quarter of `ttl` does not matter.
    #[test]
    fn bloom_filters_go_on(
        feed in feeds(), cuts in cuts(), last in 1usize..6, ttl in 1i64..60, lateness in 0i64..40,
    ) {
        let feed = with_equal_times(&feed, ttl + ttl / 4 + 5);
        let program = bloom(
            Horizon::within(micros(ttl)).late_by(micros(lateness)),
            Bloom::may_lose(1e-9),
        );
        let expected = up_to_copies(&first_by_time_model(&feed, ttl, lateness));
        for (feed, workers) in [(feed.ticks(true), 2), (feed.ticks(false), 5)] {
            let ran = run(&feed, Workers::threads(workers), program.clone());
            prop_assert_eq!(up_to_copies(&ran.rows), expected.clone());
            let counts = ran.observer.counts("once");
            prop_assert!(counts.balanced() && counts.held == 0, "{:?}", counts);
        }
        let ran = run_cut(&feed, &cuts, Workers::threads(last), program);
        prop_assert_eq!(up_to_copies(&ran.rows), expected);
    }

    /// Any input on one worker, where the order of arrival is that of the feed.
    #[test]
    fn by_arrival_on_one_worker(
        feed in feeds(), cuts in cuts(), ttl in 1i64..60, lateness in 0i64..40,
    ) {
        let cuts: Vec<_> = cuts.into_iter().map(|(at, _)| (at, Workers::threads(1))).collect();
        let horizon = Horizon::within(micros(ttl)).late_by(micros(lateness));
        let (rows, late) = in_time(&feed, lateness);
        let late = late.into_iter().map(|row| (Fate::Late, row));
        let ran = run_cut(&feed, &cuts, Workers::threads(1), first_seen(horizon));
        let expected = walk(&rows, ttl).into_iter().chain(late.clone()).collect();
        prop_assert_eq!(sorted(ran.rows), sorted(expected));

        let ran = run_cut(&feed, &cuts, Workers::threads(1), refreshing(horizon));
        let refreshed = rows.iter().enumerate().map(|(at, row)| {
            let near = |other: &Row| other.key == row.key && (other.time - row.time).abs() < ttl;
            let known = rows[..at].iter().any(near);
            (if known { Fate::Duplicate } else { Fate::Passed }, *row)
        });
        prop_assert_eq!(sorted(ran.rows), sorted(refreshed.chain(late).collect()));
    }
}

/// What passes first by time, with the rows of its key less than `ttl` after it.
fn counted_model(feed: &Feed<Row>, ttl: i64, lateness: i64) -> Vec<(Fate, Row, u64)> {
    let fates = first_by_time_model(feed, ttl, lateness);
    let of = |fate, row: &Row| -> u64 {
        let copy = |other: &&(Fate, Row)| {
            let (other_fate, other) = **other;
            let after = other.time - row.time;
            other_fate != Fate::Late && other.key == row.key && (0..ttl).contains(&after)
        };
        if fate == Fate::Passed { fates.iter().filter(copy).count() as u64 } else { 0 }
    };
    sorted(fates.iter().map(|(fate, row)| (*fate, *row, of(*fate, row))).collect())
}

fn counted(horizon: Horizon) -> impl Fn(&[Events<'_, u64, Row>], &Out<(Fate, Row, u64)>) + Clone {
    move |inputs, out| {
        let counted = inputs[0].key_by(|row| row.key).dedup_counted("counted", horizon);
        out.gather(&counted, |row| {
            assert_eq!(row.time.micros(), row.data.0.time);
            (Fate::Passed, row.data.0, row.data.1)
        });
        out.gather(&counted.duplicates(), |row| (Fate::Duplicate, row.data, 0));
        out.gather(&counted.late(), |row| (Fate::Late, row.data, 0));
    }
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    /// Any input at all, however it is cut into ticks, and over cuts.
    #[test]
    fn copies_are_counted(
        feed in feeds(),
        cuts in cuts(),
        last in 1usize..6,
        ttl in 1i64..60,
        lateness in prop_oneof![Just(0i64), 0i64..60, 200i64..400],
    ) {
        let program = counted(Horizon::within(micros(ttl)).late_by(micros(lateness)));
        let expected = counted_model(&feed, ttl, lateness);
        for (feed, workers) in [(feed.clone(), 1), (feed.ticks(true), 2), (feed.ticks(false), 5)] {
            let ran = run(&feed, Workers::threads(workers), program.clone());
            prop_assert_eq!(sorted(ran.rows), expected.clone());
            let counts = ran.observer.counts("counted");
            prop_assert!(counts.balanced() && counts.held == 0, "{:?}", counts);
        }
        let ran = run_cut(&feed, &cuts, Workers::threads(last), program);
        prop_assert_eq!(sorted(ran.rows), expected);
    }
}

/// A row stays iff there is no later one of its key less than `ttl` away.
fn last_model(feed: &Feed<Row>, ttl: i64, lateness: i64) -> (Vec<Row>, Vec<Row>) {
    let (in_time, late) = in_time(feed, lateness);
    let order = by_time(&in_time);
    let later = |at: usize, row: &Row| {
        order[at + 1..].iter().any(|o| o.key == row.key && o.time - row.time < ttl)
    };
    let last = order.iter().enumerate().filter(|&(at, row)| !later(at, row)).map(|(_, row)| *row);
    (sorted(last.collect()), sorted(late))
}

fn last(horizon: Horizon) -> impl Fn(&[Events<'_, u64, Row>], &Out<(i64, Row)>) + Clone {
    move |inputs, out| {
        let last = inputs[0].key_by(|row| row.key).dedup_last("last", horizon);
        out.changes(&last, |row| (row.data.diff, row.data.data));
        out.gather(&last.late(), |row| (i64::MAX, row.data));
    }
}

/// What changes add up to, and the late rows.
fn added_up(changes: Vec<(i64, Row)>) -> (Vec<Row>, Vec<Row>) {
    let mut sums = std::collections::BTreeMap::<Row, i64>::new();
    let mut late = Vec::new();
    for (diff, row) in changes {
        match diff {
            i64::MAX => late.push(row),
            _ => *sums.entry(row).or_default() += diff,
        }
    }
    let rows = sums.into_iter().flat_map(|(row, n)| {
        assert!(n >= 0, "{row:?} was taken away and never there");
        std::iter::repeat_n(row, n as usize)
    });
    (rows.collect(), sorted(late))
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    /// Any input at all, however it is cut into ticks; with one tick nothing is taken away.
    #[test]
    fn last_is_a_function_of_the_input(
        feed in feeds(), ttl in 1i64..60, lateness in prop_oneof![Just(0i64), 0i64..60],
    ) {
        let program = last(Horizon::within(micros(ttl)).late_by(micros(lateness)));
        let expected = last_model(&feed, ttl, lateness);
        for (feed, workers) in [(feed.clone(), 1), (feed.ticks(true), 2), (feed.ticks(false), 5)] {
            let ran = run(&feed, Workers::threads(workers), program.clone());
            let counts = ran.observer.counts("last");
            prop_assert!(counts.balanced() && counts.held == 0, "{:?}", counts);
            let added = ran.rows.iter().filter(|(diff, _)| *diff == 1).count();
            prop_assert_eq!(counts.kept, added as u64);
            prop_assert_eq!(added_up(ran.rows), expected.clone());
        }
        // In a single tick nobody sees what is replaced.
        let ran = run(&feed.ticks(false), Workers::threads(1), program);
        prop_assert!(ran.rows.iter().all(|(diff, _)| *diff > 0));
    }

    #[test]
    fn last_goes_on(
        feed in feeds(), cuts in cuts(), last_workers in 1usize..6, ttl in 1i64..60, lateness in 0i64..40,
    ) {
        let program = last(Horizon::within(micros(ttl)).late_by(micros(lateness)));
        let ran = run_cut(&feed, &cuts, Workers::threads(last_workers), program);
        prop_assert_eq!(added_up(ran.rows), last_model(&feed, ttl, lateness));
    }
}

/// A later copy one unit short of the horizon replaces the one before; at the horizon both stay.
#[test]
fn the_edge_of_the_horizon_of_the_last_copy() {
    for start in [-150, -100, 0, 77] {
        for (distance, stay) in
            [(-101, 2), (-100, 2), (-99, 1), (0, 1), (99, 1), (100, 2), (101, 2)]
        {
            let feed = copies(1_000, &[(0, start), (1, start + distance)]);
            let ran = run(&feed, Workers::threads(2), last(Horizon::within(micros(100)))).rows;
            let (rows, _) = added_up(ran);
            let values: Vec<_> = sorted(rows.iter().map(|row| row.value).collect());
            let latest = if distance < 0 { 0 } else { 1 };
            let expected = if stay == 2 { vec![0, 1] } else { vec![latest] };
            assert_eq!(values, expected, "{start} {distance}");
        }
    }
}

#[test]
#[should_panic(expected = "deduplication `last`: with a horizon of zero")]
fn the_last_copy_needs_a_horizon() {
    timely::execute_directly(|worker| {
        worker.dataflow::<u64, _, _>(|scope| {
            let policy = Policy::bounded(secs(1));
            let (_, events) = EventInput::<u64>::new(scope, 0, policy, &Observer::default());
            events.key_by(|&key| key).dedup_last("last", Horizon::within(secs(0)));
        });
    });
}

fn row(time: i64, value: i32) -> Row {
    Row { source: 0, partition: 0, time, key: 7, value }
}

/// A feed of one key, with these event times and partitions, in this order.
fn copies(bound: i64, copies: &[(u32, i64)]) -> Feed<Row> {
    let mut feed = Feed::new(micros(bound));
    for (value, &(partition, time)) in (0..).zip(copies) {
        feed.row(0, partition, EventTime::from_micros(time), Row { partition, ..row(time, value) });
        feed.end_tick_after(true);
    }
    feed
}

fn passed(ran: &[(Fate, Row)]) -> Vec<i32> {
    let passed = |&&(fate, _): &&(Fate, Row)| fate == Fate::Passed;
    sorted(ran.iter().filter(passed).map(|(_, row)| row.value).collect())
}

/// A copy one unit short of the horizon is a duplicate; at the horizon it is another record, be it
/// in the same partition or in another one, before 1970 or after.
#[test]
fn the_edge_of_the_horizon() {
    let horizon = Horizon::within(micros(100));
    for start in [-150, -100, -50, 0, 1, 12_345] {
        for (distance, number) in [(-101, 2), (-100, 2), (-99, 1), (99, 1), (100, 2), (101, 2)] {
            for partition in [0, 1] {
                let feed = copies(1_000, &[(0, start), (partition, start + distance)]);
                for workers in [1, 2, 5] {
                    let workers = Workers::threads(workers);
                    let ran = run(&feed, workers, first_seen(horizon)).rows;
                    assert_eq!(passed(&ran).len(), number, "first seen, {start} {distance}");
                    let ran = run(&feed, workers, refreshing(horizon)).rows;
                    assert_eq!(passed(&ran).len(), number, "refreshing, {start} {distance}");
                    let ran = run(&feed, workers, first_by_time(horizon)).rows;
                    let first = if distance < 0 { 1 } else { 0 };
                    let expected = if number == 2 { vec![0, 1] } else { vec![first] };
                    assert_eq!(passed(&ran), expected, "by time, {start} {distance}");
                }
            }
        }
    }
}

/// A row behind the frontier by the lateness takes part; one that is a microsecond further behind is
/// late, also where a copy of it has passed or has not.
#[test]
fn the_edge_of_lateness() {
    let horizon = Horizon::within(micros(10)).late_by(micros(30));
    for (time, fate) in [(69, Fate::Late), (70, Fate::Passed), (71, Fate::Passed)] {
        let feed = copies(0, &[(0, 100), (0, time)]);
        for ran in [
            run(&feed, Workers::threads(2), first_seen(horizon)).rows,
            run(&feed, Workers::threads(2), refreshing(horizon)).rows,
            run(&feed, Workers::threads(2), first_by_time(horizon)).rows,
        ] {
            let expected = [(Fate::Passed, row(100, 0)), (fate, row(time, 1))];
            assert_eq!(sorted(ran), sorted(expected.to_vec()));
        }
    }
}

/// A key that is repeated before the horizon is over passes once if duplicates prolong it, and every
/// so often if they do not.
#[test]
fn refresh_on_hit() {
    let feed = copies(0, &[(0, 0), (0, 60), (0, 120), (0, 180), (0, 279), (0, 380)]);
    let horizon = Horizon::within(micros(100));
    let passing = |ran: Vec<(Fate, Row)>| passed(&ran);
    let ran = run(&feed, Workers::threads(1), first_seen(horizon)).rows;
    assert_eq!(passing(ran), [0, 2, 4, 5]);
    let ran = run(&feed, Workers::threads(1), refreshing(horizon)).rows;
    assert_eq!(passing(ran), [0, 5]);
}

/// What is lost to false positives is the same on any number of workers, over any cut and for any
/// order of arrival within a tick, is counted, and is not more than the rate.
#[test]
fn what_a_bloom_filter_loses_depends_on_the_ticks_only() {
    #[derive(Clone, Copy, PartialEq)]
    enum Order {
        Forward,
        Backward,
    }
    let keys = 60_000u64;
    let feed = |order| {
        let mut feed = Feed::new(secs(1));
        for tick in 0..20 {
            let mut rows: Vec<u64> = (tick * keys / 20..(tick + 1) * keys / 20).collect();
            if order == Order::Backward {
                rows.reverse();
            }
            for key in rows {
                feed.row(0, 0, EventTime::from_micros(key as i64), key);
                feed.row(0, 0, EventTime::from_micros(key as i64), key);
            }
            feed.end_tick_after(true);
        }
        feed
    };
    let program = |inputs: &[Events<'_, u64, u64>], out: &Out<u64>| {
        let horizon = Horizon::within(secs(1));
        let once = inputs[0].key_by(|&key| key).dedup_bloom("once", horizon, Bloom::may_lose(0.3));
        out.gather(&once, |row| row.data);
    };
    let whole = sorted(run(&feed(Order::Forward), Workers::threads(1), program).rows);
    let lost = keys as usize - whole.len();
    assert!((1..=keys as usize * 3 / 10).contains(&lost), "{lost}");
    for workers in [2, 5] {
        let ran = run(&feed(Order::Backward), Workers::threads(workers), program);
        assert_eq!(sorted(ran.rows), whole);
        assert_eq!(ran.observer.counts("once").duplicate, keys + lost as u64);
    }
    let cuts = [(5 * 6_001, Workers::threads(3)), (9 * 6_001 + 700, Workers::threads(1))];
    let ran = run_cut(&feed(Order::Forward), &cuts, Workers::threads(4), program);
    assert_eq!(sorted(ran.rows), whole);
}

#[test]
#[should_panic(
    expected = "deduplication `once`: the rate of loss must be between 0 and 1, and is 1"
)]
fn a_filter_must_not_lose_everything() {
    timely::execute_directly(|worker| {
        worker.dataflow::<u64, _, _>(|scope| {
            let policy = Policy::bounded(secs(1));
            let (_, events) = EventInput::<u64>::new(scope, 0, policy, &Observer::default());
            let horizon = Horizon::within(secs(1));
            events.key_by(|&key| key).dedup_bloom("once", horizon, Bloom::may_lose(1.0));
        });
    });
}

/// A cut writes the keys and the waiting rows that are new since the one before.
#[test]
fn a_cut_writes_what_is_new() {
    let mut feed = Feed::new(secs(1));
    for key in 0..200u8 {
        let data = Row { key, ..row(10, 1) };
        feed.row(0, 0, EventTime::from_micros(10), data);
    }
    for key in 198..203u8 {
        feed.row(0, 0, EventTime::from_micros(10), Row { key, ..row(10, 2) });
    }
    let horizon = Horizon::within(secs(10));
    let one = Workers::threads(1);
    let cuts = [(200, one), (200, one), (205, one)];
    let bytes = |ran: tiderace_operators::testing::Ran<_>| -> Vec<usize> {
        ran.cuts.iter().map(|cut| cut.frames.1).collect()
    };
    let seen = bytes(run_cut(&feed, &cuts, one, first_seen(horizon)));
    assert!(seen[0] > 200 * 8 && seen[1] < 60 && seen[2] < 150, "{seen:?}");
    let waiting = bytes(run_cut(&feed, &cuts, one, first_by_time(horizon)));
    assert!(waiting[0] > 200 * 8 && waiting[1] < 60 && waiting[2] < 250, "{waiting:?}");
}
