//! One instance of a source: what it has read, how its partitions stand, what may be committed.
//!
//! Plain state, no timely: the driver feeds it with time and sends what it hands over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tiderace_operators::observe::Counters;
use tiderace_operators::time::{EventTime, Timed};
use tiderace_operators::watermark::{Mark, PartitionState, SourceClock, SourceId};

use super::{
    Answers, Batch, IntoTime, Message, NoTime, OnFuture, OnMissing, Partition, PartitionEvent,
    Poll, Positions, Reject, Source, Times,
};
use crate::error::{Error, Kind};
use crate::observe::{PartitionReport, SourceReport};

/// The most time a silent partition is credited for between two looks: a worker that was busy
/// elsewhere must not make a partition look idle.
const MOST_SILENCE: Duration = Duration::from_millis(200);

/// A record that could not be used, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// The source.
    pub source: Arc<str>,
    /// Its partition.
    pub partition: Partition,
    /// The offset after it.
    pub next: u64,
    /// Why.
    pub reject: Reject,
}

/// What the driver wants to know about a source beside its records.
#[derive(Clone, Debug)]
pub struct SourceOptions {
    /// After this many rejects in a row the run ends with an error. `None`: never.
    pub max_failures: Option<u64>,
    /// Whether positions are committed to the source once what they led to is delivered.
    pub auto_commit: bool,
    /// How often they are committed.
    pub commit_every: Duration,
    /// How many records are asked for in one go, at most.
    pub max_poll_records: usize,
}

impl Default for SourceOptions {
    fn default() -> Self {
        let commit_every = Duration::from_secs(1);
        SourceOptions {
            max_failures: None,
            auto_commit: true,
            commit_every,
            max_poll_records: 8_192,
        }
    }
}

/// What is remembered about a partition beside its event time.
#[derive(Debug, Default)]
struct Progress {
    position: u64,
    committed: Option<u64>,
    lag: Option<u64>,
    caught_up: bool,
    silent: Duration,
    /// The event time of the record before.
    previous: Option<EventTime>,
    /// Its position has moved since it was last asked for.
    moved: bool,
}

/// What one look at the source has brought.
pub(crate) struct Looked {
    pub(crate) poll: Poll,
    pub(crate) bytes: usize,
}

/// One instance of a source.
pub(crate) struct Instance<S: Source, F> {
    pub(crate) source: S,
    name: Arc<str>,
    worker: usize,
    times: Times<S::Record, F>,
    options: SourceOptions,
    batch: Batch<S::Record>,
    clock: SourceClock,
    progress: BTreeMap<Partition, Progress>,
    counters: Arc<Counters>,
    failures_in_a_row: u64,
    looked_at: Option<Duration>,
    /// Positions that were given to the source to commit and are not answered.
    unanswered: u64,
    report: SourceReport,
}

