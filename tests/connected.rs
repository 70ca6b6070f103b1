//! Sources and sinks under the engine, on one and on several workers.

use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tiderace::decode::json::Json;
use tiderace::decode::raw::{Envelope, Envelopes};
use tiderace::encode::json::Json as ToJson;
use tiderace::prelude::*;
use tiderace::sink::file::FileSink;
use tiderace::sink::memory::{Collected, MemoryStore};
use tiderace::source::channel::ChannelSource;
use tiderace::source::file::FileSource;
use tiderace::source::generate::{Generator, SensorEvent, Sensors};
use tiderace::source::iter::IterSource;

fn args(workers: usize) -> Vec<String> {
    vec!["test".to_owned(), "-w".to_owned(), workers.to_string()]
}

fn sensor_time(event: &SensorEvent) -> EventTime {
    EventTime::from_millis(event.at)
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Reading {
    at: i64,
    n: u32,
}

fn reading_time(reading: &Reading) -> EventTime {
    EventTime::from_millis(reading.at)
}

/// The engine's judgement of lateness against what the generator knows.
#[test]
fn exactly_the_events_that_are_late_on_purpose_are_behind() {
    const EVENTS: u64 = 20_000;
    let sensors = Sensors::default().late(0.05, Duration::from_secs(60)).duplicates(0.05);
    let mut expected: Vec<_> =
        (0..EVENTS).map(|index| (sensors.event(index).id, sensors.truth(index).late)).collect();
    expected.sort_unstable();
    for workers in [1, 2, 5] {
        let rows = Collected::new();
        let seen = rows.clone();
        tiderace::execute(args(workers), move |worker| {
            worker.dataflow(|flow| {
                let generator = Generator::new("sensors", sensors).events(EVENTS);
                let times = event_time(sensor_time).behind(sensors.disorder());
                let source = flow.source("sensors", |context| generator.build(context), times);
                let judged = |row: tiderace_operators::time::Timed<SensorEvent>| {
                    (row.data.id, !row.behind.is_zero())
                };
                flow.sink_with("seen", source.events.parts().0, judged, |_| Ok(seen.sink("seen")));
            });
            Ok(())
        })
        .unwrap();
        assert!(rows.sorted() == expected, "{workers} workers");
    }
}

/// in = out + rejects, through files on both ends.
#[test]
fn files_to_files_with_rejects_counted() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..3)
        .map(|file| {
            let path = folder.path().join(format!("in-{file}"));
            let lines = (0..500).map(|n| match n % 10 {
                7 => "{\"at\":1}\n".to_owned(),
                _ => format!("{{\"at\":{n},\"n\":{}}}\r\n", file * 1_000 + n),
            });
            fs::write(&path, lines.collect::<String>()).unwrap();
            path
        })
        .collect();
    for workers in [1, 2, 4] {
        let out = folder.path().join(format!("out-{workers}-{{worker}}"));
        let paths = paths.clone();
        let rejects = Collected::new();
        let seen = rejects.clone();
        tiderace::execute(args(workers), move |worker| {
            worker.dataflow(|flow| {
                let files = FileSource::new("in", &paths, Json::<Reading>::new);
                let source = flow.source("in", |c| files.build(c), event_time(reading_time));
                let sink = FileSink::new("out", &out, ToJson::<Reading>::new);
                flow.sink("out", &source.events, |context| sink.build(context));
                flow.sink("rejects", &source.rejects, |_| Ok(seen.sink("rejects")));
            });
            Ok(())
        })
        .unwrap();
        let mut lines = Vec::new();
        for worker in 0..workers {
            let path = folder.path().join(format!("out-{workers}-{worker:05}"));
            let text = fs::read_to_string(path).unwrap();
            lines.extend(text.lines().map(|line| serde_json::from_str::<Reading>(line).unwrap().n));
        }
        lines.sort_unstable();
        let good =
            (0..3).flat_map(|f| (0..500).filter(|n| n % 10 != 7).map(move |n| f * 1_000 + n));
        assert_eq!(lines, good.collect::<Vec<_>>());
        let rejects = rejects.take();
        assert_eq!(rejects.len(), 3 * 50);
        let first = rejects.iter().find(|r| r.partition == 1 && r.next == first_bad_end()).unwrap();
        assert_eq!(first.reject.class, "json");
        let message = &first.reject.message;
        assert!(message.contains("in-1:8 (byte"), "{message}");
        assert!(message.contains("missing field `n`"), "{message}");
    }
}

