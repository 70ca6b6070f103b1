//! A loop on a view: who can reach whom, minute by minute.
//!
//! Calls between people come with event times. Within each minute of event time, whoever calls
//! somebody has reached everybody whom that one has reached in the same minute. The loop is
//! differential dataflow's `iterate`, inside a view: a call that comes late corrects its minute and
//! nothing else, in the tick in which it comes.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use differential_dataflow::operators::Iterate;
use serde::{Deserialize, Serialize};
use tiderace::prelude::*;
use tiderace::runtime::{Outcome, finish};
use tiderace::sink::memory::Collected;
use tiderace::source::iter::IterSource;

#[derive(Clone, Serialize, Deserialize)]
struct Call {
    at: i64, // seconds
    from: u32,
    to: u32,
}

/// The start of a minute in seconds, and who has reached whom in it.
type Reached = (i64, u32, u32);

/// Five minutes of a call every other second among twelve people, everybody calling few others;
/// every seventh call comes after the next six.
fn calls() -> impl Iterator<Item = Call> {
    let call = |n: i64| {
        let from = (n * n % 12) as u32;
        Call { at: 2 * n, from, to: (from + 1 + (n / 30) as u32) % 12 }
    };
    (0..150).map(|n| n / 7 * 7 + (n + 1) % 7).filter(|&n| n < 150).map(call)
}

fn main() -> ExitCode {
    finish(run())
}

fn run() -> Result<(), Error> {
    let changes = Collected::new();
    let into = changes.clone();
    let outcome = tiderace::execute(std::env::args(), move |worker| {
        worker.dataflow(|flow| {
            let share = |worker, peers| calls().skip(worker).step_by(peers);
            let source = IterSource::new("calls", share);
            let times = event_time(|call: &Call| EventTime::from_secs(call.at)).behind(secs(20));
            let calls = flow.source("calls", |context| source.build(context), times);

            let minutes = Tumbling::every(mins(1));
            let in_minute = move |call: Call| {
                let minute = minutes.window_of(EventTime::from_secs(call.at));
                (minute.start.millis() / 1_000, call.from, call.to)
            };
            let calls = calls.events.map(in_minute).view("calls", Retain::forever());
            let reached = calls.via(|calls| {
                calls.clone().iterate(|scope, reached| {
                    let calls = calls.enter(scope).map(|(minute, from, to)| ((minute, from), to));
                    let ends = reached.clone().map(|(minute, from, to)| ((minute, to), from));
                    let further = ends.join_map(calls, |key, &from, &to| (key.0, from, to));
                    further.concat(reached).distinct()
                })
            });
            let changes = reached.changelog("reached").events();
            flow.sink("changes", &changes, |_| Ok(into.sink("changes")));
        });
        Ok(())
    })?;

    // What has been said and withdrawn again adds up to nothing.
    let mut reached: BTreeMap<Reached, i64> = BTreeMap::new();
    for Change { data, diff } in changes.take() {
        *reached.entry(data).or_default() += diff;
    }
    reached.retain(|_, count| *count != 0);
    let mut pairs: BTreeMap<i64, u32> = BTreeMap::new();
    reached.keys().for_each(|&(minute, ..)| *pairs.entry(minute).or_default() += 1);
    for (minute, pairs) in &pairs {
        println!("from {minute} s: {pairs} pairs");
    }
    // With several processes each has only its own share of the results.
    if matches!(&outcome, Outcome::Finished { process, .. } if process.processes() == 1) {
        assert!(reached.values().all(|&count| count == 1));
        assert_eq!(reached.into_keys().collect::<BTreeSet<_>>(), step_by_step());
    }
    Ok(())
}

/// The same, the slow and obvious way.
fn step_by_step() -> BTreeSet<Reached> {
    let calls: Vec<Reached> = calls().map(|call| (call.at / 60 * 60, call.from, call.to)).collect();
    let mut reached: BTreeSet<Reached> = calls.iter().copied().collect();
    loop {
        let further: Vec<Reached> = reached
            .iter()
            .flat_map(|&(minute, from, by)| {
                let next = calls.iter().filter(move |call| (call.0, call.1) == (minute, by));
                next.map(move |call| (minute, from, call.2))
            })
            .collect();
        let before = reached.len();
        reached.extend(further);
        if reached.len() == before {
            return reached;
        }
    }
}
