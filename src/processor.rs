//! Source, function and sink without a dataflow.
//!
//! For programs that take one record after the other, on one thread and without windows: a
//! [`StreamProcessor`] reads any [`Source`](crate::source::Source), gives each record to a function,
//! writes what comes back to any [`Sink`](crate::sink::Sink), and commits positions to the source
//! only when everything before them is durable in the sink. So a restart repeats records and skips
//! none.
//!
//! ```
//! use tiderace::processor::StreamProcessor;
//! use tiderace::sink::memory::Collected;
//! use tiderace::source::Reject;
//! use tiderace::source::channel::ChannelSource;
//!
//! let (channel, sender) = ChannelSource::bounded(16);
//! let halves = Collected::new();
//! let seen = halves.clone();
//! let processor = StreamProcessor::builder()
//!     .source(move |context| channel.build(context))
//!     .process(|number: i64| match number {
//!         ..0 => Err(Reject::new("negative", format!("{number} is below zero"), b"")),
//!         n if n % 2 == 1 => Ok(None),
//!         n => Ok(Some(n / 2)),
//!     })
//!     .sink(move |_| Ok(seen.sink("halves")))
//!     .build()?;
//!
//! for number in [4, 5, -6, 8] {
//!     sender.send(number).expect("there is room");
//! }
//! sender.close();
//! let stats = processor.run()?;
//! assert_eq!(halves.take(), [2, 4]);
//! assert_eq!((stats.consumed, stats.processed, stats.skipped), (4, 2, 1));
//! assert_eq!(stats.failed["negative"], 1);
//! # Ok::<(), tiderace::error::Error>(())
//! ```
//!
//! [`run`](StreamProcessor::run) blocks until the input ends, [`Handle::stop`] is called or too many
//! records have failed in a row. In a program under [`execute`](crate::execute), signals stop it
//! with `process.on_stop(move || handle.stop())`. For unit tests,
//! [`process_one`](StreamProcessor::process_one) takes one record all the way, without threads.

mod builder;
mod delivery;
mod stats;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use builder::Builder;
use builder::Options;
use delivery::Delivery;
pub use stats::{Handle, Stats};

use crate::clock::Clock;
use crate::error::{Error, Kind};
use crate::source::{Batch, Message, Offset, Partition, Poll, Reject, Rejected};

/// How long a source without news, or a sink that is not ready, is left alone.
const LONGEST_WAIT: Duration = Duration::from_millis(10);
const RETRY: Duration = Duration::from_millis(1);
/// How long a source may take, at the end, to answer for the last commit.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

type Apply<In, Out> = Box<dyn FnMut(In) -> Result<Option<Out>, Reject>>;

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum One {
    /// It went through the function and has been written.
    Processed,
    /// The function dropped it.
    Skipped,
    /// It could not be used.
    Failed(Rejected),
    /// There is no record just now.
    Nothing,
    /// The input has ended.
    Finished,
}

/// Reads a source, applies a function, writes a sink. See the [module](self).
pub struct StreamProcessor<In: 'static, Out: 'static> {
    delivery: Delivery<In, Out>,
    apply: Apply<In, Out>,
    on_failure: Option<Box<dyn FnMut(&Rejected)>>,
    options: Options,
    clock: Clock,
    handle: Handle,
    name: Arc<str>,
    batch: Batch<In>,
    /// Records that were handed over and not looked at yet.
    queue: VecDeque<Message<In>>,
    /// The source has said that nothing more will come.
    ended: bool,
    /// Failures since the last success, and how far they have come. If they reach the limit they
    /// are not committed, so that the next run meets them again.
    failures: u64,
    failing: BTreeMap<Partition, Offset>,
    committed_at: Duration,
    logged_at: Duration,
}

impl<In: 'static, Out: 'static> StreamProcessor<In, Out> {
    /// Starts to put one together.
    pub fn builder() -> Builder<In, Out> {
        Builder::default()
    }

