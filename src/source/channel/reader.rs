//! The receiving end of a channel, one for each worker.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};

use super::{ChannelSender, Reader, Shared, State, Waiting};
use crate::error::{Error, Kind};
use crate::source::{
    Batch, Message, Offset, Partition, PartitionEvent, Poll, Replay, Source, SourceContext,
};

/// Marks readers that were never built as gone, when the last clone of the builder is dropped.
struct Unbuilt<D>(Arc<Shared<D>>);

impl<D> Drop for Unbuilt<D> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        for worker in 0..state.readers.len() {
            if matches!(state.readers[worker], Reader::Expected) {
                state.leave(worker);
            }
        }
        drop(state);
        self.0.room.notify_all();
    }
}

/// What makes the channel sources of the workers of this process.
pub struct ChannelBuilder<D>(Arc<Unbuilt<D>>);

impl<D> Clone for ChannelBuilder<D> {
    fn clone(&self) -> Self {
        ChannelBuilder(self.0.clone())
    }
}

impl<D: 'static> ChannelBuilder<D> {
    /// The source of one worker. Each worker can have it once: what was read is gone.
    pub fn build(&self, context: SourceContext) -> Result<ChannelSource<D>, Error> {
        let shared = &self.0.0;
        let mut state = shared.lock();
        let untouched = matches!(state.readers[..], [Reader::Expected]);
        if untouched && context.peers > 1 {
            // The number of workers is known from now on: deal out what waits already.
            state.readers = (0..context.peers).map(|_| Reader::Expected).collect();
            let early = std::mem::take(&mut state.queues[0]);
            state.queues = (0..context.peers).map(|_| VecDeque::new()).collect();
            for waiting in early {
                let owner = state.owner(waiting.partition);
                state.queues[owner].push_back(waiting);
            }
        }
        let fits = state.queues.len() == context.peers;
        match state.readers.get_mut(context.worker) {
            Some(reader @ Reader::Expected) if fits => {
                *reader = Reader::Reads(context.waker, false);
            }
            _ => {
                let message = format!(
                    "channel `{}`: worker {} of {} cannot read it, it has been read before",
                    shared.name, context.worker, context.peers
                );
                return Err(Error::new(Kind::Failed, message)
                    .hint("a channel cannot be read twice; make a new one for every run"));
            }
        }
        let partitions = state.sent.len() as Partition;
        let own = (0..partitions).filter(|p| *p as usize % context.peers == context.worker);
        Ok(ChannelSource {
            own: own.map(|partition| Own { partition, next: 0, told_empty: false }).collect(),
            name: shared.name.clone(),
            shared: shared.clone(),
            worker: context.worker,
            peers: context.peers,
            announced: false,
            told_end: false,
        })
    }
}

/// A partition that a reader owns.
struct Own {
    partition: Partition,
    /// The offset of the next record it will read.
    next: Offset,
    /// Whether the engine knows that nothing waits in it.
    told_empty: bool,
}

/// One worker's receiving end.
pub struct ChannelSource<D> {
    name: Arc<str>,
    shared: Arc<Shared<D>>,
    worker: usize,
    peers: usize,
    /// By number, so that partition `p` is at `p / peers`.
    own: Vec<Own>,
    announced: bool,
    told_end: bool,
}

impl<D: 'static> ChannelSource<D> {
    /// A channel of one partition that holds up to `capacity` records (at least one).
    pub fn bounded(capacity: usize) -> (ChannelBuilder<D>, ChannelSender<D>) {
        Self::partitioned("channel", 1, capacity)
    }

    /// A channel with a name and several partitions, numbered from 0.
    pub fn partitioned(
        name: impl Into<Arc<str>>,
        partitions: u32,
        capacity: usize,
    ) -> (ChannelBuilder<D>, ChannelSender<D>) {
        let partitions = partitions.max(1) as usize;
        let shared = Arc::new(Shared {
            name: name.into(),
            capacity: capacity.max(1),
            state: Mutex::new(State {
                queues: vec![VecDeque::new()],
                readers: vec![Reader::Expected],
                waiting: 0,
                sent: vec![0; partitions],
                committed: vec![0; partitions],
                senders: 1,
                closed: false,
            }),
            room: Condvar::new(),
        });
        (ChannelBuilder(Arc::new(Unbuilt(shared.clone()))), ChannelSender(shared))
    }
}

impl<D: 'static> Source for ChannelSource<D> {
    type Record = D;

    fn name(&self) -> &str {
        &self.name
    }

    fn replay(&self) -> Replay {
        Replay::Never
    }

    fn wakes(&self) -> bool {
        true
    }

    fn consume(&mut self, limit: usize, batch: &mut Batch<D>) -> Result<Poll, Error> {
        if !std::mem::replace(&mut self.announced, true) {
            for own in &self.own {
                batch.event(own.partition, PartitionEvent::Assigned(0));
            }
        }
        let bytes = u32::try_from(size_of::<D>()).unwrap_or(u32::MAX);
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let queue = &mut state.queues[self.worker];
        let taken = limit.min(queue.len());
        for Waiting { partition, offset, record } in queue.drain(..taken) {
            let next = offset + 1;
            let own = &mut self.own[partition as usize / self.peers];
            (own.next, own.told_empty) = (next, false);
            batch.push(Message { partition, next, timestamp: None, bytes, record: Ok(record) });
        }
        state.waiting -= taken;
        let empty = queue.is_empty();
        let ended = empty && (state.closed || self.own.is_empty());
        if let Reader::Reads(_, asleep) = &mut state.readers[self.worker] {
            *asleep = empty;
        }
        for own in &mut self.own {
            if !ended && !own.told_empty && own.next == state.sent[own.partition as usize] {
                // Nothing is on its way to it: the engine may count it as idle after a while.
                own.told_empty = true;
                batch.event(own.partition, PartitionEvent::CaughtUp);
            }
        }
        drop(guard);
        if taken > 0 {
            self.shared.room.notify_all();
        }
        if ended && !std::mem::replace(&mut self.told_end, true) {
            for own in &self.own {
                batch.event(own.partition, PartitionEvent::Finished);
            }
        }
        Ok(match () {
            () if ended => Poll::Finished,
            () if empty => Poll::Pending,
            () => Poll::Ready,
        })
    }

    fn commit(&mut self, positions: &[(Partition, Offset)]) -> Result<(), Error> {
        let mut state = self.shared.lock();
        for &(partition, offset) in positions {
            if let Some(committed) = state.committed.get_mut(partition as usize) {
                *committed = offset.max(*committed);
            }
        }
        Ok(())
    }

    fn close(&mut self) {
        self.shared.lock().leave(self.worker);
        self.shared.room.notify_all();
    }
}

impl<D> Drop for ChannelSource<D> {
    /// A panic on the worker must not leave senders waiting.
    fn drop(&mut self) {
        self.shared.lock().leave(self.worker);
        self.shared.room.notify_all();
    }
}
