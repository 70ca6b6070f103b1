//! The events as a source: all of them, or so many a second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::source::{
    Batch, Message, Offset, Partition, PartitionEvent, Poll, Replay, Source, SourceContext,
};
use tiderace_nexmark::{Event, Generator};

/// Makes every `peers`-th event, on the worker that reads it. Each worker's events are a partition.
pub struct Feed {
    generator: Arc<Generator>,
    worker: Partition,
    peers: u64,
    next: u64,
    end: u64,
    pace: Option<Pace>,
    announced: bool,
}

/// When the event of a number is due, for an open loop: however slow the reader is.
#[derive(Clone, Copy, Debug)]
struct Pace {
    begun: Instant,
    per_second: f64,
}

impl Feed {
    /// The first `events` of a generator, as fast as they are taken.
    pub fn new(generator: Arc<Generator>, events: u64, context: &SourceContext) -> Self {
        let worker = Partition::try_from(context.worker).expect("a worker's index fits 32 bits");
        let (peers, next) = (context.peers as u64, context.worker as u64);
        Feed { generator, worker, peers, next, end: events, pace: None, announced: false }
    }

    /// So many of them a second from an instant on, over all workers.
    #[must_use]
    pub fn paced(mut self, begun: Instant, per_second: f64) -> Self {
        self.pace = Some(Pace { begun, per_second });
        self
    }

    /// The number of the first event that is not due yet.
    fn due(&self) -> u64 {
        self.pace.map_or(self.end, |Pace { begun, per_second }| {
            let passed: Duration = begun.elapsed();
            self.end.min((passed.as_secs_f64() * per_second) as u64)
        })
    }
}

impl Source for Feed {
    type Record = Event;

    fn name(&self) -> &str {
        "nexmark"
    }

    fn replay(&self) -> Replay {
        Replay::FromPosition
    }

    fn consume(&mut self, limit: usize, batch: &mut Batch<Event>) -> Result<Poll, Error> {
        if !self.announced {
            batch.event(self.worker, PartitionEvent::Assigned(0));
            self.announced = true;
        }
        let due = self.due();
        let until = due.min(self.next.saturating_add(limit as u64 * self.peers));
        while self.next < until {
            let record = Ok(self.generator.event(self.next));
            let next: Offset = self.next / self.peers + 1;
            let (partition, timestamp, bytes) = (self.worker, None, size_of::<Event>() as u32);
            batch.push(Message { partition, next, timestamp, bytes, record });
            self.next += self.peers;
        }
        if self.next >= self.end {
            batch.event(self.worker, PartitionEvent::Finished);
            return Ok(Poll::Finished);
        }
        Ok(if self.next < due { Poll::Ready } else { Poll::Pending })
    }

    fn commit(&mut self, _: &[(Partition, Offset)]) -> Result<(), Error> {
        Ok(())
    }

    fn commits(&self) -> bool {
        false
    }

    fn close(&mut self) {}
}
