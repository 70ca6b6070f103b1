//! Rejects made from rows, and rows made from rejects.

use super::json::JsonEncoder;
use super::{Row, Schema, Value};
use crate::source::Reject;

/// How much of a record that was refused is kept.
pub(super) const KEPT: usize = 4_096;

/// The fields of the row a reject becomes: see [`reject_row`].
pub const REJECT_FIELDS: [&str; 3] = ["class", "message", "payload"];

/// The reject of a row that a step could not use: its whole record if it has one, else its fields.
pub fn reject(
    class: &'static str,
    message: impl Into<String>,
    row: &Row,
    schema: &Schema,
) -> Reject {
    let mut payload = Vec::new();
    match &row.raw {
        Some(raw) => payload.extend_from_slice(&raw[..raw.len().min(KEPT)]),
        None => JsonEncoder::new(schema.clone(), None).write(row, &mut payload),
    }
    payload.truncate(KEPT);
    Reject { class: class.into(), message: message.into(), payload }
}

/// A reject as a row, to be written by a sink. Bytes that are no text are replaced.
pub fn reject_row(reject: &Reject) -> Row {
    Row::new([
        Value::from(&*reject.class),
        Value::from(reject.message.as_str()),
        Value::from(&*String::from_utf8_lossy(&reject.payload)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reject_keeps_the_record_cut_to_a_bound() {
        let schema = Schema::new(["a"]);
        let mut row = Row::new([Value::Text("x".repeat(10_000).into())]);
        let refused = reject("expr", "division by zero", &row, &schema);
        assert_eq!(refused.payload.len(), KEPT);
        assert!(refused.payload.starts_with(b"{\"a\":\"xxx"));
        row.raw = Some(b"{\"a\":\xff}".as_slice().into());
        let row = reject_row(&reject("expr", "division by zero", &row, &schema));
        assert_eq!(*row.get(0), Value::from("expr"));
        assert_eq!(*row.get(2), Value::from("{\"a\":\u{fffd}}"));
    }
}
