//! Records that a generator makes up, as rows.

use std::time::Duration;

use crate::config::plan::{Generate, Source};
use crate::error::Error;
use crate::record::{Row, Schema, Value};
use crate::source::generate::{Generator, SensorEvent, Sensors};
use crate::source::{Batch, Message, Offset, Partition, Poll, Replay, SourceContext};

/// How far behind the bound the late records are at most.
const LATE_BY: Duration = Duration::from_secs(120);

/// The series that a file asks for.
fn sensors(generate: &Generate) -> Sensors {
    let sensors = Sensors::default()
        .seed(generate.seed)
        .keys(generate.keys)
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
pub(super) struct Made {
    events: Generator,
    fields: Vec<Field>,
    keep_raw: bool,
    batch: Batch<SensorEvent>,
}

impl Made {
    /// The events of one worker.
    pub(super) fn new(
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
