//! JSON into a typed record.
//!
//! The payload is parsed in the transport's buffer; only what the record owns is copied. Path
//! tracking slows parsing down, so a payload is parsed a second time, with it, only when the first
//! attempt has failed: the message then names the field beside line and column.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::{Decode, Raw};
use crate::source::Reject;

/// Decodes each payload as one JSON value of type `T`.
pub struct Json<T>(PhantomData<fn() -> T>);

impl<T> Json<T> {
    /// A decoder; it has no state of its own.
    pub fn new() -> Self {
        Json(PhantomData)
    }
}

impl<T> Default for Json<T> {
    fn default() -> Self {
        Json::new()
    }
}

impl<T> Clone for Json<T> {
    fn clone(&self) -> Self {
        Json::new()
    }
}

impl<T: DeserializeOwned + 'static> Decode for Json<T> {
    type Record = T;

    #[inline]
    fn decode(&mut self, raw: Raw<'_>) -> Result<T, Reject> {
        let Some(payload) = raw.payload else {
            return Err(Reject::new("null-payload", "the message has no payload", &[]));
        };
        serde_json::from_slice(payload).map_err(|error| reject::<T>(payload, &error))
    }
}

/// Says what was wrong with the payload, and in which field.
#[cold]
fn reject<T: DeserializeOwned>(payload: &[u8], error: &serde_json::Error) -> Reject {
    let mut json = serde_json::Deserializer::from_slice(payload);
    let field = match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Err(error) => error.path().to_string(),
        // What was wrong comes after the value.
        Ok(_) => String::new(),
    };
    let message = match field.as_str() {
        "" | "." => error.to_string(),
        field => format!("field `{field}`: {error}"),
    };
    Reject::new("json", message, payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::NoHeaders;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Outer {
        inner: Inner,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Inner {
        at: i64,
    }

    fn decode(payload: Option<&[u8]>) -> Result<Outer, Reject> {
        let headers = &NoHeaders;
        Json::new().decode(Raw {
            payload,
            key: None,
            headers,
            timestamp: None,
            partition: 0,
            offset: 0,
        })
    }

    #[test]
    fn a_good_payload_becomes_a_record() {
        let record = decode(Some(br#" {"inner":{"at":-5}} "#)).unwrap();
        assert_eq!(record, Outer { inner: Inner { at: -5 } });
    }

    #[test]
    fn the_message_names_field_line_and_column() {
        let reject = decode(Some(b"{\"inner\":\n{\"at\":\"noon\"}}")).unwrap_err();
        assert_eq!(reject.class, "json");
        assert_eq!(
            reject.message,
            "field `inner.at`: invalid type: string \"noon\", expected i64 at line 2 column 12"
        );
        assert_eq!(reject.payload, b"{\"inner\":\n{\"at\":\"noon\"}}");
    }

    #[test]
    fn each_kind_of_damage_is_a_reject() {
        for (payload, says) in [
            (&b""[..], "EOF while parsing"),
            (b"{\"inner\":", "EOF while parsing"),
            (b"{\"inner\":{\"at\":1}} x", "trailing characters"),
            (b"{\"inner\":{}}", "missing field `at`"),
            (b"{\"inner\":{\"at\":1e999}}", "number out of range"),
            (b"{\"in\xff\":1}", "invalid unicode"),
            (b"null", "invalid type: null"),
        ] {
            let reject = decode(Some(payload)).unwrap_err();
            assert_eq!(reject.class, "json");
            assert!(reject.message.contains(says), "{payload:?}: {}", reject.message);
        }
    }

    #[test]
    fn nesting_without_end_is_a_reject_and_no_overflow() {
        let payload = vec![b'['; 1 << 20];
        let reject = Json::<serde_json::Value>::new()
            .decode(Raw {
                payload: Some(&payload),
                key: None,
                headers: &NoHeaders,
                timestamp: None,
                partition: 0,
                offset: 0,
            })
            .unwrap_err();
        assert!(reject.message.contains("recursion limit"), "{}", reject.message);
    }

    #[test]
    fn a_tombstone_has_its_own_class() {
        assert_eq!(decode(None).unwrap_err().class, "null-payload");
    }

    #[test]
    fn what_is_kept_of_a_bad_payload_is_bounded() {
        let payload = format!("{{\"inner\":{{\"at\":\"{}\"}}}}", "ä".repeat(100_000));
        let reject = decode(Some(payload.as_bytes())).unwrap_err();
        assert_eq!(reject.payload.len(), Reject::PAYLOAD_LIMIT);
        assert!(reject.message.len() < 600, "{}", reject.message.len());
    }

    proptest::proptest! {
        #[test]
        fn no_payload_makes_it_panic(payload: Vec<u8>, json in "[\\[\\]{}:,\"a-z0-9.e+-]{0,40}") {
            for payload in [&payload[..], json.as_bytes()] {
                let known = serde_json::from_slice::<Outer>(payload).is_ok();
                proptest::prop_assert_eq!(decode(Some(payload)).is_ok(), known);
            }
        }
    }
}
