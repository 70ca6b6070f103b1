//! Aggregates that keep more than a few numbers, in tumbling windows.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hashbrown::{HashMap, HashSet};
use tiderace_operators::prelude::*;

use crate::floor::ticks;
use crate::support::{Event, Load, Row};
use crate::windows::{WINDOW, tumbling};

/// One of a thousand values.
fn level(event: &Event) -> u64 {
    event.1 as u64
}

/// A hash map per window with something per key; `add` puts an event in, and `finish` says what it
/// comes to.
fn bare<S: Default>(load: Load, add: fn(&mut S, Event), finish: fn(S) -> u64) -> (u64, u64) {
    let mut state = (HashMap::<i64, HashMap<u64, S>>::new(), (0, 0u64));
    ticks(
        load,
        &mut state,
        |(windows, _), _, time, event| {
            let keys = windows.entry(time.div_euclid(WINDOW)).or_default();
            add(keys.entry(event.0).or_default(), event);
        },
        |(windows, tally), frontier| {
            for (_, keys) in windows.extract_if(|w, _| (*w + 1).saturating_mul(WINDOW) <= frontier)
            {
                for state in keys.into_values() {
                    *tally = (tally.0 + 1, tally.1.wrapping_add(finish(state)));
                }
            }
        },
    );
    state.1
}

/// The value at 95 of 100 by nearest rank.
fn percentile(mut values: Vec<f64>) -> u64 {
    let place = (values.len() * 95).div_ceil(100) - 1;
    values.select_nth_unstable_by(place, f64::total_cmp).1.to_bits()
}

/// The values of the ten most frequent levels are not told apart by name, only by how frequent.
fn most_frequent(counts: HashMap<u64, u64>) -> u64 {
    let mut counts: Vec<u64> = counts.into_values().collect();
    counts.sort_unstable_by_key(|&count| Reverse(count));
    counts.iter().take(10).sum()
}

pub fn rows(load: Load) -> Vec<Row> {
    let value = |event: &Event| event.1;
    let level = level as fn(&Event) -> u64;
    vec![
        Row::new("bare percentile", load, |load| {
            bare(load, |values: &mut Vec<f64>, event| values.push(event.1), percentile)
        }),
        Row::new("percentile", load, move |load| {
            tumbling(load, Percentile::of(95.0, value), |value| value.unwrap_or(0.0).to_bits())
        })
        .gives("bare percentile"),
        Row::new("median", load, move |load| tumbling(load, Median::of(value), |_| 1))
            .beside("bare percentile"),
        Row::new("approx percentile", load, move |load| {
            tumbling(load, ApproxPercentile::of(95.0, value), |_| 1)
        })
        .beside("bare percentile"),
        Row::new("bare distinct", load, |load| {
            let insert = |set: &mut HashSet<u64>, event| _ = set.insert(self::level(&event));
            bare(load, insert, |set| set.len() as u64)
        }),
        Row::new("distinct", load, move |load| tumbling(load, Distinct::of(level), |n| *n))
            .gives("bare distinct"),
        Row::new("approx distinct", load, move |load| {
            tumbling(load, ApproxDistinct::of(level), |n| n.count)
        })
        .beside("bare distinct"),
        Row::new("bare frequent", load, |load| {
            let count = |counts: &mut HashMap<u64, u64>, event| {
                *counts.entry(self::level(&event)).or_default() += 1;
            };
            bare(load, count, most_frequent)
        }),
        Row::new("frequent 10", load, move |load| {
            tumbling(load, Frequent::top(10, level), |top| top.iter().map(|(_, n)| n).sum())
        })
        .gives("bare frequent"),
        Row::new("fast frequent 10", load, move |load| {
            tumbling(load, FastFrequent::of(10, level), |top| top.values.len() as u64)
        })
        .beside("bare frequent"),
        Row::new("bare top 10", load, |load| {
            let add = |heap: &mut BinaryHeap<Reverse<u64>>, event: Event| {
                // Values are positive, and so are in the order of their bits.
                heap.push(Reverse(event.1.to_bits()));
                if heap.len() > 10 {
                    heap.pop();
                }
            };
            let sum = |heap: BinaryHeap<Reverse<u64>>| {
                heap.into_iter().fold(0, |sum: u64, bits| sum.wrapping_add(bits.0))
            };
            bare(load, add, sum)
        }),
        Row::new("top-k 10", load, move |load| {
            tumbling(load, TopK::of(10, value, level), |top| {
                top.iter().fold(0, |sum: u64, row| sum.wrapping_add(row.0.to_bits()))
            })
        })
        .gives("bare top 10"),
        Row::new("last 10", load, move |load| {
            tumbling(load, LastN::of(10, value), |values| values.len() as u64)
        })
        .beside("bare top 10"),
        Row::new("bare collect", load, |load| {
            let add = |values: &mut Vec<(u64, f64)>, event: Event| values.push(event);
            bare(load, add, |values| values.len() as u64)
        }),
        Row::new("collect", load, move |load| {
            tumbling(load, Collect::of(1 << 20, value), |all| {
                all.as_ref().map_or(0, Vec::len) as u64
            })
        })
        .gives("bare collect"),
        Row::new("moving average", load, move |load| tumbling(load, Ema::span(10.0, value), |_| 1))
            .beside("bare collect"),
        Row::new("exact variance", load, move |load| tumbling(load, VarPop::of(value), |_| 1))
            .beside("bare collect"),
    ]
}
