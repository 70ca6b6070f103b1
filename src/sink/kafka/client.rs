//! The producer behind the sink: its callbacks, and the first contact with a broker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::types::RDKafkaRespErr;

use super::KafkaSinkConfig;
use super::ledger::{Failure, Shared};
use crate::error::{Error, Kind, Result};
use crate::kafka::context::Context;
use crate::kafka::error::{similar, unreachable};

/// The producer of a sink.
pub(super) type Client = BaseProducer<Reports>;

/// The callbacks of the client.
pub(super) struct Reports {
    pub(super) client: Context,
    pub(super) ledger: Arc<Shared>,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.client.log(level, facility, line);
    }

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.client.error(error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, stage: usize) {
        let failure = result.as_ref().err().map(|(error, message)| Failure {
            partition: message.partition(),
            error: error.clone(),
        });
        self.ledger.lock().report(stage, failure);
    }
}

/// Waits until a broker has told about the topic.
pub(super) fn reach(config: &KafkaSinkConfig, producer: &Client) -> Result<()> {
    let since = Instant::now();
    let (what, topic) = (config.what(), &config.topic);
    let propagation = Duration::from_secs(3).min(config.start_timeout / 2);
    loop {
        let left = config.start_timeout.saturating_sub(since.elapsed());
        let patience = left.clamp(Duration::from_millis(100), Duration::from_secs(3));
        let answer = producer.client().fetch_metadata(Some(topic), patience);
        for _ in 0..64 {
            producer.poll(Duration::ZERO);
        }
        let client = &producer.context().client;
        if let Some(reason) = client.refused() {
            let text = format!(
                "{what}: the Kafka broker at {} refuses the client: {reason}",
                config.brokers
            );
            return Err(Error::new(Kind::Config, text)
                .hint("check `security.protocol`, `sasl.*` and `ssl.*` of the sink"));
        }
        let last = match &answer {
            Ok(metadata) => {
                let found = metadata.topics().iter().find(|t| t.name() == topic);
                let error = found.and_then(|t| t.error());
                if error.is_none() && found.is_some_and(|t| !t.partitions().is_empty()) {
                    return Ok(());
                }
                if error == Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
                    let text = format!("{what}: no permission for topic `{topic}`");
                    return Err(Error::new(Kind::Config, text));
                }
                let unknown =
                    error == Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
                if unknown && since.elapsed() >= propagation {
                    return Err(unknown_topic(config, producer));
                }
                error.map(|e| RDKafkaErrorCode::from(e).to_string())
            }
            Err(error) => client.last_error().or_else(|| Some(error.to_string())),
        };
        if left.is_zero() {
            return Err(unreachable(&what, &config.brokers, config.start_timeout, last));
        }
        std::thread::sleep(Duration::from_millis(100).min(left));
    }
}

fn unknown_topic(config: &KafkaSinkConfig, producer: &Client) -> Error {
    let (what, topic) = (config.what(), &config.topic);
    let text = format!("{what}: there is no topic `{topic}` at {}", config.brokers);
    let error = Error::new(Kind::Config, text);
    let Ok(all) = producer.client().fetch_metadata(None, Duration::from_secs(3)) else {
        return error;
    };
    let near = similar(topic, all.topics().iter().map(|t| t.name()));
    match near.as_slice() {
        [] => error.hint("create it, or allow the broker to do so"),
        near => error.hint(format!("similar topics there are: {}", near.join(", "))),
    }
}
