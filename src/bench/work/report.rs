//! What was found about a work, for people and for machines.

use serde::Serialize;

use super::{Plan, Run, Told};
use tiderace_work::{Agrees, Load, Row};

/// The results of a work.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Its name.
    pub work: String,
    /// Worker threads in each process.
    pub workers: usize,
    /// Processes.
    pub processes: usize,
    /// How long a tick lasts, in milliseconds, where a row does not say otherwise.
    pub tick: f64,
    /// How many of a hundred events are of one key.
    pub skew: u64,
    /// How often each row was run; the best counts.
    pub runs: usize,
    /// The load of the machine before the start.
    pub load: Option<f64>,
    /// By number of keys.
    pub keys: Vec<OfKeys>,
}

/// What was found with so many keys.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OfKeys {
    /// How many keys.
    pub keys: u64,
    /// What making an event costs, in nanoseconds of processor time.
    pub making: f64,
    /// The rows after the making of the events, in order.
    pub rows: Vec<Line>,
}

/// What was found about a row.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Line {
    /// Its name.
    pub row: String,
    /// How many events it was given.
    pub events: u64,
    /// Events in a second of wall time.
    pub per_second: f64,
    /// Nanoseconds of processor time for an event, over all workers and processes.
    pub nanos: f64,
    /// The same without the making of the event.
    pub without_making: f64,
    /// The row that does the same work with bare means, with the share of its processor time and of
    /// what is left of it without the making of events.
    pub floor: Option<Beside>,
    /// A row that does other work.
    pub beside: Option<Beside>,
    /// How many results came out.
    pub results: u64,
    /// The most memory in use beyond what was before, in MiB.
    pub memory: f64,
    /// Whether every run gave what the floor gave; nothing for a floor.
    pub right: Option<bool>,
    /// How many results there are less than the floor has, where some may be lost.
    pub lost: Option<u64>,
}

/// A row beside another one.
#[derive(Clone, Debug, Serialize)]
pub struct Beside {
    /// The name of the other one.
    pub row: String,
    /// How many times the other one's processor time it takes.
    pub times: f64,
    /// The same without the making of the events on both sides.
    pub without_making: f64,
}

impl Report {
    pub(super) fn new(plan: &Plan, told: &Told) -> Report {
        let rows = (plan.work.rows)();
        let of_keys = |(&keys, runs): (&u64, &Vec<Vec<Run>>)| {
            let making = nanos(&runs[0], plan.events);
            let found = Found { rows: &rows, runs, load: plan.load(keys), making };
            OfKeys { keys, making, rows: (1..rows.len()).map(|at| found.line(at)).collect() }
        };
        Report {
            work: plan.work.name.to_owned(),
            skew: plan.skew,
            runs: plan.runs,
            keys: plan.keys.iter().zip(told).map(of_keys).collect(),
            ..Report::default()
        }
    }

    /// Whether no row was wrong.
    pub fn is_right(&self) -> bool {
        self.keys.iter().flat_map(|of| &of.rows).all(|line| line.right != Some(false))
    }

    /// The results as tables.
    pub fn table(&self) -> String {
        let Report { work, workers, processes, tick, runs, .. } = self;
        let load = self.load.map_or("unknown".to_owned(), |load| format!("{load:.2}"));
        let skew = match self.skew {
            0 => String::new(),
            skew => format!(", {skew} % of events of one key"),
        };
        let mut text = format!(
            "{work}: {processes} × {workers} workers, ticks of {tick} ms{skew}, best of {runs}, \
             load {load} before the start\n"
        );
        self.keys.iter().for_each(|of_keys| text.push_str(&of_keys.table()));
        text
    }
}

