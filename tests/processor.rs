//! The stream processor: its books, its commits, and that both ends are closed exactly once.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tiderace::clock::{Clock, ManualClock};
use tiderace::decode::json::Json;
use tiderace::encode::json::Json as ToJson;
use tiderace::error::{Error, Kind};
use tiderace::prelude::EventTime;
use tiderace::processor::{Builder, One, Stats, StreamProcessor};
use tiderace::sink::file::FileSink;
use tiderace::sink::log::LogSink;
use tiderace::sink::memory::{Collected, MemoryStore};
use tiderace::sink::{Commit, Guarantee, Sink, Staged, Write};
use tiderace::source::channel::ChannelSource;
use tiderace::source::file::FileSource;
use tiderace::source::generate::{Generator, SensorEvent, Sensors};
use tiderace::source::{
    Batch, Message, Offset, Partition, PartitionEvent, Poll, Reject, Replay, Source,
};

/// What outlives the sources that read it: the records of two partitions, and what was committed.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<LogState>>);

#[derive(Default)]
struct LogState {
    /// `None` is a record that cannot be decoded.
    partitions: [Vec<Option<i64>>; 2],
    committed: BTreeMap<Partition, Offset>,
    closes: usize,
    refuse_commits: usize,
    /// Fails instead of ending.
    breaks: bool,
    clock: Option<ManualClock>,
}

impl Log {
    fn of(records: impl IntoIterator<Item = i64>) -> Self {
        let log = Log::default();
        for (n, record) in records.into_iter().enumerate() {
            log.state().partitions[n % 2].push((record != BAD).then_some(record));
        }
        log
    }

    fn state(&self) -> std::sync::MutexGuard<'_, LogState> {
        self.0.lock().unwrap()
    }

    fn reader(&self) -> Reader {
        let at = [0, 1].map(|p| self.state().committed.get(&p).copied().unwrap_or(0));
        Reader { log: self.clone(), at, announced: false }
    }

    /// Reads from what was committed; the numbers go to the sink as they are.
    fn builder(&self) -> Builder<i64, i64> {
        let log = self.clone();
        StreamProcessor::builder().source(move |_| Ok(log.reader())).process(apply)
    }

    fn committed(&self) -> u64 {
        self.state().committed.values().sum()
    }
}

/// Takes turns between its two partitions.
struct Reader {
    log: Log,
    at: [Offset; 2],
    announced: bool,
}

impl Source for Reader {
    type Record = i64;

    fn name(&self) -> &str {
        "log"
    }

    fn replay(&self) -> Replay {
        Replay::FromPosition
    }

    fn consume(&mut self, limit: usize, batch: &mut Batch<i64>) -> Result<Poll, Error> {
        let state = self.log.state();
        if let Some(clock) = &state.clock {
            clock.pass(Duration::from_secs(1));
        }
        if !std::mem::replace(&mut self.announced, true) {
            for (partition, at) in (0..).zip(self.at) {
                batch.event(partition, PartitionEvent::Assigned(at));
            }
        }
        for _ in 0..limit {
            let partition = usize::from(self.at[1] < self.at[0]);
            let Some(record) = state.partitions[partition].get(self.at[partition] as usize) else {
                if state.breaks {
                    return Err(Error::new(Kind::Unreachable, "the log is gone"));
                }
                return Ok(Poll::Finished);
            };
            self.at[partition] += 1;
            batch.push(Message {
                partition: partition as Partition,
                next: self.at[partition],
                timestamp: None,
                bytes: 8,
                record: record.ok_or_else(|| Reject::new("bytes", "not a number", b"?")),
            });
        }
        Ok(Poll::Ready)
    }

    fn commit(&mut self, positions: &[(Partition, Offset)]) -> Result<(), Error> {
        let mut state = self.log.state();
        if state.refuse_commits > 0 {
            state.refuse_commits -= 1;
            return Err(Error::new(Kind::Unreachable, "not now"));
        }
        state.committed.extend(positions.iter().copied());
        Ok(())
    }

    fn close(&mut self) {
        self.log.state().closes += 1;
    }
}

