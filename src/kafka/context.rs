//! What librdkafka calls back: its log lines, errors, statistics and the results of commits.
//!
//! All of it carries the name of the source or sink. Lines about a lost connection repeat once a
//! second while a broker is down; they are told once, and again when the connection is back.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;

/// The state of a client as its callbacks know it.
pub(crate) struct Context {
    /// "source `orders`" or "sink `out`".
    what: String,
    down: AtomicBool,
    commit_failures: AtomicU64,
    committed: Mutex<Vec<(String, i32, i64)>>,
    last: Mutex<Option<String>>,
    refused: Mutex<Option<String>>,
    connections: Mutex<Option<Connections>>,
}

/// From the statistics: topic and partition, and whether the broker it is read from is connected.
pub(crate) type Connections = HashMap<(String, i32), bool>;

impl Context {
    pub(crate) fn new(what: String) -> Self {
        Context {
            what,
            down: AtomicBool::new(false),
            commit_failures: AtomicU64::new(0),
            committed: Mutex::default(),
            last: Mutex::new(None),
            refused: Mutex::new(None),
            connections: Mutex::new(None),
        }
    }

    /// Whether no broker at all is connected, as far as is known.
    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Something has come from a broker.
    pub(crate) fn is_up(&self) {
        if self.down.swap(false, Ordering::Relaxed) {
            tracing::info!("{}: connected to Kafka again", self.what);
        }
    }

    /// How many offsets were not committed.
    pub(crate) fn commit_failures(&self) -> u64 {
        self.commit_failures.load(Ordering::Relaxed)
    }

    /// The offsets that were committed since this was last asked, by topic and partition.
    pub(crate) fn take_committed(&self) -> Vec<(String, i32, i64)> {
        std::mem::take(&mut *lock(&self.committed))
    }

    /// What went wrong last with a connection.
    pub(crate) fn last_error(&self) -> Option<String> {
        lock(&self.last).clone()
    }

    /// A refusal that no repetition heals: wrong credentials, or a fatal error of the client.
    pub(crate) fn refused(&self) -> Option<String> {
        lock(&self.refused).clone()
    }

    /// The newest statistics, once.
    pub(crate) fn take_connections(&self) -> Option<Connections> {
        take(&self.connections)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn take<T>(mutex: &Mutex<Option<T>>) -> Option<T> {
    lock(mutex).take()
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
        // These come as errors too, with a reason; here they would be a second line about it.
        let noise = matches!(facility, "FAIL" | "ERROR");
        match level {
            _ if noise => tracing::debug!(target: "tiderace::kafka", "{}: {line}", self.what),
            Emerg | Alert | Critical | Error => {
                tracing::error!(target: "tiderace::kafka", "{}: {facility}: {line}", self.what)
            }
            Warning => {
                tracing::warn!(target: "tiderace::kafka", "{}: {facility}: {line}", self.what)
            }
            Notice | Info => {
                tracing::info!(target: "tiderace::kafka", "{}: {facility}: {line}", self.what)
            }
            Debug => {
                tracing::debug!(target: "tiderace::kafka", "{}: {facility}: {line}", self.what)
            }
        }
    }

    fn stats_raw(&self, json: &[u8]) {
        match serde_json::from_slice::<Stats>(json) {
            Ok(stats) => *lock(&self.connections) = Some(stats.connections()),
            Err(error) => tracing::debug!("{}: statistics of librdkafka: {error}", self.what),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        // "All brokers are down" says less than what came before it.
        let mut last = lock(&self.last);
        if code != Some(RDKafkaErrorCode::AllBrokersDown) || last.is_none() {
            *last = Some(reason.to_string());
        }
        drop(last);
        match code {
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                // Statistics from before do not speak for now.
                take(&self.connections);
                if !self.down.swap(true, Ordering::Relaxed) {
                    tracing::warn!("{}: no Kafka broker is connected: {reason}", self.what);
                }
            }
            Some(
                RDKafkaErrorCode::Fatal
                | RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::UnsupportedSASLMechanism,
            ) => {
                // The client tries again and again; once is enough to be told.
                if lock(&self.refused).replace(reason.to_string()).is_none() {
                    tracing::error!("{}: {reason}", self.what);
                }
            }
            _ => tracing::debug!("{}: {error}: {reason}", self.what),
        }
    }
}

impl ConsumerContext for Context {
    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        match result {
            Ok(()) => {
                lock(&self.committed).extend(offsets.elements().iter().filter_map(|element| {
                    let Offset::Offset(offset) = element.offset() else { return None };
                    Some((element.topic().to_owned(), element.partition(), offset))
                }))
            }
            Err(error) => {
                self.commit_failures.fetch_add(offsets.count() as u64, Ordering::Relaxed);
                tracing::warn!("{}: offsets were not committed: {error}", self.what);
            }
        }
    }
}

/// The few statistics that are used.
#[derive(Deserialize)]
struct Stats {
    #[serde(default)]
    brokers: HashMap<String, Broker>,
    #[serde(default)]
    topics: HashMap<String, Topic>,
}

#[derive(Deserialize)]
struct Broker {
    nodeid: i32,
    state: String,
}

#[derive(Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: HashMap<i32, Log>,
}

#[derive(Deserialize)]
struct Log {
    broker: i32,
}

impl Stats {
    fn connections(&self) -> Connections {
        let up = |id| self.brokers.values().any(|b| b.nodeid == id && b.state == "UP");
        let logs =
            self.topics.iter().flat_map(|(topic, t)| t.partitions.iter().map(move |p| (topic, p)));
        logs.filter(|(_, (number, _))| **number >= 0)
            .map(|(topic, (number, log))| ((topic.clone(), *number), up(log.broker)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_tell_which_partitions_are_connected() {
        let context = Context::new("source `a`".into());
        context.stats_raw(
            br#"{"name":"x","brokers":{"h:1/1":{"nodeid":1,"state":"UP"},"h:2/2":{"nodeid":2,"state":"DOWN"}},
            "topics":{"t":{"partitions":{"0":{"broker":1,"x":1},"1":{"broker":2},"-1":{"broker":-1}}}}}"#,
        );
        let found = context.take_connections().unwrap();
        assert_eq!(found.len(), 2);
        assert!(found[&("t".to_string(), 0)] && !found[&("t".to_string(), 1)]);
        assert!(context.take_connections().is_none());
        context.stats_raw(b"not json");
        assert!(context.take_connections().is_none());
    }
}
