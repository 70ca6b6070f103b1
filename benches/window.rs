//! A keyed tumbling window beside a bare loop that does the same work, in the same run.
//!
//! Events are made on the fly: 100,000 of them per second of event time, each up to two seconds out
//! of order, over 1,000 or 1,000,000 keys. Both sides make the events, group them by key in windows
//! of ten seconds, and keep count, sum and maximum. The number of results, the number of events in
//! them and the sums must agree, or the benchmark fails.
//!
//! `cargo bench -p tiderace-operators [-- EVENTS]`. Times are the best of several interleaved runs; CPU is
//! the whole process's, per event.

// A benchmark measures and prints, which the operators themselves never do.
#![allow(clippy::disallowed_macros, clippy::disallowed_methods)]

mod support;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use support::{BOUND, Event, Load, Share, cpu, event, load, source};
use tiderace_operators::prelude::*;
use timely::dataflow::operators::probe;

const WINDOW: i64 = 10_000_000;
const RUNS: usize = 5;

/// What both sides must agree on: results, events in them, the sum, the sum of maxima.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Totals {
    results: u64,
    events: u64,
    sum: f64,
    maxima: f64,
}

impl Totals {
    fn add(&mut self, events: u64, sum: f64, max: f64) {
        self.results += 1;
        self.events += events;
        self.sum += sum;
        self.maxima += max;
    }

    fn agrees(&self, other: &Totals) -> bool {
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
        (self.results, self.events) == (other.results, other.events)
            && close(self.sum, other.sum)
            && close(self.maxima, other.maxima)
    }
}

/// A hash map per window and nothing else.
fn bare(events: u64, keys: u64) -> Totals {
    let mut open: BTreeMap<i64, HashMap<u64, (u64, f64, f64)>> = BTreeMap::new();
    let mut totals = Totals::default();
    let mut newest = i64::MIN;
    let mut fire = |keys: HashMap<u64, (u64, f64, f64)>| {
        keys.into_iter().for_each(|(_, (n, sum, max))| totals.add(n, sum, max));
    };
    for i in 0..events {
        let (time, (key, value)) = event(i, keys);
        let window = time.div_euclid(WINDOW);
        let (n, sum, max) = open.entry(window).or_default().entry(key).or_default();
        (*n, *sum, *max) = (*n + 1, *sum + value, max.max(value));
        if time > newest {
            newest = time;
            while open.first_key_value().is_some_and(|(&w, _)| (w + 1) * WINDOW <= newest - BOUND) {
                fire(open.pop_first().expect("looked at above").1);
            }
        }
    }
    open.into_values().for_each(&mut fire);
    totals
}

/// The engine's window operator with these aggregates.
fn engine<A>(events: u64, keys: u64, workers: usize, aggregate: A) -> Totals
where
    A: Aggregate<Event, Output = (u64, f64, Option<f64>)> + Send + Sync,
{
    let config = match workers {
        1 => timely::Config::thread(),
        n => timely::Config::process(n),
    };
    let totals = Arc::new(Mutex::new(Totals::default()));
    let into = totals.clone();
    let guards = timely::execute(config, move |worker| {
        let (into, aggregate) = (into.clone(), aggregate.clone());
        worker.dataflow::<u64, _, _>(|scope| {
            let done = probe::Handle::new();
            source(scope, Share::ALL, Load { events, keys }, done)
                .key_by(|&(key, _)| key)
                .window(Tumbling::every(Duration::from_micros(WINDOW as u64)))
                .aggregate("window", aggregate)
                .inspect(move |row| {
                    let (n, sum, max) = row.data.value;
                    into.lock().expect("no worker panics").add(n, sum, max.unwrap_or(f64::NAN));
                });
        });
    })
    .expect("timely starts");
    guards.join().into_iter().for_each(|guard| guard.expect("a worker panicked"));
    *totals.lock().expect("no worker panicked")
}

struct Row {
    name: &'static str,
    run: Box<dyn Fn() -> Totals>,
    wall: f64,
    cpu: f64,
}

fn main() {
    let events = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(8_000_000u64);
    println!(
        "{events} events, windows of 10 s, count + sum + max, best of {RUNS} runs, load {}",
        load()
    );
    for keys in [1_000, 1_000_000] {
        let fast = (Count, FastSum::of(|row: &Event| row.1), Max::of(|row: &Event| row.1));
        let exact = (Count, Sum::of(|row: &Event| row.1), Max::of(|row: &Event| row.1));
        let row = |name, run: Box<dyn Fn() -> Totals>| Row {
            name,
            run,
            wall: f64::INFINITY,
            cpu: f64::INFINITY,
        };
        let mut rows = [
            row("bare loop", Box::new(move || bare(events, keys))),
            row("1 worker", Box::new(move || engine(events, keys, 1, fast))),
            row("1 worker, exact sum", Box::new(move || engine(events, keys, 1, exact))),
            row("2 workers", Box::new(move || engine(events, keys, 2, fast))),
            row("2 workers, exact sum", Box::new(move || engine(events, keys, 2, exact))),
        ];
        let wanted = bare(events, keys);
        for _ in 0..RUNS {
            for row in &mut rows {
                let (begun, cpu_before) = (Instant::now(), cpu());
                let totals = black_box((row.run)());
                row.wall = row.wall.min(begun.elapsed().as_secs_f64());
                row.cpu = row.cpu.min(cpu() - cpu_before);
                assert!(totals.agrees(&wanted), "{}: {totals:?}, wanted {wanted:?}", row.name);
            }
        }
        println!("\n{keys} keys, {} results", wanted.results);
        println!("{:<24}{:>12}{:>16}{:>22}", "", "M events/s", "CPU ns/event", "time / bare loop");
        let floor = rows[0].wall;
        for Row { name, wall, cpu, .. } in &rows {
            let (rate, cpu) = (events as f64 / wall / 1e6, cpu / events as f64);
            println!("{name:<24}{rate:>12.1}{cpu:>16.1}{:>22.2}", wall / floor);
        }
    }
}
