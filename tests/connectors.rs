//! Sources and sinks driven by hand, the way the engine drives them: nothing is lost between a
//! source and a sink, whatever the number of workers, the poll size, or where the run was broken off.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tiderace::decode::json::Json;
use tiderace::encode::json::Json as ToJson;
use tiderace::sink::file::FileSink;
use tiderace::sink::memory::MemoryStore;
use tiderace::sink::{Commit, Sink, SinkContext, Staged, Write};
use tiderace::source::channel::ChannelSource;
use tiderace::source::file::FileSource;
use tiderace::source::generate::{Generator, SensorEvent, Sensors};
use tiderace::source::{Batch, Offset, Partition, Poll, Source, SourceContext, Waker};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Reading {
    sensor: u32,
    at: i64,
}

fn source_context(worker: usize, peers: usize) -> SourceContext {
    SourceContext { worker, peers, waker: Waker::new(|| {}) }
}

/// What a source gave: its good records and its rejects, and where it stands.
struct Read<D> {
    records: Vec<D>,
    rejects: BTreeMap<String, u64>,
    positions: BTreeMap<Partition, Offset>,
}

impl<D> Default for Read<D> {
    fn default() -> Self {
        Read { records: Vec::new(), rejects: BTreeMap::new(), positions: BTreeMap::new() }
    }
}

impl<D> Read<D> {
    /// Asks the source once; keeps what came.
    fn once(&mut self, source: &mut impl Source<Record = D>, limit: usize) -> Poll {
        let mut batch = Batch::default();
        let poll = source.consume(limit, &mut batch).unwrap();
        assert!(batch.len() <= limit);
        for message in batch.take_messages() {
            let before = self.positions.insert(message.partition, message.next);
            assert!(before.is_none_or(|before| before < message.next), "positions grow");
            match message.record {
                Ok(record) => self.records.push(record),
                Err(reject) => *self.rejects.entry(reject.class.into_owned()).or_default() += 1,
            }
        }
        poll
    }

    /// Reads to the end.
    fn all(mut self, mut source: impl Source<Record = D>, limit: usize) -> Self {
        while self.once(&mut source, limit) != Poll::Finished {}
        source.close();
        self
    }
}

/// Writes rows in ticks of a few, as the engine would, into any sink.
fn write_all<S: Sink>(mut sink: S, rows: Vec<S::Record>) -> u64 {
    let (mut rows, mut staged_rows, mut tick) = (rows.into_iter(), 0, 0);
    loop {
        let mut some: Vec<_> = rows.by_ref().take(3).collect();
        if some.is_empty() {
            break;
        }
        tick += 2;
        assert_eq!(sink.write(tick, &mut some).unwrap(), Write::All);
        let staged = sink.stage(tick).unwrap();
        staged_rows += staged.rows;
        while sink.commit(&staged).unwrap() == Commit::Pending {}
    }
    sink.close();
    staged_rows
}

/// Files with good lines, and each kind of bad one.
fn inputs(folder: &Path) -> (Vec<PathBuf>, Vec<Reading>) {
    let mut good = Vec::new();
    let paths = (0..5).map(|file| {
        let path = folder.join(format!("in-{file}.ndjson"));
        let mut text = String::new();
        for line in 0..200_u32 {
            match line % 20 {
                3 => text.push_str("{\"sensor\":1,\"at\":\"noon\"}\n"),
                9 => {
                    text.push_str(&format!("{{\"sensor\":1,\"pad\":\"{}\"}}\r\n", "x".repeat(900)))
                }
                15 => text.push_str("{\"sensor\":\n\n"),
                _ => {
                    let reading = Reading { sensor: file, at: i64::from(line) - 100 };
                    text.push_str(&serde_json::to_string(&reading).unwrap());
                    text.push('\n');
                    good.push(reading);
                }
            }
        }
        text.pop();
        fs::write(&path, text).unwrap();
        path
    });
    (paths.collect(), good)
}

