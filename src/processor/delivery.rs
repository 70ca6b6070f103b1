//! From rows that wait for the sink to positions that the source knows of.
//!
//! *A position is committed iff every row of the records before it is in something that the sink
//! has staged and committed.*

use std::collections::{BTreeMap, VecDeque};

use super::stats::Handle;
use crate::error::Error;
use crate::sink::{Commit, Sink, Staged, Write};
use crate::source::{Answers, Offset, Partition, Positions, Source};

/// The two ends, and what is between them.
pub(super) struct Delivery<In: 'static, Out: 'static> {
    /// `None` once it is closed.
    source: Option<Box<dyn Source<Record = In>>>,
    sink: Option<Box<dyn Sink<Record = Out>>>,
    handle: Handle,
    auto_commit: bool,
    tick: u64,
    /// Rows that the sink has not taken yet.
    pub(super) rows: Vec<Out>,
    /// Whether the sink has taken rows that are not staged.
    written: bool,
    /// How far the records have been processed whose rows are not staged.
    reached: BTreeMap<Partition, Offset>,
    /// What is staged and not committed, oldest first, each with the positions that it stands for.
    staged: VecDeque<(Option<Staged>, BTreeMap<Partition, Offset>)>,
    /// Positions whose output is durable, and of which the source does not know.
    delivered: BTreeMap<Partition, Offset>,
    /// How many positions the source was told of and has not answered for.
    unanswered: u64,
}

/// How many commits of the sink may be under way before nothing more is read.
const UNDER_WAY: usize = 64;

impl<In: 'static, Out: 'static> Delivery<In, Out> {
    pub(super) fn new(
        source: Box<dyn Source<Record = In>>,
        sink: Box<dyn Sink<Record = Out>>,
        handle: Handle,
        auto_commit: bool,
    ) -> Self {
        Delivery {
            source: Some(source),
            sink: Some(sink),
            handle,
            auto_commit,
            tick: 0,
            rows: Vec::new(),
            written: false,
            reached: BTreeMap::new(),
            staged: VecDeque::new(),
            delivered: BTreeMap::new(),
            unanswered: 0,
        }
    }

    pub(super) fn source(&mut self) -> &mut dyn Source<Record = In> {
        &mut **self.source.as_mut().expect("it is closed only with the processor")
    }

    /// Everything before this position of a partition has been processed.
    pub(super) fn reach(&mut self, partition: Partition, next: Offset) {
        self.reached.insert(partition, next);
    }

    /// Offers rows to the sink, stages what it has taken, and asks for what is staged. Returns
    /// whether everything is durable; if not, it is to be called again after a moment.
    pub(super) fn advance(&mut self) -> Result<bool, Error> {
        let Some(sink) = self.sink.as_mut() else { return Ok(true) };
        if !self.rows.is_empty() {
            let before = self.rows.len();
            let all = sink.write(self.tick, &mut self.rows)? == Write::All;
            self.written |= self.rows.len() < before;
            debug_assert!(!all || self.rows.is_empty(), "the sink said that it took all rows");
        }
        let whole = self.rows.is_empty();
        // A sink that is full may need its rows staged to have room; positions wait for the rest.
        let positions = if whole { std::mem::take(&mut self.reached) } else { BTreeMap::new() };
        let stage = std::mem::take(&mut self.written).then(|| sink.stage(self.tick)).transpose()?;
        if stage.is_some() || !positions.is_empty() {
            self.staged.push_back((stage, positions));
            self.tick += 1;
        }
        while let Some((stage, positions)) = self.staged.front_mut() {
            if let Some(stage) = stage
                && sink.commit(stage)? == Commit::Pending
            {
                return Ok(false);
            }
            self.delivered.append(positions);
            self.staged.pop_front();
        }
        Ok(whole)
    }

    /// Tells the source what has been delivered. A failure is counted and logged, no more.
    pub(super) fn commit(&mut self) {
        let Some(source) = self.source.as_mut() else { return };
        if self.delivered.is_empty() {
            return;
        }
        let positions: Positions = self.delivered.clone().into_iter().collect();
        let count = positions.len() as u64;
        match source.commit(&positions) {
            Ok(()) => {
                self.delivered.clear();
                match source.answers() {
                    None => self.handle.count(|stats| stats.committed += count),
                    Some(answers) => {
                        self.unanswered += count;
                        self.answered(&answers);
                    }
                }
            }
            Err(error) => {
                // They stay delivered: the next commit tells them again.
                self.handle.count(|stats| stats.commit_failures += count);
                tracing::warn!(source = source.name(), %error, "positions were not committed");
            }
        }
    }

    /// How many positions the source was told of and has not answered for; asks it.
    pub(super) fn unanswered(&mut self) -> u64 {
        if self.unanswered > 0
            && let Some(answers) = self.source.as_mut().and_then(|source| source.answers())
        {
            self.answered(&answers);
        }
        self.unanswered
    }

    fn answered(&mut self, answers: &Answers) {
        let committed = answers.committed.len() as u64;
        self.unanswered = self.unanswered.saturating_sub(committed + answers.failed);
        self.handle.count(|stats| {
            stats.committed += committed;
            stats.commit_failures += answers.failed;
        });
    }

    /// Positions without an answer count as not committed.
    pub(super) fn give_up_on_answers(&mut self) {
        let unanswered = std::mem::take(&mut self.unanswered);
        self.handle.count(|stats| stats.commit_failures += unanswered);
    }

    /// Whether the sink has to catch up before more is read.
    pub(super) fn is_full(&self) -> bool {
        !self.rows.is_empty() || self.staged.len() > UNDER_WAY
    }

    pub(super) fn auto_commits(&self) -> bool {
        self.auto_commit
    }

    /// Closes what is still open: the sink first, so that nothing is committed after it.
    pub(super) fn close(&mut self) {
        if let Some(mut sink) = self.sink.take() {
            sink.close();
        }
        if let Some(mut source) = self.source.take() {
            source.close();
        }
    }
}

/// However it ends, also by a panic in a user's function, both ends are closed once.
impl<In: 'static, Out: 'static> Drop for Delivery<In, Out> {
    fn drop(&mut self) {
        self.close();
    }
}
