//! A source that ends where it is told: the demo knows how many events its topic will have.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::source::kafka::owner;
use crate::source::{
    Answers, Batch, Offset, Partition, PartitionEvent, Poll, Replay, Source, SourceContext,
};

/// Where each partition of this worker ends, if it does.
pub(super) type Ends = Option<BTreeMap<Partition, Offset>>;

/// The ends for a topic of so many events, dealt out to its partitions in turns.
pub(super) fn ends(
    context: &SourceContext,
    topic: &str,
    partitions: u32,
    events: Option<u64>,
) -> Ends {
    let mine = |partition: &u32| owner(topic, *partition as i32, context.peers) == context.worker;
    events.map(|events| {
        let share = |p: u32| (events + u64::from(partitions - 1 - p)) / u64::from(partitions);
        (0..partitions).filter(mine).map(|partition| (partition, share(partition))).collect()
    })
}

/// A source that finishes each partition at its end, and itself when all have finished.
pub(super) struct Limited<S> {
    source: S,
    /// The partitions that have not ended; `None` for a source without end.
    open: Ends,
}

impl<S> Limited<S> {
    pub(super) fn new(source: S, ends: Ends) -> Self {
        Limited { source, open: ends }
    }
}

impl<S: Source> Source for Limited<S> {
    type Record = S::Record;

    fn name(&self) -> &str {
        self.source.name()
    }

    fn replay(&self) -> Replay {
        self.source.replay()
    }

    fn wakes(&self) -> bool {
        self.source.wakes()
    }

    fn consume(&mut self, limit: usize, batch: &mut Batch<S::Record>) -> Result<Poll, Error> {
        let before = batch.len();
        let poll = self.source.consume(limit, batch)?;
        let Some(open) = &mut self.open else { return Ok(poll) };
        let mut reached: BTreeMap<Partition, Offset> = BTreeMap::new();
        for message in &batch.messages()[before..] {
            reached.insert(message.partition, message.next);
        }
        for (partition, next) in reached {
            if open.get(&partition).is_some_and(|end| next >= *end) {
                open.remove(&partition);
                batch.event(partition, PartitionEvent::Finished);
            }
        }
        open.retain(|_, end| *end > 0);
        Ok(if open.is_empty() && poll != Poll::None { Poll::Finished } else { poll })
    }

    fn commits(&self) -> bool {
        self.source.commits()
    }

    fn commit(&mut self, positions: &[(Partition, Offset)]) -> Result<(), Error> {
        self.source.commit(positions)
    }

    fn answers(&mut self) -> Option<Answers> {
        self.source.answers()
    }

    fn close(&mut self) {
        self.source.close();
    }
}
