//! Records that come late: a window can wait for them, and what comes later still has a stream of
//! its own.
//!
//! The source's `behind` says how far out of order records may be; the window's `allow_late` how
//! much longer, in event time, a window takes records after its end has been passed. A record that
//! is behind both is never dropped in silence: it is on the late stream, with how late it was.

use std::process::ExitCode;

use tiderace::prelude::*;
use tiderace::runtime::{Outcome, finish};
use tiderace::sink::memory::Collected;
use tiderace::source::iter::IterSource;

/// Event times in seconds, in the order of arrival.
const ARRIVALS: [i64; 7] = [
    1, //
    12, 18, // the frontier is now at 13 s: five behind the newest
    3,  // ten behind the frontier, but its window waits until 30 s
    40, // the frontier is now at 35 s: windows that end by 15 s are complete
    4,  // too late: its window was complete at 30 s
    36, // out of order, but on time
];

fn main() -> ExitCode {
    finish(run())
}

fn run() -> Result<(), Error> {
    let (windows, late) = (Collected::new(), Collected::new());
    let (into_windows, into_late) = (windows.clone(), late.clone());
    let outcome = tiderace::execute(std::env::args(), move |worker| {
        worker.dataflow(|flow| {
            // Everything arrives at one worker, in this order; the others have nothing to read.
            let arrivals = IterSource::new("arrivals", |worker, _| {
                ARRIVALS.into_iter().filter(move |_| worker == 0)
            });
            let times = event_time(|at: &i64| EventTime::from_secs(*at)).behind(secs(5));
            let arrivals = flow.source("arrivals", |context| arrivals.build(context), times);

            let per_ten_seconds = arrivals
                .events
                .key_by(|_| 0)
                .window(Tumbling::every(secs(10)))
                .allow_late(secs(20))
                .aggregate("per_ten_seconds", Count);
            let counts = per_ten_seconds.map(|row| (row.window.start.millis() / 1_000, row.value));
            flow.sink("counts", &counts, |_| Ok(into_windows.sink("counts")));

            let late = per_ten_seconds.late().parts().0;
            let how_late = |row: Timed<i64>| (row.data, row.behind.micros() / 1_000_000);
            flow.sink_with("late", late, how_late, |_| Ok(into_late.sink("late")));
        });
        Ok(())
    })?;

    let (windows, late) = (windows.sorted(), late.sorted());
    for (start, count) in &windows {
        println!("window from {start} s: {count}");
    }
    for (at, behind) in &late {
        println!("late: the record of {at} s, {behind} s behind");
    }
    // With several processes each has only its own share of the results.
    if matches!(&outcome, Outcome::Finished { process, .. } if process.processes() == 1) {
        assert_eq!(windows, [(0, 2), (10, 2), (30, 1), (40, 1)]);
        assert_eq!(late, [(4, 31)]);
    }
    Ok(())
}