/// The offset after the eighth line of a file above.
fn first_bad_end() -> u64 {
    (0..7).map(|n| format!("{{\"at\":{n},\"n\":{}}}\r\n", 1_000 + n).len() as u64).sum::<u64>() + 9
}

#[test]
fn a_channel_feeds_a_running_job_and_its_end_ends_it() {
    let (builder, sender) = ChannelSource::partitioned("feed", 3, 4);
    let store = MemoryStore::new();
    let (seen, builder) = (store.clone(), Mutex::new(Some(builder)));
    let committed = sender.clone();
    let thread = std::thread::spawn(move || {
        for n in 0..300 {
            sender.send_to(n % 3, Reading { at: i64::from(n), n }).unwrap();
        }
        sender.close();
    });
    tiderace::execute(args(2), move |worker| {
        let builder = builder.lock().unwrap().clone().expect("it stays");
        worker.dataflow(|flow| {
            let source = flow.source("feed", |c| builder.build(c), event_time(reading_time));
            flow.sink("out", &source.events, |context| Ok(seen.sink("out", context).slow(1)));
        });
        Ok(())
    })
    .unwrap();
    thread.join().unwrap();
    let mut rows: Vec<_> = store.rows().into_iter().map(|reading| reading.n).collect();
    rows.sort_unstable();
    assert_eq!(rows, (0..300).collect::<Vec<_>>());
    assert_eq!([0, 1, 2].map(|partition| committed.committed(partition)), [100; 3]);
}

#[test]
fn an_iterator_and_a_generator_feed_one_program() {
    let rows = Collected::new();
    let seen = rows.clone();
    tiderace::execute(args(2), move |worker| {
        worker.dataflow(|flow| {
            let numbers = IterSource::new("numbers", |worker, peers| {
                (worker as i64..100).step_by(peers).map(|n| SensorEvent {
                    id: 1_000 + n as u64,
                    sensor: 0,
                    at: n,
                    celsius: 0.0,
                })
            });
            let generator =
                Generator::new("sensors", Sensors::default().duplicates(0.0)).events(100);
            let first = flow.source("numbers", |c| numbers.build(c), event_time(sensor_time));
            let second = flow.source("sensors", |c| generator.build(c), event_time(sensor_time));
            let id = |row: tiderace_operators::time::Timed<SensorEvent>| row.data.id;
            flow.sink_with("a", first.events.parts().0, id, |_| Ok(seen.sink("a")));
            flow.sink_with("b", second.events.parts().0, id, |_| Ok(seen.sink("b")));
        });
        Ok(())
    })
    .unwrap();
    assert_eq!(rows.sorted(), (0..100).chain(1_000..1_100).collect::<Vec<_>>());
}

#[test]
fn a_full_disk_and_a_missing_file_end_the_job_with_their_own_codes() {
    for (input, output, code, says) in [
        ("/dev/null", "/no/such/folder/out", 78, "/no/such/folder/out"),
        ("/no/such/file", "/dev/null", 78, "/no/such/file"),
        ("Cargo.toml", "/dev/full", 74, "/dev/full: No space left"),
    ] {
        let error = tiderace::execute(args(1), move |worker| {
            worker.dataflow(|flow| {
                let files = FileSource::new("in", [input], || Envelopes::of("in"));
                let times = event_time(|_: &Envelope| EventTime::from_millis(0));
                let source = flow.source("in", |context| files.build(context), times);
                let sink = FileSink::new("out", output, ToJson::<Envelope>::new);
                flow.sink("out", &source.events, |context| sink.build(context));
            });
            Ok(())
        })
        .expect_err("the job fails");
        assert_eq!(error.kind().exit_code(), code, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}
