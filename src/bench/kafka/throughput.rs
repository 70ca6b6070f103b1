//! Kafka in, JSON, windows: beside the client alone and the parser alone.

use std::sync::Arc;

use super::fill::{checked, fill};
use super::floor::consume;
use super::report::ThroughputReport;
use super::{Brokers, Topic, one_process};
use crate::bench::json::parser;
use crate::bench::lines::Lines;
use crate::bench::reading::{Reading, Readings};
use crate::bench::windowed::{finished, times, windowed};
use crate::bench::{Cost, Sum, Tally, machine};
use crate::decode::json::Json;
use crate::error::{Error, Kind, Result};
use crate::runtime::{LaunchArgs, execute_with};
use crate::source::kafka::KafkaSource;

/// Events whose bytes the parser is given again and again.
const PARSED: u64 = 200_000;
/// Events in a partition of the embedded brokers: some 3.5 MiB of the 5 that are kept.
const KEPT: u64 = 25_000;
/// Events if there is no number.
const EVENTS: u64 = 5_000_000;

/// What is run.
#[derive(Clone, Debug)]
pub struct Throughput {
    /// How many events there are; as many as embedded brokers keep, or five million.
    pub events: Option<u64>,
    /// How many keys.
    pub keys: u64,
    /// How many partitions the topic has.
    pub partitions: usize,
}

impl Throughput {
    /// Fills a topic, reads it three times, and compares the results with a loop's.
    pub fn run(&self, args: &LaunchArgs, brokers: &Brokers) -> Result<ThroughputReport> {
        one_process(args)?;
        checked(self.partitions)?;
        let load = machine::load();
        let most = if brokers.embedded() { KEPT * self.partitions as u64 } else { EVENTS };
        let (events, workers) = (self.events.unwrap_or(most), args.workers);
        let readings = Readings { keys: self.keys };
        let topic = brokers.topic("in", self.partitions)?;
        let write = |number, into: &mut _| readings.json(number, into);
        let (filling, ()) = Cost::of("producer", events, || fill(&topic, events, write))?;

        let sample = Lines::new(events.min(PARSED), workers, write);
        let parsing = parser(&sample, events)?;
        drop(sample);
        let (client, (messages, bytes)) =
            Cost::of("rdkafka batches alone", events, || consume(&topic, workers))?;
        let tally = Arc::new(Tally::default());
        let (engine, ()) = Cost::of("Kafka, JSON, windows", events, || {
            self.windows(args, &topic, readings, &tally)
        })?;

        if messages != events {
            let message = format!("{events} events were written, and the client read {messages}");
            return Err(Error::new(Kind::Bug, message));
        }
        let right: Sum = readings.by_a_loop(events);
        let floor = client.and(&parsing, "both, one after the other");
        Ok(ThroughputReport {
            brokers: brokers.address().to_owned(),
            embedded: brokers.embedded(),
            events,
            bytes: bytes as f64 / events.max(1) as f64,
            keys: self.keys,
            partitions: self.partitions,
            workers,
            load,
            results: tally.sent(),
            right: tally.sum() == right,
            share: engine.share_of(&floor),
            share_of_rate: engine.per_second / floor.per_second,
            producer: filling,
            client,
            parser: parsing,
            floor,
            engine,
        })
    }

    fn windows(
        &self,
        args: &LaunchArgs,
        topic: &Topic<'_>,
        readings: Readings,
        tally: &Arc<Tally>,
    ) -> Result<()> {
        let (config, tally) = (topic.source("readings"), tally.clone());
        let outcome = execute_with(args.clone(), move |worker| {
            worker.dataflow(|flow| {
                let make =
                    |context| KafkaSource::new(config.clone(), context, Json::<Reading>::new());
                let source = flow.source("readings", make, times(readings));
                windowed(flow, &source.events, tally.clone());
            });
            Ok(())
        })?;
        finished(outcome)
    }
}
