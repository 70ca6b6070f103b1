//! An in-memory channel as a source, for tests and for programs that embed the engine.
//!
//! The channel has a fixed number of partitions; partition `p` belongs to worker `p % peers`. Up to
//! `capacity` records wait in it over all partitions: then a send waits and [`try_send`] gives the
//! record back. The input ends when every sender is dropped or one of them calls
//! [`close`](ChannelSender::close), after the records that wait have been read.
//!
//! A channel lives in one process. When there are several, the partitions of the other processes'
//! workers are refused to the senders as soon as the builder has been dropped, so nothing waits for
//! a reader that cannot come. A worker's own thread must not [`send`](ChannelSender::send) into a
//! channel that it reads itself: when full, it would wait for itself.
//!
//! [`try_send`]: ChannelSender::try_send

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{
    Batch, Message, Offset, Partition, PartitionEvent, Poll, Replay, Source, SourceContext, Waker,
};
use crate::error::{Error, Kind};

/// A record that waits, with its place.
struct Waiting<D> {
    partition: Partition,
    offset: Offset,
    record: D,
}

/// The side of one reader.
enum Reader {
    /// Its worker has not built its source yet.
    Expected,
    /// It reads; `true` when it was told that nothing waits, so that it must be woken.
    Reads(Waker, bool),
    /// It is gone for good.
    Gone,
}

/// What all ends of a channel share, behind one lock.
struct State<D> {
    /// The records that wait, in the order of the sends; one queue for each worker once their
    /// number is known, one for all before that.
    queues: Vec<VecDeque<Waiting<D>>>,
    readers: Vec<Reader>,
    waiting: usize,
    /// Per partition, the offset of the next record sent.
    sent: Vec<Offset>,
    /// Per partition, what the engine has committed.
    committed: Vec<Offset>,
    /// How many senders live.
    senders: usize,
    closed: bool,
}

impl<D> State<D> {
    fn owner(&self, partition: Partition) -> usize {
        partition as usize % self.readers.len()
    }

    /// Why nothing can be sent into this partition any more.
    fn refusal(&self, partition: Partition) -> Option<Refusal> {
        if partition as usize >= self.sent.len() {
            Some(Refusal::UnknownPartition)
        } else if self.closed || matches!(self.readers[self.owner(partition)], Reader::Gone) {
            Some(Refusal::Closed)
        } else {
            None
        }
    }

    /// Puts a record in line; the waker of its reader, if that one sleeps.
    fn put(&mut self, partition: Partition, record: D) -> Option<Waker> {
        let offset = self.sent[partition as usize];
        self.sent[partition as usize] += 1;
        self.waiting += 1;
        let owner = self.owner(partition);
        self.queues[owner].push_back(Waiting { partition, offset, record });
        match &mut self.readers[owner] {
            Reader::Reads(waker, asleep @ true) => {
                *asleep = false;
                Some(waker.clone())
            }
            _ => None,
        }
    }

    /// All wakers, to tell every reader that something has changed.
    fn wakers(&self) -> Vec<Waker> {
        let readers = self.readers.iter();
        readers
            .filter_map(|r| if let Reader::Reads(w, _) = r { Some(w.clone()) } else { None })
            .collect()
    }

    /// A reader is gone: what waited for it will not be read.
    fn leave(&mut self, worker: usize) {
        if let Some(reader) = self.readers.get_mut(worker) {
            *reader = Reader::Gone;
            self.waiting -= self.queues[worker].len();
            self.queues[worker].clear();
        }
    }
}

struct Shared<D> {
    name: Arc<str>,
    capacity: usize,
    state: Mutex<State<D>>,
    /// Signalled when there is room again, and when a send can no longer succeed.
    room: Condvar,
}

impl<D> Shared<D> {
    /// No code of a user runs under the lock, so a poisoned one still guards a whole state.
    fn lock(&self) -> MutexGuard<'_, State<D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// As many records wait as the channel holds.
    Full,
    /// The channel is closed, or nobody reads the partition.
    Closed,
    /// The channel has no such partition.
    UnknownPartition,
}

/// A record that was not sent, and why.
pub struct NotSent<D> {
    /// The record, given back.
    pub record: D,
    /// Why it was not taken.
    pub why: Refusal,
}

impl<D> fmt::Debug for NotSent<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotSent").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<D> fmt::Display for NotSent<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.why {
            Refusal::Full => "the channel is full",
            Refusal::Closed => "the channel is closed",
            Refusal::UnknownPartition => "the channel has no such partition",
        })
    }
}