impl<S, F, T> Instance<S, F>
where
    S: Source,
    T: IntoTime,
    F: Fn(&S::Record) -> T,
{
    pub(crate) fn new(
        source: S,
        id: SourceId,
        worker: usize,
        times: Times<S::Record, F>,
        options: SourceOptions,
        counters: Arc<Counters>,
    ) -> Self {
        let report = SourceReport {
            source: source.name().to_owned(),
            worker,
            idle_after_ms: times.idle_after.map(|d| d.as_millis() as u64),
            ..SourceReport::default()
        };
        Instance {
            name: source.name().into(),
            worker,
            clock: SourceClock::new(id, worker, times.policy, times.guard),
            source,
            times,
            options,
            batch: Batch::default(),
            progress: BTreeMap::new(),
            counters,
            failures_in_a_row: 0,
            looked_at: None,
            unanswered: 0,
            report,
        }
    }

    /// Asks the source for records, judges them, and adds them to the two vectors.
    pub(crate) fn look(
        &mut self,
        limit: usize,
        now: Duration,
        wall: EventTime,
        rows: &mut Vec<Timed<S::Record>>,
        rejects: &mut Vec<Timed<Rejected>>,
    ) -> Result<Looked, Error> {
        let mut batch = std::mem::take(&mut self.batch);
        let poll = self.source.consume(limit, &mut batch);
        let bytes = self.take(&mut batch, wall, rows, rejects);
        self.batch = batch;
        let (poll, bytes) = (poll?, bytes?);
        self.rest(now);
        self.looked_at = Some(now);
        if matches!(poll, Poll::Finished | Poll::None) {
            self.clock.finish_all();
        }
        Ok(Looked { poll, bytes })
    }

    /// Goes through a batch: messages and partition events in the order they were put in.
    fn take(
        &mut self,
        batch: &mut Batch<S::Record>,
        wall: EventTime,
        rows: &mut Vec<Timed<S::Record>>,
        rejects: &mut Vec<Timed<Rejected>>,
    ) -> Result<usize, Error> {
        let (count, first_row, first_reject) =
            (batch.messages.len() as u64, rows.len(), rejects.len());
        let mut bytes = 0;
        let mut events = batch.events.drain(..).peekable();
        let mut messages = batch.messages.drain(..).enumerate().peekable();
        let guard_needs_wall = self.times.guard.max_future_skew.is_some();
        let now = guard_needs_wall.then_some(wall);
        let mut implausible = 0;
        // Where in the rejects the run of failures became too long, though it may have ended since.
        let most = self.options.max_failures.map_or(u64::MAX, |limit| limit.max(1));
        let mut too_many = None;
        loop {
            let at = messages.peek().map_or(usize::MAX, |(at, _)| *at);
            while let Some(&(before, partition, event)) = events.peek()
                && before <= at
            {
                events.next();
                tell(&mut self.clock, &mut self.progress, partition, event);
            }
            let Some((_, first)) = messages.next() else { break };
            let partition = first.partition;
            let until = events.peek().map_or(usize::MAX, |&(before, ..)| before);
            let rules = self.clock.rules();
            let clock = self.clock.partition(partition);
            let progress = self.progress.entry(partition).or_default();
            (progress.caught_up, progress.silent, progress.moved) = (false, Duration::ZERO, true);
            let mut message = first;
            loop {
                let Message { next, timestamp, bytes: size, record, .. } = message;
                bytes += size as usize;
                progress.position = next;
                let judged = record.and_then(|record| {
                    let time = time_of(&self.times, &record, wall, progress.previous).map_err(
                        |NoTime { class, message }| refuse(&self.times, &record, class, &message),
                    )?;
                    let announces = self.times.announces.as_ref().is_some_and(|says| says(&record));
                    let seen = clock.observe(rules, time, announces, now);
                    if seen.implausible {
                        implausible += 1;
                        if self.times.on_future == OnFuture::Reject {
                            let message = format!("the event time {time} is too far ahead");
                            return Err(refuse(&self.times, &record, "future-time", &message));
                        }
                    }
                    progress.previous = Some(time);
                    Ok(Timed { time, behind: seen.behind, data: record })
                });
                match judged {
                    Ok(row) => {
                        self.failures_in_a_row = 0;
                        rows.push(row);
                    }
                    Err(reject) => {
                        self.failures_in_a_row += 1;
                        *self.report.failed.entry(reject.class.to_string()).or_default() += 1;
                        let source = self.name.clone();
                        let time = timestamp.unwrap_or(EventTime::MIN);
                        let rejected = Rejected { source, partition, next, reject };
                        if self.failures_in_a_row >= most {
                            too_many.get_or_insert((self.failures_in_a_row, rejects.len()));
                        }
                        rejects.push(Timed::on_time(time, rejected));
                    }
                }
                let same = messages.next_if(|(at, m)| m.partition == partition && *at < until);
                match same {
                    Some((_, next)) => message = next,
                    None => break,
                }
            }
        }
        drop((events, messages));
        let rejected = (rejects.len() - first_reject) as u64;
        let kept = (rows.len() - first_row) as u64;
        self.counters.input.add(count);
        self.counters.rejected.add(rejected);
        self.counters.kept.add(kept);
        self.counters.output.add(kept);
        self.counters.implausible.add(implausible);
        match too_many {
            Some((n, at)) => Err(self.too_many_failures(n, rejects.get(at).map(|row| &row.data))),
            None => Ok(bytes),
        }
    }

    fn too_many_failures(&self, n: u64, last: Option<&Rejected>) -> Error {
        let name = &self.name;
        let mut message = format!("source `{name}`: {n} records in a row could not be used");
        if let Some(Rejected { partition, next, reject, .. }) = last {
            let Reject { class, message: why, .. } = reject;
            message += &format!(
                "; the last, in partition {partition} before offset {next}: {why} ({class})"
            );
        }
        Error::new(Kind::Data, message).hint(
            "raise or remove `max_failures` to go on; rejected records have a stream of their own",
        )
    }

    /// Partitions at the end of their log, from which this look brought nothing, grow idle.
    fn rest(&mut self, now: Duration) {
        let since = self.looked_at.map_or(Duration::ZERO, |at| now.saturating_sub(at));
        for (&partition, progress) in &mut self.progress {
            if progress.caught_up {
                progress.silent += since.min(MOST_SILENCE);
                if self.times.idle_after.is_some_and(|limit| progress.silent >= limit) {
                    self.clock.idle(partition);
                }
            }
        }
    }

    /// The mark for the end of a tick, if there is something to say.
    pub(crate) fn mark(&mut self, wall: EventTime, always: bool) -> Option<Mark> {
        self.counters.frontier.set(self.clock.standing().1);
        self.clock.mark(wall.micros(), always)
    }

    /// The positions that have moved since this was last called.
    pub(crate) fn moved(&mut self) -> Positions {
        let moved = self.progress.iter_mut().filter(|(_, progress)| progress.moved);
        moved
            .map(|(&partition, progress)| {
                progress.moved = false;
                (partition, progress.position)
            })
            .collect()
    }

    /// What these positions led to is delivered: tells the source.
    pub(crate) fn commit(&mut self, positions: &[(Partition, u64)]) {
        let asked = positions.len() as u64;
        match self.source.commit(positions) {
            Ok(()) => match self.source.answers() {
                Some(answers) => {
                    self.unanswered += asked;
                    self.answered(answers);
                }
                None => self.committed(positions),
            },
            Err(error) => {
                self.report.commit_failures += asked;
                tracing::warn!(source = %self.name, %error, "positions were not committed");
            }
        }
    }

    /// How many positions were given to the source to commit and are not answered; asks it.
    pub(crate) fn unanswered(&mut self) -> u64 {
        if self.unanswered > 0
            && let Some(answers) = self.source.answers()
        {
            self.answered(answers);
        }
        self.unanswered
    }

    fn answered(&mut self, answers: Answers) {
        let count = answers.committed.len() as u64 + answers.failed;
        self.unanswered = self.unanswered.saturating_sub(count);
        self.report.commit_failures += answers.failed;
        self.committed(&answers.committed);
    }

    fn committed(&mut self, positions: &[(Partition, u64)]) {
        self.report.committed += positions.len() as u64;
        for (partition, position) in positions {
            if let Some(progress) = self.progress.get_mut(partition) {
                progress.committed = Some(*position);
            }
        }
    }

    /// What is known about this instance now.
    pub(crate) fn report(&mut self, waiting_for_sink: bool) -> SourceReport {
        let mut report = self.report.clone();
        report.worker = self.worker;
        report.waiting_for_sink = waiting_for_sink;
        let clocks: BTreeMap<_, _> = self.clock.partitions().collect();
        let described = self.progress.iter().map(|(&partition, progress)| {
            let clock = clocks.get(&partition);
            let state = clock.map_or(PartitionState::Unknown, |clock| clock.state);
            let frontier = clock.map(|clock| clock.frontier).filter(|f| *f != EventTime::MIN);
            PartitionReport {
                partition,
                position: progress.position,
                committed: progress.committed,
                state: format!("{state:?}").to_lowercase(),
                frontier: frontier.map(EventTime::micros),
                lag: progress.lag,
                silent_ms: progress.silent.as_millis() as u64,
                caught_up: progress.caught_up,
            }
        });
        report.partitions = described.collect();
        report
    }
}

