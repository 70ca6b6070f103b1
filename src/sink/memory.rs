//! Sinks that keep rows in memory, for tests.
//!
//! [`Collected`] is a shared vector: a row is in it as soon as it is written. [`MemoryStore`] plays
//! an exactly-once store: rows are staged at the end of a tick and become visible when that is
//! committed. All that the commit needs is in [`Staged::bytes`], so that a new sink, made after a
//! "restart", can commit what an earlier one has staged; doing so again changes nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Commit, Guarantee, Sink, SinkContext, Staged, Write};
use crate::error::{Error, Kind};

/// No code of a user runs under these locks, so a poisoned one still guards whole rows.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Rows that the sinks of all workers of a process share. Cheap to clone.
pub struct Collected<D>(Arc<Mutex<Vec<D>>>);

impl<D> Clone for Collected<D> {
    fn clone(&self) -> Self {
        Collected(self.0.clone())
    }
}

impl<D> Default for Collected<D> {
    fn default() -> Self {
        Collected(Arc::default())
    }
}

impl<D: 'static> Collected<D> {
    /// No rows yet.
    pub fn new() -> Self {
        Collected::default()
    }

    /// The sink of one worker.
    pub fn sink(&self, name: impl Into<String>) -> CollectSink<D> {
        CollectSink { name: name.into(), rows: self.clone(), unstaged: 0 }
    }

    /// Takes all rows out, in the order in which they were written.
    pub fn take(&self) -> Vec<D> {
        std::mem::take(&mut lock(&self.0))
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        lock(&self.0).len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<D: Ord + 'static> Collected<D> {
    /// Takes all rows out, sorted: the order between workers means nothing.
    pub fn sorted(&self) -> Vec<D> {
        let mut rows = self.take();
        rows.sort();
        rows
    }
}

/// One worker's sink into a [`Collected`].
pub struct CollectSink<D> {
    name: String,
    rows: Collected<D>,
    unstaged: u64,
}

impl<D: 'static> Sink for CollectSink<D> {
    type Record = D;

    fn name(&self) -> &str {
        &self.name
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn write(&mut self, _: u64, rows: &mut Vec<D>) -> Result<Write, Error> {
        self.unstaged += rows.len() as u64;
        lock(&self.rows.0).append(rows);
        Ok(Write::All)
    }

    fn stage(&mut self, tick: u64) -> Result<Staged, Error> {
        Ok(Staged { tick, rows: std::mem::take(&mut self.unstaged), bytes: Vec::new() })
    }

    fn commit(&mut self, _: &Staged) -> Result<Commit, Error> {
        Ok(Commit::Done)
    }

    fn close(&mut self) {}
}

/// What became visible, by worker and tick.
type Visible<D> = BTreeMap<(usize, u64), Vec<D>>;

/// The store behind the [`MemorySink`]s of all workers; it outlives them. Cheap to clone.
pub struct MemoryStore<D>(Arc<Mutex<Visible<D>>>);

impl<D> Clone for MemoryStore<D> {
    fn clone(&self) -> Self {
        MemoryStore(self.0.clone())
    }
}

impl<D> Default for MemoryStore<D> {
    fn default() -> Self {
        MemoryStore(Arc::default())
    }
}

impl<D: Clone + Serialize + DeserializeOwned + 'static> MemoryStore<D> {
    /// An empty store.
    pub fn new() -> Self {
        MemoryStore::default()
    }

    /// The sink of one worker.
    pub fn sink(&self, name: impl Into<String>, context: SinkContext) -> MemorySink<D> {
        MemorySink {
            name: name.into(),
            worker: context.worker,
            store: self.clone(),
            written: Vec::new(),
            room: usize::MAX,
            asks: 0,
            asked: 0,
        }
    }

    /// A copy of all visible rows, by tick and then by worker.
    pub fn rows(&self) -> Vec<D> {
        let visible = lock(&self.0);
        let mut ticks: Vec<_> =
            visible.iter().map(|((worker, tick), rows)| (tick, worker, rows)).collect();
        ticks.sort_unstable_by_key(|(tick, worker, _)| (**tick, **worker));
        ticks.into_iter().flat_map(|(_, _, rows)| rows.iter().cloned()).collect()
    }
}

/// One worker's exactly-once sink into a [`MemoryStore`].
pub struct MemorySink<D> {
    name: String,
    worker: usize,
    store: MemoryStore<D>,
    /// Rows that are not staged, with their tick.
    written: Vec<(u64, D)>,
    room: usize,
    asks: u32,
    asked: u32,
}

impl<D> MemorySink<D> {
    /// Is full when it holds so many rows that are not staged.
    #[must_use]
    pub fn room(mut self, rows: usize) -> Self {
        self.room = rows;
        self
    }

    /// Has every commit be asked for so many times before it is done.
    #[must_use]
    pub fn slow(mut self, asks: u32) -> Self {
        self.asks = asks;
        self
    }
}

impl<D: Clone + Serialize + DeserializeOwned + 'static> Sink for MemorySink<D> {
    type Record = D;

    fn name(&self) -> &str {
        &self.name
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn write(&mut self, tick: u64, rows: &mut Vec<D>) -> Result<Write, Error> {
        let takes = rows.len().min(self.room.saturating_sub(self.written.len()));
        self.written.extend(rows.drain(..takes).map(|row| (tick, row)));
        Ok(if rows.is_empty() { Write::All } else { Write::Full })
    }

    fn stage(&mut self, tick: u64) -> Result<Staged, Error> {
        let all = std::mem::take(&mut self.written);
        let (ready, later): (Vec<_>, Vec<_>) = all.into_iter().partition(|(t, _)| *t <= tick);
        self.written = later;
        let rows: Vec<&D> = ready.iter().map(|(_, row)| row).collect();
        let bytes = serde_json::to_vec(&(self.worker, &rows)).map_err(|error| {
            let message = format!("sink `{}`: cannot stage tick {tick}: {error}", self.name);
            Error::new(Kind::Data, message).caused_by(error)
        })?;
        Ok(Staged { tick, rows: rows.len() as u64, bytes })
    }

    fn commit(&mut self, staged: &Staged) -> Result<Commit, Error> {
        if self.asked < self.asks {
            self.asked += 1;
            return Ok(Commit::Pending);
        }
        self.asked = 0;
        let (worker, rows): (usize, Vec<D>) =
            serde_json::from_slice(&staged.bytes).map_err(|error| {
                let tick = staged.tick;
                let message = format!("sink `{}`: cannot commit tick {tick}: {error}", self.name);
                Error::new(Kind::Storage, message).caused_by(error)
            })?;
        lock(&self.store.0).entry((worker, staged.tick)).or_insert(rows);
        Ok(Commit::Done)
    }

    fn close(&mut self) {
        self.written.clear();
    }
}
