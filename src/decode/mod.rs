//! Formats: from the bytes of a transport to records or rejects.
//!
//! A decoder borrows from the transport's buffer; it copies only what the record must own.

use tiderace_operators::time::EventTime;

use crate::source::{Offset, Partition, Reject};

pub mod json;
pub mod raw;

/// A message as the transport holds it.
#[derive(Clone, Copy)]
pub struct Raw<'a, H: ?Sized = dyn Headers + 'a> {
    /// The payload; `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// The message key, if the transport has one.
    pub key: Option<&'a [u8]>,
    /// Headers, read on demand.
    pub headers: &'a H,
    /// The time the transport knows for it.
    pub timestamp: Option<EventTime>,
    /// Where it was read.
    pub partition: Partition,
    /// Its own offset.
    pub offset: Offset,
}

/// Headers of a message, read on demand.
pub trait Headers {
    /// Calls `visit` with each name and value, in order.
    fn for_each(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>));
}

/// No headers at all.
pub struct NoHeaders;

impl Headers for NoHeaders {
    fn for_each(&self, _: &mut dyn FnMut(&str, Option<&[u8]>)) {}
}

/// Turns the bytes of one message into a record.
pub trait Decode: 'static {
    /// What it produces.
    type Record: 'static;

    /// Decodes one message; the reject says what was wrong and where.
    fn decode(&mut self, raw: Raw<'_>) -> Result<Self::Record, Reject>;
}
