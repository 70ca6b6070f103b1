//! Any iterator as a source.
//!
//! A closure makes one iterator for each worker, from the worker's index and the number of workers.
//! By default each worker's records are one partition, numbered as the worker; with a partition
//! function a record says itself which one it belongs to, and the iterators of different workers
//! must then not share a partition. The iterator is asked on the worker's own thread, so `next`
//! must not wait for anything.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{
    Batch, Message, Offset, Partition, PartitionEvent, Poll, Positions, Replay, Source,
    SourceContext,
};
use crate::error::Error;

type Make<I> = Arc<dyn Fn(usize, usize) -> I + Send + Sync>;
type ByRecord<D> = Arc<dyn Fn(&D) -> Partition + Send + Sync>;

/// What makes the iterator sources of all workers.
pub struct IterBuilder<I: Iterator> {
    name: Arc<str>,
    make: Make<I>,
    partition: Option<ByRecord<I::Item>>,
    replayable: bool,
    start: Positions,
}

impl<I: Iterator> Clone for IterBuilder<I> {
    fn clone(&self) -> Self {
        IterBuilder {
            name: self.name.clone(),
            make: self.make.clone(),
            partition: self.partition.clone(),
            replayable: self.replayable,
            start: self.start.clone(),
        }
    }
}

impl<I> IterBuilder<I>
where
    I: Iterator + 'static,
    I::Item: 'static,
{
    /// Has this function say which partition a record belongs to.
    #[must_use]
    pub fn partition_by(
        mut self,
        partition: impl Fn(&I::Item) -> Partition + Send + Sync + 'static,
    ) -> Self {
        self.partition = Some(Arc::new(partition));
        self
    }

    /// Promises that the closure makes the same records again, so that they can be replayed.
    #[must_use]
    pub fn replayable(mut self) -> Self {
        self.replayable = true;
        self
    }

    /// Goes on at these positions: the records of a partition before its position are passed over.
    #[must_use]
    pub fn start_at(mut self, positions: Positions) -> Self {
        self.start = positions;
        self
    }

    /// The source of one worker.
    pub fn build(&self, context: SourceContext) -> Result<IterSource<I>, Error> {
        let own = Partition::try_from(context.worker).expect("a worker's index fits 32 bits");
        let start: HashMap<_, _> = self.start.iter().copied().collect();
        let mut source = IterSource {
            name: self.name.clone(),
            records: Some((self.make)(context.worker, context.peers)),
            partition: self.partition.clone(),
            own,
            replay: if self.replayable { Replay::FromPosition } else { Replay::Never },
            announce: None,
            reached_own: 0,
            reached: HashMap::new(),
            start,
        };
        if source.partition.is_none() {
            source.announce = Some(source.start_of(own));
        }
        Ok(source)
    }
}

/// One worker's part of an iterator source.
pub struct IterSource<I: Iterator> {
    name: Arc<str>,
    /// `None` once it has ended.
    records: Option<I>,
    partition: Option<ByRecord<I::Item>>,
    own: Partition,
    replay: Replay,
    /// Where the worker's own partition starts, until the engine has been told.
    announce: Option<Offset>,
    /// How many records the iterator has given, if they do not choose their partition.
    reached_own: Offset,
    /// How many records of each partition the iterator has given, if they do.
    reached: HashMap<Partition, Offset>,
    start: HashMap<Partition, Offset>,
}

impl<I> IterSource<I>
where
    I: Iterator + 'static,
    I::Item: 'static,
{
    /// A source of the records that `make(worker, peers)` iterates over, on each worker.
    ///
    /// ```
    /// # use tiderace::source::{Batch, Poll, Source, SourceContext, Waker, iter::IterSource};
    /// let numbers = IterSource::new("numbers", |worker, peers| (worker..10).step_by(peers));
    /// let waker = Waker::new(|| {});
    /// let mut source = numbers.build(SourceContext { worker: 1, peers: 3, waker }).unwrap();
    /// let mut batch = Batch::default();
    /// assert_eq!(source.consume(100, &mut batch).unwrap(), Poll::Finished);
    /// assert_eq!(batch.len(), 3); // 1, 4 and 7
    /// ```
    #[allow(clippy::new_ret_no_self)]
    pub fn new(
        name: impl Into<Arc<str>>,
        make: impl Fn(usize, usize) -> I + Send + Sync + 'static,
    ) -> IterBuilder<I> {
        IterBuilder {
            name: name.into(),
            make: Arc::new(make),
            partition: None,
            replayable: false,
            start: Positions::new(),
        }
    }

    /// The position from which on records of this partition are wanted.
    fn start_of(&self, partition: Partition) -> Offset {
        self.start.get(&partition).copied().unwrap_or(0)
    }

    /// Puts one record into the batch, unless it lies before the position to start at.
    #[inline]
    fn hand_over(&mut self, record: I::Item, batch: &mut Batch<I::Item>) {
        let (partition, next) = match &self.partition {
            None => {
                self.reached_own += 1;
                (self.own, self.reached_own)
            }
            Some(of) => {
                let partition = of(&record);
                let start = self.start_of(partition);
                let reached = self.reached.entry(partition).or_insert_with(|| {
                    batch.event(partition, PartitionEvent::Assigned(start));
                    0
                });
                *reached += 1;
                (partition, *reached)
            }
        };
        if !self.start.is_empty() && next <= self.start_of(partition) {
            return;
        }
        let bytes = u32::try_from(size_of::<I::Item>()).unwrap_or(u32::MAX);
        batch.push(Message { partition, next, timestamp: None, bytes, record: Ok(record) });
    }

    /// Tells that every partition has ended.
    fn tell_end(&self, batch: &mut Batch<I::Item>) {
        let mut partitions: Vec<_> = self.reached.keys().copied().collect();
        partitions.sort_unstable();
        if self.partition.is_none() {
            partitions.push(self.own);
        }
        for partition in partitions {
            batch.event(partition, PartitionEvent::Finished);
        }
    }
}

