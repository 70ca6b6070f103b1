//! Sinks: write, stage, commit.
//!
//! A sink declares what it guarantees and which rows it takes. The engine drives one instance on
//! every worker: rows are written as they come, everything up to the end of a tick is staged, and
//! what is staged is committed. For an at-least-once sink both follow at once; an exactly-once sink
//! commits only what a published checkpoint names, so that the two steps are apart.

#[cfg(feature = "kafka")]
pub mod kafka;

use crate::error::Error;

pub mod file;
mod lines;
pub mod log;
pub mod memory;
pub mod stdout;

/// What a sink promises about rows that were written once, when the run is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// A repeated run may show rows again.
    AtLeastOnce,
    /// Staged output becomes visible exactly once, when it is committed.
    ExactlyOnce,
}

/// Which rows a sink can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// Rows that stand for ever.
    Append,
    /// The newest row of a key replaces the older one.
    Upsert,
    /// Rows with a difference: a retraction takes an earlier row back.
    Retract,
}

/// Everything that was written up to the end of a tick, handed over by a sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Staged {
    /// The tick whose end it stands for.
    pub tick: u64,
    /// How many rows it holds.
    pub rows: u64,
    /// What an exactly-once sink needs to make it visible after a restart; else empty.
    pub bytes: Vec<u8>,
}

/// How far the commit of something staged is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// It is durable where it belongs.
    Done,
    /// Not yet: ask again.
    Pending,
}

/// Whether a sink took all the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// All of them; the vector is empty.
    All,
    /// It is full for now; the rows left in the vector are offered again.
    Full,
}

/// A sink of records of one type, one instance per worker.
pub trait Sink: 'static {
    /// What it takes.
    type Record: 'static;

    /// Its name, as the user gave it.
    fn name(&self) -> &str;

    /// What it promises when a run is repeated.
    fn guarantee(&self) -> Guarantee;

    /// Which rows it can take.
    fn accepts(&self) -> Accepts {
        Accepts::Append
    }

    /// Takes rows of one tick, draining what it took from the front. Never waits.
    fn write(&mut self, tick: u64, rows: &mut Vec<Self::Record>) -> Result<Write, Error>;

    /// The tick is complete: hands over what was written up to its end and not staged yet.
    fn stage(&mut self, tick: u64) -> Result<Staged, Error>;

    /// Makes something staged visible and durable. Repeating it is harmless. Never waits:
    /// [`Commit::Pending`] has the engine ask again.
    fn commit(&mut self, staged: &Staged) -> Result<Commit, Error>;

    /// Lets go of everything. Called exactly once, also after an error.
    fn close(&mut self);
}

/// What the factory of a sink is told.
#[derive(Clone, Copy, Debug)]
pub struct SinkContext {
    /// The index of the worker, over all processes.
    pub worker: usize,
    /// The number of workers in all processes.
    pub peers: usize,
}

mod driver;
