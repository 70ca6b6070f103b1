//! Tumbling windows against a slow, obvious model: judge every record against its own partition,
//! group what is accepted, and summarise each group.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{Feed, Out, Row, Workers, feeds, judged, run, sorted};

type Summary = (u8, i64, i64, (u64, i128, f64, Option<i32>, Option<i32>));

fn bits(row: &Summary) -> (u8, i64, i64, u64, i128, u64, Option<i32>, Option<i32>) {
    let (key, start, end, (n, sum, mean, min, max)) = *row;
    (key, start, end, n, sum, mean.to_bits(), min, max)
}

fn model(feed: &Feed<Row>, size: i64, offset: i64, lateness: i64) -> (Vec<Summary>, Vec<Row>) {
    let mut groups: BTreeMap<(i64, u8), Vec<i32>> = BTreeMap::new();
    let mut late = Vec::new();
    for (row, frontier) in judged(feed) {
        let mut start = offset + (row.time - offset) / size * size;
        while start > row.time {
            start -= size;
        }
        while start + size <= row.time {
            start += size;
        }
        if frontier >= start + size + lateness {
            late.push(row);
        } else {
            groups.entry((start, row.key)).or_default().push(row.value);
        }
    }
    let summaries = groups.into_iter().map(|((start, key), values)| {
        let sum: i64 = values.iter().map(|&v| i64::from(v)).sum();
        let mean = sum as f64 / values.len() as f64;
        let (min, max) = (values.iter().min().copied(), values.iter().max().copied());
        (key, start, start + size, (values.len() as u64, i128::from(sum), mean, min, max))
    });
    (summaries.collect(), late)
}

fn check(feed: &Feed<Row>, workers: usize, size: i64, offset: i64, lateness: i64) {
    let by = Tumbling::every(Duration::from_micros(size as u64)).offset_micros(offset);
    let late_by = Duration::from_micros(lateness as u64);
    enum Got {
        Result(Summary),
        Late(Row),
    }
    let ran = run(feed, Workers::threads(workers), move |inputs, out: &Out<Got>| {
        let summary = (
            Count,
            Sum::of(|row: &Row| i64::from(row.value)),
            Mean::of(|row: &Row| f64::from(row.value)),
            Min::of(|row: &Row| row.value),
            Max::of(|row: &Row| row.value),
        );
        let windows = inputs[0].key_by(|row| row.key).window(by).allow_late(late_by);
        let windows = windows.aggregate("windows", summary);
        out.gather(&windows, |row| {
            let WindowResult { key, window, value, .. } = row.data;
            assert_eq!(row.time, window.last());
            assert!(row.behind == tiderace_operators::time::Span::ZERO);
            Got::Result((key, window.start.micros(), window.end.micros(), value))
        });
        out.gather(&windows.late(), |row| Got::Late(row.data));
    });
    let (mut results, mut late) = (Vec::new(), Vec::new());
    for got in ran.rows {
        match got {
            Got::Result(row) => results.push(bits(&row)),
            Got::Late(row) => late.push(row),
        }
    }
    let (wanted, wanted_late) = model(feed, size, offset, lateness);
    assert_eq!(sorted(results), sorted(wanted.iter().map(bits).collect()));
    assert_eq!(sorted(late.clone()), sorted(wanted_late));
    let counts = ran.observer.counts("windows");
    assert!(counts.balanced(), "{counts:?}");
    assert_eq!(counts.input, feed.rows().count() as u64);
    assert_eq!((counts.late, counts.held, counts.open), (late.len() as u64, 0, 0));
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(120))]

    #[test]
    fn agree_with_the_model(
        feed in feeds(),
        workers in prop::sample::select(vec![1usize, 2, 5]),
        size in 1i64..60,
        offset in -70i64..70,
        lateness in prop_oneof![Just(0i64), 0i64..50],
    ) {
        check(&feed, workers, size, offset, lateness);
    }

    /// Where ticks end, and on which worker a partition is read, changes no final result.
    #[test]
    fn cuts_and_workers_change_nothing(feed in feeds(), size in 1i64..60, lateness in 0i64..20) {
        for workers in [1, 2, 5] {
            for feed in [feed.clone(), feed.ticks(false), feed.ticks(true)] {
                check(&feed, workers, size, 3, lateness);
            }
        }
    }
}

/// Rows of partitions, each a tick of its own.
fn feed_of(bound: u64, rows: impl IntoIterator<Item = (u32, i64)>) -> Feed<Row> {
    let mut feed = Feed::new(Duration::from_micros(bound));
    for (partition, time) in rows {
        let row = Row { source: 0, partition, time, key: 0, value: 1 };
        feed.row(0, partition, EventTime::from_micros(time), row);
        feed.end_tick_after(true);
    }
    feed
}

