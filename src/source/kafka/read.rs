//! Reading: one turn after another over all partitions of an instance.

use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::KafkaCounters;
use super::ask::position;
use super::config::KafkaSourceConfig;
use super::open::{Opened, forward, missing, reassign};
use super::reader::{End, Logs};
use crate::decode::Decode;
use crate::error::{Error, Kind, Result};
use crate::kafka::queue::BatchQueue;
use crate::source::{Answers, Batch, Offset, Partition, PartitionEvent, Poll};

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
    /// Failed commits that were told.
    told_failures: u64,
}

impl Reading {
    pub(super) fn new(config: Arc<KafkaSourceConfig>, opened: Opened) -> Self {
        let counters = KafkaCounters { skipped: opened.skipped, ..KafkaCounters::default() };
        let logs = Logs::new(&config, opened.logs);
        Reading {
            config,
            queue: opened.queue,
            logs,
            counters,
            looked: None,
            warned: None,
            told_failures: 0,
        }
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
        self.serve(4)?;
        self.recover()?;
        let taken = self.take(decoder, limit.clamp(1, MOST), batch)?;
        self.look(batch);
        if self.config.bounded && self.finish(batch) {
            return Ok(Poll::Finished);
        }
        Ok(if taken == limit.clamp(1, MOST) { Poll::Ready } else { Poll::Pending })
    }

    /// Serves events of the client: logs, errors, statistics, results of commits.
    fn serve(&self, events: usize) -> Result<()> {
        for _ in 0..events {
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
                return Ok::<(), Error>(());
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
        // After the end of a bounded read this is the only one who serves them.
        self.serve(64)?;
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
        match positions.is_empty() {
            true => Ok(()),
            false => self.queue.commit(&list).map_err(|e| failed(e.to_string())),
        }
    }

    /// The answers to commits that have come.
    pub(super) fn answers(&mut self) -> Answers {
        if let Err(error) = self.serve(64) {
            tracing::debug!("{}: {error}", self.config.what());
        }
        let context = self.queue.consumer().client().context();
        let failures = context.commit_failures();
        let mut answers = Answers { failed: failures - self.told_failures, ..Answers::default() };
        for (topic, partition, offset) in context.take_committed() {
            if let Some(id) = self.config.partition(&topic, partition) {
                answers.committed.push((id, position(offset)));
            }
        }
        self.told_failures = failures;
        answers
    }

    /// Lets go of the partitions, then of the queue, then of the consumer.
    pub(super) fn close(self) {
        if let Err(error) = self.queue.consumer().unassign() {
            tracing::debug!("{}: unassign: {error}", self.config.what());
        }
        drop(self.queue);
    }
}
