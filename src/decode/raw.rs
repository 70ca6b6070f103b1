//! The whole message as an owned record, for programs that look at more than the payload.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tiderace_operators::time::EventTime;

use super::{Decode, Raw};
use crate::source::{Offset, Partition, Reject};

/// A message as it came, with its place in the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The payload; `None` is a tombstone.
    pub payload: Option<Vec<u8>>,
    /// The message key, if the transport has one.
    pub key: Option<Vec<u8>>,
    /// Names and values of the headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The time the transport knows for it.
    pub timestamp: Option<EventTime>,
    /// The name of the source that read it.
    pub source: Arc<str>,
    /// Where it was read.
    pub partition: Partition,
    /// Its own offset.
    pub offset: Offset,
}

/// Copies each message into an [`Envelope`]; it refuses none.
#[derive(Clone)]
pub struct Envelopes {
    source: Arc<str>,
}

impl Envelopes {
    /// A decoder whose envelopes carry this source name.
    pub fn of(source: impl Into<Arc<str>>) -> Self {
        Envelopes { source: source.into() }
    }
}

impl Decode for Envelopes {
    type Record = Envelope;

    fn decode(&mut self, raw: Raw<'_>) -> Result<Envelope, Reject> {
        let mut headers = Vec::new();
        raw.headers.for_each(&mut |name, value| {
            headers.push((name.to_owned(), value.map(<[u8]>::to_vec)));
        });
        Ok(Envelope {
            payload: raw.payload.map(<[u8]>::to_vec),
            key: raw.key.map(<[u8]>::to_vec),
            headers,
            timestamp: raw.timestamp,
            source: self.source.clone(),
            partition: raw.partition,
            offset: raw.offset,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Headers;

    struct Two;

    impl Headers for Two {
        fn for_each(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
            visit("trace", Some(b"1"));
            visit("trace", None);
        }
    }

    #[test]
    fn everything_the_transport_knows_is_kept() {
        let envelope = Envelopes::of("readings")
            .decode(Raw {
                payload: None,
                key: Some(b"k"),
                headers: &Two,
                timestamp: Some(EventTime::from_millis(7)),
                partition: 3,
                offset: 41,
            })
            .unwrap();
        assert_eq!(
            envelope,
            Envelope {
                payload: None,
                key: Some(b"k".to_vec()),
                headers: vec![("trace".into(), Some(b"1".to_vec())), ("trace".into(), None)],
                timestamp: Some(EventTime::from_millis(7)),
                source: "readings".into(),
                partition: 3,
                offset: 41,
            }
        );
    }
}