/// Cannot be decoded.
const BAD: i64 = i64::MIN;
/// The function panics.
const PANIC: i64 = i64::MAX;

/// Odd numbers are skipped, negative ones refused.
fn apply(n: i64) -> Result<Option<i64>, Reject> {
    match n {
        PANIC => panic!("on purpose"),
        ..0 => Err(Reject::new("negative", format!("{n} is below zero"), b"")),
        n => Ok((n % 2 == 0).then_some(n)),
    }
}

/// A sink that counts how often it is closed, and fails when told.
#[derive(Clone, Default)]
struct Closes {
    closes: Arc<Mutex<usize>>,
    fails: bool,
}

impl Sink for Closes {
    type Record = i64;

    fn name(&self) -> &str {
        "closes"
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn write(&mut self, _: u64, rows: &mut Vec<i64>) -> Result<Write, Error> {
        rows.clear();
        Ok(Write::All)
    }

    fn stage(&mut self, tick: u64) -> Result<Staged, Error> {
        Ok(Staged { tick, ..Staged::default() })
    }

    fn commit(&mut self, _: &Staged) -> Result<Commit, Error> {
        match self.fails {
            true => Err(Error::new(Kind::Storage, "the disk is full")),
            false => Ok(Commit::Done),
        }
    }

    fn close(&mut self) {
        *self.closes.lock().unwrap() += 1;
    }
}

fn into<D: Clone + 'static>(
    rows: &Collected<D>,
) -> impl FnOnce(tiderace::sink::SinkContext) -> Result<tiderace::sink::memory::CollectSink<D>, Error>
+ use<D> {
    let rows = rows.clone();
    move |_| Ok(rows.sink("out"))
}

fn soon(what: &str, mut is: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is() {
        assert!(since.elapsed() < Duration::from_secs(60), "{what} does not happen");
        std::thread::yield_now();
    }
}

#[test]
fn the_books_say_what_became_of_every_record() {
    let log = Log::of([2, 3, -4, BAD, 8, -6, 10]);
    let rows = Collected::new();
    let stats = log.builder().sink(into(&rows)).build().unwrap().run().unwrap();
    assert_eq!(rows.take(), [2, 8, 10]);
    let failed = [("bytes".to_owned(), 1), ("negative".to_owned(), 2)];
    assert_eq!(
        stats,
        Stats {
            consumed: 7,
            processed: 3,
            skipped: 1,
            failed: BTreeMap::from(failed),
            in_flight: 0,
            committed: 2,
            commit_failures: 0
        }
    );
    assert_eq!(log.state().committed, BTreeMap::from([(0, 4), (1, 3)]));
}

#[test]
fn one_record_after_the_other() {
    let log = Log::of([2, 3, -4]);
    let rows = Collected::new();
    let mut processor = log.builder().sink(into(&rows)).build().unwrap();
    assert_eq!(processor.process_one().unwrap(), One::Processed);
    assert_eq!((rows.take(), log.committed()), (vec![2], 1));
    assert_eq!(processor.process_one().unwrap(), One::Skipped);
    assert_eq!((rows.take(), log.committed()), (vec![], 2));
    let One::Failed(rejected) = processor.process_one().unwrap() else { panic!("it is refused") };
    assert_eq!((rejected.partition, rejected.next), (0, 2));
    assert_eq!(rejected.reject.message, "-4 is below zero");
    assert_eq!(processor.process_one().unwrap(), One::Finished);
    assert_eq!((processor.stats().consumed, processor.stats().committed), (3, 3));

    let (channel, sender) = ChannelSource::bounded(4);
    let builder = StreamProcessor::builder().source(move |c| channel.build(c)).passthrough();
    let mut processor = builder.sink(into(&rows)).build().unwrap();
    assert_eq!(processor.process_one().unwrap(), One::Nothing);
    sender.send(7).unwrap();
    assert_eq!(processor.process_one().unwrap(), One::Processed);
    assert_eq!((rows.take(), sender.committed(0)), (vec![7], 1));
    sender.close();
    assert_eq!(processor.process_one().unwrap(), One::Finished);
}

