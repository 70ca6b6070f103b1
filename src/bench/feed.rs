//! Made-up records as a source: as fast as they are taken, or so many a second.

use std::time::Instant;

use crate::error::Error;
use crate::source::{
    Batch, Message, Offset, Partition, PartitionEvent, Poll, Replay, Source, SourceContext,
};

/// Makes every `peers`-th record, on the worker that reads it. Each worker's records are a partition.
pub struct Feed<F> {
    make: F,
    worker: Partition,
    peers: u64,
    next: u64,
    end: u64,
    pace: Option<Pace>,
    announced: bool,
}

/// When the record of a number is due, for an open loop: however slow the reader is.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// When the first one is due.
    pub begun: Instant,
    /// How many are due in a second, over all workers.
    pub per_second: f64,
}

impl<D: 'static, F: FnMut(u64) -> D + 'static> Feed<F> {
    /// The records of the numbers up to `end`.
    pub fn new(make: F, end: u64, pace: Option<Pace>, context: &SourceContext) -> Self {
        let worker = Partition::try_from(context.worker).expect("a worker's index fits 32 bits");
        let (peers, next) = (context.peers as u64, context.worker as u64);
        Feed { make, worker, peers, next, end, pace, announced: false }
    }

    /// The number of the first record that is not due yet.
    fn due(&self) -> u64 {
        self.pace.map_or(self.end, |Pace { begun, per_second }| {
            self.end.min((begun.elapsed().as_secs_f64() * per_second) as u64)
        })
    }
}

impl<D: 'static, F: FnMut(u64) -> D + 'static> Source for Feed<F> {
    type Record = D;

    fn name(&self) -> &str {
        "feed"
    }

    fn replay(&self) -> Replay {
        Replay::Never
    }

    fn consume(&mut self, limit: usize, batch: &mut Batch<D>) -> Result<Poll, Error> {
        if !self.announced {
            batch.event(self.worker, PartitionEvent::Assigned(0));
            self.announced = true;
        }
        let due = self.due();
        let until = due.min(self.next.saturating_add((limit as u64).saturating_mul(self.peers)));
        while self.next < until {
            let record = Ok((self.make)(self.next));
            let next: Offset = self.next / self.peers + 1;
            let (partition, timestamp, bytes) = (self.worker, None, size_of::<D>() as u32);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Waker;
    use std::time::Duration;

    fn context(worker: usize, peers: usize) -> SourceContext {
        SourceContext { worker, peers, waker: Waker::new(|| {}) }
    }

    #[test]
    fn workers_share_the_numbers() {
        let mut all = Vec::new();
        for worker in 0..3 {
            let mut feed = Feed::new(|n| n, 10, None, &context(worker, 3));
            let mut batch = Batch::default();
            while feed.consume(2, &mut batch).unwrap() != Poll::Finished {}
            all.extend(batch.take_messages().into_iter().map(|message| message.record.unwrap()));
        }
        all.sort_unstable();
        assert!(all.into_iter().eq(0..10));
    }

    #[test]
    fn nothing_comes_before_it_is_due() {
        let begun = Instant::now() + Duration::from_secs(60);
        let later = Some(Pace { begun, per_second: 1e6 });
        let mut feed = Feed::new(|n| n, 10, later, &context(0, 1));
        let mut batch = Batch::default();
        assert_eq!(feed.consume(100, &mut batch).unwrap(), Poll::Pending);
        assert!(batch.is_empty());
        let begun = Instant::now() - Duration::from_secs(1);
        let past = Some(Pace { begun, per_second: 5.0 });
        let mut feed = Feed::new(|n| n, 10, past, &context(0, 1));
        assert_eq!(feed.consume(100, &mut batch).unwrap(), Poll::Pending);
        assert_eq!(batch.len(), 5);
    }
}
