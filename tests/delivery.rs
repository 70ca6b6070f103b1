//! Positions are committed only when every sink has confirmed what they led to, and not at all after
//! a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::{Duration, Instant};

use tiderace::prelude::*;
use tiderace::sink::memory::Collected;
use tiderace::sink::{Commit, Guarantee, Sink, Staged, Write};
use tiderace::source::SourceOptions;
use tiderace::source::channel::ChannelSource;

const SHUT: u8 = 0;
const OPEN: u8 = 1;
const BROKEN: u8 = 2;

/// A sink that takes rows at once and confirms them when its gate is open.
struct Gate {
    gate: Arc<AtomicU8>,
    rows: u64,
}

impl Sink for Gate {
    type Record = u64;

    fn name(&self) -> &str {
        "gate"
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn write(&mut self, _: u64, rows: &mut Vec<u64>) -> Result<Write, Error> {
        self.rows += rows.len() as u64;
        rows.clear();
        Ok(Write::All)
    }

    fn stage(&mut self, tick: u64) -> Result<Staged, Error> {
        Ok(Staged { tick, rows: std::mem::take(&mut self.rows), bytes: Vec::new() })
    }

    fn commit(&mut self, _: &Staged) -> Result<Commit, Error> {
        match self.gate.load(SeqCst) {
            SHUT => Ok(Commit::Pending),
            OPEN => Ok(Commit::Done),
            _ => Err(Error::new(Kind::Storage, "the gate is broken")),
        }
    }

    fn close(&mut self) {}
}

/// Ten records through a sink without a gate and one with it; what `then` sees of the commits.
fn run(then: impl FnOnce(&dyn Fn() -> u64, &AtomicU8) + Send + 'static) -> Result<usize, Error> {
    let (builder, sender) = ChannelSource::bounded(100);
    let gate = Arc::new(AtomicU8::new(SHUT));
    let seen = Collected::new();
    let (shut, free) = (gate.clone(), seen.clone());
    let outside = std::thread::spawn(move || {
        (0..10u64).for_each(|n| sender.send(n).expect("it is read"));
        then(&|| sender.committed(0), &gate);
        sender.close();
    });
    let outcome = tiderace::execute(["test", "-qq", "--tick", "1ms", "-w", "2"], move |worker| {
        let (builder, shut, free) = (builder.clone(), shut.clone(), free.clone());
        worker.dataflow(|flow| {
            let commit_every = Duration::from_millis(1);
            let options = SourceOptions { commit_every, ..SourceOptions::default() };
            let times = event_time(|n: &u64| EventTime::from_secs(*n as i64));
            let make = |context| builder.build(context);
            let rows = flow.source_with("numbers", options, make, times).events.rebalance();
            flow.sink("free", &rows, |_| Ok(free.sink("free")));
            flow.sink("gate", &rows, |_| Ok(Gate { gate: shut, rows: 0 }));
        });
        Ok(())
    });
    outside.join().expect("the checks hold");
    outcome.map(|_| seen.len())
}

fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited for: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn nothing_is_committed_before_every_sink_has_confirmed() {
    let seen = run(|committed, gate| {
        std::thread::sleep(Duration::from_millis(400));
        assert_eq!(committed(), 0, "one of the two sinks has not confirmed");
        gate.store(OPEN, SeqCst);
        until("the commit", || committed() == 10);
    });
    assert_eq!(seen.expect("it runs"), 10);
}

#[test]
fn nothing_is_committed_after_a_failure() {
    let failed = run(|committed, gate| {
        std::thread::sleep(Duration::from_millis(100));
        gate.store(BROKEN, SeqCst);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(committed(), 0);
    });
    let error = failed.expect_err("the sink has failed");
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Storage, "the gate is broken"));
}

/// A source without records takes part in every tick of the others: what they read is delivered and
/// committed while it is silent, also when no tick of theirs moves the frontier.
#[test]
fn a_silent_source_holds_no_tick() {
    let (busy, sender) = ChannelSource::bounded(100);
    let (silent, held_open) = ChannelSource::<u64>::partitioned("silent", 2, 1);
    let seen = Collected::new();
    let into = seen.clone();
    let outside = std::thread::spawn(move || {
        sender.send(1_000).expect("it is read");
        until("the first", || sender.committed(0) == 1);
        for late in 0..5 {
            // Behind the frontier: nothing but the row itself is news.
            sender.send(late).expect("it is read");
            until("a late one", || sender.committed(0) == late + 2);
        }
        drop((sender, held_open));
    });
    tiderace::execute(["test", "-qq", "--tick", "1ms", "-w", "2"], move |worker| {
        let (busy, silent, into) = (busy.clone(), silent.clone(), into.clone());
        worker.dataflow(|flow| {
            let commit_every = Duration::from_millis(1);
            let read = |name: &str, builder: tiderace::source::channel::ChannelBuilder<u64>| {
                let options = SourceOptions { commit_every, ..SourceOptions::default() };
                let times = event_time(|n: &u64| EventTime::from_secs(*n as i64));
                flow.source_with(name, options, |context| builder.build(context), times).events
            };
            let both = read("busy", busy).union(&read("silent", silent));
            flow.sink("out", &both, |_| Ok(into.sink("out")));
        });
        Ok(())
    })
    .expect("it runs");
    outside.join().expect("everything was committed");
    assert_eq!(seen.sorted(), [0, 1, 2, 3, 4, 1_000]);
}
