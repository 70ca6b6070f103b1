//! Where sources tell how far they are, for everybody who asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

/// What is known about one partition of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionReport {
    /// Its number within the source.
    pub partition: u32,
    /// The next offset that will be read.
    pub position: u64,
    /// The position that was committed last, if any.
    pub committed: Option<u64>,
    /// `unknown`, `active`, `idle` or `finished`.
    pub state: String,
    /// Its frontier in microseconds since 1970, once it has one.
    pub frontier: Option<i64>,
    /// Records between its position and the end of its log, where the source knows.
    pub lag: Option<u64>,
    /// How long it has been silent, in milliseconds.
    pub silent_ms: u64,
    /// Whether its log is read to the end, as far as the source knows.
    pub caught_up: bool,
}

/// What is known about one instance of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    /// The source's name.
    pub source: String,
    /// The worker.
    pub worker: usize,
    /// How long a silent partition holds the frontier, in milliseconds; for ever if there is none.
    pub idle_after_ms: Option<u64>,
    /// Its partitions.
    pub partitions: Vec<PartitionReport>,
    /// Whether it waits for a sink.
    pub waiting_for_sink: bool,
    /// Offset commits that were acknowledged.
    pub committed: u64,
    /// Offset commits that failed.
    pub commit_failures: u64,
    /// Records that could not be used, by class.
    pub failed: BTreeMap<String, u64>,
}

/// The newest report of every source instance of this process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<BTreeMap<(String, usize), SourceReport>>>);

impl Board {
    /// Replaces the report of an instance.
    pub fn post(&self, report: SourceReport) {
        let key = (report.source.clone(), report.worker);
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(key, report);
    }

    /// All reports.
    pub fn all(&self) -> Vec<SourceReport> {
        let board = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        board.values().cloned().collect()
    }
}
