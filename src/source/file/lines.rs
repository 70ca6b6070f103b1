//! One file, cut into lines within a bounded buffer.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind};
use crate::source::{Offset, Reject};

/// How much is read from the disk in one go.
const BLOCK: usize = 256 << 10;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lines of one file from a position on.
pub(super) struct Lines {
    path: PathBuf,
    /// `None` until it is opened, and while it waits for its turn.
    file: Option<File>,
    /// Bytes of the file; those in `start..end` have not been handed over.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Up to here no newline is in `start..end`.
    scanned: usize,
    /// The offset in the file of the byte at `start`.
    offset: Offset,
    /// The number of the next line, counted from 1 where reading began.
    line: u64,
    /// Whether reading began at the beginning, so that `line` means something to a user.
    from_beginning: bool,
    max_line: usize,
    /// The line that is too long and being passed over.
    skipping: Option<Skipped>,
    at_end: bool,
    /// Whether more may come behind the end.
    follow: bool,
}

/// What is kept of a line that is too long.
struct Skipped {
    offset: Offset,
    bytes: u64,
    head: Vec<u8>,
}

/// A line in the read buffer.
pub(super) struct Line<'a> {
    pub bytes: &'a [u8],
    pub offset: Offset,
    pub next: Offset,
    pub place: Place<'a>,
}

/// Where a line is, for a person.
pub(super) struct Place<'a> {
    path: &'a Path,
    line: Option<u64>,
    offset: Offset,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        match self.line {
            Some(line) => write!(f, ":{line} (byte {})", self.offset),
            None => write!(f, " at byte {}", self.offset),
        }
    }
}

/// What comes next in a file.
pub(super) enum Next<'a> {
    Line(Line<'a>),
    /// The reject, the line's length, and the offset after it.
    TooLong(Reject, u32, Offset),
    /// The call has read its share of bytes without coming to the end of a line.
    OutOfFuel,
    /// A followed file has nothing more for now.
    Dry,
    End,
}

impl Lines {
    pub fn new(path: PathBuf, offset: Offset, max_line: usize, follow: bool) -> Self {
        Lines {
            path,
            file: None,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            scanned: 0,
            offset,
            line: 1,
            from_beginning: offset == 0,
            max_line,
            skipping: None,
            at_end: false,
            follow,
        }
    }

    /// The offset of the next line.
    pub fn position(&self) -> Offset {
        self.offset
    }

    /// Opens the file at the position, unless it is open.
    #[inline]
    pub fn open(&mut self) -> Result<(), Error> {
        if self.file.is_some() { Ok(()) } else { self.open_now() }
    }

    fn open_now(&mut self) -> Result<(), Error> {
        let path = self.path.display();
        let config = |error| {
            Error::new(Kind::Config, format!("cannot read {path}: {error}")).caused_by(error)
        };
        let metadata = std::fs::metadata(&self.path).map_err(config)?;
        let kind = metadata.file_type();
        let what = match () {
            () if kind.is_dir() => Some("a directory"),
            // Opening one would wait for a writer, and so would reading.
            () if kind.is_fifo() => Some("a pipe"),
            () if kind.is_socket() => Some("a socket"),
            () => None,
        };
        if let Some(what) = what {
            let message = format!("cannot read {path}: it is {what}, not a file");
            return Err(Error::new(Kind::Config, message));
        }
        let mut file = File::open(&self.path).map_err(config)?;
        if self.offset > 0 {
            if self.offset > metadata.len() {
                let message = format!(
                    "cannot go on in {path} at byte {}: the file ends at byte {}",
                    self.offset,
                    metadata.len()
                );
                return Err(Error::new(Kind::Storage, message).hint(
                    "the file was replaced or cut since it was read; start from its beginning",
                ));
            }
            file.seek(SeekFrom::Start(self.offset)).map_err(config)?;
        }
        self.file = Some(file);
        Ok(())
    }

    /// Lets go of the file until its turn comes. Only before anything was read.
    pub fn suspend(&mut self) {
        debug_assert_eq!(self.end, 0);
        self.file = None;
    }

