//! Rows that wait for the other input's frontier, by event time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::state::{Corrupt, Entry, Epoch, Saver};
use crate::tick::Fuel;
use crate::time::EventTime;

/// A row that waits.
struct Row<D> {
    time: Reverse<EventTime>,
    hash: u64,
    /// The cut that it will first be part of; `None` if it is part of one.
    new_in: Option<Epoch>,
    row: D,
}

impl<D> PartialEq for Row<D> {
    fn eq(&self, other: &Self) -> bool {
        self.time == other.time
    }
}

impl<D> Eq for Row<D> {}

impl<D> PartialOrd for Row<D> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<D> Ord for Row<D> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.time.cmp(&other.time)
    }
}

/// All rows that wait, the least event time first.
pub struct Waiting<D> {
    rows: BinaryHeap<Row<D>>,
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
        self.rows.push(Row { time: Reverse(time), hash, new_in: Some(self.epoch), row });
    }

    /// Takes out a row before the limit, if there is one.
    pub fn pop(&mut self, limit: EventTime) -> Option<(EventTime, u64, D)> {
        let due = |time| time < limit || limit == EventTime::MAX;
        self.rows.peek().filter(|row| due(row.time.0))?;
        self.rows.pop().map(|row| (row.time.0, row.hash, row.row))
    }
}

/// A row is an entry in the bucket of its time, and equal rows are one that is counted. So rows that
/// wait on any worker, whatever their key, can be told apart.
impl<D: Serialize + DeserializeOwned> Waiting<D> {
    /// Writes the rows that have come, and drops those before the limit: they wait no more.
    pub fn save(&mut self, table: u8, limit: EventTime, fuel: &mut Fuel, out: &mut Saver) -> bool {
        let rows = self.rows.as_slice();
        while let Some(row) = rows.get(self.cursor) {
            if fuel.left() == 0 {
                return false;
            }
            fuel.burn(1);
            self.cursor += 1;
            if row.new_in == Some(self.epoch) {
                let time = row.time.0;
                let bucket = time.micros().min(i64::MAX - 1);
                out.add(table, bucket, row.hash, &(time, &row.row), 1);
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

    /// Takes an entry back: a time, a row and how many there are of it. The hash is that of its key.
    pub fn load(&mut self, entry: &Entry<'_>, hash: impl Fn(&D) -> u64) -> Result<(), Corrupt> {
        let count: i64 = entry.value()?;
        for _ in 0..count {
            let (time, row): (EventTime, D) = entry.key()?;
            self.rows.push(Row { time: Reverse(time), hash: hash(&row), new_in: None, row });
        }
        Ok(())
    }
}
