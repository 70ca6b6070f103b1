//! A typed record as one compact JSON value, and its key by a function.

use std::marker::PhantomData;

use serde::Serialize;

use super::Encode;
use crate::source::Reject;

/// Encodes each record as JSON; `K` appends the message key.
pub struct Json<T, K = fn(&T, &mut Vec<u8>)> {
    key: K,
    record: PhantomData<fn(&T)>,
}

impl<T> Json<T> {
    /// An encoder of messages without a key.
    pub fn new() -> Self {
        Json { key: |_, _| {}, record: PhantomData }
    }

    /// An encoder whose messages carry the key that this function appends to the buffer.
    ///
    /// ```
    /// use std::io::Write;
    /// use tiderace::encode::{Encode, json::Json};
    ///
    /// let mut json = Json::keyed_by(|row: &(u32, &str), key: &mut Vec<u8>| {
    ///     write!(key, "{}", row.0).expect("a vector takes every byte");
    /// });
    /// let (mut key, mut value) = (Vec::new(), Vec::new());
    /// json.encode(&(7, "warm"), &mut key, &mut value).unwrap();
    /// assert_eq!((&key[..], &value[..]), (&b"7"[..], &br#"[7,"warm"]"#[..]));
    /// ```
    pub fn keyed_by<K: FnMut(&T, &mut Vec<u8>) + 'static>(key: K) -> Json<T, K> {
        Json { key, record: PhantomData }
    }
}

impl<T> Default for Json<T> {
    fn default() -> Self {
        Json::new()
    }
}

impl<T, K: Clone> Clone for Json<T, K> {
    fn clone(&self) -> Self {
        Json { key: self.key.clone(), record: PhantomData }
    }
}

impl<T, K> Encode for Json<T, K>
where
    T: Serialize + 'static,
    K: FnMut(&T, &mut Vec<u8>) + 'static,
{
    type Record = T;

    #[inline]
    fn encode(&mut self, record: &T, key: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<(), Reject> {
        (self.key)(record, key);
        let start = value.len();
        serde_json::to_writer(&mut *value, record)
            .map_err(|error| Reject::new("encode-json", error.to_string(), &value[start..]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn no_key_is_an_empty_key() {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        Json::new().encode(&1.25, &mut key, &mut value).unwrap();
        assert_eq!((key.as_slice(), value.as_slice()), (&b""[..], &b"1.25"[..]));
    }

    #[test]
    fn what_json_cannot_say_is_a_reject() {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let record = BTreeMap::from([((1, 2), 3)]);
        let reject = Json::new().encode(&record, &mut key, &mut value).unwrap_err();
        assert_eq!(reject.class, "encode-json");
        assert_eq!(reject.message, "key must be a string");
    }
}
