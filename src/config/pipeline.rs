//! The shape of a pipeline file. These comments are its manual.
//!
//! Three blocks draw a graph: `sources` read records, `steps` turn them into others, `sinks`
//! write them. Everything has a name, and `from` says whose rows a step or sink reads. The rows that
//! leave a component by another door have dotted names: `readings.rejects`, `per_minute.late`.

use serde::Deserialize;

pub use super::de::{Many, Named, Spanned};
use super::quantity::{OrOff, Size, Time};
pub use crate::record::time::Unit;

/// A pipeline file.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Pipeline {
    /// What the pipeline is called, in logs and as the default Kafka group.
    pub name: Option<Spanned<String>>,
    /// Where records come from.
    #[serde(default)]
    pub sources: Named<Source>,
    /// What is done with them.
    #[serde(default)]
    pub steps: Named<Step>,
    /// Where results go.
    #[serde(default)]
    pub sinks: Named<Sink>,
    /// How many worker threads a process has. The command line wins. Default: 1.
    pub workers: Option<Spanned<u32>>,
    /// How long a tick lasts: results appear at its end. Default: `20ms`.
    pub tick: Option<Spanned<Time>>,
    /// How often the counters are logged, or `off`. Default: `10s`.
    pub stats_every: Option<Spanned<OrOff<Time>>>,
    /// How far sources may run ahead of the slowest sink.
    pub in_flight: Option<InFlight>,
}

/// How far sources may run ahead of the slowest sink. Whichever bound is met first counts.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct InFlight {
    /// In rows. Default: 500,000.
    pub rows: Option<Spanned<u64>>,
    /// In bytes, such as `64MB`. Default: `64MB`.
    pub bytes: Option<Spanned<Size>>,
}

/// A source: one connector, a format, and where the event time is.
///
/// Records that cannot be used leave by `<source>.rejects`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Source {
    /// Reads a Kafka topic.
    pub kafka: Option<KafkaSource>,
    /// Reads files with one JSON record a line.
    pub file: Option<FileSource>,
    /// Makes records up.
    pub generate: Option<Generate>,
    /// The format of the records. Default: `json`.
    pub decode: Option<Format>,
    /// The fields a record may have. Nothing is read from it but names: with it, a misspelt field
    /// is found before the pipeline runs.
    pub fields: Option<Many<Spanned<String>>>,
    /// Where the event time of a record is.
    pub time: Option<EventTimes>,
    /// How many records in a row may fail to decode before the run ends. Default: no limit.
    pub max_failures: Option<Spanned<u64>>,
    /// How many records are asked for in one go, at most. Default: 8192.
    pub max_poll_records: Option<Spanned<u64>>,
}

/// Reads a Kafka topic, every partition of it.
#[derive(Clone, Debug, Deserialize)]
pub struct KafkaSource {
    /// `host:port`, several with commas.
    pub brokers: Spanned<String>,
    /// The topic.
    pub topic: Spanned<String>,
    /// Where to begin. Default: `committed`.
    pub start: Option<Spanned<Start>>,
    /// `end` reads up to what is there when the run begins, and finishes.
    pub until: Option<Until>,
    /// The group offsets are committed for. Default: the pipeline's name.
    pub group: Option<Spanned<String>>,
    /// Whether offsets are committed once everything before them is delivered. Default: yes.
    pub commit: Option<Spanned<bool>>,
    /// Any property of librdkafka.
    #[serde(default)]
    pub settings: Named<Hidden>,
}

/// The value of a property, which may be a password: it is never printed.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Where a Kafka source begins.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At the oldest record there is.
    Earliest,
    /// At what comes after the start.
    Latest,
    /// Where the group left off; without a committed offset at the oldest record.
    Committed,
    /// At the first record the broker stamped at or after this instant, as in
    /// `2026-01-31T12:00:00Z`.
    Timestamp(Spanned<String>),
}

/// Where a bounded read ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// At the end of each partition as it was when the run began.
    End,
}

/// Reads files with one JSON record a line.
#[derive(Clone, Debug, Deserialize)]
pub struct FileSource {
    /// One path or several; each is a partition.
    pub path: Many<Spanned<String>>,
    /// Whether to wait for more at the end. Default: no.
    pub follow: Option<bool>,
}

/// Makes records up, out of order on purpose.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Generate {
    /// What kind of records. Default: `sensors`.
    pub kind: Option<GenerateKind>,
    /// How many, then the source is finished. Default: no end.
    pub events: Option<Spanned<u64>>,
    /// How many a second. Default: as fast as they are taken.
    pub rate: Option<Spanned<f64>>,
    /// The seed: equal seeds give equal records. Default: 1.
    pub seed: Option<Spanned<u64>>,
    /// How many different keys. Default: 100.
    pub keys: Option<Spanned<u32>>,
    /// The share of records that come later than `behind` allows. Default: 0.01.
    pub late_share: Option<Spanned<f64>>,
    /// The share of records that come twice. Default: 0.01.
    pub duplicate_share: Option<Spanned<f64>>,
    /// How far records are out of order. Default: `5s`.
    pub disorder: Option<Spanned<Time>>,
    /// How many partitions. Default: 4.
    pub partitions: Option<Spanned<u32>>,
}

/// What kind of records a generator makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GenerateKind {
    /// `{ "id": 17, "sensor": 2, "at": 1767225600000, "celsius": 21.5 }`, a reading a millisecond.
    /// `at` counts milliseconds.
    #[default]
    Sensors,
}

