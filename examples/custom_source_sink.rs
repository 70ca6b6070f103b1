//! A source and a sink of one's own, in a page of code.
//!
//! The source reads the digits of some numbers, one partition for each number, and can go on from
//! any position. The sink counts digits in a table that it changes only when it commits, as one
//! would change a database. The engine does the rest: it deals the partitions out to the workers,
//! cuts ticks, and tells the source which positions the sink has made durable.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use tiderace::prelude::*;
use tiderace::runtime::{Outcome, finish};
use tiderace::sink::{Commit, Guarantee, Sink, Staged, Write};
use tiderace::source::{
    Batch, Message, Offset, Partition, PartitionEvent, Poll, Replay, Source, SourceContext,
};

const NUMBERS: [&str; 3] = ["31415926535897932384", "27182818284590452353", "14142135623730950488"];

/// What is durable: how often each digit was seen, and how far each number has been read.
#[derive(Clone, Default)]
struct Table {
    digits: Arc<Mutex<BTreeMap<u32, u64>>>,
    committed: Arc<Mutex<BTreeMap<Partition, Offset>>>,
}

struct Digits {
    /// The partitions of this worker, each with the offset to go on at.
    partitions: Vec<(Partition, Offset)>,
    announced: bool,
    table: Table,
}

impl Digits {
    fn new(context: &SourceContext, table: Table) -> Self {
        let all = 0..NUMBERS.len() as Partition;
        let mine = all.filter(|p| *p as usize % context.peers == context.worker);
        let committed = table.committed.lock().expect("nobody panics with it").clone();
        let start = |p| (p, committed.get(&p).copied().unwrap_or(0));
        Digits { partitions: mine.map(start).collect(), announced: false, table }
    }
}

impl Source for Digits {
    type Record = char;

    fn name(&self) -> &str {
        "digits"
    }

    fn replay(&self) -> Replay {
        Replay::FromPosition
    }

    fn consume(&mut self, limit: usize, batch: &mut Batch<char>) -> Result<Poll, Error> {
        if !self.announced {
            self.announced = true;
            for &(partition, next) in &self.partitions {
                batch.event(partition, PartitionEvent::Assigned(next));
            }
        }
        if self.partitions.is_empty() {
            return Ok(Poll::None);
        }
        for (partition, next) in &mut self.partitions {
            let digits = NUMBERS[*partition as usize].chars().skip(*next as usize);
            for digit in digits.take(limit - batch.len()) {
                *next += 1;
                let (partition, next) = (*partition, *next);
                let (timestamp, bytes, record) = (None, 1, Ok(digit));
                batch.push(Message { partition, next, timestamp, bytes, record });
            }
        }
        Ok(if batch.len() < limit { Poll::Finished } else { Poll::Ready })
    }

    fn commit(&mut self, positions: &[(Partition, Offset)]) -> Result<(), Error> {
        self.table
            .committed
            .lock()
            .expect("nobody panics with it")
            .extend(positions.iter().copied());
        Ok(())
    }

    fn close(&mut self) {}
}

/// Digits that are written go into the table when they are committed.
struct Counts {
    written: BTreeMap<u32, u64>,
    table: Table,
}

impl Sink for Counts {
    type Record = char;

    fn name(&self) -> &str {
        "counts"
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn write(&mut self, _: u64, rows: &mut Vec<char>) -> Result<Write, Error> {
        for digit in rows.drain(..) {
            let digit = digit.to_digit(10).ok_or_else(|| {
                Error::new(Kind::Data, format!("sink `counts`: `{digit}` is no digit"))
            })?;
            *self.written.entry(digit).or_default() += 1;
        }
        Ok(Write::All)
    }

    fn stage(&mut self, tick: u64) -> Result<Staged, Error> {
        Ok(Staged { tick, rows: self.written.values().sum(), bytes: Vec::new() })
    }

    fn commit(&mut self, _: &Staged) -> Result<Commit, Error> {
        let mut table = self.table.digits.lock().expect("nobody panics with it");
        for (digit, count) in std::mem::take(&mut self.written) {
            *table.entry(digit).or_default() += count;
        }
        Ok(Commit::Done)
    }

    fn close(&mut self) {}
}

fn main() -> ExitCode {
    finish(run())
}

fn run() -> Result<(), Error> {
    let table = Table::default();
    let shared = table.clone();
    let outcome = tiderace::execute(std::env::args(), move |worker| {
        worker.dataflow(|flow| {
            let times = event_time(|_: &char| EventTime::from_millis(0));
            let digits =
                flow.source("digits", |c| Ok(Digits::new(&c, shared.clone())), times).events;
            let odd = digits.filter("odd", |digit| digit.to_digit(10).is_some_and(|d| d % 2 == 1));
            let make = |_| Ok(Counts { written: BTreeMap::new(), table: shared.clone() });
            flow.sink("counts", &odd, make);
        });
        Ok(())
    })?;

    let counted = table.digits.lock().expect("nobody panics with it").clone();
    println!("odd digits: {counted:?}");
    // With several processes each has only its own share of the results.
    if matches!(&outcome, Outcome::Finished { process, .. } if process.processes() == 1) {
        let mut expected = BTreeMap::new();
        for digit in NUMBERS.concat().chars().filter_map(|c| c.to_digit(10)).filter(|d| d % 2 == 1)
        {
            *expected.entry(digit).or_default() += 1;
        }
        assert_eq!(counted, expected);
        let committed = table.committed.lock().expect("nobody panics with it").clone();
        assert_eq!(committed, (0..3).map(|p| (p, 20)).collect());
    }
    Ok(())
}
