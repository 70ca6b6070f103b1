//! Wrong settings, wrong names, nobody there, and things that get lost.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tiderace::encode::Encode;
use tiderace::error::{Error, Kind};
use tiderace::kafka::config::Settings;
use tiderace::kafka::embedded::{FallenOff, fallen_off};
use tiderace::sink::kafka::{KafkaSink, KafkaSinkConfig};
use tiderace::sink::{Sink, SinkContext};
use tiderace::source::kafka::{KafkaSource, KafkaSourceConfig, OnMissing};
use tiderace::source::{PartitionEvent, Reject, Source, SourceContext, Waker};

use crate::cluster::{Cluster, PATIENCE};
use crate::driven::{Driven, Everything};

struct Text;

impl Encode for Text {
    type Record = String;

    fn encode(&mut self, row: &String, _: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<(), Reject> {
        value.extend_from_slice(row.as_bytes());
        Ok(())
    }
}

/// The failure of a source, at its making or later.
fn source_failure(config: KafkaSourceConfig) -> Error {
    let context = SourceContext { worker: 0, peers: 1, waker: Waker::new(|| {}) };
    if let Err(error) = KafkaSource::new(config.clone(), context, Everything) {
        return error;
    }
    Driven::new(config).failure()
}

/// The failure of a sink, at its making or later.
fn sink_failure(config: KafkaSinkConfig) -> Error {
    let mut sink = match KafkaSink::new(config, SinkContext { worker: 0, peers: 1 }, Text) {
        Ok(sink) => sink,
        Err(error) => return error,
    };
    let since = Instant::now();
    loop {
        if let Err(error) = sink.write(1, &mut vec!["row".to_string()]) {
            return error;
        }
        assert!(since.elapsed() < PATIENCE, "no failure");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_unknown_topic_is_named_with_the_ones_like_it() {
    Cluster::each("unknown topic", |cluster| {
        let topic = cluster.topic("payments", 1);
        let wrong = topic.replace("payments", "paymnets");
        let error = source_failure(cluster.config(&wrong));
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains(&wrong), "{error}");
        assert!(error.to_string().contains("orders"), "{error}");
        let hint = error.hint_text().unwrap();
        assert!(hint.contains(&topic), "{hint}");
        if cluster.is_embedded() {
            // It makes topics for producers.
            return;
        }
        let error = sink_failure(KafkaSinkConfig::new("out", &cluster.bootstrap, &wrong));
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains(&wrong), "{error}");
        assert!(error.hint_text().unwrap().contains("payments"), "{error}");
    });
}

#[test]
fn a_broker_that_is_not_there_is_told_in_bounded_time() {
    // A port that is bound but not listened on refuses everybody, and nobody else can take it.
    let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    bound.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let free = bound.local_addr().unwrap().as_socket().unwrap().to_string();
    let since = Instant::now();
    let mut config = KafkaSourceConfig::new("orders", &free, "t");
    config.start_timeout = Duration::from_secs(2);
    let error = source_failure(config);
    assert_eq!(error.kind(), Kind::Unreachable);
    assert_eq!(error.kind().exit_code(), 69);
    assert!(error.to_string().contains(&free), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");

    let mut config = KafkaSinkConfig::new("out", &free, "t");
    config.start_timeout = Duration::from_secs(2);
    let error = sink_failure(config);
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.to_string().contains(&free), "{error}");
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
}

#[test]
fn a_listener_that_never_answers_is_told_in_bounded_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config =
        KafkaSourceConfig::new("orders", silent.local_addr().unwrap().to_string(), "t");
    config.start_timeout = Duration::from_secs(2);
    let since = Instant::now();
    assert_eq!(source_failure(config).kind(), Kind::Unreachable);
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
}

