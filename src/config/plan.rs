//! A checked pipeline: every name resolved, steps in the order rows flow, fields in slots.

use std::path::PathBuf;
use std::time::Duration;

use super::pipeline::{Format, GenerateKind, Hidden, Level, Start, Unit};
use super::report::Report;
use crate::record::expr::{AggregateKind, Expr};
use crate::record::time::TimeField;
use crate::record::{REJECT_FIELDS, Schema};
use crate::source::{OnFuture, OnMissing};

/// A pipeline that can be built.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What it is called.
    pub name: String,
    /// Worker threads a process, if the file says so.
    pub workers: Option<u32>,
    /// How long a tick lasts.
    pub tick: Duration,
    /// How often the counters are logged.
    pub stats_every: Option<Duration>,
    /// How many rows sources may be ahead.
    pub in_flight_rows: u64,
    /// How many bytes sources may be ahead.
    pub in_flight_bytes: u64,
    /// The sources.
    pub sources: Vec<Source>,
    /// The steps, each after everything it reads.
    pub steps: Vec<Step>,
    /// The sinks.
    pub sinks: Vec<Sink>,
    /// Warnings, ready to be shown.
    pub warnings: Report,
}

/// A source.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Where it reads.
    pub connector: SourceConnector,
    /// The format.
    pub decode: Format,
    /// The fields to extract.
    pub schema: Schema,
    /// Whether whole records are needed.
    pub keep_raw: bool,
    /// Where the event time is; `None` if nothing needs it.
    pub time: Option<EventTimes>,
    /// How many records in a row may fail to decode.
    pub max_failures: Option<u64>,
    /// How many records are asked for in one go.
    pub max_poll_records: Option<usize>,
}

/// Where a source reads.
#[derive(Clone, Debug)]
pub enum SourceConnector {
    /// A Kafka topic.
    Kafka(KafkaSource),
    /// Files, each a partition.
    File(FileSource),
    /// Nowhere: records are made up.
    Generate(Generate),
}

/// Files to read.
#[derive(Clone, Debug)]
pub struct FileSource {
    /// The paths; each is a partition.
    pub paths: Vec<PathBuf>,
    /// Whether to wait for more at the end.
    pub follow: bool,
}

/// Records to make up, with every default filled in.
#[derive(Clone, Debug)]
pub struct Generate {
    /// What kind.
    pub kind: GenerateKind,
    /// How many; `None` for no end.
    pub events: Option<u64>,
    /// How many a second; `None` for as fast as they are taken.
    pub rate: Option<f64>,
    /// The seed.
    pub seed: u64,
    /// How many different keys.
    pub keys: u32,
    /// The share of records that come later than they should.
    pub late_share: f64,
    /// The share of records that come twice.
    pub duplicate_share: f64,
    /// How far records are out of order.
    pub disorder: Duration,
    /// How many partitions.
    pub partitions: u32,
}

/// A Kafka topic to read.
#[derive(Clone, Debug)]
pub struct KafkaSource {
    /// `host:port`, several with commas.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// Where to begin.
    pub start: Start,
    /// For [`Start::Timestamp`]: the instant in milliseconds since 1970.
    pub start_millis: Option<i64>,
    /// Whether to finish at the end as of the start.
    pub bounded: bool,
    /// The group offsets are committed for.
    pub group: String,
    /// Whether offsets are committed.
    pub commit: bool,
    /// Properties of librdkafka.
    pub settings: Vec<(String, Hidden)>,
}

/// Where the event time is.
#[derive(Clone, Debug)]
pub struct EventTimes {
    /// The field's slot.
    pub slot: usize,
    /// Its name, for messages.
    pub field: String,
    /// Its unit.
    pub unit: Unit,
    /// How long stragglers are waited for; zero for ascending input.
    pub behind: Duration,
    /// After how long a silent partition is idle.
    pub idle_after: Option<Duration>,
    /// How far in the future a record may move the watermark to.
    pub max_future_skew: Option<Duration>,
    /// What happens to a record without an event time.
    pub on_missing: OnMissing,
    /// What happens to a record from the future.
    pub on_future: OnFuture,
}

