//! Rows as lines in a buffer: what the file and the stdout sink share.

use crate::encode::Encode;
use crate::error::{Error, Kind};
use crate::source::Reject;

/// An encoder with the lines it has made and that are not written yet.
pub(super) struct EncodedLines<E> {
    encoder: E,
    key: Vec<u8>,
    value: Vec<u8>,
    /// Whole lines, each with its newline.
    pub bytes: Vec<u8>,
}

impl<E: Encode> EncodedLines<E> {
    pub fn new(encoder: E) -> Self {
        EncodedLines { encoder, key: Vec::new(), value: Vec::new(), bytes: Vec::new() }
    }

    /// Appends one row. Nothing of a row that cannot be encoded stays behind.
    pub fn push(&mut self, sink: &str, tick: u64, row: &E::Record) -> Result<(), Error> {
        // The encoder is promised empty buffers.
        self.key.clear();
        self.value.clear();
        let encoded = self.encoder.encode(row, &mut self.key, &mut self.value);
        let encoded = encoded.and_then(|()| match memchr::memchr(b'\n', &self.value) {
            None => Ok(()),
            Some(_) => {
                let message = "the encoded row has a newline in it, so it cannot be one line";
                Err(Reject::new("not-a-line", message, &self.value))
            }
        });
        encoded.map_err(|reject| cannot_encode(sink, tick, &reject))?;
        self.bytes.extend_from_slice(&self.value);
        self.bytes.push(b'\n');
        Ok(())
    }
}

/// A row that a sink cannot write stops the run: after it has left the pipeline there is no stream
/// of rejects that could take it.
#[cold]
pub(super) fn cannot_encode(sink: &str, tick: u64, reject: &Reject) -> Error {
    let (class, message) = (&reject.class, &reject.message);
    let message = format!("sink `{sink}`: cannot encode a row of tick {tick}: {message} ({class})");
    Error::new(Kind::Data, message)
}
