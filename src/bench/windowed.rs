//! The pipeline behind the sources of the benchmarks that read JSON.

use std::sync::Arc;

use timely::dataflow::operators::Inspect;

use super::reading::{Reading, Readings, Row, Totals};
use super::{Sum, Tally};
use crate::prelude::*;
use crate::runtime::Outcome;
use crate::source::Times;

/// Event times of readings.
pub fn times(
    readings: Readings,
) -> Times<Reading, impl Fn(&Reading) -> EventTime + Clone + 'static> {
    event_time(|reading: &Reading| EventTime::from_millis(reading.at))
        .behind(readings.behind())
        .trust_future()
        .never_idle()
}

/// An error if a run was stopped: it has measured nothing then.
pub fn finished(outcome: Outcome<()>) -> Result<(), Error> {
    match outcome {
        Outcome::Finished { process, .. } if process.stopping() => Err(stopped()),
        _ => Ok(()),
    }
}

/// What is told of a run that was stopped.
pub fn stopped() -> Error {
    Error::new(Kind::Failed, "stopped before everything was measured")
}

/// Count, sum and maximum by key and ten seconds, summed up for the comparison with a loop.
pub fn windowed<'scope>(
    flow: &Flow<'scope>,
    events: &Events<'scope, u64, Reading>,
    tally: Arc<Tally>,
) {
    let of = Of::<Reading>::rows();
    let windows = events.key_by(|reading| reading.key).window(Tumbling::every(secs(10)));
    let totals = (of.count(), of.sum(|r| r.value), of.max(|r| r.value));
    let results = windows.aggregate("totals", totals);
    let mut buffer = Vec::new();
    let results = results.parts().0.inspect_batch(move |_, rows| {
        let mut sum = Sum::default();
        for result in rows {
            let totals: Totals = result.data.value;
            let row: Row = (result.data.key, result.data.window.start.millis(), totals);
            sum.add(&row, 1, &mut buffer);
        }
        tally.count(rows.len());
        tally.add(&sum);
    });
    flow.watch(results);
}
