//! What the sources of a test read.

use crate::time::{EventTime, Span};

/// One thing that happens at a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<D> {
    /// A record is read.
    Row {
        /// From which source.
        source: u32,
        /// From which partition of it.
        partition: u32,
        /// Its event time.
        time: EventTime,
        /// Its contents.
        data: D,
    },
    /// The tick of the worker that reads this partition ends.
    EndTick {
        /// The source.
        source: u32,
        /// The partition.
        partition: u32,
    },
    /// The partition is silent from here on and holds nothing back until its next record.
    Idle {
        /// The source.
        source: u32,
        /// The partition.
        partition: u32,
    },
    /// Wall time has come this far.
    Wall(EventTime),
}

/// What happens at the sources of a program, in order.
#[derive(Clone, Debug)]
pub struct Feed<D> {
    /// How far out of order each partition may be.
    pub bound: Span,
    /// What happens.
    pub steps: Vec<Step<D>>,
    /// How many partitions each source has.
    partitions: Vec<u32>,
}

impl<D> Feed<D> {
    /// Nothing happens yet. Partitions may be out of order by this much.
    pub fn new(bound: impl Into<Span>) -> Self {
        Feed { bound: bound.into(), steps: Vec::new(), partitions: Vec::new() }
    }

    /// Declares a partition, which holds everything back until its first record. Those that have
    /// records are declared by them.
    pub fn partition(&mut self, source: u32, partition: u32) {
        let source = source as usize;
        if self.partitions.len() <= source {
            self.partitions.resize(source + 1, 0);
        }
        self.partitions[source] = self.partitions[source].max(partition + 1);
    }

    /// A record is read.
    pub fn row(&mut self, source: u32, partition: u32, time: EventTime, data: D) {
        self.partition(source, partition);
        self.steps.push(Step::Row { source, partition, time, data });
    }

    /// Ends the tick of the worker that read the last record, if `ends`.
    pub fn end_tick_after(&mut self, ends: bool) {
        if let (true, Some(&Step::Row { source, partition, .. })) = (ends, self.steps.last()) {
            self.steps.push(Step::EndTick { source, partition });
        }
    }

    /// A partition falls silent.
    pub fn idle(&mut self, source: u32, partition: u32) {
        self.partition(source, partition);
        self.steps.push(Step::Idle { source, partition });
    }

    /// Wall time comes this far.
    pub fn wall(&mut self, wall: EventTime) {
        self.steps.push(Step::Wall(wall));
    }

    /// How many sources there are, at least one.
    pub fn sources(&self) -> u32 {
        (self.partitions.len() as u32).max(1)
    }

    /// How many partitions a source has.
    pub fn partitions(&self, source: u32) -> u32 {
        self.partitions.get(source as usize).copied().unwrap_or(0)
    }

    /// The records, in order: source, partition, event time, contents.
    pub fn rows(&self) -> impl Iterator<Item = (u32, u32, EventTime, &D)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Row { source, partition, time, data } => Some((*source, *partition, *time, data)),
            _ => None,
        })
    }

    /// The same records with all or none of the ticks ending.
    #[must_use]
    pub fn ticks(&self, fine: bool) -> Self
    where
        D: Clone,
    {
        let mut feed = Feed { steps: Vec::new(), ..self.clone() };
        for step in &self.steps {
            if !matches!(step, Step::EndTick { .. }) {
                feed.steps.push(step.clone());
                feed.end_tick_after(fine);
            }
        }
        feed
    }
}
