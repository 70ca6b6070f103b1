//! Rows as lines of a file (NDJSON and the like), at least once.
//!
//! One worker writes one file, so no lock is shared and no line is torn. With a single worker it
//! has the path as given. With more, `{worker}` in the path stands for the worker's five-digit
//! number; without it the number goes in front of the extension: `out.ndjson` becomes
//! `out-00000.ndjson`, `out-00001.ndjson` and so on. Files of an earlier run with more workers are
//! left alone.
//!
//! What is in a file already stays, unless [`FileSinkBuilder::truncate`] is asked for: after a
//! restart the source goes on behind what was delivered. A torn last line, as a full disk or a crash
//! leaves it, is ended first, so that it spoils no other.
//!
//! A commit hands all lines to the operating system, and to the disk if [`FileSinkBuilder::sync`]
//! is asked for.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lines::EncodedLines;
use super::{Commit, Guarantee, Sink, SinkContext, Staged, Write};
use crate::encode::Encode;
use crate::error::{Error, Kind};

/// How many bytes of lines are kept before they are written without waiting for a commit.
const BUFFER: usize = 128 << 10;

/// What makes the file sinks of all workers.
pub struct FileSinkBuilder<F> {
    name: String,
    path: PathBuf,
    encoder: Arc<F>,
    truncate: bool,
    sync: bool,
}

impl<F> Clone for FileSinkBuilder<F> {
    fn clone(&self) -> Self {
        FileSinkBuilder {
            name: self.name.clone(),
            path: self.path.clone(),
            encoder: self.encoder.clone(),
            truncate: self.truncate,
            sync: self.sync,
        }
    }
}

impl<E: Encode, F: Fn() -> E> FileSinkBuilder<F> {
    /// Empties the file first, whenever the job starts, also after a crash: only for sources that
    /// are then read from their beginning again.
    #[must_use]
    pub fn truncate(mut self) -> Self {
        self.truncate = true;
        self
    }

    /// Has each commit wait until the lines are on the disk.
    #[must_use]
    pub fn sync(mut self) -> Self {
        self.sync = true;
        self
    }

    /// The file that a worker writes.
    pub fn path_of(&self, context: SinkContext) -> PathBuf {
        let number = format!("{:05}", context.worker);
        let whole = self.path.to_string_lossy();
        if whole.contains("{worker}") {
            return whole.replace("{worker}", &number).into();
        }
        if context.peers == 1 {
            return self.path.clone();
        }
        let mut name = self.path.file_stem().unwrap_or_default().to_owned();
        name.push("-");
        name.push(number);
        if let Some(extension) = self.path.extension() {
            name.push(".");
            name.push(extension);
        }
        self.path.with_file_name(name)
    }

    /// The sink of one worker; its file is opened now.
    pub fn build(&self, context: SinkContext) -> Result<FileSink<E>, Error> {
        let path = self.path_of(context);
        let file = open(&path, self.truncate)?;
        Ok(FileSink {
            name: self.name.clone(),
            path,
            file,
            lines: EncodedLines::new((self.encoder)()),
            unstaged: 0,
            sync: self.sync,
        })
    }
}

/// Opens a file for writing, with everything that may be wrong with it told at once.
fn open(path: &Path, truncate: bool) -> Result<File, Error> {
    let failed = |error: std::io::Error| {
        use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
        let config =
            matches!(error.kind(), IsADirectory | NotADirectory | NotFound | PermissionDenied);
        let kind = if config { Kind::Config } else { Kind::Storage };
        let message = format!("cannot write {}: {error}", path.display());
        let hint = (error.kind() == NotFound).then_some("the folder must exist");
        let error = Error::new(kind, message).caused_by(error);
        if let Some(hint) = hint { error.hint(hint) } else { error }
    };
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo()) {
        // Opening it would wait for a reader.
        let message = format!("cannot write {}: it is a pipe, not a file", path.display());
        return Err(Error::new(Kind::Config, message));
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    if truncate {
        return options.truncate(true).open(path).map_err(failed);
    }
    let mut file = options.read(true).append(true).open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1)).map_err(failed)?;
        file.read_exact(&mut last).map_err(failed)?;
        if last != *b"\n" {
            tracing::warn!(path = %path.display(), "the last line of the file was torn");
            file.write_all(b"\n").map_err(failed)?;
        }
    }
    Ok(file)
}

