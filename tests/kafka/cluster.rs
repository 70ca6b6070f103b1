//! Clusters to test against, and ways to fill their topics.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tiderace::kafka::config::Settings;
use tiderace::kafka::embedded::EmbeddedKafka;
use tiderace::source::kafka::KafkaSourceConfig;

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
                // Past the capture of the test harness, which hides what a passing test says.
                let why = "KAFKA_BOOTSTRAP is not set";
                _ = writeln!(std::io::stderr(), "SKIPPED: {test} against a real broker: {why}");
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

    /// Writes so many records in one transaction, and ends it.
    pub fn transaction(&self, topic: &str, count: u64, commit: bool) {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("transactional.id", topic)
            .create()
            .unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        for number in 0..count {
            send(&producer, BaseRecord::to(topic).partition(0).payload(&number.to_string()));
        }
        producer.flush(PATIENCE).unwrap();
        match commit {
            true => producer.commit_transaction(PATIENCE).unwrap(),
            false => producer.abort_transaction(PATIENCE).unwrap(),
        }
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