#[test]
fn both_ends_are_closed_once_however_it_ends() {
    type End = fn(StreamProcessor<i64, i64>) -> Option<Kind>;
    let run: End = |processor| processor.run().err().map(|error| error.kind());
    let stepped: End = |mut processor| {
        processor.process_one().unwrap();
        None
    };
    let panics: End = |processor| {
        catch_unwind(AssertUnwindSafe(|| processor.run())).unwrap_err();
        None
    };
    let cases: [(&str, &[i64], bool, bool, End, Option<Kind>); 7] = [
        ("end of input", &[1, 2], false, false, run, None),
        ("broken source", &[1, 2], true, false, run, Some(Kind::Unreachable)),
        ("broken sink", &[1, 2], false, true, run, Some(Kind::Storage)),
        ("both", &[1, 2], true, true, run, Some(Kind::Unreachable)),
        ("failures", &[1, -2, -3, 4], false, false, run, Some(Kind::Data)),
        ("dropped", &[1, 2], false, false, stepped, None),
        ("panic", &[1, PANIC], false, false, panics, None),
    ];
    for (case, records, breaks, fails, end, kind) in cases {
        let log = Log::of(records.iter().copied());
        log.state().breaks = breaks;
        let sink = Closes { fails, ..Closes::default() };
        let made = sink.clone();
        let processor = log.builder().max_failures(Some(2)).sink(move |_| Ok(made)).build();
        assert_eq!(end(processor.unwrap()), kind, "{case}");
        assert_eq!((log.state().closes, *sink.closes.lock().unwrap()), (1, 1), "{case}");
        if fails {
            assert_eq!(log.committed(), 0, "{case}: nothing is committed after a failed sink");
        }
    }
    let log = Log::of([1]);
    let refused = log.builder().sink::<Closes>(|_| Err(Error::new(Kind::Config, "no"))).build();
    assert_eq!(refused.err().unwrap().kind(), Kind::Config);
    assert_eq!(log.state().closes, 1, "the source was open already");
}

#[test]
fn the_books_balance_at_all_times_and_can_be_read_meanwhile() {
    let generator = Generator::new("sensors", Sensors::default());
    let store = MemoryStore::new();
    let seen = store.clone();
    let processor = StreamProcessor::builder()
        .source(move |context| generator.build(context))
        .process(|event: SensorEvent| match event.id % 10 {
            0 => Ok(None),
            1 => Err(Reject::new("one", "its id ends in one", b"")),
            _ => Ok(Some(event.id)),
        })
        .on_failure(|_| ())
        .batch(64)
        .commit_every(Duration::ZERO)
        .sink(move |context| Ok(seen.sink("out", context).room(7).slow(2)))
        .build()
        .unwrap();
    let handle = processor.handle();
    let watcher = std::thread::spawn(move || {
        let mut in_flight = 0;
        let mut last = 0;
        soon("20,000 records", || {
            let stats = handle.stats();
            assert!(stats.balanced(), "{stats}");
            assert!(stats.consumed >= last);
            in_flight += u64::from(stats.in_flight > 0);
            last = stats.consumed;
            last >= 20_000 && in_flight > 0
        });
        handle.stop();
    });
    let stats = processor.run().expect("a stop is no failure");
    watcher.join().unwrap();
    assert!(stats.balanced() && stats.in_flight == 0, "{stats}");
    assert_eq!(store.rows().len() as u64, stats.processed);
    assert!(stats.committed > 0 && stats.failures() > 0 && stats.skipped > 0, "{stats}");
}

#[test]
fn failures_in_a_row_end_the_run_and_a_success_forgives() {
    let failing = |records: &[i64]| {
        let log = Log::of(records.iter().copied());
        let builder = log.builder().max_failures(Some(3)).batch(2);
        let rows = Collected::new();
        (builder.sink(into(&rows)).build().unwrap().run(), rows.take(), log)
    };
    let (ran, rows, log) = failing(&[2, -1, -2, 4, -3, BAD, 6, -5]);
    assert_eq!((ran.unwrap().failures(), rows), (5, vec![2, 4, 6]));
    assert_eq!(log.committed(), 8, "failures below the limit are done with");

    let (ran, rows, log) = failing(&[2, -1, 4, -3, BAD, -7, 8]);
    let error = ran.unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    let message = error.to_string();
    assert!(message.contains("3 records in a row"), "{message}");
    assert!(message.contains("-7 is below zero (negative)"), "{message}");
    assert_eq!(rows, [2, 4], "what came before is delivered");
    assert_eq!(log.committed(), 3, "and nothing of the failures, which the next run meets again");
}

