//! Sources: partitions × positions × batches.
//!
//! A source hands over records by the batch and never blocks. The engine drives one instance of it
//! on every worker: it asks for records, cuts ticks, keeps a watermark per partition, bounds what is
//! in flight, and tells the source which positions are safely delivered so that it can commit them.
//!
//! A user's own source implements the five methods of [`Source`]; see `examples/custom_source.rs`.

#[cfg(feature = "kafka")]
pub mod kafka;

use tiderace_operators::time::EventTime;

use crate::error::Error;

pub mod channel;
pub mod file;
pub mod generate;
pub mod iter;

/// The number of a partition within its source. Partitions are judged for lateness one by one.
pub type Partition = u32;

/// Where to go on reading: the offset of the *next* record of a partition.
pub type Offset = u64;

/// A position in every partition that a source instance reads.
pub type Positions = Vec<(Partition, Offset)>;

/// What may be asked of a source after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// It can be read again from a position.
    FromPosition,
    /// What was handed over is gone.
    Never,
}

/// Why a record could not be used. It is counted under its class and goes to the rejects.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reject {
    /// A short name from a bounded set: `json`, `missing-time`, `bad-time`, `null-payload` …
    pub class: std::borrow::Cow<'static, str>,
    /// What was wrong, with its place in the record.
    pub message: String,
    /// The record as it came, cut to a bounded size.
    pub payload: Vec<u8>,
}

impl Reject {
    /// How much of a payload a reject keeps.
    pub const PAYLOAD_LIMIT: usize = 4 * 1024;
    /// How much of a message a reject keeps; a decoder may quote the payload in it.
    const MESSAGE_LIMIT: usize = 512;

    /// A reject that keeps bounded copies of the message and of the payload.
    pub fn new(class: &'static str, message: impl Into<String>, payload: &[u8]) -> Self {
        let mut message = message.into();
        if message.len() > Self::MESSAGE_LIMIT {
            message.truncate(message.floor_char_boundary(Self::MESSAGE_LIMIT));
            message.push('…');
        }
        let payload = payload[..payload.len().min(Self::PAYLOAD_LIMIT)].to_vec();
        Reject { class: class.into(), message, payload }
    }
}

/// What one call of [`Source::consume`] found out beside the records themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// There may be more at once.
    Ready,
    /// Nothing more just now. The engine asks again when the source's waker is called, and
    /// in any case after a few milliseconds, or some tens if the source [wakes](Source::wakes).
    Pending,
    /// This instance reads no partition and never will: it must not hold anything back.
    None,
    /// The input has ended: every partition is read to its end and none will come.
    Finished,
}

/// A source of records of one type, one instance per worker.
pub trait Source: 'static {
    /// What it produces.
    type Record: 'static;

    /// Its name, as the user gave it; errors, counters and `why` use it.
    fn name(&self) -> &str;

    /// Whether it can be read again from a position.
    fn replay(&self) -> Replay;

    /// Whether it calls its waker whenever there is something to hand over. Such a source is looked
    /// at more rarely while it is silent, so that an idle job costs next to nothing.
    fn wakes(&self) -> bool {
        false
    }

    /// Hands over up to `limit` records, without waiting for any.
    ///
    /// Every record, good or bad, goes into the batch with its partition and offset; partitions
    /// are announced in the batch before their first record, and idleness is told there too.
    fn consume(&mut self, limit: usize, batch: &mut Batch<Self::Record>) -> Result<Poll, Error>;

    /// Everything before these positions has left through a sink, durably. Called from time to
    /// time with growing positions; a failure is counted and does not stop the run.
    fn commit(&mut self, positions: &[(Partition, Offset)]) -> Result<(), Error>;

    /// Whether it takes commits at all. One that does not is never given any.
    fn commits(&self) -> bool {
        true
    }

    /// For a source whose commits take their time: the answers that have come since this was last
    /// asked. `None`: the return of [`Source::commit`] is the answer.
    fn answers(&mut self) -> Option<Answers> {
        None
    }

    /// Lets go of everything. Called exactly once, also after an error.
    fn close(&mut self);
}

