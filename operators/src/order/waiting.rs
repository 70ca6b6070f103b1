//! Rows that wait for the frontier to pass them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::canonical;
use crate::state::{Corrupt, Entry, Epoch, Saver};
use crate::tick::Fuel;
use crate::time::{EventTime, Timed};

/// How many emptied instants are kept for others to come.
const SPARE: usize = 64;

/// Rows by event time. They leave in the order of (event time, canonical bytes).
#[derive(Debug)]
pub(crate) struct Waiting<D> {
    instants: BTreeMap<EventTime, Instant<D>>,
    spare: Vec<Vec<D>>,
    len: usize,
    /// Rows have left that a cut may hold.
    left: bool,
    /// Where a save that ran out of fuel goes on.
    cursor: EventTime,
}

/// The rows of one event time.
#[derive(Debug)]
struct Instant<D> {
    rows: Vec<D>,
    /// The cut that the last one to come is part of.
    epoch: Option<Epoch>,
}

impl<D> Default for Waiting<D> {
    fn default() -> Self {
        Waiting {
            instants: BTreeMap::new(),
            spare: Vec::new(),
            len: 0,
            left: false,
            cursor: EventTime::MIN,
        }
    }
}

/// Rows are dropped from a cut by their event time; those at the end of time too.
fn bucket(time: EventTime) -> i64 {
    time.micros().min(i64::MAX - 1)
}

impl<D: Serialize> Waiting<D> {
    /// A row waits.
    pub fn insert(&mut self, time: EventTime, row: D, epoch: Epoch) {
        let spare = &mut self.spare;
        let instant = self
            .instants
            .entry(time)
            .or_insert_with(|| Instant { rows: spare.pop().unwrap_or_default(), epoch: None });
        instant.rows.push(row);
        instant.epoch = Some(epoch);
        self.len += 1;
    }

    /// Lets the rows of the first instant go, in order, if `complete` is later, or is the end of
    /// time. Returns how many there were.
    pub fn release(&mut self, complete: EventTime, mut pass: impl FnMut(Timed<D>)) -> usize {
        let Some(first) = self.instants.first_entry() else { return 0 };
        let time = *first.key();
        if time >= complete && complete != EventTime::MAX {
            return 0;
        }
        let mut rows = first.remove().rows;
        let released = rows.len();
        if released > 1 {
            rows.sort_by_cached_key(canonical);
        }
        rows.drain(..).for_each(|row| pass(Timed::on_time(time, row)));
        if self.spare.len() < SPARE {
            self.spare.push(rows);
        }
        self.len -= released;
        self.left = true;
        released
    }

    /// How many rows wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Writes the instants that rows have come to since the last cut: for each different row how
    /// often it is there. Rows before `complete` have left, on all workers.
    pub fn save(
        &mut self,
        table: u8,
        complete: EventTime,
        hash: impl Fn(&D) -> u64,
        epoch: Epoch,
        fuel: &mut Fuel,
        out: &mut Saver,
    ) -> bool {
        for (&time, instant) in self.instants.range_mut(self.cursor..) {
            if fuel.left() == 0 {
                self.cursor = time;
                return false;
            }
            fuel.burn(1);
            if instant.epoch != Some(epoch) {
                continue;
            }
            fuel.burn(instant.rows.len());
            instant.rows.sort_by_cached_key(canonical);
            for same in instant.rows.chunk_by(|a, b| canonical(a) == canonical(b)) {
                let row = &same[0];
                let count = same.len() as u64;
                out.put(table, bucket(time), hash(row), &(time, row), &count);
            }
        }
        self.cursor = EventTime::MIN;
        if std::mem::take(&mut self.left) {
            out.drop_below(table, complete.micros());
        }
        true
    }

    /// Takes a saved row back, as often as it was there.
    pub fn load(&mut self, entry: &Entry<'_>) -> Result<(EventTime, D, u64), Corrupt>
    where
        D: DeserializeOwned + Clone,
    {
        let (time, row): (EventTime, D) = entry.key()?;
        let count: u64 = entry.value()?;
        for _ in 0..count {
            self.insert(time, row.clone(), Epoch::default());
        }
        if let Some(instant) = self.instants.get_mut(&time) {
            instant.epoch = None;
        }
        Ok((time, row, count))
    }
}
