//! Reading the assigned partitions: records, their ends, their lag, their troubles.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::config::KafkaSourceConfig;
use super::open::{Asking, Log, Opened, forward, missing, position, reassign};
use super::{KafkaCounters, thread};
use crate::decode::{Decode, Headers, Raw};
use crate::error::{Error, Kind, Result};
use crate::kafka::queue::{BatchQueue, Taken};
use crate::source::{Batch, Message, Offset, Partition, PartitionEvent, Poll};

/// How often the lag is told and the statistics are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// At most so many messages are taken at once.
const MOST: usize = 4096;

/// The state of an open source.
pub(super) struct Reading {
    config: Arc<KafkaSourceConfig>,
    queue: BatchQueue,
    logs: Logs,
    counters: KafkaCounters,
    looked: Option<Instant>,
    warned: Option<Instant>,
}

/// The partitions, found again from what a message says.
struct Logs {
    logs: Vec<Reader>,
    topics: Vec<(String, Vec<Option<usize>>)>,
    /// What the last message belonged to: messages come in runs.
    last: (usize, i32, usize),
}

struct Reader {
    log: Log,
    /// The position behind the last record handed over: `log.next` may be beyond it, when nothing
    /// but markers of transactions follows.
    handed: Offset,
    end: End,
    /// The partition's position was not in the log, and its bounds are being asked for.
    lost: Option<Receiver<Result<(Offset, Offset)>>>,
    /// It was assigned anew: stopping it takes the forwarding off at some moment after that, so the
    /// forwarding is set again until something comes. Nothing is lost meanwhile: what has come
    /// waits in the partition's own queue, and moves over in order.
    muted: bool,
}

/// Whether the position is at the end of the partition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Behind,
    CaughtUp,
    Unconfirmed,
    Finished,
}

impl Logs {
    fn new(config: &KafkaSourceConfig, logs: Vec<Log>) -> Self {
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
    fn of(&mut self, message: Taken<'_>) -> Option<&mut Reader> {
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

impl Reading {
    pub(super) fn new(config: Arc<KafkaSourceConfig>, opened: Opened) -> Self {
        let counters = KafkaCounters { skipped: opened.skipped, ..KafkaCounters::default() };
        let logs = Logs::new(&config, opened.logs);
        Reading { config, queue: opened.queue, logs, counters, looked: None, warned: None }
    }

    /// Tells which partitions are read.
    pub(super) fn announce<R>(&self, batch: &mut Batch<R>) {
        for reader in &self.logs.logs {
            batch.event(reader.log.id, PartitionEvent::Assigned(reader.log.next));
        }
    }

    pub(super) fn counters(&self) -> KafkaCounters {
        let commit_failures = self.queue.consumer().client().context().commit_failures();
        KafkaCounters { commit_failures, ..self.counters }
    }

    pub(super) fn read<D: Decode>(
        &mut self,
        decoder: &mut D,
        limit: usize,
        batch: &mut Batch<D::Record>,
    ) -> Result<Poll> {
        self.serve()?;
        if self.logs.logs.is_empty() {
            return Ok(if self.config.bounded { Poll::Finished } else { Poll::None });
        }
        self.recover()?;
        let taken = self.take(decoder, limit.clamp(1, MOST), batch)?;
        self.look(batch);
        if self.config.bounded && self.finish(batch) {
            return Ok(Poll::Finished);
        }
        Ok(if taken == limit.clamp(1, MOST) { Poll::Ready } else { Poll::Pending })
    }

    /// Serves the client's callbacks: logs, errors, statistics, results of commits.
    fn serve(&mut self) -> Result<()> {
        // One call serves one event; more of them wait for the next time.
        for _ in 0..4 {
            match self.queue.consumer().poll(Duration::ZERO) {
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    let text =
                        format!("{}: the Kafka client has failed: {code}", self.config.what());
                    return Err(Error::new(Kind::Failed, text));
                }
                // It has been told to the context already.
                Some(Err(_)) | None => {}
                Some(Ok(message)) => {
                    // The forwarding is set before the partition starts, so this cannot be.
                    let text = format!(
                        "{}: a record of partition {} came past the queue",
                        self.config.what(),
                        rdkafka::Message::partition(&message)
                    );
                    return Err(Error::new(Kind::Bug, text));
                }
            }
        }
        Ok(())
    }

    fn take<D: Decode>(
        &mut self,
        decoder: &mut D,
        limit: usize,
        batch: &mut Batch<D::Record>,
    ) -> Result<usize> {
        let (config, logs, counters) = (&self.config, &mut self.logs, &mut self.counters);
        let (warned, consumer) = (&mut self.warned, Arc::clone(self.queue.consumer()));
        let count = self.queue.take(limit, |message| {
            let Some(reader) = logs.of(message) else {
                // Not one of ours: an error without a partition.
                let text = format!("{}: {}", config.what(), message.error_text());
                tracing::warn!("{text}");
                counters.partition_errors += 1;
                return Ok(());
            };
            reader.muted = false;
            match message.error() {
                None => reader.record(decoder, message, batch),
                Some(RDKafkaErrorCode::PartitionEOF) => reader.at_end(message.offset(), batch),
                Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                    reader.ask_bounds(config, &consumer)?;
                }
                Some(code) => {
                    reader.trouble(config, code, message)?;
                    counters.partition_errors += 1;
                    if warned.is_none_or(|at| at.elapsed() > Duration::from_secs(30)) {
                        *warned = Some(Instant::now());
                        let (topic, partition) = (&reader.log.topic, reader.log.partition);
                        let text = message.error_text();
                        tracing::warn!("{}: {topic}/{partition}: {text}", config.what());
                    }
                }
            }
            Ok(())
        })?;
        if count > 0 {
            self.queue.consumer().client().context().is_up();
        }
        Ok(count)
    }

    /// Goes on where the user wants to if a position was not in the log.
    fn recover(&mut self) -> Result<()> {
        for reader in &mut self.logs.logs {
            if reader.muted {
                forward(&self.queue, &reader.log);
            }
            let Some(lost) = &reader.lost else { continue };
            let bounds = match lost.try_recv() {
                Ok(bounds) => bounds?,
                Err(TryRecvError::Empty) => continue,
                Err(TryRecvError::Disconnected) => {
                    let text = format!("{}: the thread that asks ended", self.config.what());
                    return Err(Error::new(Kind::Bug, text));
                }
            };
            (reader.lost, reader.muted) = (None, true);
            let log = &mut reader.log;
            let next = missing(&self.config, &log.topic, log.partition, log.next, bounds)?;
            self.counters.skipped += next.saturating_sub(log.next);
            log.next = next;
            reassign(&self.queue, log).map_err(|why| {
                let (what, topic) = (self.config.what(), &log.topic);
                let text = format!("{what}: {topic}/{} cannot be read again: {why}", log.partition);
                Error::new(Kind::Failed, text)
            })?;
        }
        Ok(())
    }

    /// Once a second: the lag, and whether what is known about the ends still holds.
    fn look<R>(&mut self, batch: &mut Batch<R>) {
        let context = Arc::clone(self.queue.consumer().client().context());
        if context.is_down() {
            self.logs.logs.iter_mut().for_each(|reader| reader.doubt(batch));
        }
        if self.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return;
        }
        self.looked = Some(Instant::now());
        let connections = context.take_connections();
        if connections.as_ref().is_some_and(|c| c.values().any(|up| *up)) {
            context.is_up();
        }
        for reader in self.logs.logs.iter_mut().filter(|r| r.end != End::Finished) {
            let log = &reader.log;
            let marks = self.queue.watermarks(&log.topic_c, log.partition);
            let high = marks.map(|(_, high)| position(high));
            if let Some(high) = high {
                let lag = log.end.map_or(high, |end| end.min(high)).saturating_sub(log.next);
                batch.event(log.id, PartitionEvent::Lag(lag));
            }
            let place = (log.topic.clone(), log.partition);
            match connections.as_ref().and_then(|c| c.get(&place)) {
                Some(false) => reader.doubt(batch),
                Some(true) if reader.end == End::Unconfirmed && high == Some(log.next) => {
                    reader.end = End::CaughtUp;
                    batch.event(reader.log.id, PartitionEvent::CaughtUp);
                }
                _ => {}
            }
        }
    }

