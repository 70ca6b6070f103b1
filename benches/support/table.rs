//! A table of measurements.

use std::time::Instant;

use super::{Load, most_memory};

/// How much of what a run gives must be what its floor gives.
#[derive(Clone, Copy, PartialEq)]
enum Agrees {
    /// The number of results, and what they add up to.
    Both,
    /// What they add up to, where results are corrected or come in several parts.
    Sum,
    /// Nothing: the two do different work.
    Nothing,
}

/// One line of a table of measurements.
pub struct Row {
    pub name: &'static str,
    pub load: Load,
    /// The row that does the same work with bare means.
    pub floor: Option<&'static str>,
    agrees: Agrees,
    run: Box<dyn Fn(Load) -> (u64, u64)>,
    /// What every run gives: results, and what they add up to.
    gave: Option<(u64, u64)>,
    /// The best wall time of all runs, in seconds.
    pub wall: f64,
    pub runs: usize,
    /// The wall time of all runs, in seconds.
    spent: f64,
    /// The most memory that was held at the end of a tick, in bytes.
    pub memory: usize,
}

impl Row {
    pub fn new(name: &'static str, load: Load, run: impl Fn(Load) -> (u64, u64) + 'static) -> Self {
        let (floor, agrees, run, gave) = (None, Agrees::Nothing, Box::new(run), None);
        let (wall, runs, spent, memory) = (f64::INFINITY, 0, 0.0, 0);
        Row { name, load, floor, agrees, run, gave, wall, runs, spent, memory }
    }

    /// To be compared with this row, which must give the same.
    pub fn gives(self, floor: &'static str) -> Self {
        Row { floor: Some(floor), agrees: Agrees::Both, ..self }
    }

    /// To be compared with this row, whose results must add up to the same.
    pub fn adds_up(self, floor: &'static str) -> Self {
        Row { floor: Some(floor), agrees: Agrees::Sum, ..self }
    }

    /// To be compared with this row, which does other work.
    pub fn beside(self, floor: &'static str) -> Self {
        Row { floor: Some(floor), ..self }
    }

    /// Nanoseconds per event.
    pub fn nanos(&self) -> f64 {
        self.wall * 1e9 / self.load.events as f64
    }

    fn measure(&mut self) {
        let begun = Instant::now();
        let (gave, memory) = most_memory(|| std::hint::black_box((self.run)(self.load)));
        let wall = begun.elapsed().as_secs_f64();
        self.wall = self.wall.min(wall);
        self.runs += 1;
        self.spent += wall;
        self.memory = memory;
        let before = *self.gave.get_or_insert(gave);
        assert_eq!(gave, before, "{}: results, and their sum, are not always the same", self.name);
    }

    /// What is wrong with what the row gives, if it is not what its floor gives.
    fn check(&self, rows: &[Row]) -> Option<String> {
        let floor = rows.iter().find(|row| self.floor == Some(row.name))?;
        let (this, that) = (self.gave?, floor.gave?);
        let same = match self.agrees {
            Agrees::Both => this == that,
            Agrees::Sum => this.1 == that.1,
            Agrees::Nothing => true,
        };
        (!same).then(|| format!("{} gives {this:?}, {} gives {that:?}", self.name, floor.name))
    }
}

/// Runs all rows in turns, several times, so that a slow moment of the machine hits all of them. A
/// row that has taken the seconds which are `enough` for it takes no more turns.
pub fn measure(rows: &mut [Row], runs: usize, enough: impl Fn(&str) -> f64) {
    for _ in 0..runs {
        for row in rows.iter_mut() {
            if row.spent < enough(row.name) {
                row.measure();
            }
        }
        let wrong: Vec<String> = rows.iter().filter_map(|row| row.check(rows)).collect();
        assert!(wrong.is_empty(), "results, and what they add up to:\n{}", wrong.join("\n"));
    }
}

/// The load of the machine over the last minute.
pub fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// User and system time of this process, in nanoseconds.
pub fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) * 1e7
}
