//! What work on events costs, to be put beside other work on the same events.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::machine;

/// What some work has cost.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// What was done.
    pub name: String,
    /// Events in a second of wall time.
    pub per_second: f64,
    /// Nanoseconds of processor time of this process for an event.
    pub nanos: f64,
    /// The most memory this process had in use meanwhile, in MiB.
    pub memory: f64,
}

/// The columns of [`Cost::line`].
pub const COLUMNS: &str =
    "                                    M events/s   CPU ns/event   peak MiB\n";

impl Cost {
    /// Does the work on so many events.
    pub fn of<T, E>(
        name: &str,
        events: u64,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<(Cost, T), E> {
        machine::forget_peak();
        let (begun, cpu) = (Instant::now(), machine::cpu());
        let done = work()?;
        let (wall, cpu) = (begun.elapsed(), machine::cpu().saturating_sub(cpu));
        let memory = machine::peak_memory() as f64 / f64::from(1 << 20);
        Ok((Cost::new(name, events, wall, cpu, memory), done))
    }

    fn new(name: &str, events: u64, wall: Duration, cpu: Duration, memory: f64) -> Cost {
        let events = events.max(1) as f64;
        let name = name.to_owned();
        let (per_second, nanos) = (events / wall.as_secs_f64(), cpu.as_nanos() as f64 / events);
        Cost { name, per_second, nanos, memory }
    }

    /// The cost of one after the other, on the same events.
    pub fn and(&self, other: &Cost, name: &str) -> Cost {
        Cost {
            name: name.to_owned(),
            per_second: 1.0 / (1.0 / self.per_second + 1.0 / other.per_second),
            nanos: self.nanos + other.nanos,
            memory: self.memory.max(other.memory),
        }
    }

    /// How much of its processor time the least that is possible takes: 1 if nothing is added.
    pub fn share_of(&self, floor: &Cost) -> f64 {
        floor.nanos / self.nanos
    }

    /// A line of a table.
    pub fn line(&self) -> String {
        let Cost { name, per_second, nanos, memory } = self;
        format!("{name:<34}{:>12.2}{nanos:>15.1}{memory:>11.0}\n", per_second / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_after_the_other_takes_the_time_of_both() {
        let cost = |wall, cpu| {
            let (wall, cpu) = (Duration::from_secs(wall), Duration::from_secs(cpu));
            Cost::new("", 1_000, wall, cpu, 1.0)
        };
        let both = cost(1, 2).and(&cost(3, 1), "both");
        assert_eq!((both.per_second, both.nanos), (250.0, 3e6));
        assert_eq!(cost(9, 6).share_of(&both), 0.5);
    }
}
