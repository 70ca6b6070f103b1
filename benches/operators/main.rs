//! Every operator beside the barest loop that does its work, in the same run.
//!
//! Events are made on the fly: 100,000 of them a second of event time, each up to two seconds out of
//! order. What an operator gives is counted and compared with what the bare loop gives, so that
//! nothing fast is wrong. Times are the best of several interleaved runs on one worker, and contain
//! the making of the events; memory is the most that was allocated at the end of any tick, over the
//! number of keys. What takes long has fewer events and fewer runs: both are said.
//!
//! `cargo bench -p tiderace-operators --bench operators [-- EVENTS] [-- EVENTS NAME]`: with a name
//! only the rows that contain it are measured, and what they are compared with.

// A benchmark measures and prints, which the operators themselves never do.
#![allow(clippy::disallowed_macros, clippy::disallowed_methods)]

mod aggregates;
mod copies;
mod firing;
mod floor;
mod flow;
mod joins;
mod order;
mod process;
mod sessions;
#[path = "../support/mod.rs"]
mod support;
mod views;
mod windows;

use support::{Counting, Load, Row, load, measure};

#[global_allocator]
static MEMORY: Counting = Counting;

const RUNS: usize = 5;
/// After so many seconds a row takes no more turns: the first where something must hold of it.
const ENOUGH: [f64; 2] = [3.0, 0.6];

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

/// All rows, each after the one it is compared with.
fn rows(load: Load) -> Vec<Row> {
    let groups = [
        windows::rows(load),
        firing::rows(load.part(2)),
        sessions::rows(load),
        aggregates::rows(load.part(8)),
        copies::rows(load),
        flow::rows(load.part(2)),
        order::rows(load.part(4)),
        joins::rows(load.part(4)),
        process::rows(load.part(4)),
        views::rows(load),
    ];
    groups.into_iter().flatten().collect()
}

/// The rows with this name in theirs, and all that they are compared with.
fn only(name: &str, rows: &mut Vec<Row>) {
    let mut wanted = vec!["nothing"];
    for row in rows.iter().filter(|row| row.name.contains(name)) {
        wanted.extend([row.name].into_iter().chain(row.floor));
        wanted.extend(MUSTS.iter().filter(|must| must.what == row.name).map(|must| must.against));
    }
    rows.retain(|row| wanted.contains(&row.name));
}

fn main() {
    let events = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(4_000_000u64);
    let name = std::env::args().skip(1).find(|arg| arg.parse::<u64>().is_err() && arg != "--bench");
    println!(
        "{events} events or a part of them, best of {RUNS} runs or of those that {ENOUGH:?} s are \
         enough for, on one worker, load {}",
        load()
    );
    for keys in [1_000, 1_000_000] {
        let mut rows = rows(Load { events, keys });
        if let Some(name) = &name {
            only(name, &mut rows);
        }
        let must = |name: &str| MUSTS.iter().any(|must| must.what == name || must.against == name);
        measure(&mut rows, RUNS, |row| ENOUGH[usize::from(!must(row))]);
        print(&rows, keys);
    }
}

fn print(rows: &[Row], keys: u64) {
    // What both sides spend on making the events is not part of a comparison.
    let nothing = rows[0].nanos();
    let net = |row: &Row| (row.nanos() - nothing).max(0.1);
    let find = |name: &str| rows.iter().find(|row| row.name == name);
    println!("\n{keys} keys");
    println!(
        "{:<36}{:>14}{:>16}{:>12}{:>6}  times, without the events, what",
        "", "ns per event", "bytes per key", "events", "runs"
    );
    for row in rows {
        let bytes = row.memory as f64 / keys as f64;
        let Row { name, load: Load { events, .. }, runs, .. } = row;
        print!("{name:<36}{:>14.1}{bytes:>16.0}{events:>12}{runs:>6}", row.nanos());
        match row.floor.and_then(find) {
            Some(floor) => println!("  {:.1} {}", net(row) / net(floor), floor.name),
            None => println!(),
        }
    }
    for Must { what, against, most } in MUSTS {
        if let (Some(this), Some(floor)) = (find(what), find(against)) {
            let (whole, net) = (this.nanos() / floor.nanos(), net(this) / net(floor));
            println!("{what} / {against}: {whole:.2} (without the events {net:.2}), must {most}");
        }
    }
}
