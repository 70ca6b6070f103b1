//! A plain producer, for events that are fed to topics rather than written by a sink. It counts what
//! has not arrived.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::config::{Role, Settings, client};
use super::error::creation;
use crate::error::{Error, Kind, Result};

/// Counts the events that were not delivered.
#[derive(Default)]
struct Deliveries {
    failed: AtomicU64,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.failed.fetch_add(u64::from(result.is_err()), SeqCst);
    }
}

/// A producer with the settings of a sink.
pub(crate) struct Feeding {
    producer: BaseProducer<Deliveries>,
    what: String,
    brokers: String,
}

impl Feeding {
    /// A producer; `what` it is stands in front of its errors.
    pub(crate) fn new(what: &str, brokers: &str, settings: &Settings) -> Result<Self> {
        let producer = client(Role::Sink, what, brokers, settings, &[])?
            .create_with_context(Deliveries::default())
            .map_err(|error| creation(what, error))?;
        Ok(Feeding { producer, what: what.to_owned(), brokers: brokers.to_owned() })
    }

    /// Sends an event to a partition; false if the client is full for now, and has to be polled.
    pub(crate) fn send(&self, topic: &str, partition: i32, payload: &[u8]) -> Result<bool> {
        let record = BaseRecord::<(), [u8]>::to(topic).payload(payload).partition(partition);
        match self.producer.send(record) {
            Ok(()) => Ok(true),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Ok(false),
            Err((error, _)) => Err(self.lost(1).caused_by(error)),
        }
    }

    /// Sends an event to a partition, and waits while the client is full.
    pub(crate) fn send_all(&self, topic: &str, partition: i32, payload: &[u8]) -> Result<()> {
        while !self.send(topic, partition, payload)? {
            self.wait();
        }
        Ok(())
    }

    /// Takes in what was delivered.
    pub(crate) fn poll(&self) {
        // One call serves one event, which holds the reports of one batch.
        (0..8).for_each(|_| self.producer.poll(Duration::ZERO));
    }

    /// Takes in what was delivered, and lets a millisecond pass. (The client's own `poll` spins for the
    /// last millisecond of its time.)
    pub(crate) fn wait(&self) {
        self.poll();
        std::thread::sleep(Duration::from_millis(1));
    }

    /// Waits until everything is delivered, for so long.
    pub(crate) fn flush(&self, within: Duration) -> Result<()> {
        let begun = Instant::now();
        while self.producer.in_flight_count() > 0 && begun.elapsed() < within {
            self.wait();
        }
        let failed = self.producer.context().failed.load(SeqCst);
        match failed + self.producer.in_flight_count() as u64 {
            0 => Ok(()),
            lost => Err(self.lost(lost)),
        }
    }

    fn lost(&self, events: u64) -> Error {
        let Feeding { what, brokers, .. } = self;
        let message = format!("{what}: {events} events did not reach Kafka at {brokers}");
        Error::new(Kind::Unreachable, message)
    }
}
