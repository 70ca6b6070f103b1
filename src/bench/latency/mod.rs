//! How long results take: an open loop at a fixed rate.
//!
//! Records are due at fixed times, whatever the engine does (no coordinated omission). A window can
//! close when a record is read that moves the frontier past its end; from then, on the last of the
//! workers, it takes until its result reaches the sink. Both are measured: from the reading of that
//! record, which is the engine's own time, and from when it was due, which adds what waited unread.

mod report;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use timely::dataflow::operators::Inspect;

use super::feed::{Feed, Pace};
use super::machine;
use crate::error::{Error, Kind};
use crate::prelude::*;
use crate::runtime::{LaunchArgs, Outcome, execute_with};

pub use report::{AtRate, Report};

/// The size of the windows, in microseconds of event time.
const WINDOW: i64 = 10_000_000;
/// Windows that close in a second of wall time.
const CLOSING: f64 = 10.0;
/// How far out of order records are, in microseconds of event time.
const BOUND: i64 = 100_000;
/// The greatest latency that is told apart, in microseconds.
const MOST: u64 = 600_000_000;
/// What is told of a distribution, in percent.
pub const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 100.0];

/// What is run.
#[derive(Clone, Debug)]
pub struct Latency {
    /// Keys, of which each has a result in each window.
    pub keys: u64,
    /// How long each rate is offered.
    pub lasting: Duration,
    /// Records a second; if there is no number, shares of what the engine can take.
    pub rate: Option<f64>,
}

/// When windows could close, and what became of them, on all workers.
struct Times {
    begun: Instant,
    /// By window: when the last worker read, and when it should have read, the record that let it
    /// close, in microseconds since the beginning, plus one; zero if that has not happened.
    read: Vec<AtomicU64>,
    due: Vec<AtomicU64>,
    histograms: Mutex<[Histogram<u64>; 2]>,
    /// Records counted in the results.
    counted: AtomicU64,
    /// The memory in use after each quarter but the last.
    memory: [AtomicU64; 3],
}

/// An empty distribution of times in microseconds.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MOST, 3).expect("the bounds are in order")
}

/// A distribution at [`PERCENTILES`].
pub fn percentiles(of: &Histogram<u64>) -> [u64; 6] {
    PERCENTILES.map(|percent| of.value_at_percentile(percent))
}

impl Latency {
    /// Runs everything.
    pub fn run(&self, args: &LaunchArgs) -> Result<Report, Error> {
        if args.processes.is_some() {
            let message = "latency is measured in one process: clocks are read on both ends";
            return Err(Error::new(Kind::Usage, message).hint("-w N gives it more workers"));
        }
        let load = machine::load();
        let (greatest, rates) = match self.rate {
            Some(rate) => (None, vec![(rate, None)]),
            None => {
                let greatest = self.greatest(args)?;
                let shares = [0.1, 0.25, 0.5, 0.75, 0.9];
                (Some(greatest), shares.map(|share| (greatest * share, Some(share))).to_vec())
            }
        };
        let rates = rates.into_iter().map(|(rate, share)| {
            let records = (rate * self.lasting.as_secs_f64()) as u64;
            let (times, _) = self.once(args, records, Some(rate))?;
            Ok(self.at_rate(rate, share, &times))
        });
        Ok(Report {
            workers: args.workers,
            tick: args.tick.as_secs_f64() * 1e3,
            keys: self.keys,
            load,
            counts: machine::is_quiet(load),
            greatest,
            rates: rates.collect::<Result<_, Error>>()?,
        })
    }

    /// How many records a second the engine takes when there are always more.
    fn greatest(&self, args: &LaunchArgs) -> Result<f64, Error> {
        let mut records = 2_000_000;
        loop {
            let (_, wall) = self.once(args, records, None)?;
            if wall > Duration::from_secs(1) {
                return Ok(records as f64 / wall.as_secs_f64());
            }
            records *= 2;
        }
    }

    fn at_rate(&self, rate: f64, share: Option<f64>, times: &Times) -> AtRate {
        let histograms = times.histograms.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let [first, second, third] = times.memory.each_ref().map(|bytes| bytes.load(Relaxed));
        let memory = [first, second, third, machine::memory()].map(mib);
        let [read, due] = [percentiles(&histograms[0]), percentiles(&histograms[1])];
        AtRate { rate, share, results: histograms[0].len(), read, due, memory }
    }