#[test]
fn without_auto_commit_positions_are_committed_by_hand() {
    let log = Log::of(0..10);
    let rows = Collected::new();
    let ran = log.builder().auto_commit(false).sink(into(&rows)).build().unwrap().run().unwrap();
    assert_eq!((ran.processed, ran.committed, log.committed()), (5, 0, 0));

    let mut processor = log.builder().auto_commit(false).sink(into(&rows)).build().unwrap();
    for _ in 0..4 {
        processor.process_one().unwrap();
    }
    assert_eq!(log.committed(), 0);
    processor.commit().unwrap();
    assert_eq!((log.committed(), processor.stats().committed), (4, 2));

    let processor = log.builder().auto_commit(false).sink(into(&rows)).build().unwrap();
    processor.handle().commit();
    let ran = processor.run().unwrap();
    assert_eq!((ran.consumed, log.committed()), (6, 10), "asked for by the handle");
}

#[test]
fn commits_that_fail_are_counted_and_tried_again() {
    let log = Log::of(0..6);
    log.state().refuse_commits = 2;
    let mut processor = log.builder().sink(into(&Collected::new())).build().unwrap();
    while processor.process_one().unwrap() != One::Finished {}
    let stats = processor.stats();
    assert_eq!((stats.commit_failures, log.committed()), (3, 6), "{stats}");
}

/// Killed after any number of records, with a sink that takes its time: the next run goes on at
/// what was committed, and nothing is missing.
#[test]
fn after_a_kill_nothing_is_skipped() {
    for killed_after in 0..30 {
        let log = Log::of(0..30);
        let store = MemoryStore::new();
        let build = || {
            let seen = store.clone();
            let builder = log.builder().process(|n| Ok(Some(n)));
            builder.sink(move |context| Ok(seen.sink("out", context).slow(3))).build().unwrap()
        };
        let mut first = build();
        for _ in 0..killed_after {
            first.process_one().unwrap();
            // What is committed is in the store already.
            assert!(store.rows().len() as u64 >= log.committed());
        }
        // Closing neither writes nor commits.
        drop(first);
        let committed = log.committed();
        let keep = store.rows();
        // Another store, as the ticks of the next run begin anew.
        let store = MemoryStore::new();
        let seen = store.clone();
        let again = log.builder().process(|n| Ok(Some(n)));
        let again = again.sink(move |context| Ok(seen.sink("out", context))).build().unwrap();
        assert_eq!(again.run().unwrap().consumed, 30 - committed);
        let mut rows = [keep, store.rows()].concat();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows, (0..30).collect::<Vec<_>>(), "killed after {killed_after}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let without = |builder: Builder<i64, i64>| builder.build().err().expect("refused");
    let sink = || |_| Ok(Closes::default());
    for (error, field) in [
        (without(StreamProcessor::builder().passthrough().sink(sink())), "`source`"),
        (without(Log::of([]).builder()), "`sink`"),
        (
            without(StreamProcessor::builder().source(|_| Ok(Log::of([]).reader())).sink(sink())),
            "`process`",
        ),
    ] {
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains(field), "{error}");
        assert!(error.hint_text().is_some());
    }
}

/// Log lines of a run on this thread.
fn logged(run: impl FnOnce()) -> Vec<serde_json::Value> {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, run);
    let bytes = lines.0.lock().unwrap();
    bytes.split_inclusive(|b| *b == b'\n').map(|l| serde_json::from_slice(l).unwrap()).collect()
}

