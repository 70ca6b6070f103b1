//! Whole dataflows through the engine's drivers: a source of known events, deduplication, windows
//! and a sink, on one and several workers.

use std::collections::{BTreeMap, BTreeSet};

use tiderace::observe::{ProcessStatus, Status};
use tiderace::prelude::*;
use tiderace::runtime::Outcome;
use tiderace::sink::memory::{Collected, MemoryStore};
use tiderace::source::generate::{Generator, SensorEvent, Sensors};

type Row = (u32, i64, u64, i128, u64);

fn sensors() -> Sensors {
    Sensors::default().late(0.01, secs(30)).duplicates(0.02).keys(20).partitions(6)
}

/// The answer, computed from the events alone: each judged against its own partition.
fn answer(sensors: &Sensors, events: u64) -> (Vec<Row>, [u64; 4]) {
    let bound = sensors.disorder().as_micros() as i64;
    let mut newest: BTreeMap<u32, i64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut windows: BTreeMap<(u32, i64), (u64, i128, i64)> = BTreeMap::new();
    let (mut late_dedup, mut late_window, mut duplicate, mut kept) = (0, 0, 0, 0);
    for i in 0..events {
        let event = sensors.event(i);
        let at = event.at * 1000;
        let newest = newest.entry(sensors.partition_of(i)).or_insert(i64::MIN);
        let frontier = if *newest == i64::MIN { i64::MIN } else { *newest - bound };
        *newest = at.max(*newest);
        if at < frontier.saturating_sub(1_000_000) {
            late_dedup += 1;
        } else if !seen.insert(event.id) {
            duplicate += 1;
        } else {
            let start = at.div_euclid(1_000_000) * 1_000_000;
            if frontier >= start + 1_000_000 {
                late_window += 1;
            } else {
                kept += 1;
                let entry = windows.entry((event.sensor, start)).or_insert((0, 0, i64::MIN));
                let hundredths = event.hundredths();
                entry.0 += 1;
                entry.1 += i128::from(hundredths);
                entry.2 = entry.2.max(hundredths);
            }
        }
    }
    let rows = windows
        .into_iter()
        .map(|((sensor, start), (n, sum, max))| (sensor, start, n, sum, max as u64));
    (rows.collect(), [late_dedup, late_window, duplicate, kept])
}

/// The pipeline of these tests.
fn pipeline<'scope>(
    flow: &Flow<'scope>,
    sensors: &Sensors,
    events: u64,
) -> Events<'scope, u64, Row> {
    let times = event_time(|event: &SensorEvent| EventTime::from_millis(event.at))
        .behind(sensors.disorder())
        .trust_future();
    let sensors = *sensors;
    let readings = flow.source(
        "readings",
        |context| Generator::new("readings", sensors).events(events).build(context),
        times,
    );
    let once = readings
        .events
        .key_by(|event| event.id)
        .dedup("once", Horizon::within(mins(5)).late_by(secs(1)));
    let windows = once.key_by(|event| event.sensor).window(Tumbling::every(secs(1))).aggregate(
        "per_second",
        (
            Count,
            Sum::of(|event: &SensorEvent| event.hundredths()),
            Max::of(|event: &SensorEvent| event.hundredths()),
        ),
    );
    windows.map(|WindowResult { key, window, value: (n, sum, max), .. }| {
        (key, window.start.micros(), n, sum, max.unwrap_or(i64::MIN) as u64)
    })
}

fn args(workers: usize) -> Vec<String> {
    ["test", "-w", &workers.to_string(), "--tick", "2ms", "-qq"].map(str::to_owned).to_vec()
}

fn status<R>(outcome: Outcome<R>) -> Status {
    match outcome {
        Outcome::Finished { process, .. } => {
            Status::merge([ProcessStatus::take(process.observer(), process.board())])
        }
        Outcome::Supervised => panic!("one process does not supervise"),
    }
}

#[test]
fn the_same_rows_for_any_number_of_workers_and_any_pace() {
    let events = 60_000;
    let (wanted, [late_dedup, late_window, duplicate, kept]) = answer(&sensors(), events);
    assert!(late_dedup > 0 && late_window > 0 && duplicate > 0 && wanted.len() > 20);
    for workers in [1, 2, 5] {
        for rows in [40, 2_000, 500_000] {
            let out = Collected::new();
            let into = out.clone();
            let outcome = tiderace::execute(args(workers), move |worker| {
                let into = into.clone();
                worker.dataflow_paced(
                    tiderace::flow::Pace { rows, ..Default::default() },
                    |flow| {
                        let rows =
                            pipeline(flow, &sensors(), if rows < 100 { 2_000 } else { 60_000 });
                        flow.sink("out", &rows, |_| Ok(into.sink("out")));
                    },
                );
                Ok(())
            })
            .expect("it runs");
            let status = status(outcome);
            assert_eq!(status.unbalanced(), BTreeMap::new());
            if rows < 100 {
                assert_eq!(out.sorted(), answer(&sensors(), 2_000).0, "{workers} workers");
                continue;
            }
            assert_eq!(out.sorted(), wanted, "{workers} workers, {rows} rows in flight");
            assert_eq!(status.counts("readings").input, events);
            assert_eq!(status.counts("once").late, late_dedup);
            assert_eq!(status.counts("once").duplicate, duplicate);
            assert_eq!(status.counts("per_second").late, late_window);
            assert_eq!(status.counts("per_second").kept, kept);
            assert_eq!(status.counts("out").kept, wanted.len() as u64);
            assert_eq!(status.counts("per_second").held, 0, "every window has fired");
            let committed = status.sources.iter().flat_map(|s| &s.partitions);
            assert!(committed.clone().all(|p| p.committed == Some(p.position)), "{status:?}");
            assert_eq!(committed.map(|p| p.position).sum::<u64>(), events);
        }
    }
}

