//! What a window can be made into: the aggregates, side by side, of a minute of response times.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tiderace::prelude::*;
use tiderace::runtime::{Outcome, finish};
use tiderace::sink::memory::Collected;
use tiderace::source::iter::IterSource;

#[derive(Clone, Serialize, Deserialize)]
struct Response {
    at: i64, // seconds
    page: String,
    user: u64,
    millis: f64,
}

/// Sixty responses in a minute, of 10, 20, 30, 40 and 50 ms in turn, of three pages to twelve users.
fn response(n: i64) -> Response {
    let page = ["/", "/cart", "/pay"][(n % 3) as usize].to_owned();
    Response { at: n, page, user: n as u64 % 12, millis: 10.0 * (1 + n % 5) as f64 }
}

fn main() -> ExitCode {
    finish(run())
}

fn run() -> Result<(), Error> {
    let found = Collected::new();
    let into = found.clone();
    let outcome = tiderace::execute(std::env::args(), move |worker| {
        worker.dataflow(|flow| {
            let numbers = |worker, peers| (worker as i64..60).step_by(peers);
            let source = IterSource::new("responses", move |w, p| numbers(w, p).map(response));
            let times = event_time(|r: &Response| EventTime::from_secs(r.at)).behind(secs(60));
            let responses = flow.source("responses", |context| source.build(context), times);

            let of = Of::<Response>::rows();
            let millis = |r: &Response| r.millis;
            let plain =
                (of.count(), of.sum(millis), of.mean(millis), of.min(millis), of.max(millis));
            let spread = (of.var_pop(millis), of.var_sample(millis), of.std_pop(millis));
            let ranks = (
                Percentile::of(50.0, millis),
                Percentile::of(95.0, millis),
                PercentileCont::of(95.0, millis),
            );
            let order =
                (First::of(|r: &Response| r.page.clone()), Last::of(|r: &Response| r.page.clone()));
            let values =
                (Distinct::of(|r: &Response| r.user), Mode::of(|r: &Response| r.page.clone()));
            // A tuple of aggregates is an aggregate, also of tuples.
            let all = (plain, spread, ranks, order, values);
            let minute = responses.events.key_by(|_| 0u8).window(Tumbling::every(mins(1)));
            let lines = minute.aggregate("minute", all).flat_map("lines", |result| {
                let (plain, spread, ranks, order, values) = result.value;
                [
                    format!("count, sum, mean, least, most: {plain:?}"),
                    format!("variance of all, of a sample, deviation: {spread:?}"),
                    format!("median, p95, p95 between neighbours: {ranks:?}"),
                    format!("first and last page: {order:?}"),
                    format!("users, most frequent page: {values:?}"),
                ]
            });
            flow.sink("lines", &lines, |_| Ok(into.sink("lines")));
        });
        Ok(())
    })?;

    let found: Vec<String> = found.sorted();
    found.iter().for_each(|line| println!("{line}"));
    if matches!(&outcome, Outcome::Finished { process, .. } if process.processes() == 1) {
        assert_eq!(found.len(), 5);
        assert_eq!(
            found[0],
            "count, sum, mean, least, most: (60, 1800.0, 30.0, Some(10.0), Some(50.0))"
        );
        assert!(found.contains(&"first and last page: (Some(\"/\"), Some(\"/pay\"))".to_owned()));
    }
    Ok(())
}
