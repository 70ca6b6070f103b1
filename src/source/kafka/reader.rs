//! The partitions of an instance: how far each is read, and what it tells.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use rdkafka::consumer::BaseConsumer;
use rdkafka::error::RDKafkaErrorCode;

use super::ask::{Asking, position};
use super::config::KafkaSourceConfig;
use super::open::Log;
use super::thread;
use crate::decode::{Decode, Headers, Raw};
use crate::error::{Error, Kind, Result};
use crate::kafka::context::Context;
use crate::kafka::queue::Taken;
use crate::source::{Batch, Message, Offset, PartitionEvent};

/// The partitions, found again from what a message says.
pub(super) struct Logs {
    pub(super) logs: Vec<Reader>,
    topics: Vec<(String, Vec<Option<usize>>)>,
    /// What the last message belonged to: messages come in runs.
    last: (usize, i32, usize),
}

pub(super) struct Reader {
    pub(super) log: Log,
    /// The position behind the last record handed over: `log.next` may be beyond it, when nothing
    /// but markers of transactions follows.
    pub(super) handed: Offset,
    pub(super) end: End,
    /// The partition's position was not in the log, and its bounds are being asked for.
    pub(super) lost: Option<Receiver<Result<(Offset, Offset)>>>,
    /// It was assigned anew: stopping it takes the forwarding off at some moment after that, so the
    /// forwarding is set again until something comes. Nothing is lost meanwhile: what has come
    /// waits in the partition's own queue, and moves over in order.
    pub(super) muted: bool,
}

/// Whether the position is at the end of the partition.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Behind,
    CaughtUp,
    Unconfirmed,
    Finished,
}

impl Logs {
    pub(super) fn new(config: &KafkaSourceConfig, logs: Vec<Log>) -> Self {
        let mut topics: Vec<_> = config.topics.iter().map(|t| (t.clone(), Vec::new())).collect();
        for (index, log) in logs.iter().enumerate() {
            let (_, places) =
                topics.iter_mut().find(|(t, _)| *t == log.topic).expect("made from these topics");
            let partition = log.partition.unsigned_abs() as usize;
            if places.len() <= partition {
                places.resize(partition + 1, None);
            }
            places[partition] = Some(index);
        }
        let reader =
            |log: Log| Reader { handed: log.next, log, end: End::Behind, lost: None, muted: false };
        Logs { logs: logs.into_iter().map(reader).collect(), topics, last: (0, -1, 0) }
    }

    #[inline]
    pub(super) fn of(&mut self, message: Taken<'_>) -> Option<&mut Reader> {
        let (topic, partition) = (message.topic_id(), message.partition());
        if self.last.0 != topic || self.last.1 != partition {
            let (_, places) =
                self.topics.iter().find(|(name, _)| name.as_bytes() == message.topic())?;
            let index = places.get(usize::try_from(partition).ok()?).copied().flatten()?;
            self.last = (topic, partition, index);
        }
        self.logs.get_mut(self.last.2)
    }
}

impl Reader {
    #[inline]
    pub(super) fn record<D: Decode>(
        &mut self,
        decoder: &mut D,
        message: Taken<'_>,
        batch: &mut Batch<D::Record>,
    ) {
        let offset = position(message.offset());
        // Beyond the end of a bounded read, or already handed over.
        if self.end == End::Finished || offset < self.log.next {
            return;
        }
        if self.log.end.is_some_and(|end| offset >= end) {
            self.log.next = self.log.next.max(self.log.end.unwrap_or(offset));
            return self.finish(batch);
        }
        let (payload, key) = (message.payload(), message.key());
        let timestamp = message.timestamp();
        let bytes = payload.map_or(0, <[u8]>::len) + key.map_or(0, <[u8]>::len);
        let headers: &dyn Headers = &message;
        let partition = self.log.id;
        let raw = Raw { payload, key, headers, timestamp, partition, offset };
        let next = offset + 1;
        batch.push(Message {
            partition: self.log.id,
            next,
            timestamp,
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            record: decoder.decode(raw),
        });
        (self.log.next, self.handed, self.end) = (next, next, End::Behind);
    }

    pub(super) fn at_end<R>(&mut self, end: i64, batch: &mut Batch<R>) {
        if self.end == End::Finished {
            return;
        }
        self.log.next = self.log.next.max(position(end));
        if self.end != End::CaughtUp {
            self.end = End::CaughtUp;
            batch.event(self.log.id, PartitionEvent::CaughtUp);
        }
        self.finish(batch);
    }

    /// Ends a bounded read that has come to its end.
    pub(super) fn finish<R>(&mut self, batch: &mut Batch<R>) {
        if self.end != End::Finished && self.log.end.is_some_and(|end| self.log.next >= end) {
            self.end = End::Finished;
            batch.event(self.log.id, PartitionEvent::Finished);
        }
    }

    pub(super) fn doubt<R>(&mut self, batch: &mut Batch<R>) {
        if self.end == End::CaughtUp {
            self.end = End::Unconfirmed;
            batch.event(self.log.id, PartitionEvent::Unconfirmed);
        }
    }

    /// The position is not in the log: asks for the bounds, on a helper thread.
    pub(super) fn ask_bounds(
        &mut self,
        config: &Arc<KafkaSourceConfig>,
        consumer: &Arc<BaseConsumer<Context>>,
    ) -> Result<()> {
        if self.lost.is_some() || self.end == End::Finished {
            return Ok(());
        }
        let (answer, answered) = channel();
        let (asked, consumer) = (Arc::clone(config), Arc::clone(consumer));
        let (topic, partition) = (self.log.topic.clone(), self.log.partition);
        thread(config, "kafka-bounds", move || {
            let bounds = Asking::new(&asked, &consumer).watermarks(&topic, partition);
            let _ = answer.send(bounds);
        })?;
        self.lost = Some(answered);
        Ok(())
    }

    /// An error of the partition: whether it stops the run.
    pub(super) fn trouble(
        &self,
        config: &KafkaSourceConfig,
        code: RDKafkaErrorCode,
        message: Taken<'_>,
    ) -> Result<()> {
        use RDKafkaErrorCode as Code;
        let kind = match code {
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
                Kind::Failed
            }
            Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed => Kind::Config,
            Code::BadMessage | Code::BadCompression | Code::InvalidMessage => Kind::Data,
            Code::Fatal => Kind::Failed,
            _ => return Ok(()),
        };
        let (topic, partition) = (&self.log.topic, self.log.partition);
        let text = format!(
            "{}: topic `{topic}`, partition {partition}, from offset {} on: {}",
            config.what(),
            self.log.next,
            message.error_text()
        );
        Err(Error::new(kind, text))
    }
}