impl<I> Source for IterSource<I>
where
    I: Iterator + 'static,
    I::Item: 'static,
{
    type Record = I::Item;

    fn name(&self) -> &str {
        &self.name
    }

    fn replay(&self) -> Replay {
        self.replay
    }

    fn consume(&mut self, limit: usize, batch: &mut Batch<I::Item>) -> Result<Poll, Error> {
        if let Some(offset) = self.announce.take() {
            batch.event(self.own, PartitionEvent::Assigned(offset));
        }
        for _ in 0..limit {
            let Some(record) = self.records.as_mut().and_then(Iterator::next) else {
                if self.records.take().is_some() {
                    self.tell_end(batch);
                }
                return Ok(Poll::Finished);
            };
            self.hand_over(record, batch);
        }
        Ok(Poll::Ready)
    }

    /// There is nobody to tell.
    fn commit(&mut self, _: &[(Partition, Offset)]) -> Result<(), Error> {
        Ok(())
    }

    fn close(&mut self) {
        self.records = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Waker;

    fn context(worker: usize, peers: usize) -> SourceContext {
        SourceContext { worker, peers, waker: Waker::new(|| {}) }
    }

    fn values<I: Iterator + 'static>(batch: &Batch<I::Item>) -> Vec<(Partition, Offset, I::Item)>
    where
        I::Item: Copy,
    {
        let records = batch.messages.iter();
        records.map(|m| (m.partition, m.next, *m.record.as_ref().unwrap())).collect()
    }

    #[test]
    fn each_worker_is_a_partition_and_all_records_come_once() {
        let numbers = IterSource::new("numbers", |worker, peers| (worker as u32..7).step_by(peers));
        let mut seen = Vec::new();
        for worker in 0..3 {
            let mut source = numbers.build(context(worker, 3)).unwrap();
            let mut batch = Batch::default();
            assert_eq!(source.consume(2, &mut batch).unwrap(), Poll::Ready);
            assert_eq!(source.consume(2, &mut batch).unwrap(), Poll::Finished);
            assert_eq!(source.consume(2, &mut batch).unwrap(), Poll::Finished);
            let own = worker as u32;
            assert_eq!(
                batch.events,
                [
                    (0, own, PartitionEvent::Assigned(0)),
                    (batch.len(), own, PartitionEvent::Finished)
                ]
            );
            assert!(batch.messages.iter().all(|message| message.partition == own));
            seen.extend(batch.messages.into_iter().map(|message| message.record.unwrap()));
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_worker_without_records_still_tells_of_its_partition() {
        let none = IterSource::new("none", |_, _| std::iter::empty::<u8>());
        let mut batch = Batch::default();
        assert_eq!(
            none.build(context(0, 1)).unwrap().consume(9, &mut batch).unwrap(),
            Poll::Finished
        );
        assert_eq!(
            batch.events,
            [(0, 0, PartitionEvent::Assigned(0)), (0, 0, PartitionEvent::Finished)]
        );
    }

    #[test]
    fn records_choose_their_partition_and_resume_there() {
        let builder = IterSource::new("numbers", |_, _| 0..10_u32)
            .partition_by(|n| n % 3)
            .replayable()
            .start_at(vec![(0, 2), (1, 1)]);
        let mut source = builder.build(context(0, 1)).unwrap();
        assert_eq!(source.replay(), Replay::FromPosition);
        let mut batch = Batch::default();
        assert_eq!(source.consume(100, &mut batch).unwrap(), Poll::Finished);
        assert_eq!(
            values::<std::ops::Range<u32>>(&batch),
            [(2, 1, 2), (1, 2, 4), (2, 2, 5), (0, 3, 6), (1, 3, 7), (2, 3, 8), (0, 4, 9)]
        );
        assert_eq!(batch.events[0], (0, 0, PartitionEvent::Assigned(2)));
        assert_eq!(batch.events[1], (0, 1, PartitionEvent::Assigned(1)));
        assert_eq!(batch.events[2], (0, 2, PartitionEvent::Assigned(0)));
    }
}
