//! What the tests share: clusters, a decoder, an encoder, and drivers for the two traits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tiderace::decode::{Decode, Raw};
use tiderace::error::Error;
use tiderace::kafka::config::Settings;
use tiderace::kafka::embedded::EmbeddedKafka;
use tiderace::source::kafka::{KafkaSource, KafkaSourceConfig};
use tiderace::source::{
    Batch, Partition, PartitionEvent, Poll, Reject, Source, SourceContext, Waker,
};

/// Long enough on a noisy machine, short enough for a hung test to be seen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster to test against.
pub struct Cluster {
    pub bootstrap: String,
    embedded: Option<EmbeddedKafka>,
}

impl Cluster {
    pub fn embedded() -> Self {
        let embedded = EmbeddedKafka::start(1).unwrap();
        Cluster { bootstrap: embedded.bootstrap().to_string(), embedded: Some(embedded) }
    }

    /// The real broker, if there is one.
    pub fn real(test: &str) -> Option<Self> {
        match std::env::var("KAFKA_BOOTSTRAP") {
            Ok(bootstrap) if !bootstrap.is_empty() => Some(Cluster { bootstrap, embedded: None }),
            _ => {
                eprintln!("SKIPPED: {test} against a real broker: KAFKA_BOOTSTRAP is not set");
                None
            }
        }
    }

    /// The embedded cluster always, the real broker when there is one.
    pub fn each(test: &str, check: impl Fn(&Cluster)) {
        check(&Cluster::embedded());
        if let Some(real) = Cluster::real(test) {
            check(&real);
        }
    }

    /// A new topic with a name of its own.
    pub fn topic(&self, name: &str, partitions: i32) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let topic = format!("{name}-{now}-{}-{number}", std::process::id());
        match &self.embedded {
            Some(embedded) => embedded.create_topic(&topic, partitions as usize).unwrap(),
            None => {
                let new = NewTopic::new(&topic, partitions, TopicReplication::Fixed(1));
                // Old timestamps are part of the tests, so nothing may be deleted by age.
                let new = new.set("retention.ms", "-1");
                let made = self.runtime().block_on(self.admin().create_topics([&new], &options()));
                made.unwrap().into_iter().for_each(|r| drop(r.unwrap()));
            }
        }
        topic
    }

    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.bootstrap).create().unwrap()
    }

    pub fn runtime(&self) -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    /// Takes the embedded brokers away, or brings them back.
    pub fn down(&self, down: bool) {
        self.embedded.as_ref().unwrap().set_down(down).unwrap();
    }

    /// Has the next commit fail.
    pub fn refuse_commits(&self) {
        self.embedded.as_ref().unwrap().fail_commits(1).unwrap();
    }

    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    pub fn producer(&self) -> BaseProducer {
        ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("linger.ms", "5")
            .create()
            .unwrap()
    }

    /// Writes `count` records `from..`, numbered within each partition.
    pub fn produce(&self, topic: &str, partitions: i32, from: u64, count: u64) {
        let producer = self.producer();
        for number in from..from + count {
            for partition in 0..partitions {
                let payload = format!("{partition}:{number}");
                send(&producer, BaseRecord::to(topic).partition(partition).payload(&payload));
            }
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// A record with everything a message can have.
    pub fn produce_one(&self, topic: &str, payload: Option<&str>, millis: i64, header: &str) {
        let headers = OwnedHeaders::new()
            .insert(rdkafka::message::Header { key: "trace", value: Some(header) });
        let mut record = BaseRecord::<str, str>::to(topic)
            .partition(0)
            .key("the key")
            .timestamp(millis)
            .headers(headers);
        if let Some(payload) = payload {
            record = record.payload(payload);
        }
        let producer = self.producer();
        producer.send(record).map_err(|(e, _)| e).unwrap();
        producer.flush(PATIENCE).unwrap();
    }

    pub fn config(&self, topic: &str) -> KafkaSourceConfig {
        let mut config = KafkaSourceConfig::new("orders", &self.bootstrap, topic);
        // The embedded cluster parks an empty fetch for the whole of it.
        config.settings = Settings::new().with("fetch.wait.max.ms", "10");
        config.group = format!("group-{topic}");
        config
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)))
}

fn send(producer: &BaseProducer, mut record: BaseRecord<'_, (), String>) {
    loop {
        match producer.send(record) {
            Ok(()) => return,
            Err((_, again)) => record = again,
        }
        producer.poll(Duration::from_millis(1));
    }
}

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
    pub fn to_the_end(&mut self) {
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
