//! Rows that wait for a frontier to pass them, by event time.

use std::collections::BinaryHeap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Earliest, canonical};
use crate::state::{Corrupt, Entry, Epoch, Saver};
use crate::tick::Fuel;
use crate::time::EventTime;

/// A row that waits.
#[derive(Debug)]
struct Row<D> {
    hash: u64,
    /// The cut that it will first be part of; `None` if it is part of one.
    new_in: Option<Epoch>,
    row: D,
}

/// All rows that wait, the least event time first.
#[derive(Debug)]
pub(crate) struct Waiting<D> {
    rows: BinaryHeap<Earliest<Row<D>>>,
    epoch: Epoch,
    /// Where a save that ran out of fuel goes on.
    cursor: usize,
    /// What cuts hold of times before this has been dropped from them.
    dropped: EventTime,
}

impl<D> Default for Waiting<D> {
    fn default() -> Self {
        let (rows, epoch) = (BinaryHeap::new(), Epoch::default());
        Waiting { rows, epoch, cursor: 0, dropped: EventTime::MIN }
    }
}

impl<D> Waiting<D> {
    /// How many rows wait.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Takes in a row.
    pub fn push(&mut self, time: EventTime, hash: u64, row: D) {
        self.rows.push(Earliest { time, it: Row { hash, new_in: Some(self.epoch), row } });
    }

    /// Takes out a row before the limit, if there is one.
    pub fn pop(&mut self, limit: EventTime) -> Option<(EventTime, u64, D)> {
        let due = |time| time < limit || limit == EventTime::MAX;
        self.rows.peek().filter(|row| due(row.time))?;
        self.rows.pop().map(|Earliest { time, it }| (time, it.hash, it.row))
    }

    /// Takes out the rows of the first instant before the limit, if there is one, in the order of
    /// their canonical bytes.
    pub fn pop_instant(&mut self, limit: EventTime, into: &mut Vec<D>) -> Option<EventTime>
    where
        D: Serialize,
    {
        let (first, _, row) = self.pop(limit)?;
        into.push(row);
        while self.rows.peek().is_some_and(|row| row.time == first) {
            into.extend(self.rows.pop().map(|row| row.it.row));
        }
        if into.len() > 1 {
            into.sort_by_cached_key(canonical);
        }
        Some(first)
    }
}

/// A row is an entry in the bucket of its time, and equal rows are one that is counted. So rows that
/// wait on any worker, whatever their key, can be told apart.
impl<D: Serialize + DeserializeOwned> Waiting<D> {
    /// Writes the rows that have come, and drops those before the limit: they wait no more.
    pub fn save(&mut self, table: u8, limit: EventTime, fuel: &mut Fuel, out: &mut Saver) -> bool {
        let rows = self.rows.as_slice();
        while let Some(Earliest { time, it: row }) = rows.get(self.cursor) {
            if fuel.left() == 0 {
                return false;
            }
            fuel.burn(1);
            self.cursor += 1;
            if row.new_in == Some(self.epoch) {
                let bucket = time.micros().min(i64::MAX - 1);
                out.add(table, bucket, row.hash, &(*time, &row.row), 1);
            }
        }
        self.cursor = 0;
        self.epoch.advance();
        if limit > self.dropped {
            self.dropped = limit;
            out.drop_below(table, limit.micros());
        }
        true
    }

    /// Takes an entry back: a time, a row and how many there are of it, which is returned. The hash
    /// is that of its key, and is asked for as often.
    pub fn load(
        &mut self,
        entry: &Entry<'_>,
        mut hash: impl FnMut(&D) -> u64,
    ) -> Result<u64, Corrupt> {
        let count: i64 = entry.value()?;
        for _ in 0..count {
            let (time, row): (EventTime, D) = entry.key()?;
            let hash = hash(&row);
            self.rows.push(Earliest { time, it: Row { hash, new_in: None, row } });
        }
        Ok(count.max(0) as u64)
    }
}
