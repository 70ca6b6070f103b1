//! Opening a Kafka source: everything that has to ask a broker and wait for the answer.
//!
//! It runs on a helper thread, so that a slow broker never holds up a worker, and ends within the
//! configured time whatever the brokers do.

use std::ffi::CString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::config::{KafkaSourceConfig, OnMissing, Start, number, owner};
use crate::error::{Error, Kind, Result};
use crate::kafka::config::{Role, client};
use crate::kafka::context::Context;
use crate::kafka::error::{creation, similar, unreachable};
use crate::kafka::queue::BatchQueue;
use crate::source::{Offset, Partition, SourceContext};

/// One partition that this instance reads.
pub(super) struct Log {
    pub(super) id: Partition,
    pub(super) topic: String,
    pub(super) topic_c: CString,
    pub(super) partition: i32,
    /// The next offset to read.
    pub(super) next: Offset,
    /// Where a bounded read ends.
    pub(super) end: Option<Offset>,
}

/// A source that is ready to be read.
pub(super) struct Opened {
    pub(super) queue: BatchQueue,
    pub(super) logs: Vec<Log>,
    /// How many partitions each topic has.
    pub(super) counts: Vec<(String, usize)>,
    /// How many records were skipped because a position was no longer in the log.
    pub(super) skipped: u64,
}

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
    fn wanted(&self, owned: &[(usize, i32)]) -> Result<Vec<Option<Offset>>> {
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

/// Where to go on when a position is not in the log.
pub(super) fn missing(
    config: &KafkaSourceConfig,
    topic: &str,
    partition: i32,
    wanted: Offset,
    (low, high): (Offset, Offset),
) -> Result<Offset> {
    let text = format!(
        "{}: topic `{topic}`, partition {partition}: offset {wanted} is not there, \
         the partition holds {low} to {high}",
        config.what()
    );
    let go_on = match config.on_missing {
        OnMissing::Earliest => low,
        OnMissing::Latest => high,
        OnMissing::Fail => {
            return Err(Error::new(Kind::Failed, text).hint(
                "retention has removed the records, or the topic was made again; \
                 with on_missing: earliest or latest the source goes on there",
            ));
        }
    };
    tracing::warn!("{text}; going on at {go_on}, {} records skipped", go_on.saturating_sub(wanted));
    Ok(go_on)
}

/// Makes the client, finds the partitions of this instance and where each of them starts, and
/// assigns them.
pub(super) fn open(config: &KafkaSourceConfig, context: &SourceContext) -> Result<Opened> {
    let own = [("group.id", config.group.as_str())];
    let settings = client(Role::Source, &config.name, &config.brokers, &config.settings, &own)?;
    let consumer: BaseConsumer<Context> = settings
        .create_with_context(Context::new(config.what()))
        .map_err(|e| creation(&config.what(), e))?;
    let consumer = Arc::new(consumer);
    let asking = Asking::new(config, &consumer);

    let mut counts = Vec::with_capacity(config.topics.len());
    let mut owned = Vec::new();
    for (index, topic) in config.topics.iter().enumerate() {
        let count = asking.partitions(topic)?;
        counts.push((topic.clone(), count));
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let mine = |p: &i32| owner(topic, *p, context.peers) == context.worker;
        owned.extend((0..count).filter(mine).map(|p| (index, p)));
    }

    let wanted = asking.wanted(&owned)?;
    let mut logs = Vec::with_capacity(owned.len());
    let mut skipped = 0;
    for ((index, partition), wanted) in owned.into_iter().zip(wanted) {
        let topic = &config.topics[index];
        let (low, high) = asking.watermarks(topic, partition)?;
        let next = match (&config.start, wanted) {
            (_, Some(wanted)) if (low..=high).contains(&wanted) => wanted,
            (_, Some(wanted)) => {
                let next = missing(config, topic, partition, wanted, (low, high))?;
                skipped += next.saturating_sub(wanted);
                next
            }
            (Start::Latest | Start::Timestamp(_), None) => high,
            (_, None) => low,
        };
        let id = number(index, partition).ok_or_else(|| {
            let text = format!("{}: topic `{topic}` has too many partitions", config.what());
            Error::new(Kind::Config, text)
        })?;
        let topic_c =
            CString::new(topic.as_str()).expect("checked: a topic's name has no zero byte");
        let end = config.bounded.then_some(high);
        logs.push(Log { id, topic: topic.clone(), topic_c, partition, next, end });
    }

    let bug = |text: &str| Error::new(Kind::Bug, format!("{}: {text}", config.what()));
    let queue = BatchQueue::new(Arc::clone(&consumer), context.waker.clone())
        .ok_or_else(|| bug("librdkafka made no queue"))?;
    assign(&queue, &logs).map_err(|text| bug(&text))?;
    Ok(Opened { queue, logs, counts, skipped })
}

/// Has the client read these partitions, and only these, into the queue.
fn assign(queue: &BatchQueue, logs: &[Log]) -> Result<(), String> {
    let list = list(logs.iter())?;
    let names: Vec<_> = logs.iter().map(|l| (l.topic_c.clone(), l.partition)).collect();
    match queue.forward(&names, || queue.consumer().assign(&list)) {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(format!("the partitions were not assigned: {error}")),
        None => Err("librdkafka does not know a partition".into()),
    }
}

/// Reads one partition again from its position; it has to be forwarded until something comes.
pub(super) fn reassign(queue: &BatchQueue, log: &Log) -> Result<(), String> {
    let list = list(std::iter::once(log))?;
    let consumer = queue.consumer();
    consumer.incremental_unassign(&list).map_err(|e| e.to_string())?;
    consumer.incremental_assign(&list).map_err(|e| e.to_string())
}

/// Has a partition deliver into the queue.
pub(super) fn forward(queue: &BatchQueue, log: &Log) {
    // It is known: it was forwarded when it was assigned first.
    let _ = queue.forward(&[(log.topic_c.clone(), log.partition)], || ());
}

fn list<'a>(logs: impl Iterator<Item = &'a Log>) -> Result<TopicPartitionList, String> {
    let mut list = TopicPartitionList::new();
    for log in logs {
        let next = i64::try_from(log.next).map_err(|e| e.to_string())?;
        list.add_partition_offset(&log.topic, log.partition, KafkaOffset::Offset(next))
            .map_err(|e| e.to_string())?;
    }
    Ok(list)
}
