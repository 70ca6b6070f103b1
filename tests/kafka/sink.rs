//! The sink: everything arrives, keys land where they belong, a full queue is no failure.

use std::time::{Duration, Instant};

use tiderace::encode::Encode;
use tiderace::error::{Error, Kind};
use tiderace::kafka::config::Settings;
use tiderace::sink::kafka::{KafkaSink, KafkaSinkConfig};
use tiderace::sink::{Commit, Guarantee, Sink, SinkContext, Staged, Write};
use tiderace::source::Reject;

use crate::cluster::{Cluster, PATIENCE};
use crate::driven::Driven;

/// Key and value of a row; a value of `!` cannot be encoded.
struct Pair;

impl Encode for Pair {
    type Record = (String, String);

    fn encode(
        &mut self,
        (name, text): &Self::Record,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<(), Reject> {
        if text == "!" {
            let message = "not possible".to_string();
            return Err(Reject { class: "test".into(), message, payload: Vec::new() });
        }
        key.extend_from_slice(name.as_bytes());
        value.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn sink(config: KafkaSinkConfig) -> KafkaSink<Pair> {
    KafkaSink::new(config, SinkContext { worker: 0, peers: 1 }, Pair).unwrap()
}

fn rows(range: std::ops::Range<u64>) -> Vec<(String, String)> {
    range.map(|n| (format!("key-{}", n % 17), n.to_string())).collect()
}

/// Writes all the rows; how often the sink was full.
fn write(sink: &mut KafkaSink<Pair>, tick: u64, mut rows: Vec<(String, String)>) -> usize {
    let since = Instant::now();
    let mut full = 0;
    while sink.write(tick, &mut rows).unwrap() == Write::Full {
        full += 1;
        assert!(since.elapsed() < PATIENCE, "{} rows left", rows.len());
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(rows.is_empty());
    full
}

fn commit(sink: &mut KafkaSink<Pair>, staged: &Staged) -> Result<(), Error> {
    let since = Instant::now();
    while sink.commit(staged)? == Commit::Pending {
        assert!(since.elapsed() < PATIENCE, "no delivery reports");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn read(cluster: &Cluster, topic: &str) -> Driven {
    let mut config = cluster.config(topic);
    config.bounded = true;
    let mut driven = Driven::new(config);
    driven.run_to_end();
    driven
}

#[test]
fn what_is_committed_is_there_with_its_keys() {
    Cluster::each("sink", |cluster| {
        let topic = cluster.topic("out", 4);
        let mut sink = sink(KafkaSinkConfig::new("out", &cluster.bootstrap, &topic));
        assert_eq!(sink.guarantee(), Guarantee::AtLeastOnce);
        write(&mut sink, 1, rows(0..600));
        let first = sink.stage(1).unwrap();
        write(&mut sink, 2, rows(600..1000));
        let second = sink.stage(2).unwrap();
        assert_eq!((first.rows, second.rows), (600, 400));
        commit(&mut sink, &second).unwrap();
        // The earlier tick is part of it, and repeating a commit is harmless.
        assert_eq!(sink.commit(&first).unwrap(), Commit::Done);
        assert_eq!(sink.commit(&second).unwrap(), Commit::Done);
        let driven = read(cluster, &topic);
        let mut numbers: Vec<u64> = driven.payloads().iter().map(|p| p.parse().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
        // One key, one partition, in order.
        let mut last = std::collections::HashMap::new();
        for record in &driven.records {
            let number: u64 = record.payload.as_ref().unwrap().parse().unwrap();
            assert_eq!(record.key, Some(format!("key-{}", number % 17)));
            let before = last.insert(record.key.clone(), (record.partition, number));
            if let Some((partition, before)) = before {
                assert!(partition == record.partition && before < number);
            }
        }
        sink.close();
    });
}

#[test]
fn keys_land_where_a_java_producer_puts_them() {
    let cluster = Cluster::embedded();
    let topic = cluster.topic("murmur", 10);
    let mut sink = sink(KafkaSinkConfig::new("out", &cluster.bootstrap, &topic));
    // From Kafka's own test of its partitioner: murmur2("21") = -973932308, ("foobar") = -790332482.
    let pairs = [("21", -973_932_308_i32), ("foobar", -790_332_482)];
    write(&mut sink, 1, pairs.iter().map(|(k, _)| (k.to_string(), k.to_string())).collect());
    let staged = sink.stage(1).unwrap();
    commit(&mut sink, &staged).unwrap();
    let driven = read(&cluster, &topic);
    assert_eq!(driven.records.len(), 2);
    for (key, hash) in pairs {
        let record = driven.records.iter().find(|r| r.key.as_deref() == Some(key)).unwrap();
        assert_eq!(record.partition, (hash & i32::MAX).cast_unsigned() % 10, "{key}");
    }
}

#[test]
fn a_full_queue_is_back_pressure() {
    let cluster = Cluster::embedded();
    let topic = cluster.topic("narrow", 2);
    let mut config = KafkaSinkConfig::new("out", &cluster.bootstrap, &topic);
    config.settings = Settings::new().with("queue.buffering.max.messages", "50");
    let mut sink = sink(config);
    // The first refusals only say that the client is being opened.
    write(&mut sink, 1, rows(0..1));
    let full = write(&mut sink, 1, rows(1..2000));
    assert!(full > 0, "the queue was never full");
    let staged = sink.stage(1).unwrap();
    assert_eq!(staged.rows, 2000);
    commit(&mut sink, &staged).unwrap();
    assert_eq!(read(&cluster, &topic).records.len(), 2000);
}

#[test]
fn a_failed_delivery_names_topic_and_reason_and_stays_failed() {
    let Some(cluster) = Cluster::real("failed delivery") else { return };
    let topic = cluster.topic("small", 1);
    let mut config = KafkaSinkConfig::new("out", &cluster.bootstrap, &topic);
    // Bigger than the broker takes, and not refused by the client before.
    config.settings =
        Settings::new().with("message.max.bytes", "9000000").with("compression.type", "none");
    let mut sink = sink(config);
    write(&mut sink, 1, vec![("k".into(), "x".repeat(3_000_000))]);
    let staged = sink.stage(1).unwrap();
    let error = commit(&mut sink, &staged).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    let text = error.to_string();
    assert!(text.contains(&topic) && text.contains("partition 0"), "{text}");
    assert!(sink.commit(&staged).is_err(), "a failed delivery is never done");
}

#[test]
fn a_row_too_large_for_the_client_is_an_error() {
    let cluster = Cluster::embedded();
    let topic = cluster.topic("large", 1);
    let mut sink = sink(KafkaSinkConfig::new("out", &cluster.bootstrap, &topic));
    write(&mut sink, 1, rows(0..1));
    let mut rows = vec![("k".to_string(), "x".repeat(3_000_000))];
    let error = sink.write(1, &mut rows).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.to_string().contains(&topic), "{error}");
    assert_eq!(rows.len(), 1, "it was not taken");
}

#[test]
fn a_row_that_cannot_be_encoded_is_an_error_and_the_ones_before_are_written() {
    let cluster = Cluster::embedded();
    let topic = cluster.topic("encode", 1);
    let mut sink = sink(KafkaSinkConfig::new("out", &cluster.bootstrap, &topic));
    write(&mut sink, 1, rows(0..1));
    let mut more = rows(1..3);
    more.push(("k".into(), "!".into()));
    let error = sink.write(1, &mut more).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.to_string().contains("not possible"), "{error}");
    assert_eq!(more.len(), 1);
    let staged = sink.stage(1).unwrap();
    assert_eq!(staged.rows, 3);
    commit(&mut sink, &staged).unwrap();
    assert_eq!(read(&cluster, &topic).records.len(), 3);
}

#[test]
fn an_outage_is_waited_for_and_nothing_is_lost_or_doubled() {
    let cluster = Cluster::embedded();
    let topic = cluster.topic("outage", 2);
    let mut config = KafkaSinkConfig::new("out", &cluster.bootstrap, &topic);
    config.settings = Settings::new().with("reconnect.backoff.max.ms", "500");
    let mut sink = sink(config);
    write(&mut sink, 1, rows(0..100));
    let before = sink.stage(1).unwrap();
    commit(&mut sink, &before).unwrap();
    cluster.down(true);
    write(&mut sink, 2, rows(100..300));
    let during = sink.stage(2).unwrap();
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(1) {
        assert_eq!(sink.commit(&during).unwrap(), Commit::Pending);
        std::thread::sleep(Duration::from_millis(5));
    }
    cluster.down(false);
    commit(&mut sink, &during).unwrap();
    let driven = read(&cluster, &topic);
    let mut numbers: Vec<u64> = driven.payloads().iter().map(|p| p.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..300).collect::<Vec<_>>());
}

#[test]
fn an_outage_that_lasts_too_long_is_an_error() {
    let cluster = Cluster::embedded();
    let topic = cluster.topic("outage", 1);
    let mut config = KafkaSinkConfig::new("out", &cluster.bootstrap, &topic);
    config.settings = Settings::new().with("message.timeout.ms", "1500");
    let mut sink = sink(config);
    write(&mut sink, 1, rows(0..1));
    let staged = sink.stage(1).unwrap();
    commit(&mut sink, &staged).unwrap();
    cluster.down(true);
    write(&mut sink, 2, rows(1..5));
    let staged = sink.stage(2).unwrap();
    let error = commit(&mut sink, &staged).unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable, "{error}");
    assert!(error.to_string().contains(&topic), "{error}");
    sink.close();
}
