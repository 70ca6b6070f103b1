//! From a channel through a filter and windows to a sink, with the books at the end.
//!
//! A thread of the program sends readings into a bounded channel and waits while it is full. When
//! it closes the channel, the input ends, the last windows fire, and every record is accounted for.

use std::process::ExitCode;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use tiderace::encode::json::Json;
use tiderace::observe::{ProcessStatus, Status};
use tiderace::prelude::*;
use tiderace::runtime::{Outcome, finish};
use tiderace::sink::memory::Collected;
use tiderace::sink::stdout::StdoutSink;
use tiderace::source::channel::ChannelSource;

const PARTITIONS: u32 = 4;
const READINGS: i64 = 2_400;

#[derive(Clone, Serialize, Deserialize)]
struct Reading {
    sensor: u32,
    at: i64,
    /// A broken sensor reads nothing.
    celsius: Option<f64>,
}

#[derive(Clone, Serialize, Deserialize)]
struct PerMinute {
    minute: i64,
    sensor: u32,
    readings: u64,
    mean: f64,
}

fn main() -> ExitCode {
    finish(run())
}

fn run() -> Result<(), Error> {
    let (channel, sender) = ChannelSource::partitioned("readings", PARTITIONS, 64);
    let producer = std::thread::spawn(move || {
        for n in 0..READINGS {
            let (sensor, at) = ((n % 8) as u32, n / 8);
            let celsius = (sensor != 7).then_some(20.0 + f64::from(sensor));
            let reading = Reading { sensor, at, celsius };
            if sender.send_to(sensor % PARTITIONS, reading).is_err() {
                return; // Nobody reads any more.
            }
        }
        sender.close();
    });

    let counted = Collected::new();
    let counts = counted.clone();
    let channel = Mutex::new(Some(channel));
    let outcome = tiderace::execute(std::env::args(), move |worker| {
        let process = worker.process();
        if process.processes() > 1 {
            let message = "a channel lives in one process; run this with -w, not with -n";
            return Err(Error::new(Kind::Usage, message));
        }
        let channel = channel.lock().expect("nobody panics with it").clone();
        let channel = channel.expect("it is never taken out");
        worker.dataflow(|flow| {
            let times = event_time(|r: &Reading| EventTime::from_secs(r.at));
            let readings = flow.source("readings", |context| channel.build(context), times);
            let per_minute = readings
                .events
                .filter("working", |r| r.celsius.is_some())
                .key_by(|r| r.sensor)
                .window(Tumbling::every(mins(1)))
                .aggregate("per_minute", (Count, Mean::of(|r: &Reading| r.celsius.unwrap_or(0.0))))
                .map(|row| PerMinute {
                    minute: row.window.start.millis() / 60_000,
                    sensor: row.key,
                    readings: row.value.0,
                    mean: row.value.1,
                });
            flow.sink("out", &per_minute, |_| Ok(StdoutSink::new("out", Json::new())));
            let readings = per_minute.map(|row| row.readings);
            flow.sink("counts", &readings, |_| Ok(counts.sink("counts")));
        });
        Ok(())
    })?;
    producer.join().expect("the producer does not panic");

    let Outcome::Finished { process, .. } = outcome else { return Ok(()) };
    let status = Status::merge([ProcessStatus::take(process.observer(), process.board())]);
    for name in ["readings", "working", "per_minute", "out"] {
        let counts = status.counts(name);
        println!(
            "{name:<11} in {:>5}  kept {:>5}  filtered {:>4}  late {:>2}  out {:>5}",
            counts.input, counts.kept, counts.filtered, counts.late, counts.output
        );
    }
    let ledger = status.ledger;
    println!("read {}, filtered {}, late {}", ledger.read, ledger.filtered, ledger.late);

    // Nothing is lost: what was read was filtered out or is in a window.
    assert!(status.unbalanced().is_empty());
    let in_windows: u64 = counted.take().iter().sum();
    assert_eq!((ledger.read, ledger.late), (READINGS as u64, 0));
    assert_eq!(ledger.read, ledger.filtered + in_windows);
    assert_eq!((status.counts("out").kept, in_windows), (35, 2_100));
    Ok(())
}
