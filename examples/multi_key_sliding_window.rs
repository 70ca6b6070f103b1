//! Sliding windows under a key of several fields: the load of every service in every region over the
//! last minute, told every ten seconds.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tiderace::prelude::*;
use tiderace::runtime::{Outcome, finish};
use tiderace::sink::memory::Collected;
use tiderace::source::iter::IterSource;

#[derive(Clone, Serialize, Deserialize)]
struct Request {
    at: i64, // seconds
    region: String,
    service: String,
    millis: u32,
}

const REGIONS: [&str; 2] = ["eu", "us"];
const SERVICES: [&str; 3] = ["cart", "login", "search"];

/// One request a second to each service in each region, for two minutes; `us` is slower, and gets
/// slower by the minute. Neighbours arrive in reverse.
fn request(n: i64) -> Request {
    let at = (n / 6) ^ 1;
    let region = REGIONS[(n % 2) as usize].to_owned();
    let service = SERVICES[(n / 2 % 3) as usize].to_owned();
    let millis = if region == "us" { 50 + 10 * (at / 60) as u32 } else { 20 };
    Request { at, region, service, millis }
}

/// Region, service, the second the window ends at, requests, mean and slowest milliseconds.
type Load = (String, String, i64, u64, f64, Option<u32>);

fn main() -> ExitCode {
    finish(run())
}

fn run() -> Result<(), Error> {
    let found = Collected::new();
    let into = found.clone();
    let outcome = tiderace::execute(std::env::args(), move |worker| {
        worker.dataflow(|flow| {
            let numbers = |worker, peers| (worker as i64..720).step_by(peers);
            let requests = IterSource::new("requests", move |w, p| numbers(w, p).map(request));
            let times = event_time(|r: &Request| EventTime::from_secs(r.at)).behind(secs(2));
            let requests = flow.source("requests", |context| requests.build(context), times);

            let summary = (
                Count,
                Mean::of(|r: &Request| f64::from(r.millis)),
                Max::of(|r: &Request| r.millis),
            );
            let load = requests
                .events
                .key_by(|r| (r.region.clone(), r.service.clone()))
                .window(Sliding::of(mins(1), secs(10)))
                .aggregate("load", summary)
                .map(|WindowResult { key: (region, service), window, value, .. }| {
                    let (count, mean, slowest) = value;
                    (region, service, window.end.millis() / 1_000, count, mean, slowest)
                });
            flow.sink("load", &load, |_| Ok(into.sink("load")));
        });
        Ok(())
    })?;

    let mut found: Vec<Load> = found.take();
    found.sort_by(|a, b| a.partial_cmp(b).expect("means are numbers"));
    for (region, service, end, count, mean, slowest) in &found {
        let slowest = slowest.expect("there are requests");
        println!(
            "{region} {service} until {end:>3} s: {count} requests, {mean:.1} ms, {slowest} ms"
        );
    }
    // With several processes each has only its own share of the results.
    if matches!(&outcome, Outcome::Finished { process, .. } if process.processes() == 1) {
        // Windows end every ten seconds from 10 s to 170 s; those at the edges are not full.
        assert_eq!(found.len(), 6 * 17);
        let full = found.iter().filter(|load| (60..=120).contains(&load.2));
        assert!(full.clone().all(|load| load.3 == 60));
        let of = |region: &str, end| {
            let load = found.iter().find(|load| load.0 == region && load.2 == end);
            load.map(|load| (load.4, load.5))
        };
        assert_eq!(of("eu", 90), Some((20.0, Some(20))));
        assert_eq!(of("us", 60), Some((50.0, Some(50))));
        assert_eq!(of("us", 90), Some((55.0, Some(60))), "half of the minute is slower");
    }
    Ok(())
}