impl GenerateKind {
    /// The fields of its records.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            GenerateKind::Sensors => &["id", "sensor", "at", "celsius"],
        }
    }
}

/// A format of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One JSON object a record.
    #[default]
    Json,
}

/// Where the event time of a record is, and how long stragglers are waited for.
#[derive(Clone, Debug, Deserialize)]
pub struct EventTimes {
    /// The field.
    pub field: Spanned<String>,
    /// Its unit. Default: `ms`.
    pub unit: Option<Unit>,
    /// How far a record may be behind the newest one of its partition. Default: `0s`.
    pub behind: Option<Spanned<Time>>,
    /// How the watermark follows the records. Default: `bounded`.
    pub policy: Option<Spanned<Policy>>,
    /// A partition that has been read to its end and gives nothing for so long holds nobody back,
    /// or `off`. Default: `30s`.
    pub idle_after: Option<Spanned<OrOff<Time>>>,
    /// A record further ahead of the clock than this does not move the watermark, or `off`.
    /// Default: `5m`.
    pub max_future_skew: Option<Spanned<OrOff<Time>>>,
    /// What happens to a record without an event time. Default: `reject`.
    pub on_missing: Option<Spanned<OnMissing>>,
    /// What to do with a record that is further in the future than `max_future_skew`. It never moves
    /// the watermark. Default: `keep`.
    pub on_future: Option<Spanned<OnFuture>>,
}

/// How the watermark follows the records of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// It stays `behind` after the newest record.
    #[default]
    Bounded,
    /// Records are in order: it is at the newest record.
    Ascending,
}

/// What happens to a record without an event time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// It goes to the rejects.
    #[default]
    Reject,
    /// It gets the time it was read at.
    Ingestion,
    /// It gets the time of the record before it in its partition.
    Previous,
}

/// What happens to a record from the future.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFuture {
    /// It flows on like any other.
    #[default]
    Keep,
    /// It goes to the rejects.
    Reject,
}

/// A step. It reads `from` and does one thing: `keep`, `set`, `select`, `dedup`, or `key` with
/// `window` and `aggregate`. A step with several names in `from` and nothing to do is their union.
///
/// Rows that come too late for a window or for dedup leave by `<step>.late`, copies that dedup has
/// seen already by `<step>.duplicates`, rows an expression fails on by `<step>.rejects`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Step {
    /// Whose rows it reads: a source, a step, a dotted side output, or a list of those.
    pub from: Option<Many<Spanned<String>>>,
    /// Keeps the rows this expression is true for.
    pub keep: Option<Spanned<String>>,
    /// Sets fields, each to the value of an expression over the row as it came.
    pub set: Option<Named<Spanned<String>>>,
    /// Keeps these fields and no others.
    pub select: Option<Many<Spanned<String>>>,
    /// Lets the first row of each key through.
    pub dedup: Option<Dedup>,
    /// The field or fields rows are grouped by.
    pub key: Option<Many<Spanned<String>>>,
    /// How event time is cut into windows.
    pub window: Option<Window>,
    /// How long after its end a window still takes rows. Default: `0s`.
    pub lateness: Option<Spanned<Time>>,
    /// The results: `n: count()`, `mean: mean(celsius)`; also `sum`, `min` and `max`.
    pub aggregate: Option<Named<Spanned<String>>>,
}

/// Lets the first row of each key through, within a horizon of event time.
#[derive(Clone, Debug, Deserialize)]
pub struct Dedup {
    /// The fields that make two rows copies of each other.
    pub key: Many<Spanned<String>>,
    /// How far apart in event time copies can be.
    pub within: Spanned<Time>,
}

/// How event time is cut into windows.
#[derive(Clone, Debug, Deserialize)]
pub struct Window {
    /// Windows of this length, one after the other.
    pub tumbling: Spanned<Time>,
    /// Where the first one begins, after 1970-01-01 00:00 UTC. Default: `0s`.
    pub offset: Option<Spanned<Time>>,
}

/// A sink: whose rows, where to, and the format.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Sink {
    /// Whose rows it writes: a source, a step, a dotted side output, or a list of those.
    pub from: Option<Many<Spanned<String>>>,
    /// Writes to a Kafka topic.
    pub kafka: Option<KafkaSink>,
    /// Writes to a file, one record a line.
    pub file: Option<FileSink>,
    /// Writes to standard output, one record a line.
    pub stdout: Option<Stdout>,
    /// Writes to the log.
    pub log: Option<LogSink>,
    /// The format of the records. Default: `json`.
    pub encode: Option<Format>,
}

/// Writes to a Kafka topic.
#[derive(Clone, Debug, Deserialize)]
pub struct KafkaSink {
    /// `host:port`, several with commas.
    pub brokers: Spanned<String>,
    /// The topic.
    pub topic: Spanned<String>,
    /// The fields that make the message key. Default: no key.
    pub key: Option<Many<Spanned<String>>>,
    /// Any property of librdkafka.
    #[serde(default)]
    pub settings: Named<Hidden>,
}

/// Writes to a file.
#[derive(Clone, Debug, Deserialize)]
pub struct FileSink {
    /// The path.
    pub path: Spanned<String>,
}

/// Writes to standard output.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Stdout {}

/// Writes to the log.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct LogSink {
    /// At which level. Default: `info`.
    pub level: Option<Level>,
}

/// A level of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// For the smallest details.
    Trace,
    /// For details.
    Debug,
    /// For what a person wants to know.
    #[default]
    Info,
    /// For what may be wrong.
    Warn,
    /// For what is wrong.
    Error,
}
