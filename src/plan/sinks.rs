//! Sinks of a plan: connector, encoder, message key.

use super::build::{Setup, Streams};
use crate::config::pipeline::Level;
use crate::config::plan::{Sink, SinkConnector};
use crate::encode::Encode;
use crate::error::Error;
use crate::flow::Flow;
use crate::record::json::JsonEncoder;
use crate::record::{Row, Value};
use crate::sink::file::FileSink;
use crate::sink::log::LogSink;
use crate::sink::stdout::StdoutSink;
use crate::source::Reject;

/// Writes to a sink.
pub(super) fn build<'scope>(
    flow: &Flow<'scope>,
    sink: &Sink,
    name: &str,
    setup: &Setup,
    streams: &Streams<'scope>,
) -> Result<(), Error> {
    let rows = streams.united(&sink.name, &sink.inputs)?;
    let json = JsonEncoder::new(sink.schema.clone(), sink.overlay.clone());
    let encoder = RowEncoder { json, key: Vec::new() };
    match &sink.connector {
        SinkConnector::File(path) => {
            let file = FileSink::new(name, path, move || encoder.clone());
            flow.sink(name, &rows, |context| file.build(context));
        }
        SinkConnector::Stdout => {
            flow.sink(name, &rows, |_| Ok(StdoutSink::new(name, encoder)));
        }
        SinkConnector::Log(level) => {
            let level = match level {
                Level::Trace => tracing::Level::TRACE,
                Level::Debug => tracing::Level::DEBUG,
                Level::Info => tracing::Level::INFO,
                Level::Warn => tracing::Level::WARN,
                Level::Error => tracing::Level::ERROR,
            };
            flow.sink(name, &rows, |_| Ok(LogSink::new(name, level, encoder)));
        }
        #[cfg(feature = "kafka")]
        SinkConnector::Kafka(kafka) => {
            use crate::sink::kafka::{KafkaSink, KafkaSinkConfig};
            let encoder = RowEncoder { key: kafka.key.clone(), ..encoder };
            let config = KafkaSinkConfig {
                start_timeout: setup.start_timeout,
                settings: kafka.settings.iter().map(|(key, value)| (key, &value.0)).collect(),
                ..KafkaSinkConfig::new(name, &*kafka.brokers, &*kafka.topic)
            };
            flow.sink(name, &rows, |context| KafkaSink::new(config, context, encoder));
        }
        #[cfg(not(feature = "kafka"))]
        SinkConnector::Kafka(_) => {
            let text = format!("sink `{name}`: this program was built without Kafka");
            return Err(Error::new(crate::error::Kind::Config, text));
        }
    }
    Ok(())
}

/// Appends a value as JSON.
fn write_value(value: &Value, out: &mut Vec<u8>) {
    let written = match value {
        Value::Null => serde_json::to_writer(out, &()),
        Value::Bool(value) => serde_json::to_writer(out, value),
        Value::Int(value) => serde_json::to_writer(out, value),
        Value::Float(value) => serde_json::to_writer(out, value),
        Value::Text(text) => serde_json::to_writer(out, text),
        Value::Json(text) => {
            out.extend_from_slice(text.as_bytes());
            Ok(())
        }
    };
    written.expect("a plain value is written to memory");
}

/// Rows as JSON objects, with the message key that a plan asks for.
#[derive(Clone)]
struct RowEncoder {
    json: JsonEncoder,
    /// The slots of the message key.
    key: Vec<usize>,
}

impl Encode for RowEncoder {
    type Record = Row;

    /// One field is its plain text, and null is no key; several fields are a JSON list.
    fn encode(&mut self, row: &Row, key: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<(), Reject> {
        match &self.key[..] {
            [] => {}
            [slot] => match row.get(*slot) {
                Value::Null => {}
                Value::Text(text) => key.extend_from_slice(text.as_bytes()),
                other => key.extend_from_slice(other.to_string().as_bytes()),
            },
            slots => {
                for (at, slot) in slots.iter().enumerate() {
                    key.push(if at == 0 { b'[' } else { b',' });
                    write_value(row.get(*slot), key);
                }
                key.push(b']');
            }
        }
        self.json.encode(row, value);
        Ok(())
    }
}