/// Answers to commits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// The positions that were committed.
    pub committed: Positions,
    /// How many positions were not.
    pub failed: u64,
}

/// What a source tells about one of its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionEvent {
    /// This instance reads the partition from the given offset on.
    Assigned(Offset),
    /// The position has reached the end of the log as the broker knows it, while connected.
    /// Until the next record the partition may become idle; elapsed time alone never does that.
    CaughtUp,
    /// What was told by `CaughtUp` no longer holds: the connection is lost, so that the partition
    /// must not become idle, and is active again if it was, until `CaughtUp` or a record comes.
    Unconfirmed,
    /// It ended for good: nothing will ever come from it.
    Finished,
    /// It is behind by this many records (reported from time to time, for `why` and the metrics).
    Lag(u64),
}

/// A record, or the reason why there is none, with its place in the source.
pub struct Message<D> {
    /// The partition it was read from.
    pub partition: Partition,
    /// Where to go on after it.
    pub next: Offset,
    /// The time the transport knows for it (Kafka's message timestamp), if any.
    pub timestamp: Option<EventTime>,
    /// Bytes on the wire or a rough size in memory, for flow control and counters.
    pub bytes: u32,
    /// The record itself.
    pub record: Result<D, Reject>,
}

/// What a source hands over in one go. The engine reuses it.
pub struct Batch<D> {
    pub(crate) messages: Vec<Message<D>>,
    pub(crate) events: Vec<(usize, Partition, PartitionEvent)>,
}

impl<D> Default for Batch<D> {
    fn default() -> Self {
        Batch { messages: Vec::new(), events: Vec::new() }
    }
}

impl<D> Batch<D> {
    /// Adds a record, or the reason why there is none.
    #[inline]
    pub fn push(&mut self, message: Message<D>) {
        self.messages.push(message);
    }

    /// Tells something about a partition, in order with the records.
    pub fn event(&mut self, partition: Partition, event: PartitionEvent) {
        self.events.push((self.messages.len(), partition, event));
    }

    /// The records so far, in order.
    pub fn messages(&self) -> &[Message<D>] {
        &self.messages
    }

    /// What was told of partitions, each with the number of records before it.
    pub fn events(&self) -> &[(usize, Partition, PartitionEvent)] {
        &self.events
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Takes the records out.
    pub fn take_messages(&mut self) -> Vec<Message<D>> {
        std::mem::take(&mut self.messages)
    }

    /// Takes out what was told of partitions, each with the number of records before it.
    pub fn take_events(&mut self) -> Vec<(usize, Partition, PartitionEvent)> {
        std::mem::take(&mut self.events)
    }

    /// Whether it holds no record.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

/// What the factory of a source is told: which worker it is for, and how to wake it.
#[derive(Clone)]
pub struct SourceContext {
    /// The index of the worker, over all processes.
    pub worker: usize,
    /// The number of workers in all processes.
    pub peers: usize,
    /// Wakes the worker from another thread when records have arrived.
    pub waker: Waker,
}

/// Wakes the source operator of one worker, from any thread. Cheap to clone.
#[derive(Clone)]
pub struct Waker(pub(crate) std::sync::Arc<dyn Fn() + Send + Sync>);

impl Waker {
    /// A waker that calls this function.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Waker(std::sync::Arc::new(wake))
    }

    /// A waker that unparks a thread.
    pub fn of(thread: std::thread::Thread) -> Self {
        Waker::new(move || thread.unpark())
    }

    /// Has the worker ask the source again soon.
    pub fn wake(&self) {
        (self.0)();
    }
}

mod driver;
mod instance;
mod times;

pub use driver::SourceStream;
pub use instance::{Rejected, SourceOptions};
pub use times::{IntoTime, NoTime, OnFuture, OnMissing, Times, event_time};
