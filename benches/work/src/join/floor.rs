//! The same with hash maps.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use hashbrown::HashMap;

use super::{near, pair};
use crate::floor::ticks;
use crate::{Load, Totals};

/// Rows by key; each meets those of the other side that came before it, and is forgotten when no
/// other can come that is near enough.
pub fn interval(load: Load) -> Totals {
    type Side = HashMap<u64, Vec<(i64, f64)>>;
    let near = near(load);
    let mut state = ([Side::new(), Side::new()], Totals::default());
    ticks(
        load,
        &mut state,
        |(sides, totals), number, time, (key, value)| {
            let side = (number % 2) as usize;
            for &(at, other) in sides[1 - side].get(&key).into_iter().flatten() {
                if (at - time).abs() <= near {
                    let (left, right) = if side == 0 { (value, other) } else { (other, value) };
                    totals.add(pair(&(key, left), Some(right)));
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
pub fn window(load: Load) -> Totals {
    type Window = HashMap<u64, [Vec<f64>; 2]>;
    let size = 2 * near(load);
    let mut state = (BTreeMap::<i64, Window>::new(), Totals::default());
    ticks(
        load,
        &mut state,
        |(windows, _), number, time, (key, value)| {
            let keys = windows.entry(time.div_euclid(size)).or_default();
            keys.entry(key).or_default()[(number % 2) as usize].push(value);
        },
        |(windows, totals), frontier| {
            let still_open = windows.split_off(&(frontier.div_euclid(size)));
            for keys in std::mem::replace(windows, still_open).into_values() {
                for (key, [left, right]) in keys {
                    for (left, right) in left.iter().flat_map(|l| right.iter().map(move |r| (l, r)))
                    {
                        totals.add(pair(&(key, *left), Some(*right)));
                    }
                }
            }
        },
    );
    state.1
}

/// The versions of each key in a sorted map, and a heap of left rows for which there may be a better
/// one to come. Of two versions of an instant the one with the greater bytes counts.
pub fn as_of(load: Load) -> Totals {
    type Versions = HashMap<u64, BTreeMap<i64, f64>>;
    let mut state = (Versions::new(), BinaryHeap::new(), Totals::default());
    ticks(
        load,
        &mut state,
        |(versions, waiting, _), number, time, (key, value)| {
            if number % 2 == 0 {
                waiting.push(Reverse((time, key, value.to_bits())));
                return;
            }
            let version = versions.entry(key).or_default().entry(time).or_insert(value);
            if value.to_le_bytes() > version.to_le_bytes() {
                *version = value;
            }
        },
        |(versions, waiting, totals), frontier| {
            while let Some(&Reverse((time, key, value))) = waiting.peek()
                && time < frontier
            {
                waiting.pop();
                let of_key = versions.get(&key);
                let found = of_key.and_then(|of_key| of_key.range(..=time).next_back());
                let left = (key, f64::from_bits(value));
                totals.add(pair(&left, found.map(|(_, &value)| value)));
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
