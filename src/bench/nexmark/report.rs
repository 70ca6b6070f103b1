//! What the suite found, for people and for machines.

use serde::Serialize;

use super::{Measured, Suite, Told, Via};

/// The results of the suite.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Worker threads in each process.
    pub workers: usize,
    /// Processes.
    pub processes: usize,
    /// How many events each query read.
    pub events: u64,
    /// How many events are in a second of event time.
    pub density: u64,
    /// How often each query was measured.
    pub runs: usize,
    /// The load of the machine before the start.
    pub load: Option<f64>,
    /// What the events have come through.
    pub via: Via,
    /// What an event costs before a query sees it, in nanoseconds of processor time: its making, or
    /// its reading and decoding.
    pub making: f64,
    /// The queries, in order.
    pub queries: Vec<Line>,
}

/// What was found about a query. Times are medians of all runs.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Its name.
    pub query: String,
    /// Events in a second of wall time.
    pub per_second: f64,
    /// Events in a second of processor time.
    pub per_cpu_second: f64,
    /// Nanoseconds of processor time for an event.
    pub nanos: f64,
    /// The same without the making, or the reading and decoding, of the event.
    pub without_making: f64,
    /// The same beyond what `q0` takes, if that was measured too.
    pub over_q0: Option<f64>,
    /// Rows and corrections that came out.
    pub rows: u64,
    /// The most memory in use beyond what was before, in MiB.
    pub memory: f64,
    /// Whether the results were right; nothing if nobody looked.
    pub right: Option<bool>,
}

impl Report {
    pub(super) fn new(
        suite: &Suite,
        told: &Told,
        wrong: &[String],
        (workers, processes): (usize, usize),
        load: Option<f64>,
    ) -> Report {
        let events = suite.events.max(1) as f64;
        let nanos = |runs: &[Measured]| median(runs.iter().map(|run| run.cpu as f64 / events));
        let making = nanos(&told.making);
        let q0 = suite.queries.iter().position(|name| name == "q0");
        let q0 = q0.map(|at| nanos(&told.queries[at]));
        let line = |(query, runs): (&String, &Vec<Measured>)| {
            let of = |what: fn(&Measured) -> u64| median(runs.iter().map(|run| what(run) as f64));
            let nanos = nanos(runs);
            Line {
                query: query.clone(),
                per_second: events * 1e9 / of(|run| run.wall),
                per_cpu_second: 1e9 / nanos,
                nanos,
                without_making: nanos - making,
                over_q0: q0.map(|q0| nanos - q0),
                rows: runs.first().map_or(0, |run| run.sent),
                memory: of(|run| run.memory) / f64::from(1 << 20),
                right: suite.verify.then(|| !wrong.contains(query)),
            }
        };
        Report {
            workers,
            processes,
            events: suite.events,
            density: suite.generator.rate(),
            runs: suite.runs,
            load,
            via: suite.via,
            making,
            queries: suite.queries.iter().zip(&told.queries).map(line).collect(),
        }
    }

    /// Whether no query was wrong.
    pub fn is_right(&self) -> bool {
        self.queries.iter().all(|line| line.right != Some(false))
    }

    /// The results as a table.
    pub fn table(&self) -> String {
        let Report { workers, processes, events, density, runs, making, .. } = self;
        let load = self.load.map_or("unknown".to_owned(), |load| format!("{load:.2}"));
        let mut text = format!(
            "NEXMark: {events} events, {density} a second of event time, {processes} × {workers} \
             workers, median of {runs}, load {load} before the start\n\
             {} takes {making:.1} ns of processor time\n\n\
             {:<6}{:>12}{:>12}{:>10}{:>10}{:>10}{:>12}{:>9}  {}\n",
            self.via.doing(),
            "query",
            "M/s",
            "M/CPU s",
            "ns/event",
            "no making",
            "over q0",
            "rows",
            "MiB",
            "results"
        );
        for line in &self.queries {
            let over = line.over_q0.map_or(String::new(), |nanos| format!("{nanos:.1}"));
            let right = match line.right {
                Some(true) => "right",
                Some(false) => "WRONG",
                None => "not verified",
            };
            text.push_str(&format!(
                "{:<6}{:>12.2}{:>12.2}{:>10.1}{:>10.1}{:>10}{:>12}{:>9.0}  {right}\n",
                line.query,
                line.per_second / 1e6,
                line.per_cpu_second / 1e6,
                line.nanos,
                line.without_making,
                over,
                line.rows,
                line.memory
            ));
        }
        text
    }
}

/// The middle of some numbers; the mean of the two in the middle if their number is even.
fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    match numbers.len() {
        0 => f64::NAN,
        n => (numbers[(n - 1) / 2] + numbers[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([3.0, 1.0].into_iter()), 2.0);
        assert!(median(std::iter::empty()).is_nan());
    }
}
