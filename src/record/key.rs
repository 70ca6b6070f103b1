//! What rows are grouped by.

use serde::{Deserialize, Serialize};
use tiderace_operators::key::StableHash;

use super::{Row, Value};

/// The values of a row's key fields. One value costs no allocation unless it is text.
///
/// Values of different kinds are different keys, so `1` and `1.0` are two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RowKey {
    /// A key of one field.
    One(Value),
    /// A key of any other number of fields.
    Several(Box<[Value]>),
}

impl RowKey {
    /// The key of a row, made of the values in these slots.
    #[inline]
    pub fn of(row: &Row, slots: &[usize]) -> Self {
        match slots {
            [slot] => RowKey::One(row.get(*slot).clone()),
            _ => RowKey::Several(slots.iter().map(|slot| row.get(*slot).clone()).collect()),
        }
    }

    /// Its values, in the order of the slots.
    pub fn values(&self) -> &[Value] {
        match self {
            RowKey::One(value) => std::slice::from_ref(value),
            RowKey::Several(values) => values,
        }
    }
}

impl StableHash for RowKey {
    #[inline]
    fn stable_hash(&self) -> u64 {
        match self {
            RowKey::One(value) => value.stable_hash(),
            RowKey::Several(values) => values.stable_hash(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_rows() {
        let row = Row::new([Value::from("a"), Value::Int(1), Value::Float(1.0)]);
        assert_eq!(RowKey::of(&row, &[0]).stable_hash(), "a".stable_hash());
        assert_ne!(RowKey::of(&row, &[1]), RowKey::of(&row, &[2]));
        let both = RowKey::of(&row, &[0, 1]);
        assert_eq!(both.values(), &row.values[..2]);
        assert_ne!(both.stable_hash(), RowKey::of(&row, &[1, 0]).stable_hash());
        assert!(RowKey::of(&row, &[]).values().is_empty());
    }
}