    /// The next line. `fuel` goes down by what is read from the disk.
    pub fn next(&mut self, fuel: &mut usize) -> Result<Next<'_>, Error> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.scanned..self.end]) {
                let newline = self.scanned + at;
                if let Some(taken) = self.take(newline, 1) {
                    return Ok(self.hand_over(taken));
                }
            } else if self.at_end {
                if self.start == self.end && self.skipping.is_none() {
                    return Ok(Next::End);
                }
                if let Some(taken) = self.take(self.end, 0) {
                    return Ok(self.hand_over(taken));
                }
            } else {
                self.scanned = self.end;
                self.bound();
                if *fuel == 0 {
                    return Ok(Next::OutOfFuel);
                }
                if self.read(fuel)? == 0 {
                    if self.follow {
                        self.still_the_same()?;
                        return Ok(Next::Dry);
                    }
                    self.at_end = true;
                }
            }
        }
    }

    /// A followed file must not shrink, and its name must not go to another file: either way lines
    /// could be missed unseen.
    fn still_the_same(&self) -> Result<(), Error> {
        let read = self.offset + (self.end - self.start) as u64;
        let open = self.file.as_ref().expect("the caller has opened it").metadata();
        let what = match (open, std::fs::metadata(&self.path)) {
            (Ok(open), Ok(named)) if open.len() >= read => {
                if (open.dev(), open.ino()) == (named.dev(), named.ino()) {
                    return Ok(());
                }
                "it was replaced by another file".to_owned()
            }
            (Ok(open), Ok(_)) => format!("it was cut to {} bytes", open.len()),
            (Err(error), _) | (_, Err(error)) => error.to_string(),
        };
        let path = self.path.display();
        Err(Error::new(Kind::Storage, format!("cannot follow {path} behind byte {read}: {what}"))
            .hint("start again; a new file is read from its beginning"))
    }

    /// Takes `start..end` as a line that is followed by `newline` bytes of newline; nothing if it
    /// is empty.
    fn take(&mut self, end: usize, newline: usize) -> Option<Taken> {
        let (start, offset) = (self.start, self.offset);
        self.start = end + newline;
        self.scanned = self.start;
        self.offset += (self.start - start) as u64;
        let line = self.line;
        self.line += newline as u64;
        if let Some(mut skipped) = self.skipping.take() {
            skipped.bytes += (end - start) as u64;
            return Some(Taken::Skipped(skipped, line));
        }
        let mut bytes = &self.buffer[start..end];
        let mut from = start;
        if newline == 1 && bytes.last() == Some(&b'\r') {
            bytes = &bytes[..bytes.len() - 1];
        }
        if offset == 0 && bytes.starts_with(BYTE_ORDER_MARK) {
            bytes = &bytes[BYTE_ORDER_MARK.len()..];
            from += BYTE_ORDER_MARK.len();
        }
        if bytes.len() > self.max_line {
            let head = head(bytes);
            let bytes = bytes.len() as u64;
            return Some(Taken::Skipped(Skipped { offset, bytes, head }, line));
        }
        let blank = bytes.trim_ascii().is_empty();
        (!blank).then(|| Taken::Line { from, to: from + bytes.len(), offset, line })
    }

    fn hand_over(&self, taken: Taken) -> Next<'_> {
        let place = |line, offset| Place {
            path: &self.path,
            line: self.from_beginning.then_some(line),
            offset,
        };
        match taken {
            Taken::Line { from, to, offset, line } => Next::Line(Line {
                bytes: &self.buffer[from..to],
                offset,
                next: self.offset,
                place: place(line, offset),
            }),
            Taken::Skipped(skipped, line) => {
                let message = format!(
                    "{}: the line has {} bytes, more than the {} allowed",
                    place(line, skipped.offset),
                    skipped.bytes,
                    self.max_line
                );
                let reject = Reject::new("too-long", message, &skipped.head);
                let bytes = u32::try_from(skipped.bytes).unwrap_or(u32::MAX);
                Next::TooLong(reject, bytes, self.offset)
            }
        }
    }

    /// Begins to pass over a line that has outgrown the bound, and drops what is there of it.
    fn bound(&mut self) {
        // A carriage return and a byte order mark do not count.
        let there = self.end - self.start;
        if self.skipping.is_none() && there <= self.max_line.saturating_add(4) {
            return;
        }
        let bytes = &self.buffer[self.start..self.end];
        let skipped = self.skipping.get_or_insert_with(|| Skipped {
            offset: self.offset,
            bytes: 0,
            head: head(bytes),
        });
        skipped.bytes += there as u64;
        self.offset += there as u64;
        (self.start, self.end, self.scanned) = (0, 0, 0);
    }

    /// Reads one block behind what is there; says how much there was.
    fn read(&mut self, fuel: &mut usize) -> Result<usize, Error> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            (self.start, self.scanned) = (0, self.end);
        }
        if self.end == 0 && self.buffer.len() > 4 * BLOCK {
            // One long line does not keep its memory.
            self.buffer = Vec::new();
        }
        if self.buffer.len() < self.end + BLOCK {
            self.buffer.resize((2 * self.end).max(self.end + BLOCK), 0);
        }
        let to = self.end + BLOCK;
        let file = self.file.as_mut().expect("the caller has opened it");
        let read = loop {
            match file.read(&mut self.buffer[self.end..to]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let read = read.map_err(|error| {
            let at = self.offset + self.end as u64;
            let message = format!("cannot read {} at byte {at}: {error}", self.path.display());
            Error::new(Kind::Storage, message).caused_by(error)
        })?;
        self.end += read;
        *fuel = fuel.saturating_sub(read);
        Ok(read)
    }
}

/// The bounds of a line that was taken, free of the buffer's borrow.
enum Taken {
    Line { from: usize, to: usize, offset: Offset, line: u64 },
    Skipped(Skipped, u64),
}

/// As much of a line as a reject keeps.
fn head(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(Reject::PAYLOAD_LIMIT)].to_vec()
}
