//! Embedded Kafka: librdkafka's mock cluster, for the demo and for tests.
//!
//! It is a real TCP server on loopback, so other processes can use it by its address too. It ends
//! with the value that owns it, and everything in it is gone then.
//!
//! What it is not: it keeps only the last **5 MiB** (and 100,000 batches) of each partition and drops
//! the oldest batch first; [`fallen_off`] tells whether that has happened. It is no broker for
//! exactly-once: it fences nobody and shows aborted data. It answers every question for an offset by
//! time with the end, and partitions cannot be added to a topic.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::error::{Error, Kind, Result};

/// How much of a partition the embedded cluster keeps, in bytes.
pub const KEPT_PER_PARTITION: u64 = 5 * 1024 * 1024;

/// A Kafka cluster inside this process. Drop it to end it.
pub struct EmbeddedKafka {
    bootstrap: String,
    brokers: i32,
    // The cluster's handle cannot leave the thread that made it, so one thread keeps it.
    requests: Option<Sender<Request>>,
    keeper: Option<JoinHandle<()>>,
}

type Request = Box<dyn FnOnce(&MockCluster<'static, DefaultProducerContext>) + Send>;

impl EmbeddedKafka {
    /// Starts a cluster of so many brokers (at least one) on free ports of 127.0.0.1.
    pub fn start(brokers: usize) -> Result<Self> {
        let failed = |why: String| {
            Error::new(Kind::Failed, format!("the embedded Kafka could not be started: {why}"))
        };
        let brokers = i32::try_from(brokers.clamp(1, 64)).expect("at most 64");
        let (started, start) = channel();
        let (requests, inbox) = channel();
        let keeper = std::thread::Builder::new()
            .name("embedded-kafka".into())
            .spawn(move || keep(brokers, &started, &inbox))
            .map_err(|e| failed(e.to_string()))?;
        let bootstrap = match start.recv() {
            Ok(Ok(bootstrap)) => bootstrap,
            Ok(Err(why)) => return Err(failed(why)),
            Err(_) => return Err(failed("its thread ended".into())),
        };
        Ok(EmbeddedKafka { bootstrap, brokers, requests: Some(requests), keeper: Some(keeper) })
    }

    /// The address for clients of this and other processes: `host:port`, separated by commas.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Makes a topic with so many partitions.
    pub fn create_topic(&self, name: &str, partitions: usize) -> Result<()> {
        let failed = |why: &str| {
            Error::new(Kind::Failed, format!("embedded Kafka: topic `{name}` was not made: {why}"))
        };
        let partitions = i32::try_from(partitions).map_err(|_| failed("too many partitions"))?;
        if partitions == 0 {
            return Err(failed("it needs at least one partition"));
        }
        let topic = name.to_string();
        match self.ask(move |cluster| cluster.create_topic(&topic, partitions, 1)) {
            Some(Ok(())) => Ok(()),
            Some(Err(why)) => Err(failed(&why.to_string())),
            None => Err(failed("the cluster has ended")),
        }
    }

    /// Cuts all brokers off from their clients, or lets them be reached again.
    pub fn set_down(&self, down: bool) -> Result<()> {
        let brokers = self.brokers;
        let set = self.ask(move |cluster| {
            (1..=brokers).try_for_each(|id| match down {
                true => cluster.broker_down(id),
                false => cluster.broker_up(id),
            })
        });
        told("brokers were not switched", set)
    }

    /// Has the next commits of offsets fail, so many of them.
    pub fn fail_commits(&self, commits: usize) -> Result<()> {
        let errors = vec![RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; commits];
        let set = self.ask(move |cluster| {
            cluster.request_errors(RDKafkaApiKey::OffsetCommit, &errors);
            Ok(())
        });
        told("failing commits were not set up", set)
    }

    /// Has the keeper of the cluster do this; `None` if it has ended.
    fn ask<R: Send + 'static>(
        &self,
        ask: impl FnOnce(&MockCluster<'static, DefaultProducerContext>) -> R + Send + 'static,
    ) -> Option<R> {
        let (answer, answered) = channel();
        let request: Request = Box::new(move |cluster| {
            // Whoever asked waits for it.
            let _ = answer.send(ask(cluster));
        });
        self.requests.as_ref()?.send(request).ok()?;
        answered.recv().ok()
    }
}

fn told(what: &str, answer: Option<KafkaResult<()>>) -> Result<()> {
    let why = match answer {
        Some(Ok(())) => return Ok(()),
        Some(Err(error)) => error.to_string(),
        None => "the cluster has ended".to_string(),
    };
    Err(Error::new(Kind::Failed, format!("embedded Kafka: {what}: {why}")))
}

impl Drop for EmbeddedKafka {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(keeper) = self.keeper.take() {
            // It only ends its loop; a panic in there has been reported by the panic hook.
            let _ = keeper.join();
        }
    }
}

fn keep(brokers: i32, started: &Sender<Result<String, String>>, inbox: &Receiver<Request>) {
    let cluster = match MockCluster::new(brokers) {
        Ok(cluster) => cluster,
        Err(error) => {
            let _ = started.send(Err(error.to_string()));
            return;
        }
    };
    let _ = started.send(Ok(cluster.bootstrap_servers()));
    for request in inbox {
        request(&cluster);
    }
}

/// A partition whose beginning is no longer there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallenOff {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset that is still there.
    pub first: u64,
}

/// Which partitions of these topics have lost their oldest records (their first offset is not zero).
/// Blocks for up to `timeout` for each partition.
pub fn fallen_off(bootstrap: &str, topics: &[&str], timeout: Duration) -> Result<Vec<FallenOff>> {
    let failed = |what: &str, error: rdkafka::error::KafkaError| {
        let message = format!("Kafka at {bootstrap}: {what}: {error}");
        Error::new(Kind::Unreachable, message)
    };
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .map_err(|e| failed("no client", e))?;
    let mut found = Vec::new();
    for topic in topics {
        let metadata = client
            .fetch_metadata(Some(topic), timeout)
            .map_err(|e| failed(&format!("topic `{topic}`"), e))?;
        for partition in metadata.topics().iter().flat_map(|t| t.partitions()) {
            let (low, _) =
                client.fetch_watermarks(topic, partition.id(), timeout).map_err(|e| {
                    failed(&format!("topic `{topic}`, partition {}", partition.id()), e)
                })?;
            if let Some(first) = u64::try_from(low).ok().filter(|low| *low > 0) {
                let topic = (*topic).to_string();
                found.push(FallenOff { topic, partition: partition.id(), first });
            }
        }
    }
    Ok(found)
}
