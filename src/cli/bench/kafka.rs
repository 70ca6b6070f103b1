//! `tiderace bench kafka`.

use std::time::Duration;

use crate::error::Error;
use crate::runtime::LaunchArgs;

/// Through Kafka: into windows, beside client and parser alone; or how long records take, with
/// --rate.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct KafkaArgs {
    /// The brokers (or KAFKA_BOOTSTRAP); embedded ones, which keep little, if neither is given.
    #[arg(long, value_name = "HOST:PORT,…")]
    pub brokers: Option<String>,

    /// How many events are read; 5000000, or 25000 for each partition of embedded brokers.
    #[arg(long, value_name = "N", conflicts_with = "rate")]
    pub events: Option<u64>,

    /// How many keys.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub keys: u64,

    /// How many partitions a topic has.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub partitions: usize,

    /// Take the times from a topic through a filter to another topic, at so many events a second
    /// (10000 if there is no number).
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "10000")]
    pub rate: Option<f64>,

    /// How long the rate is offered.
    #[arg(long, value_name = "DURATION", default_value = "10s", requires = "rate", value_parser = humantime::parse_duration)]
    pub lasting: Duration,

    /// Print the results as JSON.
    #[arg(long)]
    pub json: bool,

    /// How to run it.
    #[command(flatten)]
    pub launch: LaunchArgs,
}

#[cfg(feature = "kafka")]
pub(super) fn run(args: KafkaArgs) -> Result<i32, Error> {
    use crate::bench::kafka::{Brokers, OpenLoop, Throughput};
    use crate::error::Kind;

    super::positive(&[("--events", args.events.unwrap_or(1)), ("--keys", args.keys)])?;
    if args.rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) || args.lasting.is_zero() {
        return Err(Error::new(Kind::Usage, "--rate and --lasting must be more than nothing"));
    }
    let KafkaArgs { events, keys, partitions, lasting, .. } = args;
    let brokers = Brokers::at(super::brokers(args.brokers))?;
    let Some(rate) = args.rate else {
        let report = Throughput { events, keys, partitions }.run(&args.launch, &brokers)?;
        super::shown(args.json, &report, || report.table())?;
        return super::right(report.right);
    };
    let report = OpenLoop { rate, lasting, keys, partitions }.run(&args.launch, &brokers)?;
    super::shown(args.json, &report, || report.table())
}

#[cfg(not(feature = "kafka"))]
pub(super) fn run(_: KafkaArgs) -> Result<i32, Error> {
    Err(super::no_kafka("`tiderace bench kafka`"))
}
