//! Files of lines (NDJSON and the like) as a source, read from a position to the end, or followed
//! as they grow.
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
    follow: bool,
}

impl<F> Clone for FileBuilder<F> {
    fn clone(&self) -> Self {
        FileBuilder {
            name: self.name.clone(),
            paths: self.paths.clone(),
            decoder: self.decoder.clone(),
            max_line: self.max_line,
            start: self.start.clone(),
            follow: self.follow,
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

    /// Waits for more at the end of each file, for ever. A last line counts when its newline has
    /// come. A followed file that shrinks or is replaced is an error.
    #[must_use]
    pub fn follow(mut self) -> Self {
        self.follow = true;
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
        // A followed file never makes room for another one.
        let open_files = if self.follow { usize::MAX } else { OPEN_FILES };
        let mut files = VecDeque::new();
        for (index, path) in self.paths.iter().enumerate() {
            if index % context.peers != context.worker {
                continue;
            }
            let partition = Partition::try_from(index).expect("paths fit in memory, 32 bits do");
            let start = self.start.iter().find(|(p, _)| *p == partition).map_or(0, |(_, o)| *o);
            let mut lines = Lines::new(path.clone(), start, self.max_line, self.follow);
            // Opening tells all that can be wrong with the file at the start of the run.
            lines.open()?;
            if files.len() >= open_files {
                lines.suspend();
            }
            files.push_back(Reading { partition, lines, told_dry: false });
        }
        Ok(FileSource {
            announce: files.iter().map(|f| (f.partition, f.lines.position())).collect(),
            name: self.name.clone(),
            decoder: (self.decoder)(),
            files,
            open_files,
        })
    }
}

/// One worker's part of a file source.
pub struct FileSource<D> {
    name: Arc<str>,
    decoder: D,
    /// The files not at their end. The one in front has its turn.
    files: VecDeque<Reading>,
    open_files: usize,
    announce: Positions,
}

/// A file that is being read.
struct Reading {
    partition: Partition,
    lines: Lines,
    /// The engine knows that its end has been reached for now.
    told_dry: bool,
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
            follow: false,
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
        // How many files in a row had nothing.
        let mut dry = 0;
        while left > 0 && fuel > 0 && dry < self.files.len() {
            let Some(file) = self.files.front_mut() else { break };
            let partition = file.partition;
            file.lines.open()?;
            let message = match file.lines.next(&mut fuel)? {
                Next::Line(line) => message(partition, &mut self.decoder, line),
                Next::TooLong(reject, bytes, next) => {
                    Message { partition, next, timestamp: None, bytes, record: Err(reject) }
                }
                Next::OutOfFuel => break,
                Next::Dry => {
                    if !std::mem::replace(&mut file.told_dry, true) {
                        batch.event(partition, PartitionEvent::CaughtUp);
                    }
                    dry += 1;
                    turn = RECORDS_PER_TURN;
                    self.files.rotate_left(1);
                    continue;
                }
                Next::End => {
                    batch.event(partition, PartitionEvent::Finished);
                    self.files.pop_front();
                    turn = RECORDS_PER_TURN;
                    continue;
                }
            };
            batch.push(message);
            (file.told_dry, dry) = (false, 0);
            (left, turn) = (left - 1, turn - 1);
            if turn == 0 {
                turn = RECORDS_PER_TURN;
                let open = self.files.len().min(self.open_files);
                self.files.make_contiguous()[..open].rotate_left(1);
            }
        }
        Ok(match self.files.len() {
            0 => Poll::Finished,
            all if dry == all => Poll::Pending,
            _ => Poll::Ready,
        })
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
