//! Joins of the events with even numbers and those with odd ones.

mod floor;

use tiderace_operators::prelude::*;

use crate::support::{Event, Load, Row, program_2};
use crate::windows::{WINDOW, micros};

/// How far apart in event time, in microseconds, the rows of a pair may be so that there is about
/// one pair a row.
fn near(load: Load) -> i64 {
    load.keys as i64 * 10
}

/// A number that tells a pair from others.
#[inline]
fn of_pair(left: f64, right: f64) -> u64 {
    (left * 1e3) as u64 ^ ((right * 1e6) as u64)
}

/// Rows that a table is made of.
fn changes_table(value: f64) -> bool {
    value < 100.0
}

fn as_of(load: Load, as_of: AsOf) -> (u64, u64) {
    program_2(load, move |left, right, tally| {
        let right = right.key_by(|event| event.0);
        let left = left.key_by(|event| event.0);
        let joined = left.join_as_of("joined", right, as_of).left();
        joined.inspect(move |row| tally.add(u64::from(row.data.1.is_some())));
    })
}

pub fn rows(load: Load) -> Vec<Row> {
    let near_by = near(load);
    let pair = |left: &Event, right: &Event| of_pair(left.1, right.1);
    vec![
        Row::new("bare interval join", load, floor::interval),
        Row::new("interval join", load, move |load| {
            program_2(load, move |left, right, tally| {
                let right = right.key_by(|event| event.0);
                let within = Interval::within(micros(near_by));
                let joined = left.key_by(|event| event.0).join_interval("joined", right, within);
                joined.inner().inspect(move |row| tally.add(pair(&row.data.0, &row.data.1)));
            })
        })
        .gives("bare interval join"),
        Row::new("interval join, full outer", load, move |load| {
            program_2(load, move |left, right, tally| {
                let right = right.key_by(|event| event.0);
                let within = Interval::within(micros(near_by));
                let joined = left.key_by(|event| event.0).join_interval("joined", right, within);
                joined.full().inspect(move |row| {
                    let (left, right) = &row.data;
                    tally.add(left.zip(*right).map_or(0, |(left, right)| pair(&left, &right)));
                });
            })
        })
        .adds_up("bare interval join"),
        Row::new("bare window join", load, floor::window),
        Row::new("window join", load, move |load| {
            program_2(load, move |left, right, tally| {
                let windows = Tumbling::every(micros(2 * near_by));
                let left = left.key_by(|event| event.0).window(windows);
                let joined = left.join("joined", right.key_by(|event| event.0)).inner();
                joined.inspect(move |row| {
                    let (left, right) = &row.data.value;
                    tally.add(pair(left, right));
                });
            })
        })
        .gives("bare window join"),
        Row::new("bare cogroup", load, floor::cogroup),
        Row::new("cogroup", load, |load| {
            program_2(load, |left, right, tally| {
                let left = left.key_by(|event| event.0).window(Tumbling::every(micros(WINDOW)));
                let right = right.key_by(|event| event.0);
                let both = left.cogroup("both", right, Count, Count);
                both.inspect(move |row| tally.add(row.data.value.0 * 3 + row.data.value.1));
            })
        })
        .gives("bare cogroup"),
        Row::new("bare as-of join", load, |load| floor::as_of(load, |_| true)),
        Row::new("as-of join", load, |load| as_of(load, AsOf::backward())).gives("bare as-of join"),
        Row::new("as-of join, nearest", load, |load| as_of(load, AsOf::nearest(secs(1))))
            .beside("bare as-of join"),
        Row::new("bare lookup join", load, |load| floor::as_of(load, changes_table)),
        Row::new("lookup join", load, |load| {
            program_2(load, |left, right, tally| {
                let table = right.filter("table", |event| changes_table(event.1));
                let table = table.map(|(key, value)| (key, Some(value)));
                let joined = left.lookup("joined", &table, |event| event.0).left();
                joined.inspect(move |row| tally.add(u64::from(row.data.1.is_some())));
            })
        })
        .gives("bare lookup join"),
    ]
}
