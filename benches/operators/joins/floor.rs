//! The same with two hash maps.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use hashbrown::HashMap;

use super::{near, of_pair};
use crate::floor::ticks;
use crate::support::Load;
use crate::windows::WINDOW;

/// Rows by key; each meets those of the other side that came before it, and is forgotten when no
/// other can come that is near enough.
pub fn interval(load: Load) -> (u64, u64) {
    type Side = HashMap<u64, Vec<(i64, f64)>>;
    let near = near(load);
    let mut state = ([Side::new(), Side::new()], (0, 0u64));
    ticks(
        load,
        &mut state,
        |(sides, tally), i, time, (key, value)| {
            let side = (i % 2) as usize;
            for &(at, other) in sides[1 - side].get(&key).into_iter().flatten() {
                if (at - time).abs() <= near {
                    let pair = if side == 0 { (value, other) } else { (other, value) };
                    *tally = (tally.0 + 1, tally.1.wrapping_add(of_pair(pair.0, pair.1)));
                }
            }
            sides[side].entry(key).or_default().push((time, value));
        },
        |(sides, _), frontier| {
            for side in sides {
                side.retain(|_, rows| {
                    rows.retain(|(time, _)| time + near >= frontier);
                    !rows.is_empty()
                });
            }
        },
    );
    state.1
}

/// The rows of both sides by key, in a hash map for each window.
pub fn window(load: Load) -> (u64, u64) {
    type Window = HashMap<u64, [Vec<f64>; 2]>;
    let size = 2 * near(load);
    let mut state = (BTreeMap::<i64, Window>::new(), (0, 0u64));
    ticks(
        load,
        &mut state,
        |(windows, _), i, time, (key, value)| {
            let keys = windows.entry(time.div_euclid(size)).or_default();
            keys.entry(key).or_default()[(i % 2) as usize].push(value);
        },
        |(windows, tally), frontier| {
            let still_open = windows.split_off(&(frontier.div_euclid(size)));
            for keys in std::mem::replace(windows, still_open).into_values() {
                for [left, right] in keys.into_values() {
                    for pair in left.iter().flat_map(|l| right.iter().map(move |r| (l, r))) {
                        *tally = (tally.0 + 1, tally.1.wrapping_add(of_pair(*pair.0, *pair.1)));
                    }
                }
            }
        },
    );
    state.1
}

/// Two counts per key, in a hash map for each window.
pub fn cogroup(load: Load) -> (u64, u64) {
    let mut state = (BTreeMap::<i64, HashMap<u64, [u64; 2]>>::new(), (0, 0));
    ticks(
        load,
        &mut state,
        |(windows, _), i, time, (key, _)| {
            let keys = windows.entry(time.div_euclid(WINDOW)).or_default();
            keys.entry(key).or_default()[(i % 2) as usize] += 1;
        },
        |(windows, tally), frontier| {
            let still_open = windows.split_off(&(frontier.div_euclid(WINDOW)));
            for keys in std::mem::replace(windows, still_open).into_values() {
                for [left, right] in keys.into_values() {
                    *tally = (tally.0 + 1, tally.1 + left * 3 + right);
                }
            }
        },
    );
    state.1
}

/// The versions of each key in a sorted map, and a heap of left rows for which there may be a better
/// one to come.
pub fn as_of(load: Load, counts: fn(f64) -> bool) -> (u64, u64) {
    type Versions = HashMap<u64, BTreeMap<i64, f64>>;
    let mut state = (Versions::new(), BinaryHeap::new(), (0, 0));
    ticks(
        load,
        &mut state,
        |(versions, waiting, _), i, time, (key, value)| match i % 2 {
            0 => waiting.push(Reverse((time, key, value.to_bits()))),
            _ if counts(value) => _ = versions.entry(key).or_default().insert(time, value),
            _ => (),
        },
        |(versions, waiting, tally), frontier| {
            while let Some(&Reverse((time, key, _))) = waiting.peek()
                && time < frontier
            {
                waiting.pop();
                let of_key = versions.get(&key);
                let found = of_key.is_some_and(|of_key| of_key.range(..=time).next().is_some());
                *tally = (tally.0 + 1, tally.1 + u64::from(found));
            }
            for of_key in versions.values_mut() {
                if let Some((&newest, _)) = of_key.range(..=frontier).next_back() {
                    *of_key = of_key.split_off(&newest);
                }
            }
        },
    );
    state.2
}