/// The reject of a record whose event time is no use.
#[cold]
fn refuse<D, F>(times: &Times<D, F>, record: &D, class: &'static str, message: &str) -> Reject {
    let payload = times.payload.as_ref().map_or_else(Vec::new, |of| of(record));
    Reject::new(class, message, &payload)
}

/// The event time of a record under the policy for records without one.
#[inline]
fn time_of<D, T: IntoTime, F: Fn(&D) -> T>(
    times: &Times<D, F>,
    record: &D,
    wall: EventTime,
    previous: Option<EventTime>,
) -> Result<EventTime, NoTime> {
    (times.of)(record).into_time().or_else(|why| match times.on_missing {
        OnMissing::Reject => Err(why),
        OnMissing::Ingestion => Ok(wall),
        OnMissing::Previous => previous.ok_or(why),
    })
}

/// Something about a partition has become known.
fn tell(
    clock: &mut SourceClock,
    progress: &mut BTreeMap<Partition, Progress>,
    partition: Partition,
    event: PartitionEvent,
) {
    let entry = progress.entry(partition).or_default();
    match event {
        PartitionEvent::Assigned(offset) => {
            entry.position = offset;
            clock.assign(partition);
        }
        PartitionEvent::CaughtUp => {
            if !std::mem::replace(&mut entry.caught_up, true) {
                entry.silent = Duration::ZERO;
            }
            entry.lag = Some(0);
            clock.caught_up(partition);
        }
        PartitionEvent::Unconfirmed => {
            entry.caught_up = false;
            entry.silent = Duration::ZERO;
            clock.unconfirmed(partition);
        }
        PartitionEvent::Finished => {
            // All that was to be read has been.
            entry.lag = Some(0);
            clock.finish(partition);
        }
        PartitionEvent::Lag(lag) => entry.lag = Some(lag),
    }
}