/// A sink that stages and commits shows the same rows, although its commits take their time and it
/// takes few rows in one go.
#[test]
fn a_sink_that_stages_and_commits_slowly_shows_the_same_rows() {
    let (wanted, _) = answer(&sensors(), 20_000);
    for workers in [1, 2] {
        let store = MemoryStore::new();
        let into = store.clone();
        let outcome = tiderace::execute(args(workers), move |worker| {
            let into = into.clone();
            worker.dataflow(|flow| {
                let rows = pipeline(flow, &sensors(), 20_000);
                flow.sink("out", &rows, |context| Ok(into.sink("out", context).room(7).slow(3)));
            });
            Ok(())
        })
        .expect("it runs");
        let mut rows = store.rows();
        rows.sort();
        assert_eq!(rows, wanted, "{workers} workers");
        let status = status(outcome);
        assert!(
            status
                .sources
                .iter()
                .flat_map(|s| &s.partitions)
                .all(|p| { p.committed == Some(p.position) })
        );
    }
}

/// A stop ends the input where it is: what was read comes out of the steps without windows, open
/// windows do not fire, and what they held is counted.
#[test]
fn a_stop_keeps_windows_open() {
    let out = Collected::new();
    let into = out.clone();
    let outcome = tiderace::execute(args(2), move |worker| {
        let into = into.clone();
        let process = worker.process().clone();
        worker.dataflow(|flow| {
            let slow = Sensors::default().keys(3).partitions(2);
            let rows = pipeline(flow, &slow, u64::MAX);
            rows.inspect(move |_| process.stop());
            flow.sink("out", &rows, |_| Ok(into.sink("out")));
        });
        Ok(())
    })
    .expect("a stop is no failure");
    let status = status(outcome);
    let window = status.counts("per_second");
    assert!(window.held > 0 && window.open > 0, "windows were open: {window:?}");
    assert_eq!(status.unbalanced(), BTreeMap::new());
    let results: u64 = out.take().iter().map(|row| row.2).sum();
    assert!(results < window.kept, "not everything has come out");
    let once = status.counts("once");
    assert_eq!(status.counts("readings").input, once.kept + once.late + once.duplicate);
    assert!(
        status
            .sources
            .iter()
            .flat_map(|s| &s.partitions)
            .all(|p| { p.committed == Some(p.position) })
    );
}

#[test]
fn a_failing_sink_ends_the_run_and_commits_nothing_after_it() {
    let outcome = tiderace::execute(args(2), |worker| {
        worker.dataflow(|flow| {
            let rows = pipeline(flow, &sensors(), 5_000);
            flow.sink("out", &rows, |_| {
                tiderace::sink::file::FileSink::new("out", "/dev/full", || {
                    tiderace::encode::json::Json::new()
                })
                .build(tiderace::sink::SinkContext { worker: 0, peers: 1 })
            });
        });
        Ok(())
    });
    let error = outcome.expect_err("the disk is full");
    assert_eq!(error.kind(), tiderace::error::Kind::Storage, "{error}");
    assert!(error.to_string().contains("/dev/full"), "{error}");
}

/// More workers than partitions behind a union of two sources of different length: every window
/// fires, and nothing is late.
#[test]
fn eight_workers_on_one_partition_behind_a_union() {
    let out = Collected::new();
    let into = out.clone();
    let outcome = tiderace::execute(args(8), move |worker| {
        let into = into.clone();
        worker.dataflow(|flow| {
            let one = Sensors::default().partitions(1).keys(4).late(0.0, secs(1)).duplicates(0.0);
            let read = |name: &'static str, events| {
                let times = event_time(|event: &SensorEvent| EventTime::from_millis(event.at))
                    .behind(one.disorder())
                    .trust_future();
                let make = move |context| Generator::new(name, one).events(events).build(context);
                flow.source(name, make, times).events
            };
            let both = read("long", 9_000).union(&read("short", 500));
            let windows = both.key_by(|event| event.sensor).window(Tumbling::every(secs(1)));
            let counts = windows.aggregate("windows", Count).map(|row| row.value);
            flow.sink("out", &counts, |_| Ok(into.sink("out")));
        });
        Ok(())
    })
    .expect("it runs");
    let status = status(outcome);
    assert_eq!(status.unbalanced(), BTreeMap::new());
    assert_eq!((status.ledger.late, status.counts("windows").held), (0, 0));
    assert_eq!(out.take().iter().sum::<u64>(), 9_500);
}
