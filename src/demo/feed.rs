//! Feeds the embedded Kafka, at the pace of its consumers.
//!
//! The embedded Kafka keeps the newest 5 MiB of a partition and drops the rest. So the feeder stays
//! a bounded number of events ahead of the offsets that the job has committed: nothing can fall off
//! before it was read.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::{PARTITIONS, READINGS};
use crate::error::{Error, Kind};
use crate::kafka::config::Settings;
use crate::kafka::produce::Feeding;
use crate::source::generate::Sensors;

/// How many events of a partition may wait to be read: some 2 MiB of the 5 that are kept.
const AHEAD: u64 = 25_000;
/// How many events are there before the job starts.
const FIRST: u64 = 64 * PARTITIONS as u64;
/// How long the last events may take to be delivered.
const FLUSH: Duration = Duration::from_secs(20);

/// A feeder at work.
pub(super) struct Feeder {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), Error>>,
}

impl Feeder {
    /// Stops it; an error of its own comes out here.
    pub(super) fn stop(self) -> Result<(), Error> {
        self.stop.store(true, SeqCst);
        let ended = self.thread.join();
        ended.unwrap_or_else(|_| Err(Error::new(Kind::Bug, "the feeder of the demo panicked")))
    }
}

/// Starts to feed the series, up to a number of events, at a rate. Returns when every partition has
/// records: one that is empty when the job starts counts as idle, and would hold nothing back.
pub(super) fn start(
    bootstrap: &str,
    sensors: Sensors,
    events: Option<u64>,
    rate: Option<f64>,
) -> Result<Feeder, Error> {
    let failed = |error: KafkaError| Error::new(Kind::Unreachable, "the feeder").caused_by(error);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    let consumer: BaseConsumer =
        config.set("group.id", format!("tiderace-{READINGS}")).create().map_err(failed)?;
    let producer = Feeding::new("the feeder of the demo", bootstrap, &Settings::new())?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let (ready, wait) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("tiderace:feeder".into())
        .spawn(move || {
            let first = events.unwrap_or(FIRST).min(FIRST);
            send(&producer, &sensors, 0..first, || Some(u64::MAX))?;
            producer.flush(FLUSH)?;
            // The other side may have given up; then nobody waits.
            let _ = ready.send(());
            let pace = Pace { begun: Instant::now(), first, rate, consumer, stop: stopped };
            let rest = first..events.unwrap_or(u64::MAX);
            send(&producer, &sensors, rest, || pace.allowed())?;
            producer.flush(FLUSH)
        })
        .map_err(|error| Error::new(Kind::Failed, "cannot start the feeder").caused_by(error))?;
    // An error is told when the feeder is stopped.
    let _ = wait.recv_timeout(FLUSH);
    Ok(Feeder { stop, thread })
}

/// How far the feeder may go.
struct Pace {
    begun: Instant,
    /// How many events were sent before.
    first: u64,
    rate: Option<f64>,
    consumer: BaseConsumer,
    stop: Arc<AtomicBool>,
}

impl Pace {
    /// The number of events that may be sent by now; none when it is over.
    fn allowed(&self) -> Option<u64> {
        if self.stop.load(SeqCst) {
            return None;
        }
        let room = committed(&self.consumer) + AHEAD * u64::from(PARTITIONS);
        let due = |rate: f64| self.first + (self.begun.elapsed().as_secs_f64() * rate) as u64;
        Some(self.rate.map_or(room, |rate| room.min(due(rate))))
    }
}

/// Sends a stretch of the series, no further than allowed.
fn send(
    producer: &Feeding,
    sensors: &Sensors,
    stretch: Range<u64>,
    allow: impl Fn() -> Option<u64>,
) -> Result<(), Error> {
    let (mut allowed, mut json) = (0, Vec::new());
    for i in stretch {
        while i >= allowed {
            let Some(now) = allow() else { return Ok(()) };
            // Not too much in one go: the pace is looked at again.
            allowed = now.min(i + 5_000);
            if i >= allowed {
                producer.wait();
            }
        }
        json.clear();
        serde_json::to_writer(&mut json, &sensors.event(i))
            .map_err(|error| Error::new(Kind::Bug, "an event is not JSON").caused_by(error))?;
        while !producer.send(READINGS, sensors.partition_of(i) as i32, &json)? {
            if allow().is_none() {
                return Ok(());
            }
            producer.wait();
        }
        if i % 512 == 0 {
            producer.poll();
        }
    }
    Ok(())
}

/// How many events the job has certainly read: the partition furthest behind decides.
fn committed(consumer: &BaseConsumer) -> u64 {
    let mut list = TopicPartitionList::with_capacity(PARTITIONS as usize);
    for partition in 0..PARTITIONS {
        list.add_partition(READINGS, partition as i32);
    }
    // While the group is not known yet nothing is committed.
    let Ok(list) = consumer.committed_offsets(list, Duration::from_secs(5)) else { return 0 };
    let offsets = list.elements().into_iter().map(|element| match element.offset() {
        Offset::Offset(offset) => offset as u64,
        _ => 0,
    });
    offsets.min().unwrap_or(0) * u64::from(PARTITIONS)
}
