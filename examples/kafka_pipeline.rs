//! Kafka in, Kafka out, with Rust types: sensor readings from a topic, copies removed, summarised by
//! window, written to another topic.
//!
//! It needs no services: it starts the embedded Kafka, fills a topic, runs the pipeline, reads the
//! results back and compares them with what a loop over the same events says. With a cluster of
//! your own, only the address changes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tiderace::decode::json::Json;
use tiderace::encode::json::Json as ToJson;
use tiderace::kafka::embedded::EmbeddedKafka;
use tiderace::prelude::*;
use tiderace::runtime::finish;
use tiderace::sink::kafka::{KafkaSink, KafkaSinkConfig};
use tiderace::sink::memory::Collected;
use tiderace::source::generate::{Generator, SensorEvent, Sensors};
use tiderace::source::kafka::{KafkaSource, KafkaSourceConfig};

const EVENTS: u64 = 5_000;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Summary {
    sensor: u32,
    /// Milliseconds since 1970.
    from: i64,
    readings: u64,
    hottest_hundredths: Option<i64>,
}

fn sensors() -> Sensors {
    Sensors::default().keys(5).partitions(1).late(0.0, secs(0)).duplicates(0.05)
}

fn main() -> ExitCode {
    finish(run())
}

fn run() -> Result<(), Error> {
    let kafka = EmbeddedKafka::start(1)?;
    kafka.create_topic("readings", 4)?;
    kafka.create_topic("summaries", 2)?;
    let brokers = kafka.bootstrap().to_owned();
    fill(brokers.clone())?;
    summarise(brokers.clone())?;
    let summaries = read_back(brokers)?;
    for Summary { sensor, from, readings, hottest_hundredths } in summaries.iter().take(5) {
        println!(
            "sensor {sensor} from {from}: {readings} readings, at most {hottest_hundredths:?}"
        );
    }
    println!("… {} summaries in all", summaries.len());
    assert_eq!(summaries, by_a_loop());
    Ok(())
}

/// Writes the generator's events to the topic, each to the partition of its sensor.
fn fill(brokers: String) -> Result<(), Error> {
    tiderace::execute(std::env::args(), move |worker| {
        let config = KafkaSinkConfig::new("fill", &brokers, "readings");
        worker.dataflow(|flow| {
            let generator = Generator::new("sensors", sensors()).events(EVENTS);
            let times = event_time(|event: &SensorEvent| EventTime::from_millis(event.at))
                .behind(sensors().disorder());
            let events = flow.source("sensors", |context| generator.build(context), times).events;
            let by_sensor = |event: &SensorEvent, key: &mut Vec<u8>| {
                write!(key, "{}", event.sensor).expect("a vector takes every byte");
            };
            flow.sink("fill", &events, |c| KafkaSink::new(config, c, ToJson::keyed_by(by_sensor)));
        });
        Ok(())
    })?;
    Ok(())
}

/// The pipeline itself. Bounded: it ends at what is in the topic when it starts.
fn summarise(brokers: String) -> Result<(), Error> {
    tiderace::execute(std::env::args(), move |worker| {
        let mut input = KafkaSourceConfig::new("readings", &brokers, "readings");
        input.bounded = true;
        let output = KafkaSinkConfig::new("summaries", &brokers, "summaries");
        worker.dataflow(|flow| {
            let times = event_time(|event: &SensorEvent| EventTime::from_millis(event.at))
                .behind(sensors().disorder());
            let make = |context| KafkaSource::new(input, context, Json::<SensorEvent>::new());
            let readings = flow.source("readings", make, times);
            readings.rejects.inspect(|row| panic!("{}", row.data.reject.message));

            let summaries = readings
                .events
                .key_by(|event| event.id)
                .dedup("once", Horizon::within(mins(10)))
                .key_by(|event| event.sensor)
                .window(Tumbling::every(secs(10)))
                .aggregate("per_ten_seconds", (Count, Max::of(SensorEvent::hundredths)))
                .map(|row| Summary {
                    sensor: row.key,
                    from: row.window.start.millis(),
                    readings: row.value.0,
                    hottest_hundredths: row.value.1,
                });
            flow.sink("summaries", &summaries, |c| KafkaSink::new(output, c, ToJson::new()));
        });
        Ok(())
    })?;
    Ok(())
}

/// Everything in the topic of results, sorted.
fn read_back(brokers: String) -> Result<Vec<Summary>, Error> {
    let rows = Collected::new();
    let seen = rows.clone();
    tiderace::execute(std::env::args(), move |worker| {
        let mut config = KafkaSourceConfig::new("results", &brokers, "summaries");
        config.bounded = true;
        worker.dataflow(|flow| {
            let times = event_time(|row: &Summary| EventTime::from_millis(row.from));
            let make = |context| KafkaSource::new(config, context, Json::<Summary>::new());
            let results = flow.source("results", make, times);
            flow.sink("seen", &results.events, |_| Ok(seen.sink("seen")));
        });
        Ok(())
    })?;
    Ok(rows.sorted())
}

/// The answer, computed from the events alone.
fn by_a_loop() -> Vec<Summary> {
    let mut seen = BTreeSet::new();
    let mut windows = BTreeMap::new();
    for event in (0..EVENTS).map(|index| sensors().event(index)) {
        if seen.insert(event.id) {
            let from = event.at.div_euclid(10_000) * 10_000;
            let (readings, hottest) = windows.entry((event.sensor, from)).or_insert((0, None));
            *readings += 1;
            *hottest = (*hottest).max(Some(event.hundredths()));
        }
    }
    let summary = |((sensor, from), (readings, hottest_hundredths))| Summary {
        sensor,
        from,
        readings,
        hottest_hundredths,
    };
    windows.into_iter().map(summary).collect()
}