/// One worker's file.
pub struct FileSink<E> {
    name: String,
    path: PathBuf,
    file: File,
    lines: EncodedLines<E>,
    unstaged: u64,
    sync: bool,
}

impl<E: Encode> FileSink<E> {
    /// A sink of lines into this file; `encoder` makes the encoder of each worker.
    #[allow(clippy::new_ret_no_self)]
    pub fn new<F: Fn() -> E>(
        name: impl Into<String>,
        path: impl Into<PathBuf>,
        encoder: F,
    ) -> FileSinkBuilder<F> {
        FileSinkBuilder {
            name: name.into(),
            path: path.into(),
            encoder: Arc::new(encoder),
            truncate: false,
            sync: false,
        }
    }

    /// Hands all lines to the operating system.
    fn flush(&mut self) -> Result<(), Error> {
        let written = self.file.write_all(&self.lines.bytes);
        // After a failure it is unknown how much of it was written, so it is not tried again.
        self.lines.bytes.clear();
        written.map_err(|error| self.failed(error))
    }

    #[cold]
    fn failed(&self, error: std::io::Error) -> Error {
        let message =
            format!("sink `{}`: cannot write {}: {error}", self.name, self.path.display());
        let failed = Error::new(Kind::Storage, message);
        let failed = match error.kind() {
            std::io::ErrorKind::StorageFull => {
                failed.hint("make room on the disk and start again; the last line may be torn")
            }
            _ => failed,
        };
        failed.caused_by(error)
    }
}

