//! Kafka in and out, against the embedded cluster.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tiderace::kafka::embedded::EmbeddedKafka;

use crate::command::{Folder, PATIENCE};

fn pipeline(brokers: &str, topic: &str) -> String {
    format!(
        "
name: relay
sources:
  readings:
    kafka: {{ brokers: \"{brokers}\", topic: {topic}, start: earliest, until: end }}
    time: {{ field: at, behind: 1s }}
steps:
  counts: {{ from: readings, key: sensor, window: {{ tumbling: 10s }}, aggregate: {{ n: count() }} }}
sinks:
  counts: {{ from: counts, kafka: {{ brokers: \"{brokers}\", topic: results, key: sensor }} }}
"
    )
}

fn fill(brokers: &str, topic: &str, rows: i64, partitions: i64) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    for n in 0..rows {
        let payload = format!("{{\"sensor\":\"s{}\",\"at\":{}}}", n % 5, n * 50);
        let record = BaseRecord::<str, str>::to(topic).payload(&payload);
        producer.send(record.partition((n % partitions) as i32)).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

fn drain(brokers: &str, topic: &str, rows: usize) -> Vec<(String, String)> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "test")
        .set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let (mut got, until) = (Vec::new(), Instant::now() + PATIENCE);
    while got.len() < rows && Instant::now() < until {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
            got.push((text(message.key()), text(message.payload())));
        }
    }
    got.sort();
    got
}

#[test]
fn topic_to_topic() {
    let cluster = EmbeddedKafka::start(1).unwrap();
    cluster.create_topic("readings", 4).unwrap();
    cluster.create_topic("results", 2).unwrap();
    fill(cluster.bootstrap(), "readings", 2_000, 4);
    let folder = Folder::with(&pipeline(cluster.bootstrap(), "readings"));
    let ended = folder.run(&["-w", "2"]);
    ended.expect(0, &["kafka readings at"]);
    assert_eq!(["read", "late", "lag"].map(|name| ended.ledger(name)), [2_000, 0, 0]);
    assert_eq!(ended.ledger("results"), 50);
    let rows = drain(cluster.bootstrap(), "results", 50);
    assert_eq!(rows.len(), 50);
    for (key, row) in rows {
        let row: serde_json::Value = serde_json::from_str(&row).unwrap();
        assert_eq!((row["sensor"].as_str(), row["n"].as_u64()), (Some(&*key), Some(40)));
    }
}

/// What was delivered is committed: a second run has nothing to do, a third only what is new.
#[test]
fn a_stateless_relay_goes_on_where_it_left_off() {
    let cluster = EmbeddedKafka::start(1).unwrap();
    cluster.create_topic("readings", 3).unwrap();
    cluster.create_topic("relayed", 1).unwrap();
    let brokers = cluster.bootstrap();
    fill(brokers, "readings", 300, 3);
    let folder = Folder::with(&format!(
        "
name: relay
sources:
  readings: {{ kafka: {{ brokers: \"{brokers}\", topic: readings, until: end }} }}
steps:
  some: {{ from: readings, keep: at >= 100 }}
sinks:
  relayed: {{ from: some, kafka: {{ brokers: \"{brokers}\", topic: relayed, key: [sensor, at] }} }}
"
    ));
    for (workers, read) in [("1", 300), ("2", 0)] {
        let ended = folder.run(&["-w", workers]);
        ended.expect(0, &["at-least-once through committed offsets"]);
        assert_eq!(["read", "lag"].map(|name| ended.ledger(name)), [read, 0]);
    }
    fill(brokers, "readings", 30, 3);
    let ended = folder.run(&["-n", "2"]);
    ended.expect(0, &[]);
    assert_eq!(["read", "filtered"].map(|name| ended.ledger(name)), [30, 2]);
    let rows = drain(brokers, "relayed", 298 + 28);
    assert_eq!(rows.len(), 298 + 28);
    // Whole records pass as they came.
    let row = ("[\"s2\",100]".into(), "{\"sensor\":\"s2\",\"at\":100}".into());
    assert!(rows.contains(&row), "{rows:?}");
}

#[test]
fn an_unknown_topic_is_named() {
    let cluster = EmbeddedKafka::start(1).unwrap();
    cluster.create_topic("readings", 1).unwrap();
    cluster.create_topic("results", 1).unwrap();
    let folder = Folder::with(&pipeline(cluster.bootstrap(), "raedings"));
    let ended = folder.run(&["--start-timeout", "5s"]);
    ended.expect(78, &["source `readings`: there is no topic `raedings`", "readings"]);
}

#[test]
fn an_unreachable_broker_is_69() {
    let folder = Folder::with(&pipeline("127.0.0.1:1", "readings"));
    folder.run(&["--start-timeout", "2s"]).expect(69, &["127.0.0.1:1"]);
}