impl<D> std::error::Error for NotSent<D> {}

/// The sending end: clone it for every thread that sends.
pub struct ChannelSender<D>(Arc<Shared<D>>);

impl<D> ChannelSender<D> {
    /// Sends into partition 0; waits while the channel is full.
    pub fn send(&self, record: D) -> Result<(), NotSent<D>> {
        self.send_to(0, record)
    }

    /// Sends into a partition; waits while the channel is full.
    pub fn send_to(&self, partition: Partition, record: D) -> Result<(), NotSent<D>> {
        let mut state = self.0.lock();
        loop {
            if let Some(why) = state.refusal(partition) {
                return Err(NotSent { record, why });
            }
            if state.waiting < self.0.capacity {
                break;
            }
            state = self.0.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let sleeper = state.put(partition, record);
        drop(state);
        if let Some(waker) = sleeper {
            waker.wake();
        }
        Ok(())
    }

    /// Sends into partition 0 if there is room.
    pub fn try_send(&self, record: D) -> Result<(), NotSent<D>> {
        self.try_send_to(0, record)
    }

    /// Sends into a partition if there is room.
    pub fn try_send_to(&self, partition: Partition, record: D) -> Result<(), NotSent<D>> {
        let mut state = self.0.lock();
        if let Some(why) = state.refusal(partition) {
            return Err(NotSent { record, why });
        }
        if state.waiting >= self.0.capacity {
            return Err(NotSent { record, why: Refusal::Full });
        }
        let sleeper = state.put(partition, record);
        drop(state);
        if let Some(waker) = sleeper {
            waker.wake();
        }
        Ok(())
    }

    /// Ends the input for all senders. What was sent before is still read.
    pub fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        let wakers = state.wakers();
        drop(state);
        self.0.room.notify_all();
        wakers.iter().for_each(Waker::wake);
    }

    /// How many records wait to be read.
    pub fn waiting(&self) -> usize {
        self.0.lock().waiting
    }

    /// Everything before this offset of the partition has left through a sink; zero if nothing
    /// has, or if there is no such partition.
    pub fn committed(&self, partition: Partition) -> Offset {
        self.0.lock().committed.get(partition as usize).copied().unwrap_or(0)
    }
}

impl<D> Clone for ChannelSender<D> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        ChannelSender(self.0.clone())
    }
}

impl<D> Drop for ChannelSender<D> {
    fn drop(&mut self) {
        let last = {
            let mut state = self.0.lock();
            state.senders -= 1;
            state.senders == 0
        };
        if last {
            self.close();
        }
    }
}

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
            own: own.collect(),
            name: shared.name.clone(),
            shared: shared.clone(),
            worker: context.worker,
            announced: false,
            told_empty: false,
            told_end: false,
        })
    }
}

/// One worker's receiving end.
pub struct ChannelSource<D> {
    name: Arc<str>,
    shared: Arc<Shared<D>>,
    worker: usize,
    own: Vec<Partition>,
    announced: bool,
    /// Whether the engine knows that nothing waits.
    told_empty: bool,
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

    fn consume(&mut self, limit: usize, batch: &mut Batch<D>) -> Result<Poll, Error> {
        if !self.announced {
            self.announced = true;
            for &partition in &self.own {
                batch.event(partition, PartitionEvent::Assigned(0));
            }
        }
        let bytes = u32::try_from(size_of::<D>()).unwrap_or(u32::MAX);
        let mut state = self.shared.lock();
        let mut taken = 0;
        while taken < limit {
            let Some(waiting) = state.queues[self.worker].pop_front() else { break };
            taken += 1;
            batch.push(Message {
                partition: waiting.partition,
                next: waiting.offset + 1,
                timestamp: None,
                bytes,
                record: Ok(waiting.record),
            });
        }
        state.waiting -= taken;
        let empty = state.queues[self.worker].is_empty();
        let ended = empty && (state.closed || self.own.is_empty());
        if let Reader::Reads(_, asleep) = &mut state.readers[self.worker] {
            *asleep = empty;
        }
        drop(state);
        if taken > 0 {
            self.shared.room.notify_all();
        }
        if ended {
            if !std::mem::replace(&mut self.told_end, true) {
                for &partition in &self.own {
                    batch.event(partition, PartitionEvent::Finished);
                }
            }
            return Ok(Poll::Finished);
        }
        self.told_empty &= taken == 0;
        if empty && !std::mem::replace(&mut self.told_empty, true) {
            // Nothing is on its way to it: the engine may count it as idle after a while.
            for &partition in &self.own {
                batch.event(partition, PartitionEvent::CaughtUp);
            }
        }
        Ok(if empty { Poll::Pending } else { Poll::Ready })
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn context(worker: usize, peers: usize) -> SourceContext {
        SourceContext { worker, peers, waker: Waker::new(|| {}) }
    }

    fn take<D: 'static>(source: &mut ChannelSource<D>, limit: usize) -> (Vec<D>, Poll) {
        let mut batch = Batch::default();
        let poll = source.consume(limit, &mut batch).unwrap();
        (batch.messages.into_iter().map(|message| message.record.unwrap()).collect(), poll)
    }

