//! Every operator beside the barest loop that does its work, in the same run.
//!
//! Events are made on the fly: 100,000 of them a second of event time, each up to two seconds out of
//! order. What an operator gives is counted and compared, so that nothing fast is wrong. Times are
//! the best of several interleaved runs on one worker, and contain the making of the events; memory
//! is the most that was allocated at the end of any tick, over the number of keys.
//!
//! `cargo bench -p tiderace-operators --bench operators [-- EVENTS] [-- EVENTS NAME]`: with a name
//! only the rows that contain it are measured, and the bare ones.

// A benchmark measures and prints, which the operators themselves never do.
#![allow(clippy::disallowed_macros, clippy::disallowed_methods)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use differential_dataflow::AsCollection;
use differential_dataflow::operators::CountTotal;
use hashbrown::{HashMap, HashSet};
use support::{BOUND, Counting, Event, Row, event, load, measure, program};
use tiderace_operators::prelude::*;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Inspect;
use timely::dataflow::operators::generic::Operator;

#[global_allocator]
static MEMORY: Counting = Counting;

const RUNS: usize = 5;
const WINDOW: i64 = 10_000_000;

/// Makes the events and adds up their keys: what every other row contains.
fn nothing(events: u64, keys: u64) -> (u64, u64) {
    let mut sum = 0;
    for i in 0..events {
        let (time, (key, _)) = event(i, keys);
        sum ^= key ^ time as u64;
    }
    std::hint::black_box(sum);
    (0, 0)
}

/// A hash map per window, with a counter per key.
fn bare_count(events: u64, keys: u64) -> (u64, u64) {
    let mut open: BTreeMap<i64, HashMap<u64, u64>> = BTreeMap::new();
    let (mut results, mut counted, mut newest) = (0, 0, i64::MIN);
    let mut fire = |keys: HashMap<u64, u64>| {
        results += keys.len() as u64;
        counted += keys.values().sum::<u64>();
        support::note_memory();
    };
    for i in 0..events {
        let (time, (key, _)) = event(i, keys);
        *open.entry(time.div_euclid(WINDOW)).or_default().entry(key).or_default() += 1;
        if time > newest {
            newest = time;
            while open.first_key_value().is_some_and(|(&w, _)| (w + 1) * WINDOW <= newest - BOUND) {
                fire(open.pop_first().expect("looked at above").1);
            }
        }
    }
    open.into_values().for_each(&mut fire);
    (results, counted)
}

/// The same with a stamp beside each counter, as operators keep it to know what a cut must write.
fn bare_stamped(events: u64, keys: u64) -> (u64, u64) {
    let mut open: BTreeMap<i64, HashMap<u64, (u64, u32)>> = BTreeMap::new();
    let (mut results, mut counted, mut newest) = (0, 0, i64::MIN);
    let mut fire = |keys: HashMap<u64, (u64, u32)>| {
        results += keys.len() as u64;
        counted += keys.values().map(|(count, _)| count).sum::<u64>();
    };
    let epoch = std::hint::black_box(7u32);
    for i in 0..events {
        let (time, (key, _)) = event(i, keys);
        let entry = open.entry(time.div_euclid(WINDOW)).or_default().entry(key).or_default();
        entry.0 += 1;
        entry.1 = (epoch << 1) | (entry.1 & 1);
        if time > newest {
            newest = time;
            while open.first_key_value().is_some_and(|(&w, _)| (w + 1) * WINDOW <= newest - BOUND) {
                fire(open.pop_first().expect("looked at above").1);
            }
        }
    }
    open.into_values().for_each(&mut fire);
    (results, counted)
}

/// The number of an event, of which every tenth repeats that of an event shortly before.
#[inline]
fn id(key: u64, i: u64) -> u64 {
    let original = if i % 10 == 9 { i - 1 - key % 8 } else { i };
    support::mix(original)
}

/// Inserts the number of each event into a set.
fn bare_set(events: u64, keys: u64) -> (u64, u64) {
    let mut seen = HashSet::new();
    let mut passed = 0;
    for i in 0..events {
        let (_, (key, _)) = event(i, keys);
        passed += u64::from(seen.insert(id(key, i)));
    }
    support::note_memory();
    (passed, passed)
}

fn of_windows<A>(events: u64, keys: u64, aggregate: A, count: fn(&A::Output) -> u64) -> (u64, u64)
where
    A: Aggregate<Event> + Send + Sync,
{
    program(events, keys, 1, move |input, tally| {
        let windows = input.key_by(|event| event.0);
        let windows = windows.window(Tumbling::every(Duration::from_micros(WINDOW as u64)));
        let windows = windows.aggregate("windows", aggregate.clone());
        windows.inspect(move |row| tally.add(count(&row.data.value)));
    })
}

/// Differential's own count per key, of the same events at the same ticks.
fn raw_count(events: u64, keys: u64) -> (u64, u64) {
    program(events, keys, 1, |input, tally| {
        let (rows, _) = input.parts();
        let updates = rows.unary(Pipeline, "Updates", |_, _| {
            move |input, output| {
                input.for_each(|tick, rows| {
                    let time = *tick.time();
                    let mut session = output.session(&tick);
                    session.give_iterator(rows.drain(..).map(|row| (row.data.0, time, 1isize)));
                });
            }
        });
        let counts = updates.as_collection().count_total();
        counts
            .inner
            .inspect(move |((_, count), _, diff)| tally.add_signed(*count as i64 * *diff as i64));
        input.watch();
    })
}

