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
    /// Takes at most so many rows in one go, and says that it is full when there are more.
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
        let takes = rows.len().min(self.room);
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

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: SinkContext = SinkContext { worker: 0, peers: 1 };

    #[test]
    fn collected_rows_are_there_at_once_from_all_workers() {
        let rows = Collected::new();
        let (mut first, mut second) = (rows.sink("out"), rows.sink("out"));
        first.write(1, &mut vec![3, 1]).unwrap();
        second.write(1, &mut vec![2]).unwrap();
        assert_eq!(first.stage(1).unwrap().rows, 2);
        assert_eq!(first.stage(2).unwrap().rows, 0);
        assert_eq!(rows.sorted(), [1, 2, 3]);
        assert!(rows.is_empty());
    }

    #[test]
    fn rows_are_visible_when_committed_and_not_before() {
        let store = MemoryStore::new();
        let mut sink = store.sink("out", ONE);
        sink.write(1, &mut vec![1, 2]).unwrap();
        let staged = sink.stage(1).unwrap();
        assert_eq!(staged.rows, 2);
        assert!(store.rows().is_empty());
        assert_eq!(sink.commit(&staged).unwrap(), Commit::Done);
        assert_eq!(store.rows(), [1, 2]);
    }

    #[test]
    fn what_was_staged_survives_a_restart_and_is_committed_once() {
        let store = MemoryStore::new();
        let mut sink = store.sink("out", ONE);
        sink.write(1, &mut vec!["a".to_owned()]).unwrap();
        let first = sink.stage(1).unwrap();
        sink.write(2, &mut vec!["b".to_owned()]).unwrap();
        let second = sink.stage(2).unwrap();
        sink.commit(&first).unwrap();
        // What a checkpoint keeps, and all that is left after the crash.
        let kept = serde_json::to_vec(&[first, second]).unwrap();
        sink.write(3, &mut vec!["never staged".to_owned()]).unwrap();
        drop(sink);

        let kept: Vec<Staged> = serde_json::from_slice(&kept).unwrap();
        let mut sink = store.sink("out", ONE);
        for _ in 0..2 {
            for staged in &kept {
                assert_eq!(sink.commit(staged).unwrap(), Commit::Done);
            }
            assert_eq!(store.rows(), ["a", "b"]);
        }
    }

    #[test]
    fn another_number_of_workers_commits_what_the_old_ones_staged() {
        let store = MemoryStore::new();
        let staged: Vec<_> = (0..3)
            .map(|worker| {
                let mut sink = store.sink("out", SinkContext { worker, peers: 3 });
                sink.write(4, &mut vec![worker]).unwrap();
                sink.stage(4).unwrap()
            })
            .collect();
        let mut sink = store.sink("out", ONE);
        for staged in staged.iter().chain(&staged) {
            sink.commit(staged).unwrap();
        }
        assert_eq!(store.rows(), [0, 1, 2]);
    }

    #[test]
    fn rows_of_a_later_tick_are_not_staged_early() {
        let store = MemoryStore::new();
        let mut sink = store.sink("out", ONE);
        sink.write(1, &mut vec![1]).unwrap();
        sink.write(2, &mut vec![2]).unwrap();
        assert_eq!(sink.stage(1).unwrap().rows, 1);
        assert_eq!(sink.stage(2).unwrap().rows, 1);
    }

    #[test]
    fn a_sink_without_room_leaves_the_rest_and_a_slow_one_is_asked_again() {
        let store = MemoryStore::new();
        let mut sink = store.sink("out", ONE).room(2).slow(2);
        let mut rows = vec![1, 2, 3];
        assert_eq!(sink.write(1, &mut rows).unwrap(), Write::Full);
        assert_eq!(rows, [3]);
        let staged = sink.stage(1).unwrap();
        assert_eq!(sink.write(2, &mut rows).unwrap(), Write::All);
        assert_eq!(sink.commit(&staged).unwrap(), Commit::Pending);
        assert_eq!(sink.commit(&staged).unwrap(), Commit::Pending);
        assert_eq!(sink.commit(&staged).unwrap(), Commit::Done);
        assert_eq!(store.rows(), [1, 2]);
    }

    #[test]
    fn damaged_bytes_are_an_error_and_no_panic() {
        let mut sink = MemoryStore::<u32>::new().sink("out", ONE);
        let staged = Staged { tick: 7, rows: 1, bytes: b"[0,[".to_vec() };
        let error = sink.commit(&staged).unwrap_err();
        assert_eq!(error.kind(), Kind::Storage);
        assert!(error.to_string().contains("tick 7"), "{error}");
    }
}