#[test]
fn statistics_are_logged_when_asked_for() {
    for (every, at_least, at_most) in [(None, 0, 0), (Some(Duration::from_secs(3)), 4, 5)] {
        let lines = logged(|| {
            let (clock, hands) = Clock::manual(EventTime::from_secs(1_000));
            let log = Log::of(0..12);
            log.state().clock = Some(hands); // Each look at the source takes a second.
            let builder = log.builder().clock(clock).batch(1).stats_every(every);
            builder.sink(into(&Collected::new())).build().unwrap().run().unwrap();
        });
        assert!((at_least..=at_most).contains(&lines.len()), "{lines:?}");
        if let Some(last) = lines.last() {
            let text = last["fields"]["message"].as_str().unwrap();
            assert!(text.starts_with("consumed 12, processed 6, skipped 6"), "{text}");
        }
    }
}

#[test]
fn each_row_is_one_event_of_the_log() {
    let lines = logged(|| {
        let builder = Log::of([2, 4]).builder();
        let level = tracing::Level::INFO;
        let sink = builder.sink(move |_| Ok(LogSink::new("rows", level, ToJson::new())));
        sink.build().unwrap().run().unwrap();
    });
    let rows: Vec<_> = lines.iter().map(|line| line["fields"]["record"].as_str()).collect();
    assert_eq!(rows, [Some("2"), Some("4")]);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Reading {
    sensor: u32,
}

#[test]
fn files_in_and_out_with_bad_lines_by_class() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::write(&input, "{\"sensor\":1}\nnonsense\n{\"sensor\":2}\n{}\n").unwrap();
    let rejects = Arc::new(Mutex::new(Vec::new()));
    let seen = rejects.clone();
    let path = output.clone();
    let stats = StreamProcessor::builder()
        .source(move |c| FileSource::new("in", [input], Json::<Reading>::new).build(c))
        .passthrough()
        .on_failure(move |rejected| seen.lock().unwrap().push(rejected.clone()))
        .sink(move |c| FileSink::new("out", path, ToJson::<Reading>::new).build(c))
        .build()
        .unwrap()
        .run()
        .unwrap();
    assert_eq!(std::fs::read_to_string(output).unwrap(), "{\"sensor\":1}\n{\"sensor\":2}\n");
    assert_eq!((stats.processed, stats.failed["json"]), (2, 2));
    assert_eq!(rejects.lock().unwrap().len(), 2);
}

#[cfg(feature = "kafka")]
#[test]
fn kafka_to_kafka_goes_on_where_it_was() {
    use tiderace::kafka::embedded::EmbeddedKafka;
    use tiderace::sink::kafka::{KafkaSink, KafkaSinkConfig};
    use tiderace::source::kafka::{KafkaSource, KafkaSourceConfig, Start};

    let kafka = EmbeddedKafka::start(1).unwrap();
    kafka.create_topic("numbers", 3).unwrap();
    let brokers = kafka.bootstrap().to_owned();
    let write = |numbers: std::ops::Range<i64>| {
        let log = Log::of(numbers);
        let config = KafkaSinkConfig::new("numbers", &brokers, "numbers");
        let builder = log.builder().process(|n| Ok(Some(n)));
        let builder = builder.sink(move |c| KafkaSink::new(config, c, ToJson::<i64>::new()));
        builder.build().unwrap().run().unwrap();
        assert_eq!(log.committed(), 100);
    };
    let read = || {
        let rows = Collected::new();
        let mut config = KafkaSourceConfig::new("numbers", &brokers, "numbers");
        (config.bounded, config.start) = (true, Start::Committed);
        let builder = StreamProcessor::builder()
            .source(move |c| KafkaSource::new(config, c, Json::<i64>::new()))
            .passthrough()
            .sink(into(&rows));
        let stats = builder.build().unwrap().run().unwrap();
        assert!(stats.committed > 0 && stats.commit_failures == 0, "{stats}");
        rows.sorted()
    };
    write(0..100);
    assert_eq!(read(), (0..100).collect::<Vec<_>>());
    write(100..200);
    assert_eq!(read(), (100..200).collect::<Vec<_>>(), "from the committed offsets on");
}