impl<E: Encode> Sink for FileSink<E> {
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
            if self.lines.bytes.len() >= BUFFER {
                self.flush()?;
            }
        }
        self.unstaged += rows.len() as u64;
        rows.clear();
        Ok(Write::All)
    }

    fn stage(&mut self, tick: u64) -> Result<Staged, Error> {
        Ok(Staged { tick, rows: std::mem::take(&mut self.unstaged), bytes: Vec::new() })
    }

    fn commit(&mut self, _: &Staged) -> Result<Commit, Error> {
        self.flush()?;
        if self.sync {
            self.file.sync_data().map_err(|error| self.failed(error))?;
        }
        Ok(Commit::Done)
    }

    fn close(&mut self) {
        if let Err(error) = self.flush() {
            tracing::error!(sink = self.name, %error, "rows that were not committed are lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::encode::json::Json;
    use crate::source::Reject;

    const ONE: SinkContext = SinkContext { worker: 0, peers: 1 };

    type Rows = Json<u32>;

    fn builder(path: &Path) -> FileSinkBuilder<fn() -> Rows> {
        FileSink::new("out", path, Json::new as fn() -> Rows)
    }

    fn write(sink: &mut FileSink<Rows>, tick: u64, rows: &[u32]) {
        let mut rows = rows.to_vec();
        assert_eq!(sink.write(tick, &mut rows).unwrap(), Write::All);
        assert!(rows.is_empty());
        let staged = sink.stage(tick).unwrap();
        assert_eq!(sink.commit(&staged).unwrap(), Commit::Done);
    }

    #[test]
    fn what_is_committed_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.ndjson");
        fs::write(&path, "old\n").unwrap();
        let mut sink = builder(&path).truncate().sync().build(ONE).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        write(&mut sink, 1, &[1, 2]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n");
        sink.write(2, &mut vec![3]).unwrap();
        assert_eq!(sink.stage(2).unwrap(), Staged { tick: 2, rows: 1, bytes: Vec::new() });
        sink.close();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n3\n");
    }

    #[test]
    fn appending_keeps_the_old_lines_and_ends_a_torn_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.ndjson");
        for (before, after) in [("", "7\n"), ("1\n", "1\n7\n"), ("1\n{\"a", "1\n{\"a\n7\n")] {
            fs::write(&path, before).unwrap();
            let mut sink = builder(&path).build(ONE).unwrap();
            write(&mut sink, 1, &[7]);
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
    }

    #[test]
    fn each_worker_has_its_own_file() {
        let file = |path: &str, worker, peers| {
            builder(Path::new(path)).path_of(SinkContext { worker, peers })
        };
        assert_eq!(file("a/out.ndjson", 0, 1), Path::new("a/out.ndjson"));
        assert_eq!(file("a/out.ndjson", 0, 2), Path::new("a/out-00000.ndjson"));
        assert_eq!(file("a/out.ndjson", 12, 20), Path::new("a/out-00012.ndjson"));
        assert_eq!(file("a.b/out", 1, 2), Path::new("a.b/out-00001"));
        assert_eq!(file("part{worker}/x", 0, 1), Path::new("part00000/x"));
        assert_eq!(file("x-{worker}.json", 3, 9), Path::new("x-00003.json"));
    }

    #[test]
    fn a_full_disk_is_a_storage_error_that_names_the_file() {
        let mut sink = builder(Path::new("/dev/full")).build(ONE).unwrap();
        sink.write(1, &mut vec![1]).unwrap();
        let staged = sink.stage(1).unwrap();
        let error = sink.commit(&staged).unwrap_err();
        assert_eq!((error.kind(), error.kind().exit_code()), (Kind::Storage, 74));
        assert!(error.to_string().contains("/dev/full: No space left"), "{error}");
        assert!(error.hint_text().is_some());
        sink.close();
    }

    #[test]
    fn a_full_disk_shows_before_the_commit_when_there_is_much_to_write() {
        let mut sink = builder(Path::new("/dev/full")).build(ONE).unwrap();
        let error = sink.write(1, &mut vec![1_000_000_000; 100_000]).unwrap_err();
        assert_eq!(error.kind(), Kind::Storage);
    }

    #[test]
    fn what_cannot_be_written_is_told_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let lost = folder.path().join("no/such/folder/out");
        for (path, says) in [(lost.as_path(), "No such file"), (folder.path(), "Is a directory")] {
            let error = builder(path).build(ONE).err().unwrap();
            assert_eq!(error.kind(), Kind::Config, "{error}");
            assert!(error.to_string().contains(says), "{error}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
    }

    /// Encodes the word itself; refuses an empty one.
    struct Words;

    impl Encode for Words {
        type Record = &'static str;

        fn encode(
            &mut self,
            word: &&'static str,
            _: &mut Vec<u8>,
            value: &mut Vec<u8>,
        ) -> Result<(), Reject> {
            value.extend(word.bytes());
            if word.is_empty() { Err(Reject::new("empty", "no word", b"")) } else { Ok(()) }
        }
    }

    #[test]
    fn a_row_that_is_no_line_stops_the_run_and_spoils_no_other() {
        for (word, says) in [("a\nb", "has a newline"), ("", "no word (empty)")] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("out");
            let mut sink = FileSink::new("out", &path, || Words).build(ONE).unwrap();
            let error = sink.write(5, &mut vec!["good", word]).unwrap_err();
            assert_eq!(error.kind(), Kind::Data);
            assert!(error.to_string().contains("sink `out`"), "{error}");
            assert!(error.to_string().contains("tick 5"), "{error}");
            assert!(error.to_string().contains(says), "{error}");
            sink.close();
            assert_eq!(fs::read_to_string(&path).unwrap(), "good\n");
        }
    }
}
