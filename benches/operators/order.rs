//! Rows in order, the best of them, and so many of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use hashbrown::HashMap;
use tiderace_operators::prelude::*;

use crate::floor::ticks;
use crate::support::{Load, Row, program};
use crate::windows::{WINDOW, micros};

/// The rows of a window of rows, and the best rows of a window of time.
const ROWS: u64 = 10;

/// A part of an event time, if its place among all is odd.
fn odd(time: i64, place: u64) -> u64 {
    time as u64 % 1_000 * (place % 2)
}

/// A heap, from which everything is taken that nothing can come before any more. The sum is of
/// event times at odd places: it depends on the order, but not on that of equal times.
fn sort(load: Load) -> (u64, u64) {
    let mut state = (BinaryHeap::new(), (0, 0));
    ticks(
        load,
        &mut state,
        |(waiting, _), _, time, (key, value)| {
            waiting.push(Reverse((time, key, value.to_bits())));
        },
        |(waiting, tally), frontier| {
            while let Some(&Reverse((time, ..))) = waiting.peek()
                && time < frontier
            {
                waiting.pop();
                tally.0 += 1;
                tally.1 += odd(time, tally.0);
            }
        },
    );
    state.1
}

/// A heap of the best rows for each key and window.
fn top_n(load: Load) -> (u64, u64) {
    type Best = HashMap<u64, BinaryHeap<Reverse<u64>>>;
    let mut state = (BTreeMap::<i64, Best>::new(), (0, 0u64));
    ticks(
        load,
        &mut state,
        |(windows, _), _, time, (key, value)| {
            let keys = windows.entry(time.div_euclid(WINDOW)).or_default();
            let best = keys.entry(key).or_default();
            // Values are positive, and so are in the order of their bits.
            best.push(Reverse(value.to_bits()));
            if best.len() as u64 > ROWS {
                best.pop();
            }
        },
        |(windows, tally), frontier| {
            let still_open = windows.split_off(&(frontier.div_euclid(WINDOW)));
            for best in std::mem::replace(windows, still_open).into_values() {
                for Reverse(bits) in best.into_values().flatten() {
                    *tally = (tally.0 + 1, tally.1.wrapping_add(bits));
                }
            }
        },
    );
    state.1
}

/// A sum per key, of the rows of a tick in order.
fn count_windows(load: Load) -> (u64, u64) {
    type Open = HashMap<u64, (u64, f64)>;
    let mut state = (Vec::new(), Open::new(), (0, 0));
    ticks(
        load,
        &mut state,
        |(tick, ..), _, time, event| tick.push((time, event)),
        |(tick, open, tally), frontier| {
            tick.sort_unstable_by_key(|&(time, (key, _))| (time, key));
            for (_, (key, value)) in tick.drain(..) {
                let (count, sum) = open.entry(key).or_default();
                (*count, *sum) = (*count + 1, *sum + value);
                if *count == ROWS {
                    *tally = (tally.0 + 1, tally.1 + ROWS);
                    (*count, *sum) = (0, 0.0);
                }
            }
            if frontier == i64::MAX {
                for (count, _) in open.values().filter(|(count, _)| *count > 0) {
                    *tally = (tally.0 + 1, tally.1 + count);
                }
            }
        },
    );
    state.2
}

pub fn rows(load: Load) -> Vec<Row> {
    let counted = |name, by: fn() -> CountWindow| {
        Row::new(name, load, move |load| {
            program(load, move |input, tally| {
                let windows = input.key_by(|event| event.0).count_window(by());
                let sums = windows.aggregate("sums", FastSum::of(|event: &(u64, f64)| event.1));
                sums.inspect(move |row| tally.add(row.data.rows));
            })
        })
    };
    vec![
        Row::new("bare sort", load, sort),
        Row::new("sort", load, |load| {
            program(load, |input, tally| {
                let mut place = 0;
                input.sort("sorted", Sort::by_time()).inspect(move |row| {
                    place += 1;
                    tally.add(odd(row.time.micros(), place));
                });
            })
        })
        .gives("bare sort"),
        Row::new("sort by key, at most 1,000 each", load, |load| {
            program(load, |input, tally| {
                let keyed = input.key_by(|event| event.0);
                let sorted = keyed.sort("sorted", Sort::by_time().at_most(1_000));
                sorted.inspect(move |_| tally.add(1));
            })
        })
        .beside("bare sort"),
        Row::new("bare top-N 10", load, top_n),
        Row::new("top-N 10", load, |load| {
            program(load, |input, tally| {
                let windows = input.key_by(|event| event.0).window(Tumbling::every(micros(WINDOW)));
                let best = windows.top_n("best", ROWS as u32, |event| event.1);
                best.inspect(move |row| tally.add(row.data.score.to_bits()));
            })
        })
        .gives("bare top-N 10"),
        Row::new("bare count window of 10", load, count_windows),
        counted("count window of 10", || CountWindow::every(ROWS)).gives("bare count window of 10"),
        counted("count window of 10, step 5", || CountWindow::sliding(ROWS, ROWS / 2))
            .beside("bare count window of 10"),
        counted("count window, last 10", || CountWindow::last(ROWS))
            .beside("bare count window of 10"),
    ]
}
