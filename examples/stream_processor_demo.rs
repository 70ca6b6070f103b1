//! The same stream in three kinds of windows at once: what each user spends, per quarter of an hour,
//! over a sliding hour, and per visit.
//!
//! Measures have names of one's own, and are found in one pass.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tiderace::prelude::*;
use tiderace::runtime::{Outcome, finish};
use tiderace::sink::memory::Collected;
use tiderace::source::iter::IterSource;

#[derive(Clone, Serialize, Deserialize)]
struct Purchase {
    user: u32,
    at: i64, // seconds
    cents: u32,
}

/// Every user visits twice, for twenty minutes, an hour apart, and buys something every minute. What
/// user `u` pays goes up from `100 u` cent by cent.
fn purchases() -> impl Iterator<Item = Purchase> {
    (0..160).flat_map(|minute| {
        (1..=3u32).filter_map(move |user| {
            let visit = minute / 80;
            let at = minute % 80;
            let cents = 100 * user + at as u32;
            (at < 20).then_some(Purchase { user, at: (visit * 80 + at) * 60, cents })
        })
    })
}

/// Kind of window, user, start and end in minutes, and the measures by name.
type Line = (String, u32, i64, i64, Vec<(String, Option<f64>)>);

fn line(kind: &str, user: u32, start: EventTime, end: EventTime, measures: &Named) -> Line {
    let minutes = |time: EventTime| time.millis() / 60_000;
    let measures = measures.iter().map(|(name, value)| (name.to_owned(), value)).collect();
    (kind.to_owned(), user, minutes(start), minutes(end), measures)
}

fn main() -> ExitCode {
    finish(run())
}

fn run() -> Result<(), Error> {
    let found = Collected::new();
    let into = found.clone();
    let outcome = tiderace::execute(std::env::args(), move |worker| {
        worker.dataflow(|flow| {
            let share = |worker, peers| purchases().skip(worker).step_by(peers);
            let source = IterSource::new("purchases", share);
            let times = event_time(|p: &Purchase| EventTime::from_secs(p.at)).behind(secs(60));
            let purchases = flow.source("purchases", |context| source.build(context), times);

            let spent = Composite::of(|p: &Purchase| f64::from(p.cents))
                .count("purchases")
                .mean("average")
                .min("least")
                .max("most")
                .percentile("median", 50.0)
                .percentile("p95", 95.0)
                .std_pop("stddev");
            let by_user = purchases.events.key_by(|p| p.user);
            let quarters = by_user
                .clone()
                .window(Tumbling::every(mins(15)))
                .aggregate("quarters", spent.clone())
                .map(|r| line("quarter", r.key, r.window.start, r.window.end, &r.value));
            let hours = by_user
                .clone()
                .window(Sliding::of(mins(60), mins(30)))
                .aggregate("hours", spent.clone())
                .map(|r| line("hour", r.key, r.window.start, r.window.end, &r.value));
            let visits = by_user
                .session(Session::gap(mins(10)))
                .aggregate("visits", spent)
                .map(|r| line("visit", r.key, r.start, r.end, &r.value));
            let all = quarters.union(&hours).union(&visits);
            flow.sink("found", &all, |_| Ok(into.sink("found")));
        });
        Ok(())
    })?;

    let mut found: Vec<Line> = found.take();
    found.sort_by(|a, b| (&a.0, a.1, a.2).cmp(&(&b.0, b.1, b.2)));
    for (kind, user, start, end, measures) in &found {
        let measures = measures.iter().map(|(name, value)| {
            let value = value.expect("there are purchases");
            format!("{name} {value:.1}")
        });
        let measures = measures.collect::<Vec<_>>().join(", ");
        println!("{kind} of user {user}, minutes {start} to {end}: {measures}");
    }
    // With several processes each has only its own share of the results.
    if matches!(&outcome, Outcome::Finished { process, .. } if process.processes() == 1) {
        let visits: Vec<_> = found.iter().filter(|line| line.0 == "visit").collect();
        assert_eq!(visits.len(), 6, "three users, two visits each");
        let first: BTreeMap<_, _> = visits[0].4.iter().cloned().collect();
        assert_eq!((visits[0].1, visits[0].2, visits[0].3), (1, 0, 29), "the last at minute 19");
        assert_eq!(first["purchases"], Some(20.0));
        assert_eq!(first["average"], Some(109.5));
        assert_eq!(first["median"], Some(109.0), "the tenth of twenty");
        assert_eq!(first["p95"], Some(118.0), "the nineteenth of twenty");
        let of = |kind: &str| -> f64 {
            let of_kind = found.iter().filter(|line| line.0 == kind);
            of_kind.filter_map(|line| line.4[0].1).sum()
        };
        assert_eq!((of("quarter"), of("visit"), of("hour")), (120.0, 120.0, 240.0));
    }
    Ok(())
}
