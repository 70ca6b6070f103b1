//! What keeps no state, and what lets some rows pass.

use hashbrown::HashMap;
use tiderace_operators::events_time::Shift;
use tiderace_operators::prelude::*;

use crate::floor::ticks;
use crate::support::{Event, Load, Row, Tally, program};
use crate::windows::{WINDOW, micros, tumbling};

/// How many rows of a key pass in a second, and how many are in a reservoir.
const RATE: u64 = 10;

/// Counts the rows of a stream, and adds up their keys.
fn count(rows: &Events<'_, u64, Event>, tally: Tally) {
    rows.inspect(move |row| tally.add(row.data.0));
}

/// Counts events and adds up their keys.
fn bare(load: Load) -> (u64, u64) {
    let mut tally = (0, 0);
    let add = |tally: &mut (u64, u64), _, _, event: Event| {
        *tally = (tally.0 + 1, tally.1.wrapping_add(event.0));
    };
    ticks(load, &mut tally, add, |_, _| ());
    tally
}

/// A count per key for each second.
fn bare_rate(load: Load) -> (u64, u64) {
    let mut state = (HashMap::<i64, HashMap<u64, u64>>::new(), 0);
    ticks(
        load,
        &mut state,
        |(periods, passed), _, time, (key, _)| {
            let keys = periods.entry(time.div_euclid(1_000_000)).or_default();
            let count = keys.entry(key).or_default();
            *passed += u64::from(*count < RATE);
            *count += 1;
        },
        |(periods, _), frontier| periods.retain(|period, _| (period + 1) * 1_000_000 > frontier),
    );
    (state.1, state.1)
}

/// Stateless operators on one stream.
fn stateless<B>(name: &'static str, load: Load, build: B) -> Row
where
    B: Fn(&Events<'_, u64, Event>, Tally) + Send + Sync + Clone + 'static,
{
    Row::new(name, load, move |load| program(load, build.clone()))
}

pub fn rows(load: Load) -> Vec<Row> {
    vec![
        Row::new("bare rows", load, bare),
        stateless("inspect", load, count).gives("bare rows"),
        stateless("map, filter, flat_map", load, |input, tally| {
            let rows =
                input.map(|(key, value)| (key, value + 1.0)).filter("all", |row| row.1 > 0.0);
            count(&rows.flat_map("one", Some), tally);
        })
        .gives("inspect"),
        stateless("union", load, |input, tally| {
            let even = input.filter("even", |row| row.0 % 2 == 0);
            count(&even.union(&input.filter("odd", |row| row.0 % 2 == 1)), tally);
        })
        .gives("inspect"),
        stateless("rebalance", load, |input, tally| count(&input.rebalance(), tally))
            .gives("inspect"),
        stateless("map_time", load, |input, tally| {
            count(&input.map_time(secs(1), |_, time| time.minus(secs(1).into())), tally);
        })
        .gives("inspect"),
        stateless("shift", load, |input, tally| count(&input.shift(Shift::later(secs(1))), tally))
            .gives("inspect"),
        stateless("split in 4", load, |input, tally| {
            let split = input.split("ways", 4, |row| row.0 as usize % 4);
            split.ways().iter().for_each(|way| count(way, tally.clone()));
        })
        .gives("inspect"),
        stateless("route to 3 and the rest", load, |input, tally| {
            let route = input.route("ways").to("low", |row| row.1 < 250.0);
            let route = route.to("middle", |row| row.1 < 500.0).to("high", |row| row.1 < 750.0);
            let split = route.split();
            split.ways().iter().for_each(|way| count(way, tally.clone()));
            count(&split.rest(), tally);
        })
        .gives("inspect"),
        stateless("sample", load, |input, tally| count(&input.sample("some", 0.1, 7), tally))
            .beside("inspect"),
        stateless("sample of keys", load, |input, tally| {
            count(&input.sample_keys("some", 0.1, |row| row.0), tally);
        })
        .beside("inspect"),
        Row::new("bare rate limit", load, bare_rate),
        stateless("rate limit", load, |input, tally| {
            let limited = input.key_by(|row| row.0).rate_limit("some", Rate::of(RATE, secs(1)));
            limited.inspect(move |_| tally.add(1));
        })
        .gives("bare rate limit"),
        Row::new("count", load, |load| tumbling(load, Count, |n| *n)),
        stateless("reservoir of 10", load, |input, tally| {
            let windows = input.key_by(|row| row.0).window(Tumbling::every(micros(WINDOW)));
            let some = windows.reservoir("some", RATE as usize, 7);
            some.inspect(move |row| tally.add(row.data.value.len() as u64));
        })
        .beside("count"),
    ]
}
