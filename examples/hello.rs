//! Readings of three sensors, a little out of order, averaged per minute.
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tiderace::prelude::*;
use tiderace::source::iter::IterSource;

#[derive(Clone, Serialize, Deserialize)]
struct Reading {
    sensor: u32,
    at: i64, // seconds
    celsius: f64,
}

/// Ten minutes of one reading a second and sensor, each four seconds in reverse.
fn reading(n: i64) -> Reading {
    let at = (n / 3) ^ 3;
    Reading { sensor: (n % 3) as u32, at, celsius: 20.0 + (at / 60) as f64 }
}

fn main() -> ExitCode {
    tiderace::runtime::finish(tiderace::execute(std::env::args(), |worker| {
        worker.dataflow(|flow| {
            let numbers = |worker, peers| (worker as i64..1_800).step_by(peers);
            let readings = IterSource::new("readings", move |w, p| numbers(w, p).map(reading));
            let times = event_time(|r: &Reading| EventTime::from_secs(r.at)).behind(secs(5));
            let readings = flow.source("readings", |context| readings.build(context), times);

            let per_minute = readings
                .events
                .key_by(|r| r.sensor)
                .window(Tumbling::every(mins(1)))
                .aggregate("per_minute", (Count, Mean::of(|r: &Reading| r.celsius)));

            per_minute.inspect(|row| {
                let WindowResult { key, window, value: (count, mean), .. } = row.data;
                let minute = window.start.millis() / 60_000;
                assert_eq!((count, mean), (60, 20.0 + minute as f64));
                println!("sensor {key}, minute {minute}: {count} readings, mean {mean:.1}");
            });
        });
        Ok(())
    }))
}