    /// Reads so many records, at a rate or as fast as they are taken.
    fn once(
        &self,
        args: &LaunchArgs,
        records: u64,
        rate: Option<f64>,
    ) -> Result<(Arc<Times>, Duration), Error> {
        // Event time goes at the pace at which so many windows close in a second of wall time.
        let step = (WINDOW as f64 * CLOSING / rate.unwrap_or(1e6)).max(1.0);
        let windows = (records as f64 * step / WINDOW as f64) as usize + 2;
        let cells = || (0..windows).map(|_| AtomicU64::new(0)).collect();
        let times = Arc::new(Times {
            begun: Instant::now(),
            read: cells(),
            due: cells(),
            histograms: Mutex::new([histogram(), histogram()]),
            counted: AtomicU64::new(0),
            memory: Default::default(),
        });
        let (on_workers, keys) = (times.clone(), self.keys);
        let outcome = execute_with(args.clone(), move |worker| {
            worker.dataflow(|flow| pipeline(flow, &on_workers, keys, records, rate, step));
            Ok(())
        })?;
        debug_assert!(matches!(outcome, Outcome::Finished { .. }), "there is one process");
        let wall = times.begun.elapsed();
        if times.counted.load(Relaxed) != records {
            let counted = times.counted.load(Relaxed);
            let message = format!("{records} records were read, and the results hold {counted}");
            return Err(Error::new(Kind::Bug, message));
        }
        Ok((times, wall))
    }
}

/// Counts by key and window, with a look at the clock at both ends.
fn pipeline(
    flow: &Flow<'_>,
    times: &Arc<Times>,
    keys: u64,
    records: u64,
    rate: Option<f64>,
    step: f64,
) {
    let of_record = times.clone();
    let pace = rate.map(|per_second| Pace { begun: times.begun, per_second });
    let events = flow.source(
        "records",
        |context| {
            // The first window that this worker has not let close, and the newest time it has seen.
            let (mut open, mut newest) = (0, i64::MIN);
            let quarters =
                [1, 2, 3].map(|n| (records / 4 * n).next_multiple_of(context.peers as u64));
            let make = move |number: u64| {
                let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
                let time = (number as f64 * step) as i64 - (mixed >> 40) as i64 % BOUND;
                newest = newest.max(time);
                while (newest - BOUND) / WINDOW > open {
                    of_record.may_close(open as usize, number, rate);
                    open += 1;
                }
                if let Some(quarter) = quarters.iter().position(|&at| at == number) {
                    of_record.memory[quarter].store(machine::memory(), Relaxed);
                }
                (time, mixed % keys)
            };
            Ok(Feed::new(make, records, pace, &context))
        },
        event_time(|record: &(i64, u64)| EventTime::from_micros(record.0))
            .behind(Duration::from_micros(BOUND as u64))
            .trust_future()
            .never_idle(),
    );
    let windows = events.events.key_by(|record| record.1).window(Tumbling::every(secs(10)));
    let counts = windows.aggregate("counts", Count);
    let (times, mut seen) = (times.clone(), [histogram(), histogram()]);
    let rows = counts.parts().0.inspect_batch(move |_, rows| {
        let now = times.begun.elapsed().as_micros() as u64;
        let mut counted = 0;
        for row in rows {
            counted += row.data.value;
            let window = (row.data.window.start.micros().max(0) / WINDOW) as usize;
            for (from, seen) in [&times.read, &times.due].into_iter().zip(&mut seen) {
                // Nothing is there for the windows that the end of the input closes.
                if let Some(then @ 1..) = from.get(window).map(|cell| cell.load(Relaxed)) {
                    seen.saturating_record((now + 1).saturating_sub(then).max(1));
                }
            }
        }
        times.counted.fetch_add(counted, Relaxed);
        let mut all = times.histograms.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for (all, seen) in all.iter_mut().zip(&mut seen) {
            all.add(&*seen).expect("the histograms have the same bounds");
            seen.reset();
        }
    });
    flow.watch(rows);
}

impl Times {
    /// This worker has come to the record that lets a window close.
    fn may_close(&self, window: usize, number: u64, rate: Option<f64>) {
        let now = self.begun.elapsed().as_micros() as u64;
        let due = rate.map_or(now, |rate| (number as f64 * 1e6 / rate) as u64);
        if let (Some(read), Some(planned)) = (self.read.get(window), self.due.get(window)) {
            read.fetch_max(now + 1, Relaxed);
            planned.fetch_max(due + 1, Relaxed);
        }
    }
}