    fn new(
        mut delivery: Delivery<In, Out>,
        apply: Apply<In, Out>,
        on_failure: Option<Box<dyn FnMut(&Rejected)>>,
        options: Options,
        clock: Clock,
        handle: Handle,
    ) -> Self {
        let name = delivery.source().name().into();
        let now = clock.elapsed();
        StreamProcessor {
            delivery,
            apply,
            on_failure,
            options,
            clock,
            handle,
            name,
            batch: Batch::default(),
            queue: VecDeque::new(),
            ended: false,
            failures: 0,
            failing: BTreeMap::new(),
            committed_at: now,
            logged_at: now,
        }
    }

    /// Sees and steers this processor from other threads. Take it before [`run`](Self::run).
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The books now.
    pub fn stats(&self) -> Stats {
        self.handle.stats()
    }

    /// Runs until the input ends, until it is stopped, or until it fails; returns the final books.
    /// Source and sink are closed either way.
    ///
    /// What was read before a failure of the source or too many failures in a row is still written
    /// and committed; after a failure of the sink nothing is.
    pub fn run(mut self) -> Result<Stats, Error> {
        let ran = self.read_all();
        if ran.is_ok() {
            self.settle_failing();
        }
        let finished = if let Err(Ended::Sink(_)) = &ran { Ok(()) } else { self.finish() };
        self.delivery.close();
        self.log_stats();
        match ran {
            Err(Ended::Sink(error) | Ended::Input(error)) => Err(error),
            Ok(()) => finished.map(|()| self.stats()),
        }
    }

    /// Takes one record through the function and into the sink, and commits it if that is
    /// automatic: for unit tests. Needs no thread, never waits, and does not look at the time.
    pub fn process_one(&mut self) -> Result<One, Error> {
        if self.queue.is_empty() {
            self.poll(1)?;
        }
        let one = match self.queue.pop_front() {
            Some(message) => self.apply(message)?,
            None if self.ended => One::Finished,
            None => One::Nothing,
        };
        self.delivery.advance()?;
        if self.delivery.auto_commits() {
            self.delivery.commit();
        }
        Ok(one)
    }

    /// Commits what has been delivered to the source, whether that is automatic or not. What a slow
    /// sink has not confirmed stays for the next time.
    pub fn commit(&mut self) -> Result<(), Error> {
        self.delivery.advance()?;
        self.delivery.commit();
        Ok(())
    }

    /// Asks the source for records. Whether there may be more at once.
    fn poll(&mut self, limit: usize) -> Result<bool, Error> {
        if self.ended {
            return Ok(false);
        }
        let polled = self.delivery.source().consume(limit, &mut self.batch);
        let messages = self.batch.take_messages();
        self.batch.take_events();
        let count = messages.len() as u64;
        self.handle.count(|stats| {
            stats.consumed += count;
            stats.in_flight += count;
        });
        self.queue.extend(messages);
        let poll = polled?;
        self.ended = matches!(poll, Poll::Finished | Poll::None);
        Ok(poll == Poll::Ready)
    }

    /// One record through the function.
    fn apply(&mut self, message: Message<In>) -> Result<One, Error> {
        let Message { partition, next, record, .. } = message;
        let rejected = match record.and_then(&mut self.apply) {
            Ok(row) => {
                let skipped = row.is_none();
                self.delivery.rows.extend(row);
                self.settle_failing();
                self.failures = 0;
                self.delivery.reach(partition, next);
                self.handle.count(|stats| {
                    stats.in_flight -= 1;
                    *(if skipped { &mut stats.skipped } else { &mut stats.processed }) += 1;
                });
                return Ok(if skipped { One::Skipped } else { One::Processed });
            }
            Err(reject) => Rejected { source: self.name.clone(), partition, next, reject },
        };
        let class = rejected.reject.class.to_string();
        self.handle.count(|stats| {
            stats.in_flight -= 1;
            *stats.failed.entry(class).or_default() += 1;
        });
        match &mut self.on_failure {
            Some(call) => call(&rejected),
            None => {
                let Reject { class, message, .. } = &rejected.reject;
                tracing::warn!(source = &*self.name, partition, next, %class, message, "a record failed");
            }
        }
        self.failures += 1;
        match self.options.max_failures {
            None => self.delivery.reach(partition, next),
            Some(limit) if self.failures < limit.max(1) => {
                self.failing.insert(partition, next);
            }
            Some(_) => {
                self.failing.clear();
                return Err(self.too_many_failures(&rejected));
            }
        }
        Ok(One::Failed(rejected))
    }

