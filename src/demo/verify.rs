//! The same answer once more, as a batch: every event judged against its own partition, the ids in
//! a set, the readings grouped in a map. It shares no code with the operators.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::{LATENESS, PARTITIONS, PerSecond, RESULTS, WINDOW};
use crate::error::{Error, Kind};
use crate::kafka::embedded::fallen_off;
use crate::source::generate::Sensors;

/// How long the results may take to be read.
const READING: Duration = Duration::from_secs(60);

/// Results by sensor and start of the window, as JSON.
type Rows = BTreeMap<(u32, i64), Vec<PerSecond>>;

/// Compares what is in the topic of results with the batch answer; returns the exit code.
pub(super) fn verify(sensors: &Sensors, events: u64, bootstrap: &str) -> Result<i32, Error> {
    let gone = fallen_off(bootstrap, &[RESULTS], Duration::from_secs(10))?;
    if let Some(first) = gone.first() {
        let message = format!(
            "cannot verify: the embedded Kafka no longer has the first {} results of partition {}",
            first.first, first.partition
        );
        return Err(Error::new(Kind::Failed, message).hint("run with fewer events"));
    }
    let got = read(bootstrap)?;
    let wanted = batch(sensors, events);
    let matched = wanted.iter().filter(|(key, row)| matches(&got, key, row)).count();
    let all: usize = got.values().map(Vec::len).sum();
    if matched == wanted.len() && all == matched {
        eprintln!("verified  {matched} of {} windows match the batch answer", wanted.len());
        return Ok(0);
    }
    eprintln!(
        "verified  {matched} of {} windows match the batch answer; {all} were written",
        wanted.len()
    );
    let differing = wanted.iter().filter(|(key, row)| !matches(&got, key, row));
    for (key, row) in differing.take(5) {
        eprintln!("          wanted {row:?}, got {:?}", got.get(key));
    }
    for (key, rows) in got.iter().filter(|(key, _)| !wanted.contains_key(key)).take(5) {
        eprintln!("          nothing wanted for {key:?}, got {rows:?}");
    }
    Ok(Kind::Failed.exit_code())
}

fn matches(got: &Rows, key: &(u32, i64), row: &PerSecond) -> bool {
    got.get(key).is_some_and(|rows| rows.len() == 1 && rows[0] == *row)
}

/// The answer, from the events alone.
fn batch(sensors: &Sensors, events: u64) -> BTreeMap<(u32, i64), PerSecond> {
    let bound = sensors.disorder().as_millis() as i64;
    let (lateness, window) = (LATENESS.as_millis() as i64, WINDOW.as_millis() as i64);
    let mut newest = vec![i64::MIN; PARTITIONS as usize];
    let mut seen = HashSet::new();
    let mut groups: BTreeMap<(u32, i64), (u64, [i64; 3])> = BTreeMap::new();
    for i in 0..events {
        let event = sensors.event(i);
        let newest = &mut newest[sensors.partition_of(i) as usize];
        let frontier = newest.saturating_sub(bound);
        *newest = event.at.max(*newest);
        if event.at < frontier.saturating_sub(lateness) || !seen.insert(event.id) {
            continue;
        }
        let start = event.at.div_euclid(window) * window;
        if frontier >= start + window {
            continue;
        }
        let new = event.hundredths();
        let (count, [sum, min, max]) =
            groups.entry((event.sensor, start)).or_insert((0, [0, new, new]));
        (*count, *sum, *min, *max) = (*count + 1, *sum + new, new.min(*min), new.max(*max));
    }
    let row = |((sensor, start), (count, sums))| {
        ((sensor, start), PerSecond::of(sensor, start, count, sums))
    };
    groups.into_iter().map(row).collect()
}

/// Everything in the topic of results.
fn read(bootstrap: &str) -> Result<Rows, Error> {
    let failed = |what: &str, cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(Kind::Unreachable, format!("cannot read the results: {what}")).caused_by(cause)
    };
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "tiderace-verify")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "10")
        .create()
        .map_err(|error| failed("no client", error.into()))?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(RESULTS, partition as i32, Offset::Beginning)
            .map_err(|error| failed("no such partition", error.into()))?;
    }
    consumer.assign(&list).map_err(|error| failed("not assigned", error.into()))?;
    let (mut rows, mut ended, begun) = (Rows::new(), HashSet::new(), Instant::now());
    while ended.len() < PARTITIONS as usize {
        if begun.elapsed() > READING {
            let message = format!("reading the results took more than {}", READING.as_secs());
            return Err(Error::new(Kind::Unreachable, message + " s"));
        }
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let row: PerSecond = serde_json::from_slice(message.payload().unwrap_or_default())
                    .map_err(|error| failed("a row is not JSON", error.into()))?;
                rows.entry((row.sensor, row.window[0])).or_default().push(row);
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            Some(Err(error)) => return Err(failed("the client failed", error.into())),
            None => {}
        }
    }
    Ok(rows)
}