impl EventTimes {
    /// What reads the time of a row.
    pub fn reader(&self) -> TimeField {
        TimeField::new(self.slot, &self.field, self.unit)
    }
}

/// Something rows come out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Component {
    /// The source with this index.
    Source(usize),
    /// The step with this index.
    Step(usize),
}

/// A door rows leave a component by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Door {
    /// The ordinary one.
    Rows,
    /// For rows that come too late.
    Late,
    /// For copies.
    Duplicates,
    /// For what could not be used. Its rows have the schema of [`rejects_schema`].
    Rejects,
}

/// The fields of a row that was rejected.
pub fn rejects_schema() -> Schema {
    Schema::new(REJECT_FIELDS)
}

/// An input of a step or sink.
#[derive(Clone, Debug)]
pub struct Input {
    /// Whose rows.
    pub from: Component,
    /// By which door.
    pub door: Door,
    /// For each slot of the reader's input schema the slot in these rows; `None` where both have
    /// the same schema.
    pub slots: Option<Vec<Option<usize>>>,
}

/// A step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// What it reads. Several inputs are united first.
    pub inputs: Vec<Input>,
    /// The schema of what it reads.
    pub input: Schema,
    /// What it does.
    pub operator: Operator,
    /// The schema of what it gives.
    pub output: Schema,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Operator {
    /// Unites its inputs, no more.
    Union,
    /// Keeps rows the expression is true for.
    Keep(Expr),
    /// Sets slots of the output; a row grows if the output has more slots.
    Set(Vec<(usize, Expr)>),
    /// Keeps these slots of the input, in this order.
    Select(Vec<usize>),
    /// Lets the first row of each key through.
    Dedup {
        /// The slots of the key.
        key: Vec<usize>,
        /// How far apart copies can be.
        within: Duration,
        /// How far behind rows are still taken.
        lateness: Duration,
    },
    /// Aggregates by key and window. The output is the key, `window_start`, `window_end`, then
    /// the aggregates.
    Window(Window),
}

/// Aggregation by key and window.
#[derive(Clone, Debug)]
pub struct Window {
    /// The slots of the key.
    pub key: Vec<usize>,
    /// The length of a window.
    pub every: Duration,
    /// Where the first one begins, after 1970.
    pub offset: Duration,
    /// How long after its end it still takes rows.
    pub lateness: Duration,
    /// The aggregates: what, and of which slot.
    pub aggregates: Vec<(AggregateKind, Option<usize>)>,
    /// The unit `window_start` and `window_end` are written in: that of the source's times.
    pub unit: Unit,
}

/// A sink.
#[derive(Clone, Debug)]
pub struct Sink {
    /// Its name.
    pub name: String,
    /// What it reads.
    pub inputs: Vec<Input>,
    /// The schema of what it reads.
    pub schema: Schema,
    /// Where it writes.
    pub connector: SinkConnector,
    /// The format.
    pub encode: Format,
    /// What the whole way to this sink promises, as a sentence.
    pub delivery: String,
    /// Whether rows are written as the whole records they came as, and then which slots are put
    /// over them because steps have set them. `None`: by the schema alone, even if a row still has
    /// its whole record.
    pub whole: Option<Vec<usize>>,
}

/// A Kafka topic to write.
#[derive(Clone, Debug)]
pub struct KafkaSink {
    /// `host:port`, several with commas.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// The slots of the message key; empty for no key.
    pub key: Vec<usize>,
    /// Properties of librdkafka.
    pub settings: Vec<(String, Hidden)>,
}

/// Where a sink writes.
#[derive(Clone, Debug)]
pub enum SinkConnector {
    /// A Kafka topic.
    Kafka(KafkaSink),
    /// A file.
    File(PathBuf),
    /// Standard output.
    Stdout,
    /// The log, at this level.
    Log(Level),
}
