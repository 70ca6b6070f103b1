//! Questions to the brokers, asked again until the answer comes or the time is up.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::config::{KafkaSourceConfig, Start};
use crate::error::{Error, Kind, Result};
use crate::kafka::context::Context;
use crate::kafka::error::{similar, unreachable};
use crate::source::Offset;

/// Answers of brokers, asked for again until they come or the time is up.
pub(super) struct Asking<'a> {
    config: &'a KafkaSourceConfig,
    consumer: &'a BaseConsumer<Context>,
    since: Instant,
}

impl<'a> Asking<'a> {
    pub(super) fn new(config: &'a KafkaSourceConfig, consumer: &'a BaseConsumer<Context>) -> Self {
        Asking { config, consumer, since: Instant::now() }
    }

    fn left(&self) -> Duration {
        self.config.start_timeout.saturating_sub(self.since.elapsed())
    }

    /// Serves the callbacks of the client, which tell why nothing answers.
    fn serve(&self) {
        for _ in 0..64 {
            // No record can come: nothing is assigned yet.
            let _ = self.consumer.poll(Duration::ZERO);
        }
    }

    /// Repeats a question for as long as its failure may pass.
    fn ask<T>(&self, question: &str, ask: impl Fn(Duration) -> KafkaResult<T>) -> Result<T> {
        loop {
            // One attempt is kept short, so that a refusal told by a callback is seen soon.
            let patience = self.left().clamp(Duration::from_millis(100), Duration::from_secs(3));
            let error = match ask(patience) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            self.serve();
            self.refused()?;
            if !may_pass(&error) {
                let text = format!("{}: {question}: {error}", self.config.what());
                return Err(Error::new(Kind::Config, text));
            }
            if self.left().is_zero() {
                return Err(self.timed_out(Some(error.to_string())));
            }
            std::thread::sleep(Duration::from_millis(100).min(self.left()));
        }
    }

    fn timed_out(&self, error: Option<String>) -> Error {
        let last = self.consumer.client().context().last_error().or(error);
        unreachable(&self.config.what(), &self.config.brokers, self.config.start_timeout, last)
    }

    fn refused(&self) -> Result<()> {
        match self.consumer.client().context().refused() {
            Some(reason) => {
                let text = format!(
                    "{}: the Kafka broker at {} refuses the client: {reason}",
                    self.config.what(),
                    self.config.brokers
                );
                Err(Error::new(Kind::Config, text)
                    .hint("check `security.protocol`, `sasl.*` and `ssl.*` of the source"))
            }
            None => Ok(()),
        }
    }

    /// How many partitions a topic has.
    pub(super) fn partitions(&self, topic: &str) -> Result<usize> {
        // A topic made a moment ago may not be known to every broker yet.
        let patience = Duration::from_secs(2).min(self.config.start_timeout / 2);
        let since = Instant::now();
        loop {
            let question = format!("the partitions of topic `{topic}`");
            let metadata = self.ask(&question, |t| self.consumer.fetch_metadata(Some(topic), t))?;
            let found = metadata.topics().iter().find(|t| t.name() == topic);
            let error = found.and_then(|t| t.error());
            let count = found.map_or(0, |t| t.partitions().len());
            if error.is_none() && count > 0 {
                return Ok(count);
            }
            if error == Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
                let text = format!("{}: no permission to read topic `{topic}`", self.config.what());
                return Err(Error::new(Kind::Config, text));
            }
            let unknown = error.is_none_or(|e| {
                e == RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                    || e == RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
            });
            if unknown && since.elapsed() >= patience {
                return Err(self.unknown_topic(topic));
            }
            if self.left().is_zero() {
                let reason = error.map(|e| KafkaError::MetadataFetch(e.into()).to_string());
                return Err(self.timed_out(reason));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn unknown_topic(&self, topic: &str) -> Error {
        let what = self.config.what();
        let text = format!("{what}: there is no topic `{topic}` at {}", self.config.brokers);
        let error = Error::new(Kind::Config, text);
        let all: Option<Metadata> = self.consumer.fetch_metadata(None, Duration::from_secs(3)).ok();
        let Some(all) = all else { return error };
        let names = || all.topics().iter().map(|t| t.name()).filter(|n| !n.starts_with("__"));
        match similar(topic, names()).as_slice() {
            [] if names().next().is_none() => error.hint("the broker has no topic at all"),
            [] => {
                let mut some: Vec<_> = names().collect();
                some.sort_unstable();
                let more = if some.len() > 5 { ", …" } else { "" };
                some.truncate(5);
                error.hint(format!("topics there are: {}{more}", some.join(", ")))
            }
            near => error.hint(format!("similar topics there are: {}", near.join(", "))),
        }
    }

    /// The first offset of a partition and the next one to be written.
    pub(super) fn watermarks(&self, topic: &str, partition: i32) -> Result<(Offset, Offset)> {
        let question = format!("the offsets of topic `{topic}`, partition {partition}");
        let (low, high) =
            self.ask(&question, |t| self.consumer.fetch_watermarks(topic, partition, t))?;
        Ok((position(low), position(high)))
    }

    /// Where each of these partitions is to start, if a broker has an answer to that.
    pub(super) fn wanted(&self, owned: &[(usize, i32)]) -> Result<Vec<Option<Offset>>> {
        let mut list = TopicPartitionList::with_capacity(owned.len());
        let answer = match &self.config.start {
            Start::Committed => {
                for (topic, partition) in owned {
                    list.add_partition(&self.config.topics[*topic], *partition);
                }
                let question = format!("the committed offsets of group `{}`", self.config.group);
                self.ask(&question, |t| self.consumer.committed_offsets(list.clone(), t))?
            }
            Start::Timestamp(time) => {
                // Rounded up: a record of an earlier millisecond is before the instant.
                let millis = time.micros().div_euclid(1000) + i64::from(time.micros() % 1000 != 0);
                let at = KafkaOffset::Offset(millis.max(0));
                for (topic, partition) in owned {
                    list.add_partition_offset(&self.config.topics[*topic], *partition, at)
                        .expect("a number that is not negative is an offset");
                }
                let question = "the offsets by time";
                self.ask(question, |t| self.consumer.offsets_for_times(list.clone(), t))?
            }
            Start::Offsets(offsets) => {
                let find = |(topic, partition): &(usize, i32)| {
                    let name = &self.config.topics[*topic];
                    offsets.iter().find(|(t, p, _)| t == name && p == partition).map(|(.., o)| *o)
                };
                return Ok(owned.iter().map(find).collect());
            }
            Start::Earliest | Start::Latest => return Ok(vec![None; owned.len()]),
        };
        let mut found = Vec::with_capacity(owned.len());
        for (topic, partition) in owned {
            let name = &self.config.topics[*topic];
            let element = answer.find_partition(name, *partition);
            if let Some(Err(error)) = element.as_ref().map(|e| e.error()) {
                let text = format!(
                    "{}: where to start topic `{name}`, partition {partition}: {error}",
                    self.config.what()
                );
                return Err(Error::new(Kind::Unreachable, text));
            }
            found.push(match element.map(|e| e.offset()) {
                Some(KafkaOffset::Offset(offset)) => Some(position(offset)),
                _ => None,
            });
        }
        Ok(found)
    }
}

/// An offset of Kafka as one of ours.
pub(super) fn position(offset: i64) -> Offset {
    Offset::try_from(offset).unwrap_or(0)
}

/// Whether a failure is worth another try.
fn may_pass(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    !matches!(
        error.rdkafka_error_code(),
        Some(
            Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::UnsupportedVersion
                | Code::InvalidTopic
                | Code::Fatal
        )
    )
}
