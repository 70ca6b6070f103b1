//! A source whose instances open at different speed, as those of Kafka do: a worker that is done
//! before another has been told its partitions must not make the other's records late.

use std::time::{Duration, Instant};

use tiderace::observe::{ProcessStatus, Status};
use tiderace::prelude::*;
use tiderace::runtime::Outcome;
use tiderace::sink::memory::Collected;
use tiderace::source::{
    Batch, Message, Offset, Partition, PartitionEvent, Poll, Replay, Source, SourceContext,
};

const RECORDS: i64 = 500;

/// One partition a worker; worker 1 opens later, worker 2 finds that it has none.
struct Slow {
    worker: usize,
    opens: Instant,
    done: bool,
}

impl Slow {
    fn new(context: &SourceContext) -> Self {
        let delay = Duration::from_millis(if context.worker == 1 { 300 } else { 0 });
        Slow { worker: context.worker, opens: Instant::now() + delay, done: false }
    }
}

impl Source for Slow {
    type Record = i64;

    fn name(&self) -> &str {
        "slow"
    }

    fn replay(&self) -> Replay {
        Replay::Never
    }

    fn consume(&mut self, _: usize, batch: &mut Batch<i64>) -> Result<Poll, Error> {
        if Instant::now() < self.opens {
            return Ok(Poll::Pending);
        }
        if self.worker == 2 {
            return Ok(Poll::None);
        }
        if !std::mem::replace(&mut self.done, true) {
            let partition = self.worker as Partition;
            batch.event(partition, PartitionEvent::Assigned(0));
            for n in 0..RECORDS {
                let (next, timestamp, bytes, record) = (n as u64 + 1, None, 8, Ok(n));
                batch.push(Message { partition, next, timestamp, bytes, record });
            }
        }
        Ok(Poll::Finished)
    }

    fn commit(&mut self, _: &[(Partition, Offset)]) -> Result<(), Error> {
        Ok(())
    }

    fn close(&mut self) {}
}

#[test]
fn a_worker_that_opens_late_is_not_late() {
    let windows = Collected::new();
    let seen = windows.clone();
    let outcome = tiderace::execute(["test", "-w", "3", "--tick", "1ms", "-qq"], move |worker| {
        worker.dataflow(|flow| {
            let times = event_time(|n: &i64| EventTime::from_secs(*n));
            let records = flow.source("slow", |context| Ok(Slow::new(&context)), times).events;
            let windows = records
                .key_by(|_| 0)
                .window(Tumbling::every(secs(100)))
                .aggregate("windows", Count)
                .map(|row| (row.window.start.millis() / 1_000, row.value));
            // Judged by the frontier of the whole job, not of the record's partition.
            let once = records.key_by(|n| (*n, 0)).dedup("once", Horizon::within(secs(0)));
            once.inspect(|_| ());
            flow.sink("windows", &windows, |_| Ok(seen.sink("windows")));
        });
        Ok(())
    })
    .unwrap();
    let Outcome::Finished { process, .. } = outcome else { panic!("one process") };
    let status = Status::merge([ProcessStatus::take(process.observer(), process.board())]);
    assert_eq!((status.counts("windows").late, status.counts("once").late), (0, 0));
    let expected: Vec<_> = (0..5).map(|n| (n * 100, 200)).collect();
    assert_eq!(windows.sorted(), expected);
}
