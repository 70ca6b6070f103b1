//! What was found, for people and for machines.

use serde::Serialize;

use crate::bench::cost::COLUMNS;
use crate::bench::latency::PERCENTILES;
use crate::bench::{Cost, machine};

/// The costs of reading a topic.
#[derive(Clone, Debug, Serialize)]
pub struct ThroughputReport {
    /// Where the brokers are.
    pub brokers: String,
    /// Whether they run in this process, whose processor time then has theirs in it.
    pub embedded: bool,
    /// How many events there were.
    pub events: u64,
    /// Bytes in an event, on average.
    pub bytes: f64,
    /// Keys.
    pub keys: u64,
    /// Partitions of the topic.
    pub partitions: usize,
    /// Worker threads, and threads that read or parse.
    pub workers: usize,
    /// The load of the machine before the start.
    pub load: Option<f64>,
    /// Results of windows.
    pub results: u64,
    /// Whether they are what a loop over the events gives.
    pub right: bool,
    /// The writing of the topic.
    pub producer: Cost,
    /// The client alone.
    pub client: Cost,
    /// The decoder alone.
    pub parser: Cost,
    /// Client and decoder, one after the other: the least.
    pub floor: Cost,
    /// The engine.
    pub engine: Cost,
    /// How much of the engine's processor time is that of client and decoder.
    pub share: f64,
    /// The engine's rate as a share of that of client and decoder.
    pub share_of_rate: f64,
}

impl ThroughputReport {
    /// The results as a table.
    pub fn table(&self) -> String {
        let ThroughputReport { events, bytes, keys, partitions, workers, results, .. } = self;
        let mut text = format!(
            "Kafka at {}{}: {events} events of {bytes:.0} bytes, {keys} keys, {partitions} \
             partitions, {workers} workers, load {} before the start\n\n{COLUMNS}",
            self.brokers,
            embedded(self.embedded),
            machine::load_text(self.load)
        );
        for cost in [&self.producer, &self.client, &self.parser, &self.floor, &self.engine] {
            text.push_str(&cost.line());
        }
        let right = if self.right { "right" } else { "WRONG" };
        text.push_str(&format!(
            "\nclient and decoder are {:.2} of the engine's processor time; it has {:.2} of their rate\n\
             {results} results, {right}\n",
            self.share, self.share_of_rate
        ));
        text
    }
}

/// How long records take from one topic to another.
#[derive(Clone, Debug, Serialize)]
pub struct OpenLoopReport {
    /// Where the brokers are.
    pub brokers: String,
    /// Whether they run in this process, whose memory and processor time then have theirs in it.
    pub embedded: bool,
    /// Partitions of each topic.
    pub partitions: usize,
    /// Worker threads.
    pub workers: usize,
    /// How long a tick lasts, in milliseconds.
    pub tick: f64,
    /// The load of the machine before the start.
    pub load: Option<f64>,
    /// Events that were due in a second.
    pub rate: f64,
    /// Events that were due in all.
    pub events: u64,
    /// Results: events that passed the filter.
    pub results: u64,
    /// Microseconds from when an event was due until its result was read, at [`PERCENTILES`].
    pub due: [u64; 6],
    /// The same until the event itself was read from the first topic, without the job.
    pub direct: [u64; 6],
    /// Nanoseconds of processor time of this process for an event, producer and readers included.
    pub nanos: f64,
    /// The memory in use before the first event, in MiB.
    pub idle: f64,
    /// The memory in use after each quarter, in MiB.
    pub quarters: [f64; 4],
    /// The most memory in use, in MiB.
    pub peak: f64,
}

impl OpenLoopReport {
    /// The results as a table.
    pub fn table(&self) -> String {
        let OpenLoopReport { rate, events, results, partitions, workers, tick, .. } = self;
        let mut text = format!(
            "Kafka at {}{}: {rate} events a second, {events} in all, from one topic of {partitions} \
             partitions through a filter and a map to another, {workers} workers, ticks of {tick} \
             ms, load {} before the start\n\nmilliseconds from when an event was due until its \
             result was read from the other topic ({results} results), and until it was itself read \
             from the first\n{:<8}",
            self.brokers,
            embedded(self.embedded),
            machine::load_text(self.load),
            ""
        );
        for percent in PERCENTILES {
            let name = if percent == 100.0 { "max".to_owned() } else { format!("p{percent}") };
            text.push_str(&format!("{name:>10}"));
        }
        for (name, times) in [("result", self.due), ("event", self.direct)] {
            text.push_str(&format!("\n{name:<8}"));
            times.iter().for_each(|&time| text.push_str(&format!("{:>10.1}", time as f64 / 1e3)));
        }
        let [first, second, third, last] = self.quarters;
        text.push_str(&format!(
            "\n\n{:.0} ns of processor time for an event, producer and readers included\n\
             MiB in use: {:.0} idle, {first:.0}, {second:.0}, {third:.0}, {last:.0} after each \
             quarter, {:.0} at most\n",
            self.nanos, self.idle, self.peak
        ));
        text
    }
}

fn embedded(embedded: bool) -> &'static str {
    if embedded { " (embedded, its own work included)" } else { "" }
}
