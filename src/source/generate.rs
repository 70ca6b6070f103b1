//! Sensor readings out of nowhere, for the demo, examples and tests.
//!
//! [`Sensors`] describes an endless series of events as a pure function of a seed and an index, so
//! every worker makes its own slice of it and a test can make the whole again. The series is out of
//! order on purpose: an event is up to `bound` older than its place in the series says. Some events
//! are late, which means older than `bound` behind the newest event of their partition, and some
//! are duplicates, the same event again a little later in the same partition. Which ones is known:
//! [`Sensors::truth`]. [`Generator`] is the source that hands the series over.
//!
//! Event `i` belongs to partition `i % partitions`, at offset `i / partitions`; a partition belongs
//! to worker `partition % peers`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tiderace_operators::time::EventTime;

use super::Partition;
use crate::error::{Error, Kind};
pub use source::{Generator, GeneratorBuilder};

mod source;
#[cfg(test)]
mod tests;

/// 2026-01-01 00:00:00 UTC.
const NEW_YEAR: i64 = 1_767_225_600_000;
/// Every so many events of a partition, one is as new as its place says and neither late nor a
/// duplicate, so that the newest event time of a partition never lags far behind.
const PACE: u64 = 16;
/// The largest distance of a duplicate from its original, in events of the partition.
const MAX_REPEAT: u64 = 64;

/// One reading of one sensor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensorEvent {
    /// The same for an event and its duplicates, else unique.
    pub id: u64,
    /// Which sensor it is, from 0.
    pub sensor: u32,
    /// When it was measured, in milliseconds since 1970.
    pub at: i64,
    /// Degrees, always a whole number of hundredths.
    pub celsius: f64,
}

impl SensorEvent {
    /// The temperature in hundredths of a degree: whole numbers can be summed in any order.
    pub fn hundredths(&self) -> i64 {
        (self.celsius * 100.0).round() as i64
    }
}

/// What is true of an event beyond what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth {
    /// The index of the first event with the same id; its own unless it is a duplicate.
    pub original: u64,
    /// Whether it is further behind the newest event of its partition than the bound.
    pub late: bool,
}

/// A series of sensor readings, as a pure function of the index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sensors {
    seed: u64,
    start: i64,
    step_micros: u64,
    bound_millis: u64,
    late_by_millis: u64,
    late: f64,
    duplicates: f64,
    keys: u32,
    partitions: u32,
}

impl Default for Sensors {
    /// One event a millisecond from 2026-01-01 on, 100 sensors, 4 partitions, up to 5 s out of
    /// order, 1 % late by up to 2 minutes more, 1 % duplicates.
    fn default() -> Self {
        Sensors {
            seed: 1,
            start: NEW_YEAR,
            step_micros: 1_000,
            bound_millis: 5_000,
            late_by_millis: 120_000,
            late: 0.01,
            duplicates: 0.01,
            keys: 100,
            partitions: 4,
        }
    }
}

impl Sensors {
    /// Another series for every seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The event time at which the series starts.
    #[must_use]
    pub fn start(mut self, start: EventTime) -> Self {
        self.start = start.millis();
        self
    }

    /// How far event time moves on from one event to the next, over all partitions.
    #[must_use]
    pub fn step(mut self, step: Duration) -> Self {
        self.step_micros = u64::try_from(step.as_micros()).unwrap_or(u64::MAX);
        self
    }

    /// How far out of order events are that are not late, rounded down to milliseconds.
    #[must_use]
    pub fn bound(mut self, bound: Duration) -> Self {
        self.bound_millis = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// The share of late events, and by how much at most they are behind the bound.
    #[must_use]
    pub fn late(mut self, share: f64, by: Duration) -> Self {
        self.late = share;
        self.late_by_millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// The share of events that are duplicates of an earlier one.
    #[must_use]
    pub fn duplicates(mut self, share: f64) -> Self {
        self.duplicates = share;
        self
    }

    /// The number of sensors, at least one.
    #[must_use]
    pub fn keys(mut self, keys: u32) -> Self {
        self.keys = keys.max(1);
        self
    }

    /// The number of partitions, at least one.
    #[must_use]
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.partitions = partitions.max(1);
        self
    }

    /// Whether the series can be as it is described.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |message: String| Err(Error::new(Kind::Config, message));
        for (name, share) in [("late", self.late), ("duplicate", self.duplicates)] {
            if !(0.0..=0.5).contains(&share) {
                return wrong(format!("the share of {name} events is {share}, not from 0 to 0.5"));
            }
        }
        // A century of disorder is enough for anybody, and keeps all sums far from overflow.
        const CENTURY: u64 = 100 * 366 * 86_400_000;
        let longest = self.bound_millis.max(self.late_by_millis).max(self.step_micros / 1_000);
        if longest > CENTURY || self.start.unsigned_abs() > 100 * CENTURY {
            return wrong("the times of the generator are more than a century apart".to_owned());
        }
        if self.late > 0.0 && self.late_by_millis == 0 {
            return wrong("late events must be late by at least one millisecond".to_owned());
        }
        if self.duplicates > 0.0 && self.max_repeat() == 0 {
            let Sensors { bound_millis, step_micros, partitions, .. } = self;
            return Err(Error::new(
                Kind::Config,
                format!(
                    "duplicates would be late: with {partitions} partitions and a step of \
                     {step_micros} us, a bound of {bound_millis} ms leaves no room for them"
                ),
            )
            .hint("raise the bound, or ask for no duplicates"));
        }
        Ok(())
    }

