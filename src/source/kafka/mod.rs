//! The Kafka source: every worker reads its own share of the partitions.
//!
//! Partitions are assigned by a pure function ([`owner`]), never by a consumer group: a rebalance
//! knows nothing of ticks, and would move partitions while their records are in flight. Offsets are
//! committed to the group after delivery, for resuming and for watching the lag.
//!
//! Opening, recovery and closing ask brokers and wait; that happens on helper threads (`open`,
//! `ask`). `read` and `reader` hand out records, and `discover` looks for new partitions.

mod ask;
mod config;
mod discover;
mod open;
mod read;
mod reader;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::Duration;

pub use config::{KafkaSourceConfig, OnMissing, Start, owner};
use discover::Discovery;
pub(crate) use open::{Log, Opened, open};
use read::Reading;

use super::{Answers, Batch, Offset, Partition, Poll, Replay, Source, SourceContext};
use crate::decode::Decode;
use crate::error::{Error, Kind, Result};

/// How long `close` waits for the last commit and the good-bye to the brokers.
const CLOSING: Duration = Duration::from_secs(10);

/// A source of records in topics of Kafka.
pub struct KafkaSource<D: Decode> {
    config: Arc<KafkaSourceConfig>,
    context: SourceContext,
    decoder: D,
    state: State,
    counters: KafkaCounters,
}

/// What has happened to a Kafka source beside its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KafkaCounters {
    /// Commits to the group that have failed.
    pub commit_failures: u64,
    /// Records skipped because a position was no longer in the log (see [`OnMissing`]).
    pub skipped: u64,
    /// Partitions that appeared while running; they are not read until a restart.
    pub new_partitions: u64,
    /// Errors of partitions that passed.
    pub partition_errors: u64,
}

enum State {
    Opening(Receiver<Result<Opened>>),
    Reading(Box<Reading>, Option<Discovery>),
    /// There is no partition for this instance; the client is gone but for the one that looks.
    Empty(Option<Discovery>),
    Closed,
}

impl<D: Decode> KafkaSource<D> {
    /// Starts to open the source; wrong settings are told at once, everything else by `consume`.
    pub fn new(config: KafkaSourceConfig, context: SourceContext, decoder: D) -> Result<Self> {
        config.check()?;
        let config = Arc::new(config);
        let (send, receive) = channel();
        let (asking, waiting) = (Arc::clone(&config), context.clone());
        thread(&config, "kafka-open", move || {
            // Nobody listens any more if the source was closed meanwhile.
            let _ = send.send(open(&asking, &waiting));
            waiting.waker.wake();
        })?;
        let state = State::Opening(receive);
        Ok(KafkaSource { config, context, decoder, state, counters: KafkaCounters::default() })
    }

    /// The topic and the partition behind a partition number, as `topic/partition`.
    pub fn partition_label(&self, partition: Partition) -> String {
        self.config.partition_label(partition)
    }

    /// What has happened so far.
    pub fn counters(&self) -> KafkaCounters {
        match &self.state {
            State::Reading(reading, discovery) => {
                let mut counters = reading.counters();
                counters.new_partitions = discovery.as_ref().map_or(0, Discovery::appeared);
                counters
            }
            State::Empty(discovery) => {
                let new_partitions = discovery.as_ref().map_or(0, Discovery::appeared);
                KafkaCounters { new_partitions, ..self.counters }
            }
            _ => self.counters,
        }
    }

    fn opened(&mut self, opened: Opened, batch: &mut Batch<D::Record>) -> Result<()> {
        // One instance looks; the others would only see the same.
        let looks = self.context.worker == 0 && !self.config.bounded;
        let empty = opened.logs.is_empty();
        let discovery = match looks {
            true => {
                let consumer = Arc::clone(opened.queue.consumer());
                let counts = opened.counts.clone();
                Some(Discovery::start(Arc::clone(&self.config), consumer, counts, empty)?)
            }
            false => None,
        };
        if empty {
            self.state = State::Empty(discovery);
            // Nobody would serve the client's events; letting go of it takes a while.
            return thread(&self.config, "kafka-close", move || drop(opened));
        }
        let reading = Reading::new(Arc::clone(&self.config), opened);
        reading.announce(batch);
        self.state = State::Reading(Box::new(reading), discovery);
        Ok(())
    }
}

impl<D: Decode> Source for KafkaSource<D> {
    type Record = D::Record;

    fn name(&self) -> &str {
        &self.config.name
    }

    fn replay(&self) -> Replay {
        Replay::FromPosition
    }

    fn wakes(&self) -> bool {
        true
    }

    fn consume(&mut self, limit: usize, batch: &mut Batch<D::Record>) -> Result<Poll> {
        if let State::Opening(opening) = &self.state {
            match opening.try_recv() {
                Ok(opened) => self.opened(opened?, batch)?,
                Err(TryRecvError::Empty) => return Ok(Poll::Pending),
                Err(TryRecvError::Disconnected) => {
                    let text = format!("{}: the thread that opens it ended", self.config.what());
                    return Err(Error::new(Kind::Bug, text));
                }
            }
        }
        let (State::Reading(_, discovery) | State::Empty(discovery)) = &self.state else {
            return Ok(Poll::Finished);
        };
        if let Some(error) = discovery.as_ref().and_then(Discovery::error) {
            return Err(error);
        }
        match &mut self.state {
            State::Reading(reading, _) => reading.read(&mut self.decoder, limit, batch),
            State::Empty(_) if !self.config.bounded => Ok(Poll::None),
            _ => Ok(Poll::Finished),
        }
    }

    fn commits(&self) -> bool {
        self.config.commit
    }

    fn commit(&mut self, positions: &[(Partition, Offset)]) -> Result<()> {
        match &mut self.state {
            State::Reading(reading, _) if self.config.commit => reading.commit(positions),
            _ => Ok(()),
        }
    }

    fn answers(&mut self) -> Option<Answers> {
        Some(match &mut self.state {
            State::Reading(reading, _) if self.config.commit => reading.answers(),
            _ => Answers::default(),
        })
    }

    fn close(&mut self) {
        self.counters = self.counters();
        let (reading, discovery) = match std::mem::replace(&mut self.state, State::Closed) {
            State::Reading(reading, discovery) => (Some(reading), discovery),
            State::Empty(discovery) => (None, discovery),
            State::Opening(_) | State::Closed => return,
        };
        let (done, wait) = channel();
        // Closing a consumer may hang inside librdkafka, and must not take the worker with it.
        let closing = thread(&self.config, "kafka-close", move || {
            if let Some(discovery) = discovery {
                discovery.stop();
            }
            if let Some(reading) = reading {
                reading.close();
            }
            let _ = done.send(());
        });
        let waited = closing.map(|()| wait.recv_timeout(CLOSING));
        if !matches!(waited, Ok(Ok(()) | Err(RecvTimeoutError::Disconnected))) {
            tracing::warn!("{}: the consumer did not close in time", self.config.what());
        }
    }
}

impl<D: Decode> Drop for KafkaSource<D> {
    fn drop(&mut self) {
        self.close();
    }
}

fn thread(
    config: &KafkaSourceConfig,
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<()> {
    let started = std::thread::Builder::new().name(name.into()).spawn(run);
    started.map(drop).map_err(|error| {
        let text = format!("{}: no thread could be started", config.what());
        Error::new(Kind::Failed, text).caused_by(error)
    })
}
