//! The Kafka sink: at least once, by an idempotent producer that the worker polls.
//!
//! A record counts as delivered when all in-sync replicas have it. `commit` is done when that holds
//! for every record staged up to it, so that the positions of the sources are never committed ahead
//! of the results. A full queue of the client is back-pressure, not an error.

mod client;
mod ledger;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer};

use self::client::{Client, Reports, reach};
use self::ledger::{Failure, Shared};
use super::{Commit, Guarantee, Sink, SinkContext, Staged, Write};
use crate::encode::Encode;
use crate::error::{Error, Kind, Result};
use crate::kafka::config::{Role, Settings, accepted, client};
use crate::kafka::context::Context;
use crate::kafka::error::creation;

/// How long `close` waits for records that are still under way.
const CLOSING: Duration = Duration::from_secs(5);

/// The settings of a Kafka sink.
#[derive(Clone, Debug)]
pub struct KafkaSinkConfig {
    /// The name of the sink, for errors, counters and logs.
    pub name: String,
    /// The brokers to start from: `host:port`, several separated by commas.
    pub brokers: String,
    /// The topic to write to. Whether a missing one is made is up to the broker.
    pub topic: String,
    /// How long the brokers may take to answer at the start.
    pub start_timeout: Duration,
    /// Properties of librdkafka.
    pub settings: Settings,
}

impl KafkaSinkConfig {
    /// Writes to this topic.
    pub fn new(
        name: impl Into<String>,
        brokers: impl Into<String>,
        topic: impl Into<String>,
    ) -> Self {
        KafkaSinkConfig {
            name: name.into(),
            brokers: brokers.into(),
            topic: topic.into(),
            start_timeout: Duration::from_secs(30),
            settings: Settings::new(),
        }
    }

    /// Says what is wrong with the settings, without asking a broker.
    pub fn check(&self) -> Result<()> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let topic = &self.topic;
        if topic.is_empty() || topic.len() > 249 || !topic.chars().all(legal) {
            let text = format!("{}: `{topic}` cannot be the name of a topic", self.what());
            return Err(Error::new(Kind::Config, text));
        }
        accepted(&self.what(), &self.client()?)
    }

    fn client(&self) -> Result<ClientConfig> {
        client(Role::Sink, &self.name, &self.brokers, &self.settings, &[])
    }

    fn what(&self) -> String {
        format!("sink `{}`", self.name)
    }
}

/// A sink of records into one topic of Kafka.
pub struct KafkaSink<E: Encode> {
    config: Arc<KafkaSinkConfig>,
    encoder: E,
    state: State,
    ledger: Arc<Shared>,
    key: Vec<u8>,
    value: Vec<u8>,
}

enum State {
    Opening(Receiver<Result<Client>>),
    Open(Client),
    Closed,
}

impl<E: Encode> KafkaSink<E> {
    /// Starts to open the sink; wrong settings are told at once, everything else by `write` and
    /// `commit`.
    pub fn new(config: KafkaSinkConfig, context: SinkContext, encoder: E) -> Result<Self> {
        config.check()?;
        let config = Arc::new(config);
        let ledger = Arc::new(Shared::default());
        let reports = Reports { client: Context::new(config.what()), ledger: Arc::clone(&ledger) };
        let producer: Client = config
            .client()?
            .create_with_context(reports)
            .map_err(|e| creation(&config.what(), e))?;
        let (send, receive) = channel();
        let asked = Arc::clone(&config);
        let started = std::thread::Builder::new()
            .name(format!("kafka-sink-{}", context.worker))
            .spawn(move || {
                let opened = reach(&asked, &producer).map(|()| producer);
                // Nobody listens any more if the sink was closed meanwhile.
                let _ = send.send(opened);
            });
        started.map_err(|error| {
            let text = format!("{}: no thread could be started", config.what());
            Error::new(Kind::Failed, text).caused_by(error)
        })?;
        let state = State::Opening(receive);
        Ok(KafkaSink { config, encoder, state, ledger, key: Vec::new(), value: Vec::new() })
    }

    /// Whether the client is ready; an error if it will never be.
    fn ready(&mut self) -> Result<bool> {
        if let State::Opening(opening) = &self.state {
            match opening.try_recv() {
                Ok(opened) => self.state = State::Open(opened?),
                Err(TryRecvError::Empty) => return Ok(false),
                Err(TryRecvError::Disconnected) => {
                    let text = format!("{}: the thread that opens it ended", self.config.what());
                    return Err(Error::new(Kind::Bug, text));
                }
            }
        }
        Ok(matches!(self.state, State::Open(_)))
    }