    /// How many partitions the series has.
    pub fn partition_count(&self) -> u32 {
        self.partitions
    }

    /// The bound on disorder that a watermark needs so that only the late events are late.
    pub fn disorder(&self) -> Duration {
        Duration::from_millis(self.bound_millis)
    }

    /// The partition of the event at this index.
    pub fn partition_of(&self, index: u64) -> Partition {
        (index % u64::from(self.partitions)) as Partition
    }

    /// The event at this index.
    pub fn event(&self, index: u64) -> SensorEvent {
        let id = self.original(index);
        let hash = self.hash(id, 2);
        let sensor = (hash % u64::from(self.keys)) as u32;
        // From -10.00 to 39.99 degrees: some are below zero.
        let hundredths = (hash >> 32) as i64 % 5_000 - 1_000;
        SensorEvent { id, sensor, at: self.time(id), celsius: hundredths as f64 / 100.0 }
    }

    /// What is true of the event at this index.
    pub fn truth(&self, index: u64) -> Truth {
        let original = self.original(index);
        Truth { original, late: self.is_late(original) }
    }

    /// The event time that the place of an original in the series stands for.
    fn base(&self, index: u64) -> i64 {
        let moved = u128::from(index) * u128::from(self.step_micros) / 1_000;
        self.start.saturating_add(i64::try_from(moved).unwrap_or(i64::MAX))
    }

    /// The event time of an original.
    fn time(&self, index: u64) -> i64 {
        let slot = index / u64::from(self.partitions);
        let hash = self.hash(index, 3);
        if self.is_late(index) {
            // The partition has seen this newest event time at least, and its bound from it on.
            let paced = (slot - 1) / PACE * PACE * u64::from(self.partitions)
                + u64::from(self.partition_of(index));
            let behind = self.bound_millis.saturating_add(1 + hash % self.late_by_millis.max(1));
            self.base(paced).saturating_sub_unsigned(behind)
        } else if slot.is_multiple_of(PACE) {
            self.base(index)
        } else {
            // Half of the bound is left for duplicates, which come later than their time says.
            self.base(index).saturating_sub_unsigned(hash % (self.bound_millis / 2 + 1))
        }
    }

    /// Whether an original is late on purpose.
    fn is_late(&self, index: u64) -> bool {
        let slot = index / u64::from(self.partitions);
        !slot.is_multiple_of(PACE) && self.chance(index, 1) < self.late
    }

    /// The index of the first event with the same id.
    fn original(&self, index: u64) -> u64 {
        let partitions = u64::from(self.partitions);
        let max_repeat = self.max_repeat();
        let mut first = index;
        loop {
            let slot = first / partitions;
            let again = !slot.is_multiple_of(PACE) && self.chance(first, 0) < self.duplicates;
            if !again || max_repeat == 0 {
                return first;
            }
            let back = 1 + self.hash(first, 4) % max_repeat.min(MAX_REPEAT);
            if back > slot {
                return first;
            }
            first -= back * partitions;
            if index - first > max_repeat * partitions {
                // It would repeat a repeated event too late to be on time.
                return index;
            }
        }
    }

    /// How many events of its partition a duplicate may come after its original.
    fn max_repeat(&self) -> u64 {
        let apart = self.step_micros.saturating_mul(u64::from(self.partitions)).max(1);
        self.bound_millis.saturating_mul(500) / apart
    }

    /// From 0 to 1, independent for each purpose.
    fn chance(&self, index: u64, purpose: u64) -> f64 {
        (self.hash(index, purpose) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A well mixed number for this index and purpose (the finalizer of splitmix64).
    fn hash(&self, index: u64, purpose: u64) -> u64 {
        let golden = 0x9e37_79b9_7f4a_7c15_u64;
        let mut z = mix(self.seed.wrapping_add(golden.wrapping_mul(purpose + 1)));
        z = z.wrapping_add(golden.wrapping_mul(index.wrapping_add(1)));
        mix(z)
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
