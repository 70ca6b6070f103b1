//! The same with hash maps, which forget what they have been.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};

use super::level;
use crate::floor::ticks;
use crate::support::Load;

/// The levels of each key in a sorted map with how often they are there, and the least of them.
pub fn rows(load: Load) -> (u64, u64) {
    let mut state = HashMap::<u64, BTreeMap<u64, u64>>::new();
    ticks(
        load,
        &mut state,
        |keys, _, _, event| {
            *keys.entry(event.0).or_default().entry(level(&event)).or_default() += 1
        },
        |_, _| (),
    );
    let keys = state.len() as u64;
    (keys, state.values().filter_map(|levels| levels.keys().next()).sum())
}

/// The pairs of key and level in a set.
pub fn distinct(load: Load) -> (u64, u64) {
    let mut state = HashSet::new();
    ticks(load, &mut state, |set, _, _, event| _ = set.insert((event.0, level(&event))), |_, _| ());
    (state.len() as u64, state.len() as u64)
}

/// The newest time and level of each key.
fn newest(newest: &mut HashMap<u64, (i64, u64)>, time: i64, key: u64, level: u64) {
    let known = newest.entry(key).or_insert((time, level));
    *known = (time, level).max(*known);
}

/// The newest level of each key.
pub fn upsert(load: Load) -> (u64, u64) {
    let mut state = HashMap::new();
    ticks(
        load,
        &mut state,
        |state, _, time, event| newest(state, time, event.0, level(&event)),
        |_, _| (),
    );
    (state.len() as u64, state.len() as u64)
}

/// The newest level of each key on two sides, and for each event the one of the other side.
pub fn join(load: Load) -> (u64, u64) {
    let mut state = [HashMap::new(), HashMap::new()];
    ticks(
        load,
        &mut state,
        |sides, i, time, event| {
            let side = (i % 2) as usize;
            newest(&mut sides[side], time, event.0, level(&event));
            std::hint::black_box(sides[1 - side].get(&event.0));
        },
        |_, _| (),
    );
    let [left, right] = state;
    let pairs = left.keys().filter(|key| right.contains_key(*key)).count() as u64;
    (pairs, pairs)
}
