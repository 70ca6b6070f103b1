//! A record of a pipeline file: values by slot, and perhaps the bytes it came as.

use serde::{Deserialize, Serialize};

use super::value::Value;

/// A record: one value for each field of its schema.
///
/// `raw` is the whole record as it came, kept only when a plan writes whole records out again.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Row {
    /// The values, by slot.
    pub values: Box<[Value]>,
    /// The whole record as it came.
    pub raw: Option<Box<[u8]>>,
}

impl Row {
    /// A row of these values.
    pub fn new(values: impl Into<Box<[Value]>>) -> Self {
        Row { values: values.into(), raw: None }
    }

    /// The value in a slot; a slot the row does not have is null.
    #[inline]
    pub fn get(&self, slot: usize) -> &Value {
        self.values.get(slot).unwrap_or(&Value::Null)
    }

    /// The same row under another schema: for each slot of it, the slot the value is taken from.
    #[must_use]
    pub fn project(mut self, slots: &[Option<usize>]) -> Row {
        let last_use = |at: usize, slot: usize| !slots[at + 1..].contains(&Some(slot));
        let values = (0..slots.len())
            .map(|at| match slots[at] {
                Some(slot) if slot < self.values.len() && last_use(at, slot) => {
                    std::mem::take(&mut self.values[slot])
                }
                Some(slot) => self.get(slot).clone(),
                None => Value::Null,
            })
            .collect();
        Row { values, raw: self.raw }
    }

    /// A row of these values of it and nothing else: the whole record is dropped.
    #[must_use]
    pub fn select(&self, slots: &[usize]) -> Row {
        Row::new(slots.iter().map(|slot| self.get(*slot).clone()).collect::<Box<_>>())
    }

    /// The bytes it roughly takes in memory.
    pub fn size(&self) -> usize {
        size_of::<Row>()
            + self.values.iter().map(|v| size_of::<Value>() + v.heap_size()).sum::<usize>()
            + self.raw.as_ref().map_or(0, |raw| raw.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projecting_reorders_repeats_and_fills() {
        let row = Row::new([Value::from("a"), Value::Int(2)]);
        let row = row.project(&[Some(1), None, Some(0), Some(0), Some(7)]);
        let expected =
            [Value::Int(2), Value::Null, Value::from("a"), Value::from("a"), Value::Null];
        assert_eq!(*row.values, expected);
    }
}
