//! Formats: from records to the bytes of a transport.
//!
//! An encoder appends to buffers that the sink owns and reuses, so that a record costs no allocation
//! of its own.

use crate::source::Reject;

pub mod json;

/// Turns a record into the bytes of one message.
pub trait Encode: 'static {
    /// What it takes.
    type Record: 'static;

    /// Appends the key and the value of one message to the two empty buffers.
    ///
    /// A key left empty means that the message has none; an empty value is a message of no bytes.
    /// The reject says what was wrong; whatever was appended before is thrown away.
    fn encode(
        &mut self,
        record: &Self::Record,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<(), Reject>;
}