    #[test]
    fn records_come_in_order_with_their_offsets_and_the_input_ends_once() {
        let (builder, sender) = ChannelSource::bounded(10);
        for n in 0..3 {
            sender.send(n).unwrap();
        }
        let mut source = builder.build(context(0, 1)).unwrap();
        let mut batch = Batch::default();
        assert_eq!(source.consume(2, &mut batch).unwrap(), Poll::Ready);
        assert_eq!(source.consume(2, &mut batch).unwrap(), Poll::Pending);
        assert_eq!(source.consume(2, &mut batch).unwrap(), Poll::Pending);
        drop(sender);
        assert_eq!(source.consume(2, &mut batch).unwrap(), Poll::Finished);
        assert_eq!(source.consume(2, &mut batch).unwrap(), Poll::Finished);
        assert_eq!(
            batch.events,
            [
                (0, 0, PartitionEvent::Assigned(0)),
                (3, 0, PartitionEvent::CaughtUp),
                (3, 0, PartitionEvent::Finished)
            ]
        );
        let seen = batch.messages.iter().map(|m| (m.next, *m.record.as_ref().unwrap()));
        assert_eq!(seen.collect::<Vec<_>>(), [(1, 0), (2, 1), (3, 2)]);
    }

    #[test]
    fn close_ends_the_input_after_what_was_sent() {
        let (builder, sender) = ChannelSource::bounded(10);
        let other = sender.clone();
        sender.send('a').unwrap();
        other.close();
        assert_eq!(sender.send('b').unwrap_err().why, Refusal::Closed);
        let mut source = builder.build(context(0, 1)).unwrap();
        assert_eq!(take(&mut source, 9), (vec!['a'], Poll::Finished));
    }

    #[test]
    fn the_last_sender_ends_the_input_and_no_earlier_one() {
        let (builder, sender) = ChannelSource::<u8>::bounded(1);
        let mut source = builder.build(context(0, 1)).unwrap();
        let other = sender.clone();
        drop(sender);
        assert_eq!(take(&mut source, 1).1, Poll::Pending);
        drop(other);
        assert_eq!(take(&mut source, 1).1, Poll::Finished);
    }

    #[test]
    fn a_full_channel_gives_the_record_back_or_waits() {
        let (builder, sender) = ChannelSource::bounded(2);
        let mut source = builder.build(context(0, 1)).unwrap();
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        let refused = sender.try_send(3).unwrap_err();
        assert_eq!((refused.record, refused.why), (3, Refusal::Full));

        let sent = Arc::new(AtomicUsize::new(0));
        let thread = {
            let (sender, sent) = (sender.clone(), sent.clone());
            thread::spawn(move || {
                sender.send(3).unwrap();
                sent.store(1, Ordering::SeqCst);
            })
        };
        thread::sleep(Duration::from_millis(50));
        assert_eq!(sent.load(Ordering::SeqCst), 0, "it waits for room");
        assert_eq!(take(&mut source, 1).0, [1]);
        thread.join().unwrap();
        assert_eq!(take(&mut source, 9).0, [2, 3]);
        assert_eq!(sender.waiting(), 0);
    }

    #[test]
    fn whoever_waits_is_let_go_when_the_reader_leaves() {
        let (builder, sender) = ChannelSource::bounded(1);
        let mut source = builder.build(context(0, 1)).unwrap();
        sender.send(1).unwrap();
        let thread = thread::spawn(move || sender.send(2).unwrap_err().why);
        thread::sleep(Duration::from_millis(20));
        source.close();
        assert_eq!(thread.join().unwrap(), Refusal::Closed);
    }

    #[test]
    fn a_builder_dropped_unused_closes_the_channel() {
        let (builder, sender) = ChannelSource::bounded(1);
        let clone = builder.clone();
        drop(builder);
        sender.send(1).unwrap();
        drop(clone);
        assert_eq!(sender.send(2).unwrap_err().why, Refusal::Closed);
    }

