//! Writes rows as JSON objects, one a line.
//!
//! An encoder for whole records writes a row as it came, with the fields that steps have set put
//! over it. Any other encoder writes a row by its schema, in its order.

use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::encode::Encode;
use crate::record::{Row, Schema, Value};
use crate::source::Reject;

/// Writes rows of one schema.
#[derive(Clone, Debug)]
pub struct JsonEncoder {
    schema: Schema,
    /// The names as JSON text with a colon.
    names: Vec<Vec<u8>>,
    /// For whole records: the slots that are put over them.
    whole: Option<Vec<usize>>,
    /// The slots of the message key.
    key: Vec<usize>,
}

impl JsonEncoder {
    /// An encoder for rows of this schema. With `whole` it writes whole records where rows have
    /// them, and puts the values in these slots over them.
    pub fn new(schema: Schema, whole: Option<Vec<usize>>) -> Self {
        let name = |field: &String| {
            let mut text = Vec::new();
            write_text(field, &mut text);
            text.push(b':');
            text
        };
        let names = schema.fields().iter().map(name).collect();
        JsonEncoder { schema, names, whole, key: Vec::new() }
    }

    /// Gives messages a key made of these slots: one text as it is, another single value as JSON,
    /// several values as a JSON list. A single null is no key.
    #[must_use]
    pub fn key(mut self, slots: Vec<usize>) -> Self {
        self.key = slots;
        self
    }

    /// Appends a row as one JSON object without any line break.
    pub fn write(&self, row: &Row, out: &mut Vec<u8>) {
        let start = out.len();
        match (&row.raw, &self.whole) {
            (Some(raw), Some(overlay)) if overlay.is_empty() => out.extend_from_slice(raw),
            (Some(raw), Some(overlay)) => {
                if self.encode_over(raw, overlay, row, out).is_err() {
                    // The decoder has read it before, so it is an object. Should it not be, the
                    // fields that are known are better than nothing.
                    out.truncate(start);
                    self.encode_fields(row, out);
                }
            }
            _ => self.encode_fields(row, out),
        }
        // Line breaks between the parts of a record have no meaning; inside of text they are escaped.
        for byte in &mut out[start..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }

    fn encode_fields(&self, row: &Row, out: &mut Vec<u8>) {
        out.push(b'{');
        for (slot, name) in self.names.iter().enumerate() {
            if slot > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            write_value(row.get(slot), out);
        }
        out.push(b'}');
    }

    fn encode_over(
        &self,
        raw: &[u8],
        overlay: &[usize],
        row: &Row,
        out: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        out.push(b'{');
        let mut deserializer = serde_json::Deserializer::from_slice(raw);
        let others = Others { schema: &self.schema, overlay, out };
        let empty = deserializer.deserialize_map(others)?;
        deserializer.end()?;
        for (at, slot) in overlay.iter().enumerate() {
            if at > 0 || !empty {
                out.push(b',');
            }
            out.extend_from_slice(&self.names[*slot]);
            write_value(row.get(*slot), out);
        }
        out.push(b'}');
        Ok(())
    }
}

impl Encode for JsonEncoder {
    type Record = Row;

    fn encode(&mut self, row: &Row, key: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<(), Reject> {
        write_key(row, &self.key, key);
        self.write(row, value);
        Ok(())
    }
}

/// Appends the message key made of some slots: one text as it is, another single value as JSON,
/// several values as a JSON list. A single null is no key.
fn write_key(row: &Row, slots: &[usize], out: &mut Vec<u8>) {
    match slots {
        [] => {}
        [slot] => match row.get(*slot) {
            Value::Null => {}
            Value::Text(text) => out.extend_from_slice(text.as_bytes()),
            value => write_value(value, out),
        },
        several => {
            for (at, slot) in several.iter().enumerate() {
                out.push(if at == 0 { b'[' } else { b',' });
                write_value(row.get(*slot), out);
            }
            out.push(b']');
        }
    }
}

/// Copies the fields that are not replaced; gives whether there are none.
struct Others<'a> {
    schema: &'a Schema,
    overlay: &'a [usize],
    out: &'a mut Vec<u8>,
}

impl<'de> Visitor<'de> for Others<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut empty = true;
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let value: &'de RawValue = map.next_value()?;
            let slot = self.schema.slot(&key);
            if slot.is_some_and(|slot| self.overlay.contains(&slot)) {
                continue;
            }
            if !empty {
                self.out.push(b',');
            }
            empty = false;
            serde_json::to_writer(&mut *self.out, &*key).map_err(A::Error::custom)?;
            self.out.push(b':');
            self.out.extend_from_slice(value.get().as_bytes());
        }
        Ok(empty)
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    // A vector takes everything, and text has no form JSON could refuse.
    serde_json::to_writer(out, text).expect("text is written to memory");
}

