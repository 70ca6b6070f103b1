//! Sources of a plan: connector, decoder, event time.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tiderace_operators::time::EventTime;

use super::build::{Setup, Streams};
use crate::config::plan::{Component, Door, EventTimes, Generate, Source, SourceConnector};
use crate::error::{Error, Kind};
use crate::flow::Flow;
use crate::record::json::JsonDecoder;
use crate::record::time::TimeField;
use crate::record::{Row, Schema, Value};
use crate::source::file::FileSource;
use crate::source::generate::{Generator, SensorEvent, Sensors};
use crate::source::{
    Batch, Message, NoTime, Offset, Partition, Poll, Rejected, Replay, SourceContext,
    SourceOptions, SourceStream, Times, event_time,
};

/// How far behind the bound the generator's late records are at most.
const LATE_BY: Duration = Duration::from_secs(120);

/// Reads a source.
pub(super) fn build<'scope>(
    flow: &Flow<'scope>,
    source: &Source,
    at: Component,
    setup: &Setup,
    streams: &mut Streams<'scope>,
) -> Result<(), Error> {
    let options = SourceOptions { max_failures: source.max_failures, ..SourceOptions::default() };
    let times = times(source.time.as_ref(), setup);
    let name = &source.name;
    let stream: SourceStream<'scope, Row> = match &source.connector {
        SourceConnector::File(file) if file.follow => {
            let text = format!("source `{name}`: `follow` is not possible in this version");
            return Err(Error::new(Kind::Config, text).hint("leave it out: files end at their end"));
        }
        SourceConnector::File(file) => {
            let decoder = JsonDecoder::new(source.schema.clone(), source.keep_raw);
            let files = FileSource::new(name.as_str(), file.paths.clone(), move || decoder.clone());
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
            return Err(Error::new(Kind::Config, text));
        }
    };
    streams.put(at, Door::Rows, stream.events);
    if streams.wants(at, Door::Rejects) {
        streams.put(at, Door::Rejects, stream.rejects.map(reject_row));
    }
    Ok(())
}

/// A record that could not be used, as a row: its class, why, and what it was.
fn reject_row(rejected: Rejected) -> Row {
    let Rejected { partition, next, reject, .. } = rejected;
    // Where the payload is not known the place is the way to the record.
    let message = match reject.payload.is_empty() {
        true => format!("{} (partition {partition}, before offset {next})", reject.message),
        false => reject.message,
    };
    Row::new([
        Value::from(&*reject.class),
        Value::Text(message.into()),
        Value::Text(String::from_utf8_lossy(&reject.payload).into()),
    ])
}

/// The event times of a source. Without a field, and then nothing downstream asks for it, a record
/// has the time of its reading.
fn times(
    times: Option<&EventTimes>,
    setup: &Setup,
) -> Times<Row, impl Fn(&Row) -> Result<EventTime, NoTime> + use<>> {
    let field = times.map(|t| TimeField::new(t.slot, t.field.clone(), t.unit));
    let (begun, first_row, seen) = (setup.begun, setup.first_row.clone(), Cell::new(false));
    let of = move |row: &Row| {
        if !seen.replace(true) && !first_row.swap(true, Ordering::Relaxed) {
            let millis = begun.elapsed().as_millis() as u64;
            tracing::info!(millis, "first row after {millis} ms");
        }
        match &field {
            Some(field) => {
                field.read(row).map_err(|no| NoTime { class: no.class, message: no.message })
            }
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
        built = built.on_missing(times.on_missing);
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

/// The series that a file asks for.
fn sensors(generate: &Generate) -> Sensors {
    let sensors = Sensors::default()
        .seed(generate.seed)
        .keys(u32::try_from(generate.keys).unwrap_or(u32::MAX))
        .bound(generate.disorder)
        .late(generate.late_share, LATE_BY)
        .duplicates(generate.duplicate_share)
        .partitions(generate.partitions);
    match generate.rate {
        // Event time goes as fast as the clock.
        Some(rate) => sensors.step(Duration::from_secs_f64((1.0 / rate).min(86_400.0))),
        None => sensors,
    }
}

/// A field of a made-up record.
#[derive(Clone, Copy)]
enum Field {
    Id,
    Sensor,
    At,
    Celsius,
    Unknown,
}

/// The generator, its events as rows.
struct Made {
    events: Generator,
    fields: Vec<Field>,
    keep_raw: bool,
    batch: Batch<SensorEvent>,
}

impl Made {
    fn new(
        name: &str,
        generate: &Generate,
        source: &Source,
        context: SourceContext,
    ) -> Result<Self, Error> {
        let mut builder = Generator::new(name, sensors(generate));
        if let Some(events) = generate.events {
            builder = builder.events(events);
        }
        if let Some(rate) = generate.rate {
            builder = builder.rate(rate);
        }
        Ok(Made {
            events: builder.build(context)?,
            fields: fields(&source.schema),
            keep_raw: source.keep_raw,
            batch: Batch::default(),
        })
    }

    fn row(&self, event: SensorEvent) -> Row {
        let value = |field: &Field| match field {
            Field::Id => Value::Int(event.id.cast_signed()),
            Field::Sensor => Value::Text(format!("s-{}", event.sensor).into()),
            Field::At => Value::Int(event.at),
            Field::Celsius => Value::Float(event.celsius),
            Field::Unknown => Value::Null,
        };
        let raw = self.keep_raw.then(|| {
            let SensorEvent { id, sensor, at, celsius } = event;
            format!(r#"{{"id":{id},"sensor":"s-{sensor}","at":{at},"celsius":{celsius:?}}}"#)
                .into_bytes()
                .into()
        });
        Row { values: self.fields.iter().map(value).collect(), raw }
    }
}

fn fields(schema: &Schema) -> Vec<Field> {
    let field = |name: &String| match name.as_str() {
        "id" => Field::Id,
        "sensor" => Field::Sensor,
        "at" => Field::At,
        "celsius" => Field::Celsius,
        _ => Field::Unknown,
    };
    schema.fields().iter().map(field).collect()
}

impl crate::source::Source for Made {
    type Record = Row;

    fn name(&self) -> &str {
        self.events.name()
    }

    fn replay(&self) -> Replay {
        self.events.replay()
    }

    fn consume(&mut self, limit: usize, batch: &mut Batch<Row>) -> Result<Poll, Error> {
        let mut made = std::mem::take(&mut self.batch);
        let poll = self.events.consume(limit, &mut made);
        let mut events = made.events.drain(..).peekable();
        for (at, message) in made.messages.drain(..).enumerate() {
            while let Some((_, partition, event)) = events.next_if(|(before, ..)| *before <= at) {
                batch.event(partition, event);
            }
            let Message { partition, next, timestamp, bytes, record } = message;
            let record = record.map(|event| self.row(event));
            batch.push(Message { partition, next, timestamp, bytes, record });
        }
        events.for_each(|(_, partition, event)| batch.event(partition, event));
        self.batch = made;
        poll
    }

    fn commit(&mut self, positions: &[(Partition, Offset)]) -> Result<(), Error> {
        self.events.commit(positions)
    }

    fn close(&mut self) {
        self.events.close();
    }
}