    /// Takes in delivery reports that have come; an error if one of them is a failure.
    fn reports(&mut self) -> Result<()> {
        if let State::Open(producer) = &self.state {
            // One call serves one event, which holds the reports of one batch.
            let mut open = producer.in_flight_count();
            loop {
                for _ in 0..8 {
                    producer.poll(Duration::ZERO);
                }
                let before = std::mem::replace(&mut open, producer.in_flight_count());
                if open == 0 || open >= before {
                    break;
                }
            }
            if let Some((code, reason)) = producer.client().fatal_error() {
                let text = format!(
                    "{}: the Kafka client has failed: {code}: {reason}",
                    self.config.what()
                );
                return Err(Error::new(Kind::Failed, text));
            }
        }
        // It is kept: after a failure no commit may ever succeed.
        let failure = self.ledger.lock().failure.clone();
        match failure {
            Some(failure) => Err(self.failed(failure)),
            None => Ok(()),
        }
    }

    fn failed(&self, failure: Failure) -> Error {
        let place = match failure.partition {
            partition @ 0.. => format!("topic `{}`, partition {partition}", self.config.topic),
            _ => format!("topic `{}`", self.config.topic),
        };
        let kind = kind(failure.error.rdkafka_error_code());
        let text = format!(
            "{}: {place}: a record was not delivered: {}",
            self.config.what(),
            failure.error
        );
        Error::new(kind, text)
    }
}

/// Whose failure it is that a record was not taken.
fn kind(code: Option<RDKafkaErrorCode>) -> Kind {
    use RDKafkaErrorCode as Code;
    match code {
        Some(Code::MessageTimedOut | Code::AllBrokersDown | Code::BrokerTransportFailure) => {
            Kind::Unreachable
        }
        Some(Code::MessageSizeTooLarge | Code::InvalidRecord) => Kind::Data,
        Some(
            Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed,
        ) => Kind::Config,
        _ => Kind::Failed,
    }
}

impl<E: Encode> Sink for KafkaSink<E> {
    type Record = E::Record;

    fn name(&self) -> &str {
        &self.config.name
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn write(&mut self, _tick: u64, rows: &mut Vec<Self::Record>) -> Result<Write> {
        if rows.is_empty() {
            return Ok(Write::All);
        }
        if !self.ready()? {
            return Ok(Write::Full);
        }
        self.reports()?;
        let State::Open(producer) = &self.state else { return Ok(Write::Full) };
        let stage = self.ledger.lock().stage();
        let mut sent = 0;
        let mut refused = None;
        for row in &*rows {
            self.key.clear();
            self.value.clear();
            if let Err(reject) = self.encoder.encode(row, &mut self.key, &mut self.value) {
                let what = self.config.what();
                let text = format!("{what}: a row cannot be written: {}", reject.message);
                refused = Some(Error::new(Kind::Data, text));
                break;
            }
            let mut record: BaseRecord<'_, [u8], [u8], usize> =
                BaseRecord::with_opaque_to(&self.config.topic, stage).payload(&self.value);
            if !self.key.is_empty() {
                record = record.key(&self.key);
            }
            match producer.send(record) {
                Ok(()) => sent += 1,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => break,
                Err((error, _)) => {
                    refused = Some(self.failed(Failure { partition: -1, error }));
                    break;
                }
            }
        }
        self.ledger.lock().sent(sent as u64);
        rows.drain(..sent);
        match refused {
            Some(error) => Err(error),
            None if rows.is_empty() => Ok(Write::All),
            None => Ok(Write::Full),
        }
    }

    fn stage(&mut self, tick: u64) -> Result<Staged> {
        let rows = self.ledger.lock().close(tick);
        Ok(Staged { tick, rows, bytes: Vec::new() })
    }

    fn commit(&mut self, staged: &Staged) -> Result<Commit> {
        if !self.ready()? {
            return Ok(Commit::Pending);
        }
        self.reports()?;
        match self.ledger.lock().delivered(staged.tick) {
            true => Ok(Commit::Done),
            false => Ok(Commit::Pending),
        }
    }

    fn close(&mut self) {
        let State::Open(producer) = std::mem::replace(&mut self.state, State::Closed) else {
            return;
        };
        // What was committed has been delivered; the rest gets a short while.
        let since = Instant::now();
        while producer.in_flight_count() > 0 && since.elapsed() < CLOSING {
            producer.poll(Duration::from_millis(5));
        }
        let left = producer.in_flight_count();
        if left > 0 {
            tracing::warn!("{}: closed with {left} records under way", self.config.what());
        }
        let (done, wait) = channel();
        let dropping = std::thread::Builder::new().name("kafka-close".into()).spawn(move || {
            drop(producer);
            let _ = done.send(());
        });
        if dropping.is_ok() && wait.recv_timeout(CLOSING).is_err() {
            tracing::warn!("{}: the producer did not close in time", self.config.what());
        }
    }
}

impl<E: Encode> Drop for KafkaSink<E> {
    fn drop(&mut self) {
        self.close();
    }
}
