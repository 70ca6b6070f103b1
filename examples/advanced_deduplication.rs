//! Which copy of a record is kept, and what a record is: the modes and the keys of deduplication.
//!
//! Couriers report where parcels are. A report goes to several servers, its copies have clocks of their
//! own, and a parcel's newest state is what counts. One program answers five questions at once.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tiderace::prelude::*;
use tiderace::runtime::{Outcome, finish};
use tiderace::sink::memory::Collected;
use tiderace::source::iter::IterSource;
use tiderace_operators::dedup::{Bloom, content_hash};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Report {
    parcel: u64,
    scan: u32,
    at: i64, // seconds
    state: String,
}

fn report(parcel: u64, scan: u32, at: i64, state: &str) -> Report {
    Report { parcel, scan, at, state: state.to_owned() }
}

/// In the order of arrival.
fn reports() -> Vec<Report> {
    vec![
        report(1, 1, 102, "picked up"), // a slow server's copy comes first
        report(1, 1, 100, "picked up"), // the original
        report(2, 1, 104, "picked up"),
        report(2, 1, 104, "picked up"), // word for word the same
        report(1, 2, 130, "on its way"),
        report(1, 3, 150, "delivered"),
        report(1, 2, 131, "on its way"), // a copy of an older state comes last
        report(2, 1, 104, "picked up"),
    ]
}

fn main() -> ExitCode {
    finish(run())
}

fn run() -> Result<(), Error> {
    let answers = Collected::new();
    let into = answers.clone();
    let outcome = tiderace::execute(std::env::args(), move |worker| {
        worker.dataflow(|flow| {
            let source = IterSource::new("reports", |worker, _| {
                reports().into_iter().filter(move |_| worker == 0)
            });
            let times = event_time(|r: &Report| EventTime::from_secs(r.at)).behind(secs(60));
            let reports = flow.source("reports", |context| source.build(context), times).events;
            let horizon = Horizon::within(mins(10));

            // A report is a parcel's scan. Which copy of it is the original? The first by event time.
            let originals = reports
                .key_by(|r| (r.parcel, r.scan))
                .dedup_first_by_time("originals", horizon)
                .map(|r| format!("original: parcel {}, scan {} at {} s", r.parcel, r.scan, r.at));

            // Without ids: two reports are the same if they say the same. 16 bytes stand for each.
            let distinct = reports
                .key_by(content_hash)
                .dedup("distinct", horizon)
                .map(|r| format!("distinct: {} {} {} s", r.parcel, r.scan, r.at));

            // The state of a parcel is its last report. What was believed before is taken away.
            let newest = reports.key_by(|r| r.parcel).dedup_last("newest", horizon);
            let newest = newest.events().map(|Change { data: r, diff }| {
                format!("newest: {diff:+} parcel {} {}", r.parcel, r.state)
            });

            // Is a parcel silent for longer than 30 s? Its first report after such a silence passes.
            let awake = reports
                .key_by(|r| r.parcel)
                .dedup_refreshing("awake", Horizon::within(secs(30)))
                .map(|r| format!("awake: parcel {}", r.parcel));

            // In little memory, if one in a thousand parcels may be overlooked.
            let rough = reports
                .key_by(|r| r.parcel)
                .dedup_bloom("rough", horizon, Bloom::may_lose(0.001))
                .map(|r| format!("rough: parcel {}", r.parcel));

            let all = originals.union(&distinct).union(&newest).union(&awake).union(&rough);
            flow.sink("answers", &all, |_| Ok(into.sink("answers")));
        });
        Ok(())
    })?;

    // In how many steps the newest state came to be depends on which reports came in one tick; what
    // the steps add up to does not.
    let mut lines: Vec<String> = Vec::new();
    let mut newest = std::collections::BTreeMap::<String, i64>::new();
    for line in answers.sorted() {
        match line.strip_prefix("newest: ").and_then(|change| change.split_once(' ')) {
            Some((diff, state)) => {
                *newest.entry(state.to_owned()).or_default() += if diff == "+1" { 1 } else { -1 };
            }
            None => lines.push(line),
        }
    }
    lines.extend(
        newest.iter().filter(|(_, n)| **n > 0).map(|(state, _)| format!("newest: {state}")),
    );
    lines.iter().for_each(|line| println!("{line}"));
    // With several processes each has only its own share of the results.
    if matches!(&outcome, Outcome::Finished { process, .. } if process.processes() == 1) {
        let expected = [
            "awake: parcel 1",
            "awake: parcel 2",
            "distinct: 1 1 100 s",
            "distinct: 1 1 102 s",
            "distinct: 1 2 130 s",
            "distinct: 1 2 131 s",
            "distinct: 1 3 150 s",
            "distinct: 2 1 104 s",
            "original: parcel 1, scan 1 at 100 s",
            "original: parcel 1, scan 2 at 130 s",
            "original: parcel 1, scan 3 at 150 s",
            "original: parcel 2, scan 1 at 104 s",
            "rough: parcel 1",
            "rough: parcel 2",
            "newest: parcel 1 delivered",
            "newest: parcel 2 picked up",
        ];
        assert_eq!(lines, expected);
    }
    Ok(())
}
