//! One picture of a running job: what every view shows.
//!
//! Each process takes a [`ProcessStatus`] of its own operators and sources; merged they are the
//! [`Status`] of the job.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tiderace_operators::observe::{Counts, Observer};
use tiderace_operators::time::EventTime;

use super::board::{Board, SourceReport};

/// What one process knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// Its operators, each added up over its workers.
    pub operators: Vec<OperatorStatus>,
    /// Its source instances.
    pub sources: Vec<SourceReport>,
}

/// What is known about an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorStatus {
    /// Its name.
    pub name: String,
    /// What kind it is: `source`, `window`, `sink` …
    pub kind: String,
    /// Its numbers.
    pub counts: Counts,
    /// The event time up to which it is done, in microseconds since 1970; none if it is not known.
    pub frontier: Option<i64>,
    /// Where the oldest window starts that is open, in microseconds since 1970; none if no window is.
    pub oldest_window_start: Option<i64>,
}

impl ProcessStatus {
    /// What this process knows now.
    pub fn take(observer: &Observer, board: &Board) -> Self {
        let mut operators = Vec::new();
        for seen in observer.all() {
            let frontier = seen.counters.frontier.get();
            add(
                &mut operators,
                OperatorStatus {
                    name: seen.name.to_string(),
                    kind: seen.kind.to_owned(),
                    counts: seen.counters.counts(),
                    frontier: (frontier != EventTime::MIN).then_some(frontier.micros()),
                    oldest_window_start: seen.counters.oldest.get().map(EventTime::micros),
                },
            );
        }
        ProcessStatus { operators, sources: board.all() }
    }
}

/// Adds the numbers of an operator on other workers to those that are there.
fn add(operators: &mut Vec<OperatorStatus>, other: OperatorStatus) {
    match operators.iter_mut().find(|here| here.name == other.name) {
        Some(here) => {
            here.counts += other.counts;
            here.frontier = here.frontier.min(other.frontier);
            let starts = [here.oldest_window_start, other.oldest_window_start];
            here.oldest_window_start = starts.into_iter().flatten().min();
        }
        None => operators.push(other),
    }
}

/// What is known about the whole job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What holds event time back, in one sentence.
    pub why: String,
    /// The event time up to which every operator that tells one is done, in microseconds.
    pub frontier: Option<i64>,
    /// Records read, and what became of them.
    pub ledger: Ledger,
    /// Records between what was read and the ends of the logs, where known.
    pub lag: Option<u64>,
    /// The operators.
    pub operators: Vec<OperatorStatus>,
    /// The source instances.
    pub sources: Vec<SourceReport>,
}

/// What became of the records that were read, added up over all operators.
///
/// Where every record takes one path, `read` less all the others is what went into results or is
/// still in flight. The books of each operator balance by themselves: see [`Status::unbalanced`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Records that the sources handed over.
    pub read: u64,
    /// Records that were dropped on purpose.
    pub filtered: u64,
    /// Records that were refused as late by every step that they reached.
    pub late: u64,
    /// Records that repeat an earlier one.
    pub duplicate: u64,
    /// Records that could not be used.
    pub rejected: u64,
    /// Entries of state still held: open windows' keys, remembered keys.
    pub held: u64,
}

impl Status {
    /// The job's status from those of its processes.
    pub fn merge(processes: impl IntoIterator<Item = ProcessStatus>) -> Self {
        let mut status = Status::default();
        for process in processes {
            for operator in process.operators {
                add(&mut status.operators, operator);
            }
            status.sources.extend(process.sources);
        }
        status.sources.sort_by(|a, b| (&a.source, a.worker).cmp(&(&b.source, b.worker)));
        let told = status.operators.iter().filter(|op| op.kind == "window" || op.kind == "dedup");
        status.frontier = told.map(|op| op.frontier).min().flatten();
        let lags = status.sources.iter().flat_map(|s| &s.partitions).filter_map(|p| p.lag);
        status.lag = lags.fold(None, |sum, lag| Some(sum.unwrap_or(0) + lag));
        for operator in &status.operators {
            let counts = operator.counts;
            if operator.kind == "source" {
                status.ledger.read += counts.input;
            }
            status.ledger.filtered += counts.filtered;
            status.ledger.late += counts.late;
            status.ledger.duplicate += counts.duplicate;
            status.ledger.rejected += counts.rejected;
            status.ledger.held += counts.held;
        }
        status.why = super::why::why(&status.sources);
        status
    }

    /// The numbers of an operator.
    pub fn counts(&self, name: &str) -> Counts {
        let here = self.operators.iter().find(|op| op.name == name);
        here.map(|op| op.counts).unwrap_or_default()
    }

    /// Every operator whose books do not balance, with its numbers.
    pub fn unbalanced(&self) -> BTreeMap<String, Counts> {
        let off = self.operators.iter().filter(|op| !op.counts.balanced());
        off.map(|op| (op.name.clone(), op.counts)).collect()
    }
}