#[test]
fn refused_settings_are_named() {
    let with = |key: &str, value: &str| {
        let mut config = KafkaSourceConfig::new("orders", "127.0.0.1:1", "t");
        config.settings = Settings::new().with(key, value);
        // No broker is asked for it: there is none.
        let error = config.check().unwrap_err();
        assert_eq!(error.to_string(), source_failure(config).to_string());
        error
    };
    for key in ["enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset", "group.id"] {
        let error = with(key, "true");
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains(key), "{error}");
        assert!(error.hint_text().is_some());
    }
    for (key, value) in [("no.such.property", "1"), ("fetch.wait.max.ms", "soon")] {
        let error = with(key, value);
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains(key), "{error}");
    }
    let mut config = KafkaSinkConfig::new("out", "127.0.0.1:1", "t");
    config.settings = Settings::new().with("transactional.id", "x");
    let error = sink_failure(config);
    assert!(error.to_string().contains("transactional.id"), "{error}");
}

#[test]
fn tls_and_sasl_are_passed_through_and_secrets_are_not_shown() {
    let cluster = Cluster::embedded();
    let topic = cluster.topic("secure", 1);
    let mut config = cluster.config(&topic);
    config.start_timeout = Duration::from_secs(2);
    config.settings = Settings::new()
        .with("security.protocol", "sasl_ssl")
        .with("sasl.mechanism", "SCRAM-SHA-256")
        .with("sasl.username", "ann")
        .with("sasl.password", "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"));
    // The embedded cluster speaks no TLS, so this cannot succeed; it must not be read in plain.
    let error = source_failure(config.clone());
    let shown = format!("{error} {error:?} {:?}", error.hint_text());
    assert!(!shown.contains("hunter2"), "{shown}");
    config.settings.set("ssl.key.pem", "hunter2");
    let error = source_failure(config);
    assert_eq!(error.kind(), Kind::Config);
    let shown = format!("{error} {error:?} {:?}", error.hint_text());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn what_falls_off_the_embedded_cluster_is_seen() {
    let cluster = Cluster::embedded();
    let topics = [cluster.topic("full", 1), cluster.topic("fine", 2)];
    cluster.produce(&topics[1], 2, 0, 10);
    let names = [topics[0].as_str(), topics[1].as_str()];
    assert_eq!(fallen_off(&cluster.bootstrap, &names, PATIENCE).unwrap(), []);
    fill(&cluster, &topics[0], 12);
    let gone = fallen_off(&cluster.bootstrap, &names, PATIENCE).unwrap();
    let [FallenOff { topic, partition: 0, first }] = &gone[..] else { panic!("{gone:?}") };
    assert!(*topic == topics[0] && *first > 0, "{gone:?}");
}

/// Writes so many records of a MiB to partition 0.
fn fill(cluster: &Cluster, topic: &str, records: usize) {
    use rdkafka::producer::{BaseRecord, Producer};
    let producer = cluster.producer();
    for _ in 0..records {
        let payload = vec![b'x'; 900_000];
        let record: BaseRecord<'_, (), _> = BaseRecord::to(topic).partition(0).payload(&payload);
        producer.send(record).map_err(|(e, _)| e).unwrap();
        producer.flush(PATIENCE).unwrap();
    }
}

/// Reads a few records, then sleeps while what comes next falls off.
fn overtaken(cluster: &Cluster, on_missing: OnMissing) -> Driven {
    let topic = cluster.topic("overtaken", 1);
    cluster.produce(&topic, 1, 0, 3);
    let mut config = cluster.config(&topic);
    config.on_missing = on_missing;
    // Little is fetched ahead, so that the position is really gone.
    config.settings.set("queued.max.messages.kbytes", "1");
    config.settings.set("queued.min.messages", "1");
    config.settings.set("fetch.message.max.bytes", "1000");
    config.settings.set("fetch.max.bytes", "1000");
    config.settings.set("message.max.bytes", "1000");
    let mut driven = Driven::new(config);
    driven.until("the first ones", |d| d.records.len() == 3);
    fill(cluster, &topic, 20);
    driven
}