#[test]
fn two_partitions_an_hour_apart_lose_nothing() {
    let hour = 3_600_000_000;
    let feed = feed_of(5, (0..500).flat_map(|i| [(0, i * 10), (1, i * 10 + hour)]));
    for workers in [1, 2, 5] {
        check(&feed, workers, 100, 0, 0);
    }
    assert!(model(&feed, 100, 0, 0).1.is_empty(), "nothing is late");
}

/// On-time firing when f ≥ end, state dropped when f ≥ end + lateness: one unit either way.
#[test]
fn the_edges_of_a_window() {
    for (lateness, late_at) in [(0, 100), (7, 107)] {
        for newest in late_at - 1..=late_at + 1 {
            let feed = feed_of(0, [(0, 50), (0, newest), (0, 99)]);
            let late = model(&feed, 100, 0, lateness).1.len();
            assert_eq!(late, usize::from(newest >= late_at), "newest {newest}");
            check(&feed, 1, 100, 0, lateness);
        }
    }
}

/// Windows on the results of windows lose nothing, whatever the lateness of the first.
#[test]
fn windows_follow_windows() {
    let feed = feed_of(30, (0..400).map(|i| (i as u32 % 2, i * 7 - 900)));
    for (workers, lateness) in [(1, 0), (2, 40), (5, 13)] {
        let ran = run(&feed, Workers::threads(workers), move |inputs, out: &Out<i128>| {
            let of = |micros| Tumbling::every(Duration::from_micros(micros));
            let small = inputs[0].key_by(|row| row.key).window(of(20));
            let small = small
                .allow_late(Duration::from_micros(lateness))
                .aggregate("small", Count)
                .results();
            let large = small.key_by(|row| row.key).window(of(100));
            let large = large.aggregate("large", Sum::of(|row: &WindowResult<u8, u64>| row.value));
            out.gather(&large, |row| row.data.value);
        });
        assert_eq!(ran.rows.iter().sum::<i128>(), 400);
        assert_eq!(ran.observer.counts("large").late, 0);
    }
}

/// A partition that was idle comes back with records of windows that have fired without it: they are
/// late by the operator's own frontier, and no window fires twice.
#[test]
fn what_an_idle_partition_brings_back_is_judged_by_the_operator() {
    use std::sync::{Arc, Mutex};
    let fired = Arc::new(Mutex::new(Vec::new()));
    let late = Arc::new(Mutex::new(Vec::new()));
    let (into, late_into) = (fired.clone(), late.clone());
    timely::execute_directly(move |worker| {
        let observer = Observer::default();
        let mut input = worker.dataflow::<u64, _, _>(|scope| {
            let policy = Policy::ascending();
            let (input, events) = EventInput::<Row>::new(scope, 0, policy, &observer);
            let windows =
                events.key_by(|row| row.key).window(Tumbling::every(Duration::from_micros(10)));
            let windows = windows.aggregate("windows", Count);
            windows.inspect(move |row| {
                into.lock().unwrap().push((row.data.window.start.micros(), row.data.value));
            });
            windows.late().inspect(move |row| {
                late_into.lock().unwrap().push((row.time.micros(), row.behind.micros()));
            });
            input
        });
        let mut send = |input: &mut EventInput<Row>, partition, time| {
            let row = Row { source: 0, partition, time, key: 0, value: 1 };
            let seen = input.send(partition, EventTime::from_micros(time), row);
            input.end_tick();
            (0..10).for_each(|_| {
                worker.step();
            });
            seen.behind
        };
        input.assign(1);
        send(&mut input, 0, 5);
        send(&mut input, 0, 25);
        input.idle(1);
        send(&mut input, 0, 26);
        let on_time = send(&mut input, 1, 7);
        assert!(on_time.is_zero(), "by its own partition it is on time");
        send(&mut input, 1, 23);
        input.finish();
    });
    assert_eq!(*fired.lock().unwrap(), [(0, 1), (20, 3)]);
    assert_eq!(*late.lock().unwrap(), [(7, 19)], "the frontier was at 26");
}

/// A stream united with windows of itself that come out later: the union waits for the later one,
/// and nothing is late.
#[test]
fn a_union_with_a_delayed_branch_of_itself_loses_nothing() {
    let feed = feed_of(30, (0..400).map(|i| (i as u32 % 2, i * 7 - 900)));
    for workers in [1, 2, 5] {
        let ran = run(&feed, Workers::threads(workers), |inputs, out: &Out<i128>| {
            let of = |micros| Tumbling::every(Duration::from_micros(micros));
            let small = inputs[0].key_by(|row| row.key).window(of(20));
            let small = small.allow_late(Duration::from_micros(500)).aggregate("small", Count);
            let both = small.map(|row| row.value).union(&inputs[0].map(|_| 1));
            let large = both.key_by(|_| 0u32).window(of(100));
            let large = large.aggregate("large", Sum::of(|n: &u64| *n));
            out.gather(&large, |row| row.data.value);
        });
        assert_eq!(ran.rows.iter().sum::<i128>(), 800);
        assert_eq!(ran.observer.counts("large").late, 0);
    }
}
