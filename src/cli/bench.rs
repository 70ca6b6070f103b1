//! `tiderace bench`: what this engine does, how fast, on this machine.

mod json;
mod kafka;
mod work;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tiderace_operators::time::Span;

use crate::bench::latency::Latency;
use crate::bench::nexmark::{Format, Report, Suite, Via, queries, scaling, write_events};
use crate::bench::plot;
use crate::error::{Error, Kind};
use crate::runtime::LaunchArgs;
use tiderace_nexmark::{Disorder, Generator};

/// Measures this engine on this machine, and checks the results it measures.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, arg_required_else_help = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Nexmark(Box<NexmarkArgs>),
    Latency(Box<LatencyArgs>),
    Json(Box<json::JsonArgs>),
    Kafka(Box<kafka::KafkaArgs>),
    /// Windows by key, beside a loop over hash maps.
    Window(Box<work::WorkArgs>),
    /// Deduplication, exact and with a filter that may lose events, beside a set.
    Dedup(Box<work::WorkArgs>),
    /// Joins by time, window and version, beside loops over hash maps.
    Join(Box<work::WorkArgs>),
    /// Sessions, beside a loop over a hash map and beside windows.
    Session(Box<work::WorkArgs>),
    /// A count per key that is kept up to date, beside differential dataflow's own.
    View(Box<work::WorkArgs>),
    /// What it costs to bring rows to another thread or process.
    Exchange(Box<work::WorkArgs>),
}

/// The queries of NEXMark, an auction house as a stream.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct NexmarkArgs {
    /// Which queries: q5,q7 or all.
    #[arg(short = 'q', long = "query", value_name = "LIST", default_value = "all")]
    pub query: String,

    /// How many events each query reads.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub events: u64,

    /// How many events there are in a second of event time.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub density: u64,

    /// How many events a second are read, however far behind the results are; all there are, if it is
    /// not given.
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,

    /// How far out of order events are, in event time.
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = humantime::parse_duration)]
    pub disorder: Duration,

    /// How many events in a million are copies of one shortly before.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub copies: u32,

    /// What all events follow from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// How often each query is measured; the median counts.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub runs: usize,

    /// Run everything with so many workers, one number after the other: 1,2,4.
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with_all = ["workers", "processes"])]
    pub scale: Vec<usize>,

    /// Compute all answers once more, from all events at once, and fail if one differs.
    #[arg(long)]
    pub verify: bool,

    /// Write the rows of each query to a file in this directory.
    #[arg(long, value_name = "DIRECTORY")]
    pub output: Option<PathBuf>,

    /// What the events come through: made in memory, or as JSON from a file or from Kafka, whose
    /// reading and decoding are then part of the cost.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub via: Via,

    /// The brokers for --via kafka (or KAFKA_BOOTSTRAP); embedded ones, which keep little, if neither
    /// is given.
    #[arg(long, value_name = "HOST:PORT,…")]
    pub brokers: Option<String>,

    /// Do not run: write the events to files in this directory, with all their text.
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["output", "verify", "via"])]
    pub write: Option<PathBuf>,

    /// How --write writes: ndjson is one file with all events, csv a file for each kind.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t, requires = "write")]
    pub format: Format,

    /// Print the results as JSON.
    #[arg(long)]
    pub json: bool,

    /// How to run it.
    #[command(flatten)]
    pub launch: LaunchArgs,
}

/// How long results take, in an open loop at fixed rates.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct LatencyArgs {
    /// Keys, of which each has a result in each window.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub keys: u64,

    /// How long each rate is offered.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    pub lasting: Duration,

    /// Records a second; a tenth to nine tenths of the greatest rate if it is not given.
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,

    /// Draw latency over rate into this file, as SVG.
    #[arg(long, value_name = "FILE", conflicts_with = "rate")]
    pub plot: Option<PathBuf>,

    /// Print the results as JSON.
    #[arg(long)]
    pub json: bool,

    /// How to run it.
    #[command(flatten)]
    pub launch: LaunchArgs,
}

/// Runs the verb.
pub fn run(args: BenchArgs) -> Result<i32, Error> {
    match args.what {
        What::Nexmark(args) => nexmark(*args),
        What::Latency(args) => latency(*args),
        What::Json(args) => json::run(*args),
        What::Kafka(args) => kafka::run(*args),
        What::Window(args) => work::run("window", *args),
        What::Dedup(args) => work::run("dedup", *args),
        What::Join(args) => work::run("join", *args),
        What::Session(args) => work::run("session", *args),
        What::View(args) => work::run("view", *args),
        What::Exchange(args) => work::run("exchange", *args),
    }
}

