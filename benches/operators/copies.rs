//! Deduplication in all its modes.

use hashbrown::HashSet;
use tiderace_operators::dedup::{Bloom, Horizon};
use tiderace_operators::prelude::*;

use crate::floor::ticks;
use crate::support::{Load, Row, Tally, mix, program};

/// Longer than copies are apart, in seconds.
const TTL: i64 = 5;

/// The number of an event, of which every tenth repeats that of an event shortly before.
#[inline]
fn id(key: u64, i: u64) -> u64 {
    let original = if i % 10 == 9 { i - 1 - key % 8 } else { i };
    mix(original)
}

/// Inserts the number of each event into a set.
fn bare(load: Load) -> (u64, u64) {
    let mut state = (HashSet::new(), 0);
    ticks(
        load,
        &mut state,
        |(seen, passed), i, _, (key, _)| *passed += u64::from(seen.insert(id(key, i))),
        |_, _| (),
    );
    (state.1, state.1)
}

/// The same with a set for every second, of which only those are kept that may hold a copy.
fn bare_seconds(load: Load) -> (u64, u64) {
    let mut state = (std::collections::BTreeMap::<i64, HashSet<u64>>::new(), 0);
    ticks(
        load,
        &mut state,
        |(seconds, passed), i, time, (key, _)| {
            let (id, second) = (id(key, i), time.div_euclid(1_000_000));
            let mut near = seconds.range(second - TTL..=second + TTL);
            if !near.any(|(_, seen)| seen.contains(&id)) {
                seconds.entry(second).or_default().insert(id);
                *passed += 1;
            }
        },
        |(seconds, _), frontier| {
            *seconds = seconds.split_off(&(frontier.div_euclid(1_000_000) - TTL - 1));
        },
    );
    (state.1, state.1)
}

/// A deduplication of the numbers.
fn of<B>(load: Load, build: B) -> (u64, u64)
where
    B: Fn(&Events<'_, u64, u64>, Horizon, Tally) + Send + Sync + 'static,
{
    program(load, move |input, tally| {
        let mut i = 0;
        let ids = input.map(move |(key, _)| {
            i += 1;
            id(key, i - 1)
        });
        build(&ids, Horizon::within(secs(TTL as u64)), tally);
    })
}

pub fn rows(load: Load) -> Vec<Row> {
    let half = load.part(2);
    vec![
        Row::new("bare set", load, bare),
        Row::new("dedup", load, |load| {
            of(load, |ids, _, tally| {
                let once = ids.key_by(|&id| id).dedup("once", Horizon::within(hours(1_000)));
                once.inspect(move |_| tally.add(1));
            })
        })
        .gives("bare set"),
        Row::new("bare sets of seconds", half, bare_seconds),
        Row::new("dedup, 5 s", half, |load| {
            of(load, |ids, horizon, tally| {
                let once = ids.key_by(|&id| id).dedup("once", horizon);
                once.inspect(move |_| tally.add(1));
            })
        })
        .gives("bare sets of seconds"),
        Row::new("dedup, refreshing", half, |load| {
            of(load, |ids, horizon, tally| {
                let once = ids.key_by(|&id| id).dedup_refreshing("once", horizon);
                once.inspect(move |_| tally.add(1));
            })
        })
        .gives("bare sets of seconds"),
        Row::new("dedup, first by time", half, |load| {
            of(load, |ids, horizon, tally| {
                let once = ids.key_by(|&id| id).dedup_first_by_time("once", horizon);
                once.inspect(move |_| tally.add(1));
            })
        })
        .gives("bare sets of seconds"),
        Row::new("dedup, last", half, |load| {
            of(load, |ids, horizon, tally| {
                let last = ids.key_by(|&id| id).dedup_last("last", horizon);
                last.inspect(move |row| tally.add_signed(row.data.diff));
            })
        })
        .adds_up("bare sets of seconds"),
        Row::new("dedup, counted", half, |load| {
            of(load, |ids, horizon, tally| {
                let counted = ids.key_by(|&id| id).dedup_counted("counted", horizon);
                counted.inspect(move |_| tally.add(1));
            })
        })
        .gives("bare sets of seconds"),
        // It may lose records, and so is not held to the number.
        Row::new("dedup, bloom", half, |load| {
            of(load, |ids, horizon, tally| {
                let (bloom, ids) =
                    (Bloom::may_lose(0.001).expecting(500_000), ids.key_by(|&id| id));
                ids.dedup_bloom("once", horizon, bloom).inspect(move |_| tally.add(1));
            })
        })
        .beside("bare sets of seconds"),
    ]
}
