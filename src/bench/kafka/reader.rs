//! A reader that takes the times of records, and checks what they say.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::Topic;
use super::copy::{Event, mapped, passes};
use super::floor::Client;
use crate::bench::latency::histogram;
use crate::bench::reading::{Reading, Readings};
use crate::error::{Error, Kind, Result};
use crate::source::kafka::KafkaSourceConfig;

/// What is due when, and what should come of it.
#[derive(Clone, Copy)]
pub struct Plan {
    pub readings: Readings,
    /// Events in a second.
    pub rate: f64,
    /// Events before the first one that counts.
    pub first: u64,
    /// All events.
    pub events: u64,
}

impl Plan {
    /// How many results there should be of the events up to a number.
    pub fn results(&self, numbers: std::ops::Range<u64>) -> u64 {
        numbers.filter(|&number| passes(self.readings.get(number).value)).count() as u64
    }

    /// When an event is due, since the beginning.
    pub fn due(&self, number: u64) -> Duration {
        Duration::from_secs_f64((number - self.first) as f64 / self.rate)
    }

    /// The number of the first event that is not due yet.
    pub fn next(&self, since: Duration) -> u64 {
        self.events.min(self.first + (since.as_secs_f64() * self.rate) as u64)
    }
}

/// What the producer and a reader know of each other.
#[derive(Default)]
pub struct Shared {
    /// When the first event that counts was due.
    pub begun: OnceLock<Instant>,
    /// Records that have come.
    pub come: AtomicU64,
    over: AtomicBool,
}

/// Which of the topics is read.
#[derive(Clone, Copy)]
pub enum Side {
    /// The first one, with the events.
    Events,
    /// The second one, with the results.
    Results,
}

/// Reads a topic, and takes the times of its records in microseconds.
pub struct Reader {
    thread: JoinHandle<Result<Histogram<u64>>>,
    /// What it knows of the producer.
    pub shared: Arc<Shared>,
}

impl Reader {
    /// Starts to read.
    pub fn start(topic: &Topic<'_>, plan: Plan, side: Side) -> Result<Reader> {
        let config = KafkaSourceConfig { bounded: false, ..topic.source("reader") };
        let shared = Arc::new(Shared::default());
        let told = shared.clone();
        let thread = thread("tiderace:reader", move || read(&config, &plan, side, &told))?;
        Ok(Reader { thread, shared })
    }

    /// Whether it has ended by itself, which only happens after an error.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it; the times in microseconds.
    pub fn end(self) -> Result<Histogram<u64>> {
        self.shared.over.store(true, SeqCst);
        ended(self.thread)
    }
}

fn read(
    config: &KafkaSourceConfig,
    plan: &Plan,
    side: Side,
    shared: &Shared,
) -> Result<Histogram<u64>> {
    let mut client = Client::open(config, 0, 1)?;
    let (mut times, mut wrong) = (histogram(), None);
    let mut seen = vec![false; plan.events as usize];
    while !shared.over.load(SeqCst) && wrong.is_none() {
        let mut come = 0;
        client.take(|message| {
            let now = Instant::now();
            let payload = message.payload().unwrap_or_default();
            let Some(id) = right(payload, plan, side, &mut seen) else {
                wrong.get_or_insert_with(|| String::from_utf8_lossy(payload).into_owned());
                return;
            };
            come += 1;
            if let Some(begun) = shared.begun.get()
                && id >= plan.first
            {
                let late = now.saturating_duration_since(*begun + plan.due(id));
                times.saturating_record((late.as_micros() as u64).max(1));
            }
        })?;
        shared.come.fetch_add(come, SeqCst);
    }
    client.close();
    match wrong {
        None => Ok(times),
        Some(what) => Err(Error::new(Kind::Bug, format!("a record is wrong, or twice: {what}"))),
    }
}

/// The number of the event, if the record is what should come of it, for the first time.
fn right(payload: &[u8], plan: &Plan, side: Side, seen: &mut [bool]) -> Option<u64> {
    let record: Event = serde_json::from_slice(payload).ok()?;
    let id = record.id;
    let seen = seen.get_mut(usize::try_from(id).ok()?)?;
    let Reading { at, key, value } = plan.readings.get(id);
    let due = match side {
        Side::Events => Some(value),
        Side::Results => passes(value).then(|| mapped(value)),
    };
    let right = due.is_some_and(|value| record == Event { id, at, key, value });
    (right && !std::mem::replace(seen, true)).then_some(id)
}

/// What came of a thread.
pub fn ended<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    let panicked = |_| Err(Error::new(Kind::Bug, "a thread of the benchmark panicked"));
    thread.join().unwrap_or_else(panicked)
}

/// Starts a thread.
pub fn thread<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<JoinHandle<Result<T>>> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| Error::new(Kind::Failed, "no thread could be started").caused_by(error))
}
