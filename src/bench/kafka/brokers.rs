//! The brokers that a benchmark goes through, and its topics in them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;

use crate::error::{Error, Kind, Result};
use crate::kafka::config::Settings;
use crate::kafka::embedded::{EmbeddedKafka, fallen_off};
use crate::source::kafka::KafkaSourceConfig;

/// How long the brokers may take to make or remove a topic, or to tell what is in it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Brokers somewhere, or embedded in this process.
pub struct Brokers {
    address: String,
    embedded: Option<EmbeddedKafka>,
}

impl Brokers {
    /// Those at an address, or else embedded ones.
    pub fn at(address: Option<String>) -> Result<Brokers> {
        match address {
            Some(address) => Ok(Brokers { address, embedded: None }),
            None => {
                let embedded = EmbeddedKafka::start(1)?;
                Ok(Brokers { address: embedded.bootstrap().to_owned(), embedded: Some(embedded) })
            }
        }
    }

    /// Their address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether they run in this process, whose processor time then has theirs in it.
    pub fn embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// Makes a topic that nobody else uses. It is removed when it is dropped.
    pub fn topic(&self, name: &str, partitions: usize) -> Result<Topic<'_>> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let now = crate::clock::Clock::system().wall().millis();
        let name = format!("tiderace-bench-{name}-{now}-{}-{number}", std::process::id());
        let topic = Topic { brokers: self, name, partitions };
        match &self.embedded {
            Some(embedded) => embedded.create_topic(&topic.name, partitions)?,
            None => topic.make()?,
        }
        Ok(topic)
    }
}

/// A topic for the time of a benchmark.
pub struct Topic<'a> {
    brokers: &'a Brokers,
    name: String,
    partitions: usize,
}

impl Topic<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.brokers.address
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> usize {
        self.partitions
    }

    /// The settings of a source that reads all there is in it, and commits nothing.
    pub fn source(&self, name: &str) -> KafkaSourceConfig {
        let settings = match self.brokers.embedded() {
            // They answer when the wait is over, and not when something has come.
            true => Settings::new().with("fetch.wait.max.ms", "10"),
            false => Settings::new(),
        };
        KafkaSourceConfig {
            bounded: true,
            commit: false,
            settings,
            ..KafkaSourceConfig::new(name, self.address(), self.name())
        }
    }

    /// An error if the beginning of a partition is gone, as it is when more is written than embedded
    /// brokers keep.
    pub fn whole(&self) -> Result<()> {
        let lost = fallen_off(self.address(), &[&self.name], PATIENCE)?;
        match lost.first() {
            None => Ok(()),
            Some(lost) => {
                let message = format!(
                    "topic `{}`, partition {}: the first {} events are gone already",
                    self.name, lost.partition, lost.first
                );
                let hint = match self.brokers.embedded() {
                    true => {
                        "embedded brokers keep 5 MiB of a partition: fewer events, more \
                         partitions, or --brokers HOST:PORT"
                    }
                    false => "the broker's retention is too short for a benchmark",
                };
                Err(Error::new(Kind::Usage, message).hint(hint))
            }
        }
    }

    fn make(&self) -> Result<()> {
        let partitions = i32::try_from(self.partitions)
            .map_err(|_| Error::new(Kind::Usage, "that many partitions cannot be"))?;
        // One replica: what is measured is this side.
        let new = NewTopic::new(&self.name, partitions, TopicReplication::Fixed(1));
        let made = wait(async { self.admin()?.create_topics([&new], &options()).await });
        self.answered("made", made)
    }

    fn remove(&self) -> Result<()> {
        let gone = wait(async { self.admin()?.delete_topics(&[&self.name], &options()).await });
        self.answered("removed", gone)
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, KafkaError> {
        ClientConfig::new().set("bootstrap.servers", self.address()).create()
    }

    fn answered<C: std::fmt::Display>(
        &self,
        what: &str,
        answer: Result<Result<Vec<Result<String, (String, C)>>, KafkaError>>,
    ) -> Result<()> {
        let failed = |why: &str| {
            let Topic { name, .. } = self;
            let message = format!("topic `{name}` was not {what} at {}: {why}", self.address());
            Error::new(Kind::Unreachable, message)
        };
        let answers = answer?.map_err(|error| failed(&error.to_string()))?;
        let refused = answers.into_iter().find_map(Result::err);
        refused.map_or(Ok(()), |(_, code)| Err(failed(&code.to_string())))
    }
}

impl Drop for Topic<'_> {
    fn drop(&mut self) {
        // Embedded brokers end with the benchmark.
        if !self.brokers.embedded()
            && let Err(error) = self.remove()
        {
            tracing::warn!("{error}");
        }
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

/// Waits for an answer on this thread.
fn wait<T>(answer: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| {
        Error::new(Kind::Failed, "nothing to wait for brokers with").caused_by(error)
    })?;
    Ok(runtime.block_on(answer))
}