#[test]
fn files_to_files_lose_nothing_and_count_every_bad_line() {
    let folder = tempfile::tempdir().unwrap();
    let (paths, mut good) = inputs(folder.path());
    good.sort();
    let source = FileSource::new("in", &paths, Json::<Reading>::new).max_line(500);
    for (peers, limit) in [(1, 500), (1, 1), (2, 7), (5, 64), (8, 500)] {
        let path = folder.path().join(format!("out-{peers}"));
        let sink = FileSink::new("out", path, ToJson::new).truncate();
        let mut rejects = BTreeMap::new();
        let mut lines = Vec::new();
        for worker in 0..peers {
            let source = source.build(source_context(worker, peers)).unwrap();
            let read = Read::default().all(source, limit);
            for (class, count) in read.rejects {
                *rejects.entry(class).or_insert(0) += count;
            }
            let context = SinkContext { worker, peers };
            let count = read.records.len() as u64;
            assert_eq!(write_all(sink.build(context).unwrap(), read.records), count);
            let text = fs::read_to_string(sink.path_of(context)).unwrap();
            lines.extend(text.lines().map(|line| serde_json::from_str::<Reading>(line).unwrap()));
        }
        lines.sort();
        assert_eq!(lines, good, "{peers} workers, {limit} a poll");
        let expected = [("json".to_owned(), 5 * 20), ("too-long".to_owned(), 5 * 10)];
        assert_eq!(rejects, BTreeMap::from(expected));
        assert_eq!(good.len() as u64 + rejects.values().sum::<u64>(), 5 * 200);
    }
}

#[test]
fn a_run_broken_off_anywhere_goes_on_and_each_record_is_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let (paths, mut good) = inputs(folder.path());
    good.sort();
    let source = FileSource::new("in", &paths, Json::<Reading>::new);
    let context = SinkContext { worker: 0, peers: 1 };
    for stop_after in [0, 1, 7, 300, 900] {
        let store = MemoryStore::new();
        let mut read = Read::default();
        let mut first = source.build(source_context(0, 1)).unwrap();
        for _ in 0..stop_after {
            read.once(&mut first, 1);
        }
        // The checkpoint: positions and what the sink staged, but the commit did not happen.
        let mut sink = store.sink("out", context);
        sink.write(1, &mut read.records).unwrap();
        let kept = serde_json::to_string(&(sink.stage(1).unwrap(), &read.positions)).unwrap();
        // Read and written, but after the checkpoint: it must be read again.
        read.once(&mut first, 10);
        sink.write(2, &mut read.records).unwrap();
        drop((first, sink));

        let (staged, positions): (Staged, BTreeMap<Partition, Offset>) =
            serde_json::from_str(&kept).unwrap();
        let mut sink = store.sink("out", context);
        assert_eq!(sink.commit(&staged).unwrap(), Commit::Done);
        let again = source.clone().start_at(positions.into_iter().collect());
        let rest = Read::default().all(again.build(source_context(0, 1)).unwrap(), 50);
        let mut records = rest.records;
        sink.write(2, &mut records).unwrap();
        let staged = sink.stage(2).unwrap();
        sink.commit(&staged).unwrap();
        let mut rows = store.rows();
        rows.sort();
        assert_eq!(rows, good, "broken off after {stop_after} records");
    }
}

#[test]
fn the_generated_series_survives_json_files_and_a_channel() {
    let sensors = Sensors::default().partitions(3);
    let expected: Vec<_> = (0..1_000).map(|index| sensors.event(index)).collect();
    let generator = Generator::new("sensors", sensors).events(1_000);
    let made = Read::default().all(generator.build(source_context(0, 1)).unwrap(), 64);
    assert_eq!(made.records, expected);

    let folder = tempfile::tempdir().unwrap();
    let sink = FileSink::new("out", folder.path().join("sensors.ndjson"), ToJson::new);
    let context = SinkContext { worker: 0, peers: 1 };
    write_all(sink.build(context).unwrap(), made.records);
    let file = FileSource::new("in", [sink.path_of(context)], Json::<SensorEvent>::new);
    let read = Read::default().all(file.build(source_context(0, 1)).unwrap(), 64);
    assert_eq!(read.records, expected);

    let (builder, sender) = ChannelSource::bounded(16);
    let thread = std::thread::spawn(move || {
        for event in read.records {
            sender.send(event).unwrap();
        }
    });
    let sent = Read::default().all(builder.build(source_context(0, 1)).unwrap(), 5);
    thread.join().unwrap();
    assert_eq!(sent.records, expected);
}

#[test]
fn a_missing_file_ends_the_run_with_the_code_for_a_wrong_setting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nothing.ndjson");
    let source = FileSource::new("in", [&path], Json::<Reading>::new);
    let error = source.build(source_context(0, 1)).err().unwrap();
    assert_eq!(error.kind().exit_code(), 78);
    assert!(error.to_string().contains("nothing.ndjson"), "{error}");
}