impl OfKeys {
    fn table(&self) -> String {
        let mut text = format!(
            "\n{} keys; making an event takes {:.1} ns of processor time\n\
             {:<30}{:>10}{:>9}{:>10}{:>11}{:>9}{:>11}{:>12}{:>7}  results are\n",
            self.keys,
            self.making,
            "",
            "events",
            "M/s",
            "ns/event",
            "no making",
            "× floor",
            "no making",
            "results",
            "MiB"
        );
        for line in &self.rows {
            let Line { row, events, nanos, without_making, results, memory, .. } = line;
            let times = |of: fn(&Beside) -> f64| {
                line.floor.as_ref().map_or(String::new(), |floor| ratio(of(floor)))
            };
            let (all, net) = (times(|floor| floor.times), times(|floor| floor.without_making));
            let right = match (line.right, line.lost) {
                (Some(false), _) => "WRONG".to_owned(),
                (Some(true), Some(lost)) => format!("not compared: {lost} lost, as they may be"),
                (Some(true), None) => "right".to_owned(),
                (None, _) => "the floor".to_owned(),
            };
            text.push_str(&format!(
                "{row:<30}{events:>10}{:>9.2}{nanos:>10.1}{without_making:>11.1}{all:>9}{net:>11}\
                 {results:>12}{memory:>7.0}  {right}\n",
                line.per_second / 1e6
            ));
        }
        for line in &self.rows {
            let Some(Beside { row, times, without_making }) = &line.beside else { continue };
            let (times, net) = (ratio(*times), ratio(*without_making));
            let this = &line.row;
            text.push_str(&format!("{this} takes {times} times {row} ({net} without making)\n"));
        }
        text
    }
}

/// Two digits after the point, or a dash where there is nothing to divide by.
fn ratio(times: f64) -> String {
    if times.is_finite() { format!("{times:.2}") } else { "-".to_owned() }
}

/// The least processor time of all runs, in nanoseconds an event.
fn nanos(runs: &[Run], events: u64) -> f64 {
    let least = runs.iter().map(|run| run.measured.cpu).min().unwrap_or(0);
    least as f64 / events.max(1) as f64
}

/// All that was measured with one number of keys.
struct Found<'a> {
    rows: &'a [Row],
    runs: &'a [Vec<Run>],
    load: Load,
    making: f64,
}

impl Found<'_> {
    fn at(&self, name: &str) -> usize {
        let found = self.rows.iter().position(|row| row.name == name);
        found.expect("rows are compared with rows that are there")
    }

    fn nanos(&self, at: usize) -> f64 {
        nanos(&self.runs[at], self.rows[at].load(self.load).events)
    }

    fn beside(&self, at: usize, other: &str) -> Beside {
        let (this, that) = (self.nanos(at), self.nanos(self.at(other)));
        let net = (this - self.making, that - self.making);
        let without_making = if net.0 > 0.0 && net.1 > 0.0 { net.0 / net.1 } else { f64::NAN };
        Beside { row: other.to_owned(), times: this / that, without_making }
    }

    /// Whether every run of a row agrees with every run of its floor.
    fn right(&self, at: usize, floor: &str, agrees: Agrees) -> bool {
        let floor = &self.runs[self.at(floor)];
        let mut pairs = self.runs[at].iter().flat_map(|run| floor.iter().map(move |of| (run, of)));
        pairs.all(|(run, of)| agrees.holds(run.totals, of.totals))
    }

    fn line(&self, at: usize) -> Line {
        let (row, runs) = (&self.rows[at], &self.runs[at]);
        let events = row.load(self.load).events;
        let wall = runs.iter().map(|run| run.measured.wall).min().unwrap_or(0);
        let memory = runs.iter().map(|run| run.measured.memory).max().unwrap_or(0);
        let results = |at: usize| self.runs[at].first().map_or(0, |run| run.totals.results);
        let nanos = self.nanos(at);
        let lost = match row.floor {
            Some((floor, Agrees::AtMost)) => {
                Some(results(self.at(floor)).saturating_sub(results(at)))
            }
            _ => None,
        };
        Line {
            row: row.name.to_owned(),
            events,
            per_second: events as f64 * 1e9 / wall as f64,
            nanos,
            without_making: nanos - self.making,
            floor: row.floor.map(|(floor, _)| self.beside(at, floor)),
            beside: row.beside.map(|other| self.beside(at, other)),
            results: results(at),
            memory: memory as f64 / f64::from(1 << 20),
            right: row.floor.map(|(floor, agrees)| self.right(at, floor, agrees)),
            lost,
        }
    }
}

#[cfg(test)]
mod tests;
