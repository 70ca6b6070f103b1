//! Events as JSON of some 140 bytes, and what their windows come to.
//!
//! An event is a function of its number. There are 100,000 in a second of event time; each comes up to
//! two seconds late, and its key is any of all keys.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::Sum;
use crate::prelude::*;

/// Events in a millisecond of event time.
const DENSITY: u64 = 100;
/// How late events come at most, in milliseconds of event time.
const BOUND: i64 = 2_000;
/// 2026-01-01 00:00:00 UTC in milliseconds.
const BEGIN: i64 = 1_767_225_600_000;
/// The size of the windows, in milliseconds.
const WINDOW: i64 = 10_000;

const UNITS: [&str; 4] = ["celsius", "percent", "hectopascal", "lux"];
const SITES: [&str; 6] =
    ["oslo/north/4", "bergen/harbour", "lima/airport", "perth/2", "quito/hill", "tunis/east"];

/// What the windows use of an event; the other fields are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Event time in milliseconds since 1970.
    pub at: i64,
    /// By what it is grouped.
    pub key: u64,
    /// What is summed up.
    pub value: i64,
}

/// All seven fields of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Full<'a> {
    /// The number of the event.
    pub id: u64,
    /// As in [`Reading`].
    pub at: i64,
    /// As in [`Reading`].
    pub key: u64,
    /// As in [`Reading`].
    pub value: i64,
    /// What `value` counts.
    pub unit: &'a str,
    /// Where it was measured.
    pub site: &'a str,
    /// A remark.
    pub note: &'a str,
}

/// Events over so many keys.
#[derive(Clone, Copy, Debug)]
pub struct Readings {
    /// How many keys there are.
    pub keys: u64,
}

/// The results of windows: how many, their sum, the greatest.
pub type Totals = (u64, i128, Option<i64>);
/// A result: key, start of the window in milliseconds, totals.
pub type Row = (u64, i64, Totals);

impl Readings {
    /// The event of this number, as far as it is used.
    #[inline]
    pub fn get(&self, number: u64) -> Reading {
        // The finish of SplitMix64 (Steele, Lea and Flood, 2014).
        let z = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let z = z ^ (z >> 31);
        let lag = (z >> 40) as i64 % BOUND;
        Reading {
            at: BEGIN + (number / DENSITY) as i64 - lag,
            key: ((u128::from(z) * u128::from(self.keys)) >> 64) as u64,
            value: (z & 0xf_ffff) as i64 - 1_000,
        }
    }

    /// Appends the event of this number as JSON.
    pub fn json(&self, number: u64, into: &mut Vec<u8>) {
        let Reading { at, key, value } = self.get(number);
        let mut note = [0; 32];
        let left = {
            let mut rest = &mut note[..];
            write!(rest, "read by hand in turn {}", number % 1_000_000).expect("it fits");
            rest.len()
        };
        let note = std::str::from_utf8(&note[..note.len() - left]).expect("it was written above");
        let unit = UNITS[number as usize % UNITS.len()];
        let site = SITES[number as usize % SITES.len()];
        let full = Full { id: number, at, key, value, unit, site, note };
        serde_json::to_writer(into, &full).expect("an event can be written to memory");
    }

    /// How far behind others events may come.
    pub fn behind(&self) -> Duration {
        millis(BOUND as u64)
    }

    /// The results of the windows over the first so many events, by a loop.
    pub fn by_a_loop(&self, events: u64) -> Sum {
        let (mut sum, mut buffer) = (Sum::default(), Vec::new());
        let mut open = BTreeMap::<i64, HashMap<u64, Totals>>::new();
        let mut close = |start: i64, keys: HashMap<u64, Totals>| {
            keys.into_iter().for_each(|(key, t)| sum.add(&(key, start, t), 1, &mut buffer));
        };
        for number in 0..events {
            let Reading { at, key, value } = self.get(number);
            let window = open.entry(at.div_euclid(WINDOW) * WINDOW).or_default();
            let (count, total, most) = window.entry(key).or_default();
            (*count, *total, *most) =
                (*count + 1, *total + i128::from(value), (*most).max(Some(value)));
            // Nothing before this comes any more.
            let frontier = BEGIN + (number / DENSITY) as i64 - BOUND;
            while open.first_key_value().is_some_and(|(start, _)| start + WINDOW <= frontier) {
                let (start, keys) = open.pop_first().expect("looked at above");
                close(start, keys);
            }
        }
        open.into_iter().for_each(|(start, keys)| close(start, keys));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_some_140_bytes_with_the_same_in_both_forms() {
        let readings = Readings { keys: 1_000_000 };
        let (mut json, mut bytes) = (Vec::new(), 0);
        for number in (0..10_000_000).step_by(9_973) {
            json.clear();
            readings.json(number, &mut json);
            bytes += json.len();
            let reading: Reading = serde_json::from_slice(&json).unwrap();
            let full: Full<'_> = serde_json::from_slice(&json).unwrap();
            assert_eq!(reading, readings.get(number));
            assert_eq!((full.id, full.at, full.key), (number, reading.at, reading.key));
        }
        let mean = bytes / 10_000_000_usize.div_ceil(9_973);
        assert!((135..=145).contains(&mean), "{mean} bytes");
    }

    #[test]
    fn the_loop_counts_every_event_once_however_windows_are_closed() {
        let readings = Readings { keys: 1 };
        // Two and a half windows, and what is late of the first event's.
        let sum = readings.by_a_loop(2_500_000);
        assert_eq!(sum.rows, 4);
    }
}
