//! The same with hash maps.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::WINDOW;
use crate::floor::ticks;
use crate::support::{BOUND, Load, event, note_memory};

/// Makes the events and adds up their keys: what every other row contains.
pub fn nothing(Load { events, keys }: Load) -> (u64, u64) {
    let mut sum = 0;
    for i in 0..events {
        let (time, (key, _)) = event(i, keys);
        sum ^= key ^ time as u64;
    }
    std::hint::black_box(sum);
    (0, 0)
}

/// A hash map per window, with a counter per key.
pub fn count(Load { events, keys }: Load, size: i64) -> (u64, u64) {
    let mut open: BTreeMap<i64, HashMap<u64, u64>> = BTreeMap::new();
    let (mut results, mut counted, mut newest) = (0, 0, i64::MIN);
    let mut fire = |keys: HashMap<u64, u64>| {
        results += keys.len() as u64;
        counted += keys.values().sum::<u64>();
        note_memory();
    };
    for i in 0..events {
        let (time, (key, _)) = event(i, keys);
        *open.entry(time.div_euclid(size)).or_default().entry(key).or_default() += 1;
        if time > newest {
            newest = time;
            while open.first_key_value().is_some_and(|(&w, _)| (w + 1) * size <= newest - BOUND) {
                fire(open.pop_first().expect("looked at above").1);
            }
        }
    }
    open.into_values().for_each(&mut fire);
    (results, counted)
}

/// The same with a stamp beside each counter, as operators keep it to know what a cut must write.
pub fn stamped(Load { events, keys }: Load) -> (u64, u64) {
    let mut open: BTreeMap<i64, HashMap<u64, (u64, u32)>> = BTreeMap::new();
    let (mut results, mut counted, mut newest) = (0, 0, i64::MIN);
    let mut fire = |keys: HashMap<u64, (u64, u32)>| {
        results += keys.len() as u64;
        counted += keys.values().map(|(count, _)| count).sum::<u64>();
        note_memory();
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

/// A hash map per window of each of two sizes.
pub fn count_in_two(load: Load, small: i64, large: i64) -> (u64, u64) {
    type Open = BTreeMap<(i64, i64), HashMap<u64, u64>>;
    let mut state = (Open::new(), 0, 0);
    ticks(
        load,
        &mut state,
        |(open, ..), _, time, (key, _)| {
            for size in [small, large] {
                let end = (time.div_euclid(size) + 1) * size;
                *open.entry((end, size)).or_default().entry(key).or_default() += 1;
            }
        },
        |(open, results, counted), frontier| {
            while open.first_key_value().is_some_and(|(&(end, _), _)| end <= frontier) {
                let (_, keys) = open.pop_first().expect("looked at above");
                *results += keys.len() as u64;
                *counted += keys.values().sum::<u64>();
            }
        },
    );
    (state.1, state.2)
}

/// Counts by the number of a slice.
type Slices = BTreeMap<i64, HashMap<u64, u64>>;

/// Windows of sixty slices: what comes in is added to a total per key, what falls out is subtracted.
pub fn sliding(load: Load, slide: i64) -> (u64, u64) {
    struct Sliding {
        slices: Slices,
        totals: HashMap<u64, u64>,
        /// The slice that the next window ends with.
        next: Option<i64>,
        tally: (u64, u64),
    }
    let (slices, totals) = (Slices::new(), HashMap::new());
    let mut state = Sliding { slices, totals, next: None, tally: (0, 0) };
    ticks(
        load,
        &mut state,
        |state, _, time, (key, _)| {
            *state.slices.entry(time.div_euclid(slide)).or_default().entry(key).or_default() += 1;
        },
        |Sliding { slices, totals, next, tally }, frontier| {
            let mut last = next.unwrap_or_else(|| *slices.keys().next().expect("there are events"));
            while !slices.is_empty() && (last + 1) * slide <= frontier {
                if let Some(slice) = slices.get(&last) {
                    slice.iter().for_each(|(&key, n)| *totals.entry(key).or_default() += n);
                }
                tally.0 += totals.len() as u64;
                tally.1 += totals.values().sum::<u64>();
                for (key, n) in slices.remove(&(last - 59)).into_iter().flatten() {
                    let total = totals.get_mut(&key).expect("it was added");
                    *total -= n;
                    if *total == 0 {
                        totals.remove(&key);
                    }
                }
                last += 1;
            }
            *next = Some(last);
        },
    );
    state.tally
}

/// A running total per key, and a hash map for each step that is to be added to it.
pub fn cumulative(load: Load, size: i64, step: i64) -> (u64, u64) {
    struct Running {
        steps: Slices,
        totals: HashMap<u64, u64>,
        next: Option<i64>,
        tally: (u64, u64),
    }
    let (steps, totals) = (Slices::new(), HashMap::new());
    let mut state = Running { steps, totals, next: None, tally: (0, 0) };
    let in_period = size / step;
    ticks(
        load,
        &mut state,
        |state, _, time, (key, _)| {
            *state.steps.entry(time.div_euclid(step)).or_default().entry(key).or_default() += 1;
        },
        |Running { steps, totals, next, tally }, frontier| {
            let mut number =
                next.unwrap_or_else(|| *steps.keys().next().expect("there are events"));
            while !(steps.is_empty() && totals.is_empty()) && (number + 1) * step <= frontier {
                for (key, n) in steps.remove(&number).into_iter().flatten() {
                    *totals.entry(key).or_default() += n;
                }
                tally.0 += totals.len() as u64;
                tally.1 += totals.values().sum::<u64>();
                number += 1;
                if number % in_period == 0 {
                    totals.clear();
                }
            }
            *next = Some(number);
        },
    );
    state.tally
}