/// The same as a view.
fn view_count(events: u64, keys: u64) -> (u64, u64) {
    program(events, keys, 1, |input, tally| {
        let keyed = input.map(|(key, _)| (key, ()));
        let counts = keyed.view("events", Retain::forever()).count();
        counts
            .collection()
            .inner
            .inspect(move |((_, count), _, diff)| tally.add_signed(*count * *diff as i64));
        input.watch();
    })
}

/// A comparison that has to hold: what is measured, against what, and by how much at most.
struct Must {
    what: &'static str,
    against: &'static str,
    most: f64,
}

const MUSTS: &[Must] = &[
    Must { what: "tumbling count", against: "bare count", most: 1.5 },
    Must { what: "bare count, stamped", against: "bare count", most: 1.06 },
    Must { what: "sliding 60:1", against: "tumbling count", most: 2.0 },
    Must { what: "session", against: "tumbling count", most: 3.0 },
    Must { what: "composite of 8", against: "tumbling count", most: 3.0 },
    Must { what: "tumbling exact sum", against: "tumbling fast sum", most: 4.0 },
    Must { what: "dedup", against: "bare set", most: 2.0 },
    Must { what: "view count", against: "count_total", most: 2.0 },
];

/// What others are compared with.
const FLOORS: [&str; 5] = ["nothing", "bare count", "tumbling count", "bare set", "count_total"];

fn rows(events: u64, keys: u64) -> Vec<Row> {
    let counted = bare_count(events, keys);
    let value = |event: &Event| event.1;
    vec![
        Row::new("nothing", move || nothing(events, keys)),
        Row::new("bare count", move || bare_count(events, keys)).gives(counted),
        Row::new("bare count, stamped", move || bare_stamped(events, keys)).gives(counted),
        Row::new("tumbling count", move || of_windows(events, keys, Count, |n| *n)).gives(counted),
        Row::new("tumbling fast sum", move || {
            of_windows(events, keys, (Count, FastSum::of(value)), |(n, _)| *n)
        })
        .gives(counted),
        Row::new("tumbling exact sum", move || {
            of_windows(events, keys, (Count, Sum::of(value)), |(n, _)| *n)
        })
        .gives(counted),
        Row::new("composite of 8", move || {
            let eight = (
                Count,
                FastSum::of(value),
                FastMean::of(value),
                Min::of(value),
                Max::of(value),
                First::of(value),
                Last::of(value),
                FastVarPop::of(value),
            );
            of_windows(events, keys, eight, |of| of.0)
        })
        .gives(counted),
        Row::new("sliding 60:1", move || {
            program(events, keys, 1, |input, tally| {
                let sixtieth = Duration::from_micros(WINDOW as u64 / 60);
                let windows =
                    input.key_by(|event| event.0).window(Sliding::of(sixtieth * 60, sixtieth));
                let windows = windows.aggregate("windows", Count);
                windows.inspect(move |row| tally.add(row.data.value));
            })
        }),
        Row::new("session", move || {
            program(events, keys, 1, |input, tally| {
                let sessions = input.key_by(|event| event.0).session(Session::gap(secs(1)));
                sessions.aggregate("sessions", Count).inspect(move |row| tally.add(row.data.value));
            })
        }),
        Row::new("bare set", move || bare_set(events, keys)),
        Row::new("dedup", move || {
            program(events, keys, 1, |input, tally| {
                let mut i = 0;
                let ids = input.map(move |(key, _)| {
                    i += 1;
                    id(key, i - 1)
                });
                let once = ids.key_by(|&id| id).dedup("once", Horizon::within(hours(1_000)));
                once.inspect(move |_| tally.add(1));
            })
        })
        .gives(bare_set(events, keys)),
        Row::new("count_total", move || raw_count(events, keys)),
        Row::new("view count", move || view_count(events, keys)),
    ]
}

fn main() {
    let events = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(4_000_000u64);
    let only = std::env::args().skip(1).find(|arg| arg.parse::<u64>().is_err() && arg != "--bench");
    println!("{events} events, best of {RUNS} runs on one worker, load {}", load());
    for keys in [1_000, 1_000_000] {
        let mut rows = rows(events, keys);
        if let Some(name) = &only {
            rows.retain(|row| row.name.contains(name.as_str()) || FLOORS.contains(&&*row.name));
        }
        measure(&mut rows, RUNS);
        println!("\n{keys} keys");
        println!("{:<28}{:>14}{:>16}", "", "ns per event", "bytes per key");
        let per = |wall: f64| wall * 1e9 / events as f64;
        for row in &rows {
            let bytes = row.memory as f64 / keys as f64;
            println!("{:<28}{:>14.1}{:>16.0}", row.name, per(row.wall), bytes);
        }
        // What both sides spend on making the events is not part of the comparison.
        let find = |name: &str| rows.iter().find(|row| row.name == name);
        let net = |row: &Row| (row.wall - rows[0].wall).max(1e-9);
        for Must { what, against, most } in MUSTS {
            if let (Some(this), Some(floor)) = (find(what), find(against)) {
                let (whole, net) = (this.wall / floor.wall, net(this) / net(floor));
                println!(
                    "{what} / {against}: {whole:.2} (without the events {net:.2}), must {most}"
                );
            }
        }
    }
}