#[test]
fn a_reader_that_is_overtaken_fails_or_goes_on_where_it_was_told() {
    let cluster = Cluster::embedded();
    let error = overtaken(&cluster, OnMissing::Fail).failure();
    let text = error.to_string();
    assert!(text.contains("partition 0") && text.contains("is not there"), "{text}");

    let mut driven = overtaken(&cluster, OnMissing::Earliest);
    driven.until("the end", |d| d.next.get(&0) == Some(&23));
    let skipped = driven.source.counters().skipped;
    assert!(skipped > 0, "nothing was skipped");
    assert_eq!(driven.records.len() as u64 + skipped, 23, "read or counted as skipped");
}

#[test]
fn a_lost_connection_takes_the_confirmation_back() {
    let cluster = Cluster::embedded();
    let topic = cluster.topic("lost", 1);
    cluster.produce(&topic, 1, 0, 3);
    let mut config = cluster.config(&topic);
    config.settings.set("statistics.interval.ms", "500");
    config.settings.set("reconnect.backoff.max.ms", "500");
    let mut driven = Driven::new(config);
    driven.until("caught up", |d| d.has(PartitionEvent::CaughtUp));
    assert!(!driven.has(PartitionEvent::Unconfirmed));
    cluster.down(true);
    driven.until("unconfirmed", |d| d.has(PartitionEvent::Unconfirmed));
    driven.events.clear();
    cluster.down(false);
    driven.until("caught up again", |d| d.has(PartitionEvent::CaughtUp));
    cluster.produce(&topic, 1, 3, 2);
    driven.until("read on", |d| d.records.len() == 5);
}

#[test]
fn a_commit_that_fails_is_told_and_counted_and_reading_goes_on() {
    let cluster = Cluster::embedded();
    let topic = cluster.topic("refused", 1);
    cluster.produce(&topic, 1, 0, 3);
    let mut driven = Driven::new(cluster.config(&topic));
    driven.until("read", |d| d.records.len() == 3);
    assert!(driven.source.commit(&[(9, 1)]).is_err(), "not a partition of this instance");
    cluster.refuse_commits();
    driven.source.commit(&[(0, 3)]).unwrap();
    driven.until("counted", |d| d.source.counters().commit_failures == 1);
    let answers = driven.source.answers().expect("Kafka answers later");
    assert_eq!((answers.committed, answers.failed), (vec![], 1));
    driven.source.commit(&[(0, 3)]).unwrap();
    let (mut committed, begun) = (Vec::new(), Instant::now());
    while committed.is_empty() && begun.elapsed() < Duration::from_secs(20) {
        let answers = driven.source.answers().expect("Kafka answers later");
        assert_eq!(answers.failed, 0, "told once");
        committed.extend(answers.committed);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(committed, [(0, 3)]);
    cluster.produce(&topic, 1, 3, 1);
    driven.until("read on", |d| d.records.len() == 4);
}

#[test]
fn partitions_that_appear_are_counted_and_the_rest_is_read_on() {
    let Some(cluster) = Cluster::real("new partitions") else { return };
    use rdkafka::admin::{AdminOptions, NewPartitions};
    let topic = cluster.topic("grows", 2);
    let mut config = cluster.config(&topic);
    config.discovery = Duration::from_millis(300);
    let mut driven = Driven::new(config);
    driven.until("assigned", |d| d.assigned().len() == 2);
    let admin = cluster.admin();
    let grow = [NewPartitions::new(&topic, 5)];
    let grown = cluster.runtime().block_on(admin.create_partitions(&grow, &AdminOptions::new()));
    grown.unwrap().into_iter().for_each(|r| drop(r.unwrap()));
    driven.until("counted", |d| d.source.counters().new_partitions == 3);
    cluster.produce(&topic, 2, 0, 5);
    driven.until("read on", |d| d.records.len() == 10);
}

#[test]
fn closing_early_and_twice_is_harmless() {
    let cluster = Cluster::embedded();
    let topic = cluster.topic("close", 1);
    let mut driven = Driven::new(cluster.config(&topic));
    driven.source.close();
    driven.source.close();
    let mut driven = Driven::new(cluster.config(&topic));
    driven.until("assigned", |d| !d.assigned().is_empty());
    driven.source.close();
    driven.source.close();
    drop(driven);
}
