//! Rows as lines on the standard output, at least once.
//!
//! The output is locked once for a batch, so lines of several workers do not mix. A reader that
//! stops reading holds its worker up. A reader that has gone away (`… | head`) is no failure of the
//! run: the sink then returns an error for which [`is_reader_gone`] is true, and the command line
//! ends quietly with exit code 0.

use std::fmt;
use std::io;

use super::lines::EncodedLines;
use super::{Commit, Guarantee, Sink, Staged, Write};
use crate::encode::Encode;
use crate::error::{Error, Kind};

/// The cause of the error of a sink whose reader has closed its end.
#[derive(Debug)]
pub struct ReaderGone;

impl fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader of the standard output has gone")
    }
}

impl std::error::Error for ReaderGone {}

/// Whether a run ended because nobody reads its output any more, which is a quiet end.
pub fn is_reader_gone(error: &Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<ReaderGone>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Writes each row as a line to the standard output.
pub struct StdoutSink<E, W = io::Stdout> {
    name: String,
    lines: EncodedLines<E>,
    output: W,
    unstaged: u64,
}

impl<E: Encode> StdoutSink<E> {
    /// A sink of what the encoder makes of the rows.
    pub fn new(name: impl Into<String>, encoder: E) -> Self {
        StdoutSink::into(name, encoder, io::stdout())
    }
}

impl<E: Encode, W: io::Write> StdoutSink<E, W> {
    fn into(name: impl Into<String>, encoder: E, output: W) -> Self {
        StdoutSink { name: name.into(), lines: EncodedLines::new(encoder), output, unstaged: 0 }
    }

    #[cold]
    fn failed(&self, error: io::Error) -> Error {
        let message = format!("sink `{}`: cannot write to the standard output: {error}", self.name);
        if error.kind() == io::ErrorKind::BrokenPipe {
            Error::new(Kind::Failed, message).caused_by(ReaderGone)
        } else {
            Error::new(Kind::Storage, message).caused_by(error)
        }
    }
}

impl<E: Encode, W: io::Write + 'static> Sink for StdoutSink<E, W> {
    type Record = E::Record;

    fn name(&self) -> &str {
        &self.name
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn write(&mut self, tick: u64, rows: &mut Vec<E::Record>) -> Result<Write, Error> {
        for row in rows.iter() {
            self.lines.push(&self.name, tick, row)?;
        }
        // One call: the standard output takes its lock once.
        let written = self.output.write_all(&self.lines.bytes);
        self.lines.bytes.clear();
        written.map_err(|error| self.failed(error))?;
        self.unstaged += rows.len() as u64;
        rows.clear();
        Ok(Write::All)
    }

    fn stage(&mut self, tick: u64) -> Result<Staged, Error> {
        Ok(Staged { tick, rows: std::mem::take(&mut self.unstaged), bytes: Vec::new() })
    }

    fn commit(&mut self, _: &Staged) -> Result<Commit, Error> {
        self.output.flush().map_err(|error| self.failed(error))?;
        Ok(Commit::Done)
    }

    fn close(&mut self) {
        if let Err(error) = self.output.flush() {
            tracing::debug!(sink = self.name, %error, "the last flush failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::encode::json::Json;

    #[test]
    fn a_batch_is_written_as_lines_at_once() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut sink = StdoutSink::into("out", Json::<u32>::new(), near);
        let mut rows = vec![1, 2, 3];
        assert_eq!(sink.write(1, &mut rows).unwrap(), Write::All);
        assert!(rows.is_empty());
        let staged = sink.stage(1).unwrap();
        assert_eq!(staged, Staged { tick: 1, rows: 3, bytes: Vec::new() });
        assert_eq!(sink.commit(&staged).unwrap(), Commit::Done);
        drop(sink);
        let mut text = String::new();
        far.read_to_string(&mut text).unwrap();
        assert_eq!(text, "1\n2\n3\n");
    }

    #[test]
    fn a_reader_that_has_gone_is_told_apart_from_a_failure() {
        let (near, far) = UnixStream::pair().unwrap();
        drop(far);
        let mut sink = StdoutSink::into("out", Json::<u32>::new(), near);
        let error = sink.write(1, &mut vec![1]).unwrap_err();
        assert!(is_reader_gone(&error), "{error}");
        let outer = Error::new(Kind::Failed, "the run ended").caused_by(error);
        assert!(is_reader_gone(&outer), "also as the cause of a cause");

        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut sink = StdoutSink::into("out", Json::<u32>::new(), full);
        let error = sink.write(1, &mut vec![1]).unwrap_err();
        assert!(!is_reader_gone(&error));
        assert_eq!(error.kind(), Kind::Storage);
    }
}
