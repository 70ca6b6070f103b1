//! The state of a dataflow as of a cut: what all frames up to it add up to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Corrupt, Entry, Frame, Op};
use crate::time::EventTime;

/// The saved state of all operators of a dataflow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    operators: BTreeMap<String, OperatorState>,
}

/// The saved state of one operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorState {
    /// The fingerprint of what the bytes mean.
    pub shape: u64,
    frontiers: Vec<i64>,
    entries: BTreeMap<(u8, i64, u16, Vec<u8>), Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Value {
    Bytes(Vec<u8>),
    Count(i64),
}

impl Snapshot {
    /// Takes in the frames of one cut, of all operators and workers. The order among workers does
    /// not matter; cuts have to come in order.
    pub fn apply<'a>(
        &mut self,
        frames: impl IntoIterator<Item = &'a Frame>,
    ) -> Result<(), Corrupt> {
        // What a worker drops, another one may have written to in the same cut: drops come last.
        let mut drops: Vec<(&str, u8, i64)> = Vec::new();
        for frame in frames {
            let state = self.operators.entry(frame.operator.to_string()).or_default();
            state.shape = frame.shape;
            for op in frame.ops()? {
                match op? {
                    Op::Put { table, bucket, group, key, value } => {
                        let value = Value::Bytes(value.to_vec());
                        state.entries.insert((table, bucket, group, key.to_vec()), value);
                    }
                    Op::Remove { table, bucket, group, key } => {
                        state.entries.remove(&(table, bucket, group, key.to_vec()));
                    }
                    Op::DropBelow { table, bucket } => drops.push((&frame.operator, table, bucket)),
                    Op::Frontiers(frontiers) => state.frontiers = frontiers,
                    Op::Add { table, bucket, group, key, diff } => {
                        state.add((table, bucket, group, key.to_vec()), diff)?;
                    }
                }
            }
        }
        for (operator, table, below) in drops {
            if let Some(state) = self.operators.get_mut(operator) {
                state.entries.retain(|&(t, bucket, ..), _| t != table || bucket >= below);
            }
        }
        Ok(())
    }

    /// The state of one operator.
    pub fn operator(&self, name: &str) -> Option<&OperatorState> {
        self.operators.get(name)
    }

    /// The names of all operators that have state.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.operators.keys().map(String::as_str)
    }
}

impl OperatorState {
    /// The operator's frontiers as of the cut.
    pub fn frontiers(&self) -> impl Iterator<Item = EventTime> {
        self.frontiers.iter().map(|&micros| EventTime::from_micros(micros))
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Calls a function with each entry, in the order of table, bucket, group and key.
    pub fn each(
        &self,
        mut f: impl FnMut(&Entry<'_>) -> Result<(), Corrupt>,
    ) -> Result<(), Corrupt> {
        for (&(table, bucket, group, ref key), value) in &self.entries {
            match value {
                Value::Bytes(value) => f(&Entry::new(table, bucket, group, key, value))?,
                Value::Count(count) => {
                    let count = postcard::to_stdvec(count).map_err(|e| Corrupt(e.to_string()))?;
                    f(&Entry::new(table, bucket, group, key, &count))?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, place: (u8, i64, u16, Vec<u8>), diff: i64) -> Result<(), Corrupt> {
        use std::collections::btree_map::Entry::{Occupied, Vacant};
        match self.entries.entry(place) {
            Vacant(entry) => {
                if diff != 0 {
                    entry.insert(Value::Count(diff));
                }
            }
            Occupied(mut entry) => match entry.get_mut() {
                Value::Count(count) => {
                    *count += diff;
                    if *count == 0 {
                        entry.remove();
                    }
                }
                Value::Bytes(_) => return Err(Corrupt("a count for an entry that is none".into())),
            },
        }
        Ok(())
    }
}
