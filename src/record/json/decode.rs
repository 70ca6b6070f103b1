//! Takes the wanted fields out of a JSON object, straight from the transport's buffer.
//!
//! Fields nobody asked for are skipped without a copy. A field given twice counts as it was given
//! last; one that is missing is null. Lists and objects are kept as their text. An integer beyond 64
//! bits is refused, because rounding it could make two ids one.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::decode::{Decode, Raw};
use crate::record::reject::KEPT;
use crate::record::{Row, Schema, Value};
use crate::source::Reject;

/// Decodes JSON objects into rows of a schema.
#[derive(Clone, Debug)]
pub struct JsonDecoder {
    schema: Schema,
    keep_raw: bool,
    /// The field being read, for messages.
    field: Option<usize>,
}

impl JsonDecoder {
    /// A decoder that extracts the fields of this schema, and keeps the whole record if asked.
    pub fn new(schema: Schema, keep_raw: bool) -> Self {
        JsonDecoder { schema, keep_raw, field: None }
    }

    /// Decodes one object.
    pub fn row(&mut self, payload: &[u8]) -> Result<Row, Reject> {
        let mut values = vec![Value::Null; self.schema.len()].into_boxed_slice();
        self.field = None;
        let mut deserializer = serde_json::Deserializer::from_slice(payload);
        let fields = Fields { schema: &self.schema, values: &mut values, field: &mut self.field };
        let result = deserializer.deserialize_map(fields).and_then(|()| deserializer.end());
        match result {
            Ok(()) => Ok(Row { values, raw: self.keep_raw.then(|| payload.into()) }),
            Err(error) => Err(self.reject(payload, &error.to_string())),
        }
    }

    fn reject(&self, payload: &[u8], error: &str) -> Reject {
        let message = match self.field.and_then(|slot| self.schema.fields().get(slot)) {
            Some(field) => format!("field `{field}`: {error}"),
            None => error.to_owned(),
        };
        let payload = payload[..payload.len().min(KEPT)].to_vec();
        Reject { class: "json".into(), message, payload }
    }
}

impl Decode for JsonDecoder {
    type Record = Row;

    fn decode(&mut self, raw: Raw<'_>) -> Result<Row, Reject> {
        match raw.payload {
            Some(payload) => self.row(payload),
            None => Err(Reject {
                class: "null-payload".into(),
                message: "the message has a key and no value (a tombstone)".into(),
                payload: Vec::new(),
            }),
        }
    }
}

struct Fields<'a> {
    schema: &'a Schema,
    values: &'a mut [Value],
    field: &'a mut Option<usize>,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // Producers write fields in the same order again and again: the next slot is tried first.
        let mut next = 0;
        while let Some(slot) = map.next_key_seed(Key { schema: self.schema, next })? {
            *self.field = slot;
            match slot {
                Some(slot) => {
                    let raw: &'de RawValue = map.next_value()?;
                    self.values[slot] = value(raw.get()).map_err(A::Error::custom)?;
                    next = slot + 1;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            *self.field = None;
        }
        Ok(())
    }
}

/// Finds the slot of a key without keeping it.
struct Key<'a> {
    schema: &'a Schema,
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        match self.schema.fields().get(self.next) {
            Some(field) if field == key => Ok(Some(self.next)),
            _ => Ok(self.schema.slot(key)),
        }
    }
}

/// The value a piece of valid JSON stands for.
fn value(text: &str) -> Result<Value, String> {
    Ok(match text.as_bytes() {
        [b'"', inner @ .., b'"'] => {
            if inner.contains(&b'\\') {
                let text: String = serde_json::from_str(text).map_err(|e| e.to_string())?;
                Value::Text(text.into())
            } else {
                Value::Text(text[1..text.len() - 1].into())
            }
        }
        [b'{' | b'[', ..] => Value::Json(text.into()),
        b"null" => Value::Null,
        b"true" => Value::Bool(true),
        b"false" => Value::Bool(false),
        number if number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => {
            match text.parse::<f64>() {
                Ok(value) if value.is_finite() => Value::Float(value),
                _ => return Err(format!("the number {} is out of range", short(text))),
            }
        }
        _ => match text.parse() {
            Ok(value) => Value::Int(value),
            Err(_) => return Err(format!("the integer {} does not fit into 64 bits", short(text))),
        },
    })
}

/// A number cut to a length that fits into a message. Numbers are ASCII.
fn short(text: &str) -> String {
    if text.len() > 40 { format!("{}…", &text[..40]) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Result<Vec<Value>, String> {
        let mut decoder = JsonDecoder::new(Schema::new(["a", "b", "ü"]), false);
        decoder.row(text.as_bytes()).map(|row| row.values.into()).map_err(|reject| {
            assert_eq!(reject.class, "json");
            reject.message
        })
    }

    #[test]
    fn wanted_fields_are_taken_and_others_skipped() {
        let null = Value::Null;
        for (text, a, b) in [
            (r#"{"a":1,"b":2.5}"#, Value::Int(1), Value::Float(2.5)),
            (r#" {"x":[{"a":9}], "b" : true , "a":"t\n"} "#, Value::from("t\n"), Value::Bool(true)),
            (
                r#"{"a": [1, {"k": 2}],"b":{}}"#,
                Value::Json(r#"[1, {"k": 2}]"#.into()),
                Value::Json("{}".into()),
            ),
            (r#"{"a":1,"a":null}"#, null.clone(), null.clone()),
            (r#"{"\u0061":-0}"#, Value::Int(0), null.clone()),
            (r#"{"a":1e3,"b":-9223372036854775808}"#, Value::Float(1000.0), Value::Int(i64::MIN)),
            ("{}", null.clone(), null.clone()),
        ] {
            assert_eq!(decode(text).unwrap()[..2], [a, b], "{text}");
        }
        assert_eq!(decode(r#"{"ü":"ß"}"#).unwrap()[2], Value::from("ß"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let deep = format!(r#"{{"x":{}1}}"#, "[".repeat(100_000));
        for (text, expected) in [
            ("", "EOF"),
            ("[1]", "expected a JSON object"),
            ("{\"a\":1}\n{}", "trailing characters at line 2 column 1"),
            (r#"{"a":1,}"#, "line 1 column 8"),
            (r#"{"x":1,"a":tru}"#, "field `a`"),
            (r#"{"a":18446744073709551615}"#, "does not fit into 64 bits"),
            (r#"{"a":1e999}"#, "out of range"),
            (r#"{"a":"\ud800"}"#, "field `a`"),
            (r#"{"a":NaN}"#, "expected value"),
            (deep.as_str(), "line 1 column"),
        ] {
            let message = decode(text).unwrap_err();
            assert!(message.contains(expected), "{text:.40}: {message}");
        }
        let mut decoder = JsonDecoder::new(Schema::new(["a"]), false);
        assert!(decoder.row(b"{\"a\":\"\xff\"}").is_err());
        let reject = decoder.row(&vec![b'x'; 100_000]).unwrap_err();
        assert_eq!(reject.payload.len(), KEPT);
    }

    #[test]
    fn whole_records_are_kept_only_when_asked_for() {
        let text = br#"{"a":1, "z":2}"#;
        let mut with = JsonDecoder::new(Schema::new(["a"]), true);
        assert_eq!(with.row(text).unwrap().raw.as_deref(), Some(&text[..]));
        let mut without = JsonDecoder::new(Schema::new(["a"]), false);
        assert_eq!(without.row(text).unwrap().raw, None);
    }
}