    /// Tells the ends that were reached; whether that is all of them.
    fn finish<R>(&mut self, batch: &mut Batch<R>) -> bool {
        let mut all = true;
        for reader in &mut self.logs.logs {
            reader.finish(batch);
            all &= reader.end == End::Finished;
        }
        all
    }

    pub(super) fn commit(&mut self, positions: &[(Partition, Offset)]) -> Result<()> {
        let failed = |why: String| {
            let group = &self.config.group;
            let text = format!("{}: commit to group `{group}`: {why}", self.config.what());
            Error::new(Kind::Unreachable, text)
        };
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (partition, offset) in positions {
            let Some(reader) = self.logs.logs.iter().find(|r| r.log.id == *partition) else {
                let label = self.config.partition_label(*partition);
                return Err(failed(format!("{label} is not read here")));
            };
            // All records are delivered: what follows them is known to hold none.
            let next =
                if *offset >= reader.handed { reader.log.next.max(*offset) } else { *offset };
            let next = KafkaOffset::Offset(i64::try_from(next).unwrap_or(i64::MAX));
            list.add_partition_offset(&reader.log.topic, reader.log.partition, next)
                .map_err(|e| failed(e.to_string()))?;
        }
        let consumer = self.queue.consumer();
        let sent = match positions.is_empty() {
            true => Ok(()),
            false => self.queue.commit(&list),
        };
        // The answer to an earlier commit comes late; it is told with the next one.
        let earlier = consumer.client().context().take_commit_failure();
        sent.map_err(|e| failed(e.to_string()))?;
        earlier.map_or(Ok(()), |why| Err(failed(why)))
    }

    /// Lets go of the partitions, then of the queue, then of the consumer.
    pub(super) fn close(self) {
        if let Err(error) = self.queue.consumer().unassign() {
            tracing::debug!("{}: unassign: {error}", self.config.what());
        }
        drop(self.queue);
    }
}

impl Reader {
    #[inline]
    fn record<D: Decode>(
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

    fn at_end<R>(&mut self, end: i64, batch: &mut Batch<R>) {
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
    fn finish<R>(&mut self, batch: &mut Batch<R>) {
        if self.end != End::Finished && self.log.end.is_some_and(|end| self.log.next >= end) {
            self.end = End::Finished;
            batch.event(self.log.id, PartitionEvent::Finished);
        }
    }

    fn doubt<R>(&mut self, batch: &mut Batch<R>) {
        if self.end == End::CaughtUp {
            self.end = End::Unconfirmed;
            batch.event(self.log.id, PartitionEvent::Unconfirmed);
        }
    }

    /// The position is not in the log: asks for the bounds, on a helper thread.
    fn ask_bounds(
        &mut self,
        config: &Arc<KafkaSourceConfig>,
        consumer: &Arc<rdkafka::consumer::BaseConsumer<crate::kafka::context::Context>>,
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
    fn trouble(
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
