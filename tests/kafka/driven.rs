//! A source instance driven by hand, and a decoder that takes everything.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tiderace::decode::{Decode, Raw};
use tiderace::error::Error;
use tiderace::source::kafka::{KafkaSource, KafkaSourceConfig};
use tiderace::source::{
    Batch, Partition, PartitionEvent, Poll, Reject, Source, SourceContext, Waker,
};

use crate::cluster::PATIENCE;

/// A record as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub partition: Partition,
    pub offset: u64,
    pub payload: Option<String>,
    pub key: Option<String>,
    pub headers: Vec<(String, String)>,
    pub millis: Option<i64>,
}

/// Takes everything; a payload that begins with `!` is refused.
pub struct Everything;

impl Decode for Everything {
    type Record = Seen;

    fn decode(&mut self, raw: Raw<'_>) -> Result<Seen, Reject> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut headers = Vec::new();
        raw.headers.for_each(&mut |name, value| {
            headers.push((name.to_string(), value.map(text).unwrap_or_default()));
        });
        if raw.payload.is_some_and(|p| p.starts_with(b"!")) {
            let payload = raw.payload.unwrap_or_default().to_vec();
            return Err(Reject { class: "test".into(), message: "refused".into(), payload });
        }
        Ok(Seen {
            partition: raw.partition,
            offset: raw.offset,
            payload: raw.payload.map(text),
            key: raw.key.map(text),
            headers,
            millis: raw.timestamp.map(|t| t.millis()),
        })
    }
}

/// One source instance, driven by hand.
pub struct Driven {
    pub source: KafkaSource<Everything>,
    pub records: Vec<Seen>,
    pub rejects: Vec<Reject>,
    pub events: Vec<(Partition, PartitionEvent)>,
    pub next: BTreeMap<Partition, u64>,
}

impl Driven {
    pub fn new(config: KafkaSourceConfig) -> Self {
        Self::worker(config, 0, 1)
    }

    pub fn worker(config: KafkaSourceConfig, worker: usize, peers: usize) -> Self {
        let context = SourceContext { worker, peers, waker: Waker::new(|| {}) };
        Self::with_context(config, context)
    }

    pub fn with_context(config: KafkaSourceConfig, context: SourceContext) -> Self {
        let source = KafkaSource::new(config, context, Everything).unwrap();
        let (records, rejects, events) = (Vec::new(), Vec::new(), Vec::new());
        Driven { source, records, rejects, events, next: BTreeMap::new() }
    }

    /// One step; rests a little when nothing came.
    pub fn step(&mut self, limit: usize) -> Result<Poll, Error> {
        let mut batch = Batch::default();
        let poll = self.source.consume(limit, &mut batch)?;
        assert!(batch.len() <= limit);
        let nothing = batch.is_empty();
        for message in batch.take_messages() {
            assert!(message.next > *self.next.get(&message.partition).unwrap_or(&0));
            self.next.insert(message.partition, message.next);
            match message.record {
                Ok(record) => self.records.push(record),
                Err(reject) => self.rejects.push(reject),
            }
        }
        self.events.extend(
            batch.take_events().into_iter().map(|(_, partition, event)| (partition, event)),
        );
        if nothing && poll == Poll::Pending {
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(poll)
    }

    /// Steps until this holds.
    pub fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let since = Instant::now();
        while !done(self) {
            self.step(500).unwrap();
            assert!(since.elapsed() < PATIENCE, "{what}: {:?}", self.events);
        }
    }

    /// Steps until the source knows its partitions.
    pub fn until_ready(&mut self) -> Poll {
        let since = Instant::now();
        loop {
            let poll = self.step(1).unwrap();
            if poll == Poll::None || !self.events.is_empty() {
                return poll;
            }
            assert!(since.elapsed() < PATIENCE, "never ready");
        }
    }

    /// Steps until the source has ended.
    pub fn run_to_end(&mut self) {
        let since = Instant::now();
        while self.step(500).unwrap() != Poll::Finished {
            assert!(since.elapsed() < PATIENCE, "no end: {:?}", self.events);
        }
    }

    /// Steps until it fails.
    pub fn failure(&mut self) -> Error {
        let since = Instant::now();
        loop {
            match self.step(500) {
                Ok(_) => assert!(since.elapsed() < PATIENCE, "no failure: {:?}", self.events),
                Err(error) => return error,
            }
        }
    }

    pub fn has(&self, event: PartitionEvent) -> bool {
        self.events.iter().any(|(_, e)| *e == event)
    }

    pub fn assigned(&self) -> Vec<(Partition, u64)> {
        let assigned = self.events.iter().filter_map(|(partition, event)| match event {
            PartitionEvent::Assigned(offset) => Some((*partition, *offset)),
            _ => None,
        });
        assigned.collect()
    }

    /// The last lag of each partition.
    pub fn lag(&self) -> BTreeMap<Partition, u64> {
        let lags = self.events.iter().filter_map(|(partition, event)| match event {
            PartitionEvent::Lag(lag) => Some((*partition, *lag)),
            _ => None,
        });
        lags.collect()
    }

    pub fn payloads(&self) -> Vec<&str> {
        self.records.iter().filter_map(|r| r.payload.as_deref()).collect()
    }
}
