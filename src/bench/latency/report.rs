//! What was found, for people and for machines.

use serde::Serialize;

use super::PERCENTILES;
use crate::bench::machine;
use crate::bench::plot::{Axis, Line, Lines};

/// What was found at one rate. Times are in microseconds.
#[derive(Clone, Debug, Serialize)]
pub struct AtRate {
    /// Records offered in a second.
    pub rate: f64,
    /// The share of the greatest rate, if that was measured.
    pub share: Option<f64>,
    /// Results whose time was taken.
    pub results: u64,
    /// From the reading of the record that let the window close, at [`PERCENTILES`].
    pub read: [u64; 6],
    /// From when that record was due.
    pub due: [u64; 6],
    /// The memory in use after each quarter of the run, in MiB.
    pub memory: [f64; 4],
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Worker threads.
    pub workers: usize,
    /// How long a tick lasts, in milliseconds.
    pub tick: f64,
    /// Keys.
    pub keys: u64,
    /// The load of the machine before the start.
    pub load: Option<f64>,
    /// Whether the machine was quiet enough for the figures to count.
    pub counts: bool,
    /// The greatest rate, in records a second, if it was measured.
    pub greatest: Option<f64>,
    /// By rate.
    pub rates: Vec<AtRate>,
}

impl Report {
    /// The results as a table.
    pub fn table(&self) -> String {
        let load = machine::load_text(self.load);
        let counts = match self.counts {
            true => "",
            false => ": too busy, so that latencies are not measured but only shown",
        };
        let mut text = format!(
            "{} keys, windows of 10 s of event time, {} workers, ticks of {} ms, load {load} before \
             the start{counts}\n",
            self.keys, self.workers, self.tick
        );
        if let Some(greatest) = self.greatest {
            text.push_str(&format!("at most {:.2} M records/s\n", greatest / 1e6));
        }
        text.push_str("\nmilliseconds from reading the record that lets a window close (and from when it was due)\n");
        text.push_str(&format!("{:>10}{:>7}{:>10}", "M/s", "share", "results"));
        for percent in PERCENTILES {
            let name = if percent == 100.0 { "max".to_owned() } else { format!("p{percent}") };
            text.push_str(&format!("{name:>16}"));
        }
        text.push_str(&format!("{:>24}\n", "MiB after each quarter"));
        for at in &self.rates {
            let share = at.share.map_or(String::new(), |share| format!("{:.0} %", share * 100.0));
            text.push_str(&format!("{:>10.2}{share:>7}{:>10}", at.rate / 1e6, at.results));
            for (read, due) in at.read.iter().zip(at.due) {
                let both = format!("{:.1} ({:.1})", *read as f64 / 1e3, due as f64 / 1e3);
                text.push_str(&format!("{both:>16}"));
            }
            let memory = at.memory.map(|mib| format!("{mib:.0}")).join(" ");
            text.push_str(&format!("{memory:>24}\n"));
        }
        text
    }

    /// Latency over rate as a chart: what passes from reading, and for one line from when it was due.
    pub fn chart(&self) -> String {
        let line = |name: &str, of: fn(&AtRate) -> u64| {
            let points = self.rates.iter().map(|at| (at.rate, of(at) as f64 / 1e3));
            Line { name: name.to_owned(), points: points.collect() }
        };
        let chart = Lines {
            title: format!("Latency of windows, {} keys, {} workers", self.keys, self.workers),
            x: Axis::log("records/s"),
            y: Axis::log("milliseconds"),
            lines: vec![
                line("p50", |at| at.read[0]),
                line("p99", |at| at.read[2]),
                line("max", |at| at.read[5]),
                line("p99 from due", |at| at.due[2]),
            ],
        };
        chart.svg()
    }
}
