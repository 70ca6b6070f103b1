//! Watermark frontiers: event time as data.
//!
//! A frontier `f` is a promise: every record that is still to come, and is not late, has an event
//! time of at least `f`. (Flink's watermark is `f` less one unit.) Each partition of a source has
//! its own frontier, a pure function of the partition's contents under a [`Policy`]; a source
//! instance is as far as the least of its active partitions; an operator is as far as the least of
//! all the source instances that feed it.
//!
//! A source instance tells its frontier by a [`Mark`] at the end of a tick. The marks are broadcast,
//! and once a tick is complete every worker holds the same marks, so that all of them compute the
//! same frontier with [`Watermarks`].

mod partition;
mod policy;
mod table;

pub use partition::{Guard, Observed, PartitionClock, PartitionState, SourceClock};
pub use policy::Policy;
pub use table::{Holder, Watermarks};

use serde::{Deserialize, Serialize};

use crate::time::EventTime;

/// A source within a dataflow: the same number on every worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceId(pub u64);

/// What a source instance says about its event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// At least one of its partitions has not been heard of; nothing can be promised.
    Unknown,
    /// Its frontier is the least of its active partitions.
    Active,
    /// All its partitions that have not ended are silent, and their logs are read to the end.
    Idle,
    /// It reads no partition.
    None,
    /// All its partitions have ended.
    Finished,
}

/// What a source instance tells everybody at the end of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The source.
    pub source: SourceId,
    /// The worker whose instance speaks.
    pub worker: u32,
    /// How it stands.
    pub standing: Standing,
    /// Its frontier, where it is active.
    pub frontier: EventTime,
    /// The partition that holds the frontier where it is.
    pub holder: Option<u32>,
    /// Whether a partition of it was ever left out of the frontier while it could still speak:
    /// idle, or found while running. Rows of such a partition may be behind the frontier of others.
    pub excluded: bool,
    /// Whether the tick of the mark is a cut: operators save their state as of its end.
    pub cut: bool,
    /// Wall time at the source when the mark was made, in microseconds since 1970.
    pub made_at: i64,
}