/// Appends a value. JSON has no infinities and no NaN: they are written as null.
pub(super) fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(value) => {
            serde_json::to_writer(out, value).expect("an integer is written to memory");
        }
        Value::Float(value) => {
            serde_json::to_writer(out, value).expect("a float is written to memory");
        }
        Value::Text(text) => write_text(text, out),
        Value::Json(text) => out.extend_from_slice(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::JsonDecoder;
    use super::*;
    use proptest::prelude::*;

    fn encode(encoder: &JsonEncoder, row: &Row) -> String {
        let mut out = Vec::new();
        encoder.write(row, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_are_written_by_their_schema() {
        let encoder = JsonEncoder::new(Schema::new(["sensor", "n\"", "mean", "x"]), None);
        let row =
            Row::new([Value::from("a\n\"b"), Value::Int(-2), Value::Float(20.0), Value::Null]);
        let text = encode(&encoder, &row);
        assert_eq!(text, r#"{"sensor":"a\n\"b","n\"":-2,"mean":20.0,"x":null}"#);
        let row = Row::new([Value::Float(f64::NAN), Value::Json("[1,\n2]".into())]);
        assert_eq!(encode(&encoder, &row), r#"{"sensor":null,"n\"":[1, 2],"mean":null,"x":null}"#);
    }

    #[test]
    fn whole_records_keep_what_nobody_knows() {
        let schema = Schema::new(["a", "new"]);
        let mut decoder = JsonDecoder::new(schema.clone(), true);
        let mut row = decoder.row(b"{\"z\": [1,\n 2],\r\n \"a\": 1.50, \"a\": 2}").unwrap();
        let plain = JsonEncoder::new(schema.clone(), Some(Vec::new()));
        assert_eq!(encode(&plain, &row), r#"{"z": [1,  2],   "a": 1.50, "a": 2}"#);
        row.values = [Value::Int(7), Value::from("x")].into();
        let over = JsonEncoder::new(schema.clone(), Some(vec![0, 1]));
        assert_eq!(encode(&over, &row), r#"{"z":[1,  2],"a":7,"new":"x"}"#);
        row.raw = Some(b"{\"a\":1}".as_slice().into());
        assert_eq!(encode(&over, &row), r#"{"a":7,"new":"x"}"#);
        let fields = JsonEncoder::new(schema, None);
        assert_eq!(encode(&fields, &row), r#"{"a":7,"new":"x"}"#);
    }

    #[test]
    fn message_keys() {
        let row = Row::new([Value::from("s-1"), Value::Int(2), Value::Null]);
        let key = |slots: &[usize]| {
            let (mut key, mut value) = (Vec::new(), Vec::new());
            let mut encoder = JsonEncoder::new(Schema::new(["a"]), None).key(slots.to_vec());
            encoder.encode(&row, &mut key, &mut value).unwrap();
            assert_eq!(value, br#"{"a":"s-1"}"#);
            String::from_utf8(key).unwrap()
        };
        assert_eq!(key(&[0]), "s-1");
        assert_eq!(key(&[1]), "2");
        assert_eq!(key(&[0, 1, 2]), r#"["s-1",2,null]"#);
        assert_eq!((key(&[]), key(&[2])), (String::new(), String::new()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(text in any::<String>(), int in any::<i64>(), float in -1e300..1e300f64) {
            let schema = Schema::new(["t", "i", "f"]);
            let row = Row::new([Value::Text(text.into()), Value::Int(int), Value::Float(float)]);
            let mut out = Vec::new();
            JsonEncoder::new(schema.clone(), None).write(&row, &mut out);
            prop_assert!(!out.contains(&b'\n'));
            prop_assert_eq!(JsonDecoder::new(schema, false).row(&out).unwrap(), row);
        }

        #[test]
        fn nothing_makes_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = JsonDecoder::new(Schema::new(["a"]), true).row(&bytes);
        }
    }
}
