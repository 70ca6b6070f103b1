//! Keys of rows: the values of some slots as bytes, without an allocation for short ones.
//!
//! Two rows have one key iff their values are equal by [`Value`]'s own equality: `1` and `1.0` are
//! two keys, as are a missing field and the text `null`; `0.0` and `-0.0` are one, and so are all
//! NaNs. The bytes are part of the format of snapshots: for each value a tag, then 8 bytes of a
//! number (little endian) or the length of a text in 4 bytes and its UTF-8.

use serde::{Deserialize, Serialize};
use tiderace_operators::key::StableHash;

use crate::record::{Row, Value};

/// How many bytes a key has at most without an allocation.
const SHORT: usize = 38;

/// The values of the key's slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u8>", into = "Vec<u8>")]
pub(super) struct RowKey(Bytes);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Bytes {
    /// So many of these bytes; the others are zero.
    Short(u8, [u8; SHORT]),
    /// More than that.
    Long(Box<[u8]>),
}

/// The function that gives rows their key: the values in these slots.
pub(super) fn key_of(slots: &[usize]) -> impl Fn(&Row) -> RowKey + Clone + use<> {
    let mut distinct: Vec<usize> = Vec::with_capacity(slots.len());
    for slot in slots {
        if !distinct.contains(slot) {
            distinct.push(*slot);
        }
    }
    let slots: std::rc::Rc<[usize]> = distinct.into();
    move |row| RowKey::of(slots.iter().map(|slot| row.get(*slot)))
}

impl RowKey {
    fn of<'a>(values: impl Iterator<Item = &'a Value>) -> Self {
        let mut building = Building { short: [0; SHORT], len: 0, long: Vec::new() };
        for value in values {
            match value {
                Value::Null => building.push(&[0]),
                Value::Bool(value) => building.push(&[1 + u8::from(*value)]),
                Value::Int(value) => building.number(3, value.cast_unsigned()),
                Value::Float(value) if value.is_nan() => building.number(4, f64::NAN.to_bits()),
                // Adding zero makes the negative one positive.
                Value::Float(value) => building.number(4, (value + 0.0).to_bits()),
                Value::Text(text) => building.text(5, text),
                Value::Json(text) => building.text(6, text),
            }
        }
        RowKey(match building.long.is_empty() {
            true => Bytes::Short(building.len as u8, building.short),
            false => Bytes::Long(building.long.into()),
        })
    }

    fn bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Short(len, bytes) => &bytes[..usize::from(*len)],
            Bytes::Long(bytes) => bytes,
        }
    }

    /// The values it was made of.
    pub(super) fn values(&self) -> Vec<Value> {
        let mut bytes = self.bytes();
        let mut values = Vec::new();
        while let Some((tag, rest)) = bytes.split_first() {
            bytes = rest;
            values.push(match tag {
                1 | 2 => Value::Bool(*tag == 2),
                3 => Value::Int(number(&mut bytes).cast_signed()),
                4 => Value::Float(f64::from_bits(number(&mut bytes))),
                5 => Value::Text(text(&mut bytes)),
                6 => Value::Json(text(&mut bytes)),
                _ => Value::Null,
            });
        }
        values
    }
}

/// Takes the first bytes off; fewer if there are not so many.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count.min(bytes.len()));
    *bytes = rest;
    taken
}

fn number(bytes: &mut &[u8]) -> u64 {
    take(bytes, 8).try_into().map_or(0, u64::from_le_bytes)
}

fn text(bytes: &mut &[u8]) -> Box<str> {
    let len = take(bytes, 4).try_into().map_or(0, u32::from_le_bytes);
    String::from_utf8_lossy(take(bytes, len as usize)).into()
}

/// A key that is being put together: on the stack while it is short.
struct Building {
    short: [u8; SHORT],
    len: usize,
    long: Vec<u8>,
}

impl Building {
    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if self.long.is_empty() && end <= SHORT {
            self.short[self.len..end].copy_from_slice(bytes);
        } else {
            if self.long.is_empty() {
                self.long.extend_from_slice(&self.short[..self.len]);
            }
            self.long.extend_from_slice(bytes);
        }
        self.len = end;
    }

    fn number(&mut self, tag: u8, number: u64) {
        self.push(&[tag]);
        self.push(&number.to_le_bytes());
    }

    fn text(&mut self, tag: u8, text: &str) {
        let len = u32::try_from(text.len()).expect("a record is far smaller than 4 GiB");
        self.push(&[tag]);
        self.push(&len.to_le_bytes());
        self.push(text.as_bytes());
    }
}

impl StableHash for RowKey {
    #[inline]
    fn stable_hash(&self) -> u64 {
        self.bytes().stable_hash()
    }
}

impl From<Vec<u8>> for RowKey {
    fn from(bytes: Vec<u8>) -> Self {
        let mut short = [0; SHORT];
        match short.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(&bytes);
                RowKey(Bytes::Short(bytes.len() as u8, short))
            }
            None => RowKey(Bytes::Long(bytes.into())),
        }
    }
}

impl From<RowKey> for Vec<u8> {
    fn from(key: RowKey) -> Self {
        key.bytes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (-2i64..3).prop_map(Value::Int),
            any::<i64>().prop_map(Value::Int),
            prop_oneof![Just(0.0), Just(-0.0), Just(1.0), Just(f64::NAN), Just(-f64::NAN)]
                .prop_map(Value::Float),
            "[a-b]{0,2}".prop_map(|text| Value::Text(text.into())),
            "[a-b]{10,60}".prop_map(|text| Value::Text(text.into())),
            "[a-b]{0,2}".prop_map(|text| Value::Json(text.into())),
        ]
    }

    proptest! {
        #[test]
        fn equal_as_the_values_are_and_back_again(
            a in proptest::collection::vec(any_value(), 0..4),
            b in proptest::collection::vec(any_value(), 0..4),
        ) {
            let (key, other) = (RowKey::of(a.iter()), RowKey::of(b.iter()));
            prop_assert_eq!(key == other, a == b);
            if a == b { prop_assert_eq!(key.stable_hash(), other.stable_hash()); }
            prop_assert_eq!(key.values(), a);
            let saved = serde_json::to_string(&key).unwrap();
            prop_assert_eq!(serde_json::from_str::<RowKey>(&saved).unwrap(), key);
        }
    }

    #[test]
    fn a_slot_named_twice_counts_once() {
        let row = Row::new([Value::from("a"), Value::Int(1)]);
        assert_eq!(key_of(&[1, 0, 1])(&row).values(), [Value::Int(1), Value::from("a")]);
    }
}