    #[test]
    fn partitions_go_to_their_workers_also_what_was_sent_before_the_start() {
        let (builder, sender) = ChannelSource::partitioned("test", 5, 100);
        for n in 0..5_u32 {
            sender.send_to(n, n * 10).unwrap();
        }
        let mut sources: Vec<_> =
            (0..2).map(|worker| builder.build(context(worker, 2)).unwrap()).collect();
        for n in 0..5 {
            sender.send_to(n, n * 10 + 1).unwrap();
        }
        assert_eq!(take(&mut sources[0], 9).0, [0, 20, 40, 1, 21, 41]);
        assert_eq!(take(&mut sources[1], 9).0, [10, 30, 11, 31]);
        assert_eq!(sender.send_to(5, 0).unwrap_err().why, Refusal::UnknownPartition);
    }

    #[test]
    fn a_worker_without_a_partition_is_finished_at_once() {
        let (builder, _sender) = ChannelSource::<u8>::bounded(1);
        let mut sources: Vec<_> =
            (0..2).map(|worker| builder.build(context(worker, 2)).unwrap()).collect();
        assert_eq!(take(&mut sources[1], 9).1, Poll::Finished);
        assert_eq!(take(&mut sources[0], 9).1, Poll::Pending);
    }

    #[test]
    fn it_can_be_read_once_only() {
        let (builder, _sender) = ChannelSource::<u8>::bounded(1);
        let _source = builder.build(context(0, 1)).unwrap();
        for (worker, peers) in [(0, 1), (0, 2), (1, 2)] {
            let error = builder.build(context(worker, peers)).err().unwrap();
            assert!(error.to_string().contains("has been read before"), "{error}");
        }
    }

    #[test]
    fn a_sleeping_worker_is_woken_once() {
        let (builder, sender) = ChannelSource::bounded(10);
        let woken = Arc::new(AtomicUsize::new(0));
        let count = woken.clone();
        let waker = Waker::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        let mut source = builder.build(SourceContext { worker: 0, peers: 1, waker }).unwrap();
        let woken = || woken.load(Ordering::SeqCst);
        sender.send(1).unwrap();
        assert_eq!(woken(), 0, "it has not been told that nothing waits");
        assert_eq!(take(&mut source, 9).1, Poll::Pending);
        sender.send(2).unwrap();
        sender.send(3).unwrap();
        assert_eq!(woken(), 1);
        assert_eq!(take(&mut source, 1).1, Poll::Ready);
        sender.send(4).unwrap();
        assert_eq!(woken(), 1, "it asks again by itself");
        drop(sender);
        assert_eq!(woken(), 2, "the end wakes it too");
    }

    #[test]
    fn nothing_is_lost_between_many_threads() {
        let (builder, sender) = ChannelSource::partitioned("test", 3, 7);
        let senders: Vec<_> = (0..4_u64)
            .map(|thread| {
                let sender = sender.clone();
                thread::spawn(move || {
                    for n in 0..2_000 {
                        let partition = (n % 3) as Partition;
                        sender.send_to(partition, thread * 10_000 + n).unwrap();
                    }
                })
            })
            .collect();
        drop(sender);
        let readers: Vec<_> = (0..2)
            .map(|worker| {
                let mut source = builder.build(context(worker, 2)).unwrap();
                thread::spawn(move || {
                    let mut all = Vec::new();
                    loop {
                        let (records, poll) = take(&mut source, 5);
                        all.extend(records);
                        match poll {
                            Poll::Finished => return all,
                            Poll::Pending => thread::yield_now(),
                            Poll::Ready => {}
                        }
                    }
                })
            })
            .collect();
        senders.into_iter().for_each(|thread| thread.join().unwrap());
        let mut all: Vec<u64> =
            readers.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        all.sort_unstable();
        let sent = (0..4).flat_map(|thread| (0..2_000).map(move |n| thread * 10_000 + n));
        assert_eq!(all, sent.collect::<Vec<_>>());
    }

    #[test]
    fn a_sender_can_see_what_was_committed() {
        let (builder, sender) = ChannelSource::bounded(9);
        let mut source = builder.build(context(0, 1)).unwrap();
        sender.send(1).unwrap();
        take(&mut source, 9);
        assert_eq!(sender.committed(0), 0);
        source.commit(&[(0, 1)]).unwrap();
        assert_eq!(sender.committed(0), 1);
        assert_eq!(sender.committed(7), 0);
    }
}
