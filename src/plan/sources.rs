//! Sources of a plan: connector, decoder, event time.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use tiderace_operators::time::EventTime;

use super::build::{Setup, Streams};
use super::made::Made;
use crate::config::plan::{Component, Door, EventTimes, Source, SourceConnector};
use crate::error::Error;
use crate::flow::Flow;
use crate::record::json::JsonDecoder;
use crate::record::{Row, reject, reject_row};
use crate::source::file::FileSource;
use crate::source::{NoTime, Rejected, SourceOptions, SourceStream, Times, event_time};

/// Reads a source.
pub(super) fn build<'scope>(
    flow: &Flow<'scope>,
    source: &Source,
    at: Component,
    setup: &Setup,
    streams: &mut Streams<'scope>,
) -> Result<(), Error> {
    let defaults = SourceOptions::default();
    let options = SourceOptions {
        max_failures: source.max_failures,
        max_poll_records: source.max_poll_records.unwrap_or(defaults.max_poll_records),
        ..defaults
    };
    let schema = source.schema.clone();
    let times = times(source.time.as_ref(), setup)
        .rejected_as(move |row| reject("", "", row, &schema).payload);
    let name = &source.name;
    let stream: SourceStream<'scope, Row> = match &source.connector {
        SourceConnector::File(file) => {
            let decoder = JsonDecoder::new(source.schema.clone(), source.keep_raw);
            let paths = file.paths.clone();
            let mut files = FileSource::new(name.as_str(), paths, move || decoder.clone());
            if file.follow {
                files = files.follow();
            }
            flow.source_with(name, options, |context| files.build(context), times)
        }
        SourceConnector::Generate(generate) => {
            let make = |context| Made::new(name, generate, source, context);
            flow.source_with(name, options, make, times)
        }
        #[cfg(feature = "kafka")]
        SourceConnector::Kafka(kafka) => {
            let decoder = JsonDecoder::new(source.schema.clone(), source.keep_raw);
            let config = kafka_config(name, kafka, setup);
            let make = |context| crate::source::kafka::KafkaSource::new(config, context, decoder);
            flow.source_with(name, options, make, times)
        }
        #[cfg(not(feature = "kafka"))]
        SourceConnector::Kafka(_) => {
            let text = format!("source `{name}`: this program was built without Kafka");
            return Err(Error::new(crate::error::Kind::Config, text));
        }
    };
    streams.put(at, Door::Rows, stream.events);
    if streams.wants(at, Door::Rejects) {
        streams.put(at, Door::Rejects, stream.rejects.map(rejected_row));
    }
    Ok(())
}

/// A record that could not be used, as a row.
fn rejected_row(rejected: Rejected) -> Row {
    let Rejected { partition, next, mut reject, .. } = rejected;
    if reject.payload.is_empty() {
        // Where the payload is not known the place is the way to the record.
        reject.message += &format!(" (partition {partition}, before offset {next})");
    }
    reject_row(&reject)
}

/// The event times of a source. Without a field, and then nothing downstream asks for it, a record
/// has the time of its reading.
fn times(
    times: Option<&EventTimes>,
    setup: &Setup,
) -> Times<Row, impl Fn(&Row) -> Result<EventTime, NoTime> + use<>> {
    let field = times.map(EventTimes::reader);
    let (begun, first_row, seen) = (setup.begun, setup.first_row.clone(), Cell::new(false));
    let of = move |row: &Row| {
        if !seen.replace(true) && !first_row.swap(true, Ordering::Relaxed) {
            let millis = begun.elapsed().as_millis() as u64;
            tracing::info!(millis, "first row after {millis} ms");
        }
        match &field {
            Some(field) => field.read(row),
            None => Ok(wall()),
        }
    };
    let mut built = event_time(of).never_idle().trust_future();
    if let Some(times) = times {
        if !times.behind.is_zero() {
            built = built.behind(times.behind);
        }
        if let Some(idle) = times.idle_after {
            built = built.idle_after(idle);
        }
        if let Some(skew) = times.max_future_skew {
            built = built.max_future_skew(skew);
        }
        built = built.on_missing(times.on_missing).on_future(times.on_future);
    }
    built
}

/// The time of day.
fn wall() -> EventTime {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    EventTime::from_micros(i64::try_from(micros).unwrap_or(i64::MAX - 1))
}

#[cfg(feature = "kafka")]
fn kafka_config(
    name: &str,
    kafka: &crate::config::plan::KafkaSource,
    setup: &Setup,
) -> crate::source::kafka::KafkaSourceConfig {
    use crate::config::pipeline::Start as From;
    use crate::source::kafka::{KafkaSourceConfig, Start};
    KafkaSourceConfig {
        group: kafka.group.clone(),
        start: match (&kafka.start, kafka.start_millis) {
            (From::Latest, _) => Start::Latest,
            (From::Committed, _) => Start::Committed,
            (From::Timestamp(_), Some(millis)) => Start::Timestamp(EventTime::from_millis(millis)),
            (From::Earliest | From::Timestamp(_), _) => Start::Earliest,
        },
        bounded: kafka.bounded,
        commit: kafka.commit,
        start_timeout: setup.start_timeout,
        settings: kafka.settings.iter().map(|(key, value)| (key, &value.0)).collect(),
        ..KafkaSourceConfig::new(name, &*kafka.brokers, &*kafka.topic)
    }
}
