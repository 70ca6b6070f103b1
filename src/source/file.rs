//! Files of lines (NDJSON and the like) as a source, read once from a position to the end.
//!
//! Each path is one partition, numbered in the order given and owned by worker `index % peers`; a
//! position is the byte offset of the next line. The newline may be `\n` or `\r\n`, the last line
//! may lack it, empty lines and a byte order mark are passed over. A line is decoded where it lies
//! in the read buffer. A line longer than the bound is a reject of class `too-long`.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use super::{
    Batch, Message, Offset, Partition, PartitionEvent, Poll, Positions, Reject, Replay, Source,
    SourceContext,
};
use crate::decode::{Decode, NoHeaders, Raw};
use crate::error::{Error, Kind};
use lines::{Line, Lines, Next};

mod lines;
#[cfg(test)]
mod tests;

/// How many bytes one call may read before it lets the engine do something else.
const BYTES_PER_CALL: usize = 4 << 20;
/// How many records of one file are handed over before the next file has its turn, so that the
/// event times of files stay near each other.
const RECORDS_PER_TURN: usize = 256;
/// How many files a worker holds open; more of them wait until one has ended.
const OPEN_FILES: usize = 64;

/// What makes the file sources of all workers.
pub struct FileBuilder<F> {
    name: Arc<str>,
    paths: Vec<PathBuf>,
    decoder: Arc<F>,
    max_line: usize,
    start: Positions,
}

impl<F> Clone for FileBuilder<F> {
    fn clone(&self) -> Self {
        FileBuilder {
            name: self.name.clone(),
            paths: self.paths.clone(),
            decoder: self.decoder.clone(),
            max_line: self.max_line,
            start: self.start.clone(),
        }
    }
}

impl<D: Decode, F: Fn() -> D> FileBuilder<F> {
    /// The longest line in bytes, without its newline; 16 MiB unless told.
    #[must_use]
    pub fn max_line(mut self, bytes: usize) -> Self {
        self.max_line = bytes.max(1);
        self
    }

    /// Goes on at these positions instead of the beginning.
    #[must_use]
    pub fn start_at(mut self, positions: Positions) -> Self {
        self.start = positions;
        self
    }

    /// The source of one worker; every file that it owns is looked at now.
    pub fn build(&self, context: SourceContext) -> Result<FileSource<D>, Error> {
        if self.paths.is_empty() {
            let message = format!("source `{}`: no path is given", self.name);
            return Err(Error::new(Kind::Config, message));
        }
        let mut files = VecDeque::new();
        for (index, path) in self.paths.iter().enumerate() {
            if index % context.peers != context.worker {
                continue;
            }
            let partition = Partition::try_from(index).expect("paths fit in memory, 32 bits do");
            let start = self.start.iter().find(|(p, _)| *p == partition).map_or(0, |(_, o)| *o);
            let mut lines = Lines::new(path.clone(), start, self.max_line);
            // Opening tells all that can be wrong with the file at the start of the run.
            lines.open()?;
            if files.len() >= OPEN_FILES {
                lines.suspend();
            }
            files.push_back((partition, lines));
        }
        Ok(FileSource {
            announce: files.iter().map(|(p, lines)| (*p, lines.position())).collect(),
            name: self.name.clone(),
            decoder: (self.decoder)(),
            files,
        })
    }
}

/// One worker's part of a file source.
pub struct FileSource<D> {
    name: Arc<str>,
    decoder: D,
    /// The files not at their end. The one in front has its turn.
    files: VecDeque<(Partition, Lines)>,
    announce: Positions,
}

impl<D: Decode> FileSource<D> {
    /// A source of the lines of these files; `decoder` makes the decoder of each worker.
    #[allow(clippy::new_ret_no_self)]
    pub fn new<F: Fn() -> D>(
        name: impl Into<Arc<str>>,
        paths: impl IntoIterator<Item = impl Into<PathBuf>>,
        decoder: F,
    ) -> FileBuilder<F> {
        FileBuilder {
            name: name.into(),
            paths: paths.into_iter().map(Into::into).collect(),
            decoder: Arc::new(decoder),
            max_line: 16 << 20,
            start: Positions::new(),
        }
    }
}

impl<D: Decode> Source for FileSource<D> {
    type Record = D::Record;

    fn name(&self) -> &str {
        &self.name
    }

    fn replay(&self) -> Replay {
        Replay::FromPosition
    }

    fn consume(&mut self, limit: usize, batch: &mut Batch<D::Record>) -> Result<Poll, Error> {
        for (partition, offset) in self.announce.drain(..) {
            batch.event(partition, PartitionEvent::Assigned(offset));
        }
        let (mut left, mut turn, mut fuel) = (limit, RECORDS_PER_TURN, BYTES_PER_CALL);
        while left > 0 && fuel > 0 {
            let Some((partition, lines)) = self.files.front_mut() else { break };
            let partition = *partition;
            lines.open()?;
            match lines.next(&mut fuel)? {
                Next::Line(line) => {
                    batch.push(message(partition, &mut self.decoder, line));
                    left -= 1;
                    turn -= 1;
                }
                Next::TooLong(reject, bytes, next) => {
                    let record = Err(reject);
                    batch.push(Message { partition, next, timestamp: None, bytes, record });
                    left -= 1;
                    turn -= 1;
                }
                Next::OutOfFuel => break,
                Next::End => {
                    batch.event(partition, PartitionEvent::Finished);
                    self.files.pop_front();
                    turn = RECORDS_PER_TURN;
                    continue;
                }
            }
            if turn == 0 {
                turn = RECORDS_PER_TURN;
                let open = self.files.len().min(OPEN_FILES);
                self.files.make_contiguous()[..open].rotate_left(1);
            }
        }
        Ok(if self.files.is_empty() { Poll::Finished } else { Poll::Ready })
    }

    /// There is nobody to tell.
    fn commit(&mut self, _: &[(Partition, Offset)]) -> Result<(), Error> {
        Ok(())
    }

    fn close(&mut self) {
        self.files.clear();
    }
}

/// Decodes a line; a reject gets the line's place in front of its message.
#[inline]
fn message<D: Decode>(partition: Partition, decoder: &mut D, line: Line<'_>) -> Message<D::Record> {
    let record = decoder.decode(Raw {
        payload: Some(line.bytes),
        key: None,
        headers: &NoHeaders,
        timestamp: None,
        partition,
        offset: line.offset,
    });
    Message {
        partition,
        next: line.next,
        timestamp: None,
        bytes: u32::try_from(line.bytes.len()).unwrap_or(u32::MAX),
        record: record.map_err(|reject: Reject| Reject {
            message: format!("{}: {}", line.place, reject.message),
            ..reject
        }),
    }
}