fn nexmark(args: NexmarkArgs) -> Result<i32, Error> {
    if args.runs == 0 || args.density == 0 {
        return Err(Error::new(Kind::Usage, "--runs and --density must be at least 1"));
    }
    if args.rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
        return Err(Error::new(Kind::Usage, "--rate must be more than nothing a second"));
    }
    let bound = Span::from(args.disorder);
    let disorder = Disorder { bound, copies: args.copies, ..Disorder::default() };
    let generator = Generator::new(args.seed, args.density).disorder(disorder);
    if let Some(directory) = &args.write {
        return write(directory, &args, &generator);
    }
    let directory = std::env::temp_dir().join(format!("tiderace-nexmark-{}", std::process::id()));
    let suite = Suite {
        queries: queries(&args.query)?,
        events: args.events,
        runs: args.runs,
        rate: args.rate,
        generator,
        verify: args.verify,
        output: args.output,
        directory: directory.clone(),
        via: args.via,
        brokers: brokers(args.brokers),
    };
    let reports = if args.scale.is_empty() {
        suite.run(args.launch).map(|report| report.into_iter().collect())
    } else {
        let at = |workers| suite.clone().run(LaunchArgs { workers, ..args.launch.clone() });
        args.scale.into_iter().filter_map(|workers| at(workers).transpose()).collect()
    };
    // It is there only if q10 has run here, or events have come through files.
    let _ = std::fs::remove_dir_all(&directory);
    let reports: Vec<Report> = reports?;
    match (args.json, &reports[..]) {
        (true, [report]) => print_json(report)?,
        (true, _) => print_json(&reports)?,
        (false, _) => super::print(&tables(&reports))?,
    };
    match reports.iter().all(Report::is_right) {
        true => Ok(0),
        false => Err(Error::new(Kind::Bug, "a query gave wrong results")
            .hint("--output writes the rows of each query")),
    }
}

/// Writes the events instead of running queries on them.
fn write(directory: &Path, args: &NexmarkArgs, generator: &Generator) -> Result<i32, Error> {
    let written = write_events(directory, args.format, generator, args.events)?;
    shown(args.json, &written, || {
        let files: String =
            written.files.iter().map(|file| format!("{}\n", file.display())).collect();
        let (persons, auctions, bids) = (written.persons, written.auctions, written.bids);
        format!("{files}{persons} persons, {auctions} auctions, {bids} bids\n")
    })
}

fn tables(reports: &[Report]) -> String {
    let mut text: String = reports.iter().map(|report| report.table() + "\n").collect();
    if reports.len() > 1 {
        text.push_str(&scaling(reports));
    }
    text
}

fn latency(args: LatencyArgs) -> Result<i32, Error> {
    let positive = |rate: f64| rate > 0.0 && rate.is_finite();
    if args.keys == 0 || args.lasting.is_zero() || args.rate.is_some_and(|rate| !positive(rate)) {
        let message = "--keys, --lasting and --rate must be more than nothing";
        return Err(Error::new(Kind::Usage, message));
    }
    let suite = Latency { keys: args.keys, lasting: args.lasting, rate: args.rate };
    let report = suite.run(&args.launch)?;
    if let Some(path) = &args.plot {
        plot::write(path, &report.chart())?;
    }
    shown(args.json, &report, || report.table())
}

/// Refuses numbers that are zero.
fn positive(numbers: &[(&str, u64)]) -> Result<(), Error> {
    match numbers.iter().find(|(_, number)| *number == 0) {
        Some((name, _)) => Err(Error::new(Kind::Usage, format!("{name} must be at least 1"))),
        None => Ok(()),
    }
}

/// The brokers that were asked for: on the command line, or in the environment.
fn brokers(given: Option<String>) -> Option<String> {
    given.or_else(|| std::env::var("KAFKA_BOOTSTRAP").ok()).filter(|address| !address.is_empty())
}

/// What a build without Kafka says.
#[cfg(not(feature = "kafka"))]
fn no_kafka(what: &str) -> Error {
    Error::new(Kind::Usage, format!("this build has no Kafka: {what} needs the feature `kafka`"))
}

/// Prints a report, as JSON or as a table.
fn shown(
    json: bool,
    report: &impl serde::Serialize,
    table: impl FnOnce() -> String,
) -> Result<i32, Error> {
    match json {
        true => print_json(report),
        false => super::print(&table()),
    }
}

/// A benchmark whose results differ from a loop's has failed, whatever it has measured.
fn right(right: bool) -> Result<i32, Error> {
    match right {
        true => Ok(0),
        false => Err(Error::new(Kind::Bug, "the results of the windows are not those of a loop")),
    }
}

fn print_json(report: &impl serde::Serialize) -> Result<i32, Error> {
    let text = serde_json::to_string_pretty(report).expect("a report can be written as JSON");
    super::print(&(text + "\n"))
}