    /// Failures that did not reach the limit are done with, as any other record is.
    fn settle_failing(&mut self) {
        for (partition, next) in std::mem::take(&mut self.failing) {
            self.delivery.reach(partition, next);
        }
    }

    fn too_many_failures(&self, last: &Rejected) -> Error {
        let Rejected { source, partition, next, reject } = last;
        let Reject { class, message, .. } = reject;
        let text = format!(
            "source `{source}`: {} records in a row failed; the last, in partition {partition} \
             before offset {next}: {message} ({class})",
            self.failures
        );
        Error::new(Kind::Data, text).hint("raise or remove `max_failures` to go on")
    }

    /// Reads and processes until there is a reason to end.
    fn read_all(&mut self) -> Result<(), Ended> {
        while !self.ended && !self.handle.stopping() {
            let polled = self.poll(self.options.batch);
            let read = !self.queue.is_empty();
            while let Some(message) = self.queue.pop_front() {
                self.apply(message).map_err(Ended::Input)?;
            }
            let more = polled.map_err(Ended::Input)?;
            let mut durable = self.delivery.advance().map_err(Ended::Sink)?;
            while self.delivery.is_full() && !self.handle.stopping() {
                self.handle.wait(RETRY);
                durable = self.delivery.advance().map_err(Ended::Sink)?;
            }
            self.commit_when_due();
            self.log_when_due();
            if !more && !read && !self.ended {
                self.handle.wait(if durable { LONGEST_WAIT } else { RETRY });
            }
        }
        Ok(())
    }

    /// What was read leaves through the sink, and the source hears of it.
    fn finish(&mut self) -> Result<(), Error> {
        let since = self.clock.elapsed();
        while !self.delivery.advance()? {
            if self.passed(since) > self.options.grace {
                let message = format!(
                    "source `{}`: the sink has not confirmed everything within {:?}",
                    self.name, self.options.grace
                );
                return Err(Error::new(Kind::Unreachable, message)
                    .hint("what is not confirmed is not committed and comes again"));
            }
            self.handle.wait(RETRY);
        }
        if self.delivery.auto_commits() || self.handle.takes_commit() {
            self.delivery.commit();
        }
        let since = self.clock.elapsed();
        let patience = LAST_ANSWERS.min(self.options.grace);
        while self.delivery.unanswered() > 0 && self.passed(since) <= patience {
            self.handle.wait(RETRY);
        }
        self.delivery.give_up_on_answers();
        Ok(())
    }

    fn passed(&self, since: Duration) -> Duration {
        self.clock.elapsed().saturating_sub(since)
    }

    fn commit_when_due(&mut self) {
        self.delivery.unanswered();
        let now = self.clock.elapsed();
        let due = now.saturating_sub(self.committed_at) >= self.options.commit_every;
        if self.handle.takes_commit() || (self.delivery.auto_commits() && due) {
            self.delivery.commit();
            self.committed_at = now;
        }
    }

    fn log_when_due(&mut self) {
        let now = self.clock.elapsed();
        let passed = now.saturating_sub(self.logged_at);
        if self.options.stats_every.is_some_and(|interval| passed >= interval) {
            self.log_stats();
            self.logged_at = now;
        }
    }

    fn log_stats(&self) {
        if self.options.stats_every.is_some() {
            tracing::info!(source = &*self.name, "{}", self.stats());
        }
    }
}

/// Why it reads no more.
enum Ended {
    /// The source failed, or too many records in a row: what came before is still good.
    Input(Error),
    /// The sink failed: nothing more can be delivered.
    Sink(Error),
}
