//! Orders that a queue delivers more than once: each passes once.
//!
//! Deduplication remembers keys by event time. A copy of an order less than ten minutes away is a
//! duplicate, and has a stream of its own, as has an order that comes too late to be judged: nothing
//! is dropped in silence. What is remembered goes when no copy can come any more.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tiderace::prelude::*;
use tiderace::runtime::{Outcome, finish};
use tiderace::sink::memory::Collected;
use tiderace::source::iter::IterSource;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    id: u64,
    at: i64, // seconds
    cents: i64,
}

/// Sixty orders, one a second, in batches of ten. Every third batch is delivered twice, and the first
/// once more, when it is far too late.
fn deliveries() -> impl Iterator<Item = Order> {
    let batch =
        |n: i64| (n * 10..(n + 1) * 10).map(|at| Order { id: at as u64, at, cents: 500 + at });
    let twice = move |n: i64| batch(n).chain((n % 3 == 0).then(|| batch(n)).into_iter().flatten());
    (0..6).flat_map(twice).chain(batch(0))
}

fn main() -> ExitCode {
    finish(run())
}

fn run() -> Result<(), Error> {
    let (passed, duplicates, late) = (Collected::new(), Collected::new(), Collected::new());
    let into = (passed.clone(), duplicates.clone(), late.clone());
    let outcome = tiderace::execute(std::env::args(), move |worker| {
        worker.dataflow(|flow| {
            // The queue is read by one worker, in this order; copies meet wherever their key is.
            let queue =
                IterSource::new("queue", |worker, _| deliveries().filter(move |_| worker == 0));
            let times = event_time(|order: &Order| EventTime::from_secs(order.at)).behind(secs(15));
            let orders = flow.source("queue", |context| queue.build(context), times);

            let once =
                orders.events.key_by(|order| order.id).dedup("once", Horizon::within(mins(10)));

            let cents = once.map(|order| order.cents);
            let duplicates = once.duplicates().map(|order| order.id);
            let late = once.late().map(|order| order.id);
            flow.sink("once", &cents, |_| Ok(into.0.sink("once")));
            flow.sink("duplicates", &duplicates, |_| Ok(into.1.sink("duplicates")));
            flow.sink("late", &late, |_| Ok(into.2.sink("late")));
        });
        Ok(())
    })?;

    let (passed, duplicates, late) = (passed.sorted(), duplicates.sorted(), late.sorted());
    println!("delivered {}", deliveries().count());
    println!("passed {}, together {} cents", passed.len(), passed.iter().sum::<i64>());
    println!("duplicates {}: {duplicates:?}", duplicates.len());
    println!("late {}: {late:?}", late.len());
    // With several processes each has only its own share of the results.
    if matches!(&outcome, Outcome::Finished { process, .. } if process.processes() == 1) {
        assert_eq!(passed, (500..560).collect::<Vec<i64>>());
        assert_eq!(duplicates, (0..10).chain(30..40).collect::<Vec<u64>>());
        assert_eq!(late, (0..10).collect::<Vec<u64>>());
    }
    Ok(())
}
