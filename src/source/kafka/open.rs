//! Opening a Kafka source: everything that has to ask a broker and wait for the answer.
//!
//! It runs on a helper thread, so that a slow broker never holds up a worker, and ends within the
//! configured time whatever the brokers do.

use std::ffi::CString;
use std::sync::Arc;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::ask::Asking;
use super::config::{KafkaSourceConfig, OnMissing, Start, number, owner};
use crate::error::{Error, Kind, Result};
use crate::kafka::context::Context;
use crate::kafka::error::creation;
use crate::kafka::queue::BatchQueue;
use crate::source::{Offset, Partition, SourceContext};

/// One partition that this instance reads.
pub(crate) struct Log {
    pub(super) id: Partition,
    pub(crate) topic: String,
    pub(crate) topic_c: CString,
    pub(crate) partition: i32,
    /// The next offset to read.
    pub(crate) next: Offset,
    /// Where a bounded read ends.
    pub(crate) end: Option<Offset>,
}

/// A source that is ready to be read.
pub(crate) struct Opened {
    pub(crate) queue: BatchQueue,
    pub(crate) logs: Vec<Log>,
    /// How many partitions each topic has.
    pub(super) counts: Vec<(String, usize)>,
    /// How many records were skipped because a position was no longer in the log.
    pub(super) skipped: u64,
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
pub(crate) fn open(config: &KafkaSourceConfig, context: &SourceContext) -> Result<Opened> {
    let consumer: BaseConsumer<Context> = config
        .client()?
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
