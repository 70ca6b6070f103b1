//! Random feeds, and the plainest model of when a record is late.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Feed, Workers};
use crate::time::{EventTime, Span};

/// A record of a random feed. It knows its source, partition and time, for models to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Row {
    /// Which source it was read from.
    pub source: u32,
    /// Which partition.
    pub partition: u32,
    /// Its event time in microseconds.
    pub time: i64,
    /// One of a few keys.
    pub key: u8,
    /// A number.
    pub value: i32,
}

/// So many cases, or as many times that as the environment variable `CASES_TIMES` says: few where
/// a test has to be quick, many where it has a night.
#[allow(clippy::disallowed_methods, reason = "tests may be told how long to run")]
pub fn cases(cases: u32) -> ProptestConfig {
    let times = std::env::var("CASES_TIMES").ok().and_then(|times| times.parse().ok());
    ProptestConfig::with_cases(cases * times.unwrap_or(1))
}

/// Where a random feed is cut, and the workers that run up to there.
pub fn cuts() -> impl Strategy<Value = Vec<(usize, Workers)>> {
    prop::collection::vec((0usize..160, 1usize..6), 1..4).prop_map(|mut cuts| {
        cuts.sort();
        cuts.into_iter().map(|(at, threads)| (at, Workers::threads(threads))).collect()
    })
}

/// Feeds of one source.
pub fn feeds() -> impl Strategy<Value = Feed<Row>> {
    feeds_of(1)
}

/// Feeds around 1970, with times on both sides of it. In half of them times drift forward as real
/// ones do, in the others they jump about, so that many records are late.
pub fn feeds_of(sources: u32) -> impl Strategy<Value = Feed<Row>> {
    (1u32..4, 0i64..40, 0.0f64..1.0, any::<bool>()).prop_flat_map(
        move |(partitions, bound, cut, drift)| {
            let row = (0..sources, 0..partitions, -150i64..150, 0u8..4, -50i32..50);
            let rows = prop::collection::vec((row, prop::bool::weighted(cut)), 0..80);
            rows.prop_map(move |rows| {
                let mut feed = Feed::new(Span::from_micros(bound));
                (0..sources).for_each(|source| {
                    (0..partitions).for_each(|partition| feed.partition(source, partition));
                });
                let n = rows.len() as i64;
                for (at, ((source, partition, time, key, value), ends)) in
                    rows.into_iter().enumerate()
                {
                    let time = if drift { time / 4 + (at as i64 - n / 2) * 4 } else { time };
                    let row = Row { source, partition, time, key, value };
                    feed.row(source, partition, EventTime::from_micros(time), row);
                    feed.end_tick_after(ends);
                }
                feed
            })
        },
    )
}

/// Each record with the frontier of its partition just before it was read, in microseconds
/// (`i64::MIN` for the first): bounded out-of-orderness, written once more in the plainest way.
pub fn judged(feed: &Feed<Row>) -> Vec<(Row, i64)> {
    let mut newest: BTreeMap<(u32, u32), i64> = BTreeMap::new();
    let mut judged = Vec::new();
    for (source, partition, time, row) in feed.rows() {
        let before = newest.get(&(source, partition)).copied();
        judged.push((*row, before.map_or(i64::MIN, |newest| newest - feed.bound.micros())));
        let time = time.micros();
        newest.insert((source, partition), before.map_or(time, |newest| newest.max(time)));
    }
    judged
}
