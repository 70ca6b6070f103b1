//! Sinks of a plan: connector, encoder, message key.

use super::build::{Setup, Streams};
use crate::config::pipeline::Level;
use crate::config::plan::{Sink, SinkConnector};
use crate::error::Error;
use crate::flow::Flow;
use crate::record::json::JsonEncoder;
use crate::sink::file::FileSink;
use crate::sink::log::LogSink;
use crate::sink::stdout::StdoutSink;

/// Writes to a sink.
pub(super) fn build<'scope>(
    flow: &Flow<'scope>,
    sink: &Sink,
    name: &str,
    #[cfg_attr(not(feature = "kafka"), allow(unused_variables))] setup: &Setup,
    streams: &Streams<'scope>,
) -> Result<(), Error> {
    let rows = streams.united(&sink.name, &sink.inputs)?;
    let encoder = JsonEncoder::new(sink.schema.clone(), sink.whole.clone());
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
            let encoder = encoder.key(kafka.key.clone());
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
