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

use super::{Offset, Partition, Waker};
pub use reader::{ChannelBuilder, ChannelSource};
pub use sender::ChannelSender;

mod reader;
mod sender;
#[cfg(test)]
mod tests;

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
