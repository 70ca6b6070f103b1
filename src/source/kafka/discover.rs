//! Looking for partitions that appear while running.
//!
//! This version does not read them: all workers would have to start on them at the same tick. They
//! are warned about and counted, and read after the next start. Fewer partitions than before means
//! that the topic was made again, which stops the run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::config::KafkaSourceConfig;
use crate::error::{Error, Kind, Result};
use crate::kafka::context::Context;

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) struct Discovery {
    stop: Sender<()>,
    looker: JoinHandle<()>,
    found: Arc<Found>,
}

#[derive(Default)]
struct Found {
    appeared: AtomicU64,
    error: Mutex<Option<Error>>,
}

impl Discovery {
    /// Looks every `config.discovery`, beginning one such time from now. With `serve` it serves the
    /// client's events too, because nobody reads from it.
    pub(super) fn start(
        config: Arc<KafkaSourceConfig>,
        consumer: Arc<BaseConsumer<Context>>,
        mut counts: Vec<(String, usize)>,
        serve: bool,
    ) -> Result<Self> {
        let (stop, stopped) = channel();
        let found = Arc::new(Found::default());
        let told = Arc::clone(&found);
        let what = config.what();
        let every = config.discovery.max(Duration::from_millis(100));
        let looker = std::thread::Builder::new().name("kafka-discovery".into()).spawn(move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                for _ in 0..if serve { 256 } else { 0 } {
                    // No record can come: nothing is assigned.
                    let _ = consumer.poll(Duration::ZERO);
                }
                for (topic, count) in &mut counts {
                    match partitions(&consumer, topic) {
                        Some(now) => told.compare(&config, topic, count, now),
                        None => tracing::debug!("{}: no look at `{topic}`", config.what()),
                    }
                }
            }
        });
        let looker = looker.map_err(|error| {
            Error::new(Kind::Failed, format!("{what}: no thread could be started")).caused_by(error)
        })?;
        Ok(Discovery { stop, looker, found })
    }

    /// How many partitions have appeared.
    pub(super) fn appeared(&self) -> u64 {
        self.found.appeared.load(Ordering::Relaxed)
    }

    /// What stops the run, once.
    pub(super) fn error(&self) -> Option<Error> {
        self.found.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ends the looking; waits for the look that is under way.
    pub(super) fn stop(self) {
        drop(self.stop);
        // A panic in there has been reported by the panic hook.
        let _ = self.looker.join();
    }
}

fn partitions(consumer: &BaseConsumer<Context>, topic: &str) -> Option<usize> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).ok()?;
    let found = metadata.topics().iter().find(|t| t.name() == topic)?;
    // A topic that is gone altogether is told by the partitions themselves.
    (found.error().is_none() && !found.partitions().is_empty()).then(|| found.partitions().len())
}

impl Found {
    fn compare(&self, config: &KafkaSourceConfig, topic: &str, count: &mut usize, now: usize) {
        let what = config.what();
        if now > *count {
            self.appeared.fetch_add((now - *count) as u64, Ordering::Relaxed);
            tracing::warn!(
                "{what}: topic `{topic}` has grown from {count} to {now} partitions; \
                 the new ones are not read until the next start"
            );
            *count = now;
        } else if now < *count {
            let text = format!(
                "{what}: topic `{topic}` has shrunk from {count} to {now} partitions: \
                 it was deleted and made again"
            );
            let error = Error::new(Kind::Failed, text).hint(
                "the positions of this run do not belong to the new topic; start anew on purpose",
            );
            *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_counted_and_shrinking_is_an_error() {
        let config = KafkaSourceConfig::new("s", "h:1", "t");
        let found = Found::default();
        let mut count = 2;
        found.compare(&config, "t", &mut count, 2);
        found.compare(&config, "t", &mut count, 5);
        found.compare(&config, "t", &mut count, 5);
        assert_eq!((count, found.appeared.load(Ordering::Relaxed)), (5, 3));
        assert!(found.error.lock().unwrap().is_none());
        found.compare(&config, "t", &mut count, 4);
        let error = found.error.lock().unwrap().take().unwrap().to_string();
        assert!(error.contains("from 5 to 4"), "{error}");
    }
}
