//! Joins by key, of the events with even numbers and those with odd ones.

mod floor;

use std::time::Duration;

use tiderace_operators::prelude::*;

use crate::floor::making;
use crate::tally::hash;
use crate::{Agrees, Event, Feed, Load, Row, Tally, Work};

pub const WORK: Work = Work { name: "join", events: 600_000, keys: &[1_000, 1_000_000], rows };

fn rows() -> Vec<Row> {
    vec![
        making(),
        Row::bare("bare interval join", floor::interval),
        Row::flow("interval join", interval).gives("bare interval join", Agrees::Wholly),
        Row::bare("bare window join", floor::window),
        Row::flow("window join", window).gives("bare window join", Agrees::Wholly),
        Row::bare("bare as-of join", floor::as_of),
        Row::flow("as-of join", as_of).gives("bare as-of join", Agrees::Wholly),
    ]
}

/// How near in event time, in microseconds, the rows of a pair are, so that there is about one pair a
/// row: of the key that has most of them, if keys are uneven.
fn near(load: Load) -> i64 {
    load.keys.min(100u64.checked_div(load.skew).unwrap_or(u64::MAX)) as i64 * 10
}

/// A number for a pair.
#[inline]
fn pair(left: &Event, right: Option<f64>) -> u64 {
    hash([left.0, left.1.to_bits(), right.map_or(u64::MAX, f64::to_bits)])
}

fn interval(feed: &Feed<'_>, tally: Tally) {
    let [left, right] = feed.halves();
    let within = Interval::within(micros(near(feed.load())));
    let right = right.key_by(|event| event.0);
    let joined = left.key_by(|event| event.0).join_interval("joined", right, within);
    joined.inner().inspect(move |row| tally.add(pair(&row.data.0, Some(row.data.1.1))));
}

fn window(feed: &Feed<'_>, tally: Tally) {
    let [left, right] = feed.halves();
    let windows = Tumbling::every(micros(2 * near(feed.load())));
    let left = left.key_by(|event| event.0).window(windows);
    let joined = left.join("joined", right.key_by(|event| event.0)).inner();
    joined.inspect(move |row| {
        let (left, right) = &row.data.value;
        tally.add(pair(left, Some(right.1)));
    });
}

fn as_of(feed: &Feed<'_>, tally: Tally) {
    let [left, right] = feed.halves();
    let right = right.key_by(|event| event.0);
    let left = left.key_by(|event| event.0);
    let joined = left.join_as_of("joined", right, AsOf::backward()).left();
    joined.inspect(move |row| {
        let (left, right) = &row.data;
        tally.add(pair(left, right.map(|(_, value)| value)));
    });
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros as u64)
}
