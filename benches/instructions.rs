//! Workloads for counting instructions: `instructions WORKLOAD ROWS`.
//!
//! Times differ from run to run and from machine to machine, instructions hardly do. Under
//! `valgrind --tool=callgrind` this program is the same at every run: one worker, scripted input, no
//! clock. `scripts/instructions.sh` runs each workload with two numbers of rows, so that the
//! difference is the cost of rows alone, and compares it with what is written in
//! `benches/instructions.txt`.

// A benchmark measures and prints, which the operators themselves never do.
#![allow(clippy::disallowed_macros, clippy::disallowed_methods)]

use tiderace_operators::prelude::*;

/// A record: its number and a value.
type Row = (u64, f64);

/// Keys that rows are spread over.
const KEYS: u64 = 1_000;
/// Rows of a tick.
const TICK: u64 = 4_000;

fn key(row: &Row) -> u64 {
    (row.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % KEYS
}

/// Builds a dataflow, feeds it so many rows, one every 10 us of event time and out of order by up
/// to 500 us, and runs it to its end.
fn feed(rows: u64, build: impl Fn(&Events<'_, u64, Row>) + Send + Sync + 'static) {
    timely::execute_directly(move |worker| {
        let observer = Observer::default();
        let (mut input, done) = worker.dataflow::<u64, _, _>(|scope| {
            let policy = Policy::bounded(std::time::Duration::from_micros(500));
            let (input, events) = EventInput::<Row>::new(scope, 0, policy, &observer);
            build(&events);
            events.watch();
            let done = input.done().clone();
            (input, done)
        });
        for first in (0..rows).step_by(TICK as usize) {
            for n in first..rows.min(first + TICK) {
                input.send(0, EventTime::from_micros((n ^ 31) as i64 * 10), (n, (n % 100) as f64));
            }
            input.end_tick();
            while done.less_than(&input.tick()) {
                worker.step();
            }
        }
        input.finish();
    });
}

/// A name and what it runs.
type Workload = (&'static str, fn(u64));

const WORKLOADS: &[Workload] = &[
    ("nothing", |rows| feed(rows, |_| ())),
    ("map_filter", |rows| {
        feed(rows, |events| {
            events
                .map(|row| (row.0 + 1, row.1))
                .filter("odd", |row| row.0 % 2 == 1)
                .inspect(|_| ());
        });
    }),
    ("tumbling_count", |rows| {
        feed(rows, |events| {
            let windows = events.key_by(key).window(Tumbling::every(millis(200)));
            windows.aggregate("windows", Count);
        });
    }),
    ("tumbling_exact_sum", |rows| {
        feed(rows, |events| {
            let windows = events.key_by(key).window(Tumbling::every(millis(200)));
            windows.aggregate("windows", Sum::of(|row: &Row| row.1));
        });
    }),
    ("sliding_20", |rows| {
        feed(rows, |events| {
            let windows = events.key_by(key).window(Sliding::of(millis(200), millis(10)));
            windows.aggregate("windows", Count);
        });
    }),
    ("session", |rows| {
        feed(rows, |events| {
            let sessions = events.key_by(key).session(Session::gap(millis(20)));
            sessions.aggregate("sessions", Count);
        });
    }),
    ("retracting_each_change", |rows| {
        feed(rows, |events| {
            let windows = events.key_by(key).window(Tumbling::every(millis(200)));
            windows.trigger(Trigger::each_change()).retracting("windows", Count);
        });
    }),
    ("dedup", |rows| {
        feed(rows, |events| {
            events.key_by(|row| row.0 / 2).dedup("once", Horizon::within(secs(10)));
        });
    }),
    ("interval_join", |rows| {
        feed(rows, |events| {
            let near = Interval::within(millis(1));
            let right = events.key_by(key);
            events.key_by(key).join_interval("near", right, near).inner();
        });
    }),
    ("sort", |rows| {
        feed(rows, |events| {
            events.key_by(key).sort("sorted", Sort::by_time());
        });
    }),
    ("top_n", |rows| {
        feed(rows, |events| {
            let windows = events.key_by(key).window(Tumbling::every(millis(200)));
            windows.top_n("best", 3, |row| row.0);
        });
    }),
    ("distinct", |rows| {
        feed(rows, |events| {
            let windows = events.key_by(key).window(Tumbling::every(millis(200)));
            windows.aggregate("windows", Distinct::of(|row: &Row| row.0 % 500));
        });
    }),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [name, rows] = &args[..] else {
        WORKLOADS.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let rows = rows.parse().expect("the second argument is a number of rows");
    let found = WORKLOADS.iter().find(|(other, _)| other == name);
    let (_, run) = found.unwrap_or_else(|| panic!("there is no workload `{name}`"));
    run(rows);
}
