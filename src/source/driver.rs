//! Drives one instance of a source on every worker: ticks, marks, flow control, commits.
//!
//! A source ends its tick when the interval is over, when a quarter of what may be in flight has been
//! read, or when another source has gone further. At the end of a tick it broadcasts how far its
//! event time has come. It waits while too much is in flight; that depends on ticks alone, never on
//! event time. Positions are committed once every sink has confirmed the tick that read them.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use tiderace_operators::events::{Clock as EventClock, Data, Events, SourceMarks};
use tiderace_operators::time::{Span, Timed};
use tiderace_operators::watermark::{Mark, SourceId};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::generic::{Operator, OutputBuilder};
use timely::dataflow::operators::vec::Broadcast;
use timely::scheduling::Activator;

use super::instance::{Instance, Looked, Rejected, SourceOptions};
use super::{IntoTime, Offset, Partition, Poll, Positions, Source, SourceContext, Times, Waker};
use crate::error::Error;
use crate::flow::{Flow, Shared};

/// How long a silent source waits before it is asked again, at most.
const LONGEST_WAIT: Duration = Duration::from_millis(10);
/// The same for one whose waker is called when something comes.
const LONGEST_WAIT_FOR_WAKER: Duration = Duration::from_millis(50);
/// How long the answers to the last commits may take.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// How often a source reports to the board.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// The records of a source, and what could not be used.
pub struct SourceStream<'scope, D: 'static + Data> {
    /// The records with their event times.
    pub events: Events<'scope, u64, D>,
    /// What could not be decoded or has no usable event time.
    pub rejects: Events<'scope, u64, Rejected>,
}

impl<'scope> Flow<'scope> {
    /// Reads a source on every worker. The factory makes this worker's instance.
    pub fn source<S, F, T>(
        &self,
        name: &str,
        make: impl FnOnce(SourceContext) -> Result<S, Error>,
        times: Times<S::Record, F>,
    ) -> SourceStream<'scope, S::Record>
    where
        S: Source<Record: Data>,
        T: IntoTime,
        F: Fn(&S::Record) -> T + 'static,
    {
        self.source_with(name, SourceOptions::default(), make, times)
    }

    /// Reads a source on every worker, with options.
    pub fn source_with<S, F, T>(
        &self,
        name: &str,
        options: SourceOptions,
        make: impl FnOnce(SourceContext) -> Result<S, Error>,
        times: Times<S::Record, F>,
    ) -> SourceStream<'scope, S::Record>
    where
        S: Source<Record: Data>,
        T: IntoTime,
        F: Fn(&S::Record) -> T + 'static,
    {
        self.claim(name);
        let (scope, shared) = (self.scope(), self.shared().clone());
        let mut builder = OperatorBuilder::new(name.to_owned(), scope);
        let info = builder.operator_info();
        let activator = scope.activator_for(info.address.clone());
        let waker = {
            let activator = scope.worker().sync_activator_for(info.address.to_vec());
            Waker::new(move || {
                // An error means that the worker is gone, and with it the need to wake it.
                let _ = activator.activate();
            })
        };
        shared.sources.borrow_mut().push(scope.activator_for(info.address.clone()));
        shared.host.on_stop(waker.clone());
        let (rows, row_stream) = builder.new_output::<Vec<Timed<S::Record>>>();
        let (rejects, reject_stream) = builder.new_output::<Vec<Timed<Rejected>>>();
        let (marks, mark_stream) = builder.new_output::<Vec<Mark>>();
        let mut rows = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(rows);
        let mut rejects = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(rejects);
        let mut marks = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(marks);

        let id = SourceId(info.global_id as u64);
        let counters = shared.observer.register(name, "source", scope.index());
        let context = SourceContext { worker: scope.index(), peers: scope.peers(), waker };
        let instance = make(context)
            .map(|source| {
                Instance::new(source, id, scope.index(), times, options.clone(), counters)
            })
            .map_err(|error| shared.host.fail(error))
            .ok();
        let takes_commits = |it: &Instance<S, F>| it.source.commits();
        let auto_commit = options.auto_commit && instance.as_ref().is_some_and(takes_commits);
        let options = SourceOptions { auto_commit, ..options };
        let mut run = Run::new(shared.clone(), activator, options);

        builder.build_reschedule(move |mut caps| {
            let first = shared.reached.get().max(1);
            caps.iter_mut().for_each(|cap| cap.downgrade(&first));
            let mut caps = instance.is_some().then_some(caps);
            let mut instance = instance;
            let (mut row_buffer, mut reject_buffer) = (Vec::new(), Vec::new());
            move |_| {
                let Some(this) = instance.as_mut() else { return false };
                let now = run.shared.clock.elapsed();
                let wall = run.shared.clock.wall();
                if let Some(held) = caps.as_mut() {
                    let current = *held[0].time();
                    let look = run.may_read().then(|| {
                        this.look(run.batch(), now, wall, &mut row_buffer, &mut reject_buffer)
                    });
                    let look = match look.transpose() {
                        Ok(look) => look,
                        Err(error) => {
                            run.shared.host.fail(error);
                            this.source.close();
                            (caps, instance) = (None, None);
                            return false;
                        }
                    };
                    let longest =
                        if this.source.wakes() { LONGEST_WAIT_FOR_WAKER } else { LONGEST_WAIT };
                    run.read(row_buffer.len() + reject_buffer.len(), &look, now, longest);
                    send(&mut rows, &held[0], &mut row_buffer);
                    send(&mut rejects, &held[1], &mut reject_buffer);
                    let ends = |look: &Looked| matches!(look.poll, Poll::Finished | Poll::None);
                    let finished = look.as_ref().is_some_and(ends);
                    let last = finished || run.shared.host.stopping();
                    if run.ends_tick(current, now, last) {
                        let always = run.rows > 0 || finished;
                        let mark = this.mark(wall, always);
                        send(&mut marks, &held[2], &mut mark.into_iter().collect());
                        let next = run.end_tick(current, this.moved());
                        held.iter_mut().for_each(|cap| cap.downgrade(&next));
                    } else if run.rows == 0
                        && let Some(mark) = this.mark(wall, false)
                    {
                        // Nothing was read, but a partition has become idle, or known as empty.
                        send(&mut marks, &held[2], &mut vec![mark]);
                        let next = run.end_tick(current, this.moved());
                        held.iter_mut().for_each(|cap| cap.downgrade(&next));
                    }
                    if last {
                        caps = None;
                    }
                }
                run.commit(this, now, caps.is_none());
                run.report(this, now, caps.is_none());
                let answered = run.answered(this, now, caps.is_none());
                let settled = run.settled() && answered;
                if caps.is_none() && (settled || run.shared.host.failed()) {
                    this.source.close();
                    run.report(this, now, true);
                    instance = None;
                    return false;
                }
                run.schedule(now, caps.is_none());
                true
            }
        });

        let marks = mark_stream.broadcast();
        watch_ticks(self, marks.clone());
        let done = self.shared().done.clone();
        let source = SourceMarks { id, marks, delay: Span::ZERO, done };
        let clock = EventClock::of_source(source, self.observer().clone());
        SourceStream {
            events: Events::from_parts(row_stream, clock.clone()),
            rejects: Events::from_parts(reject_stream, clock),
        }
    }
}

/// Sends a vector and leaves it empty.
fn send<D: Data>(
    output: &mut OutputBuilder<u64, CapacityContainerBuilder<Vec<D>>>,
    cap: &Capability<u64>,
    rows: &mut Vec<D>,
) {
    if !rows.is_empty() {
        output.activate().session(cap).give_container(rows);
        rows.clear();
    }
}

/// Tells the sources of this worker how far the others have gone.
fn watch_ticks<'scope>(flow: &Flow<'scope>, marks: timely::dataflow::StreamVec<'scope, u64, Mark>) {
    let shared = flow.shared().clone();
    marks.sink(Pipeline, "Ticks", move |(input, _)| {
        let mut reached = shared.reached.get();
        input.for_each(|tick, _| reached = reached.max(tick.time() + 1));
        if reached > shared.reached.get() {
            shared.reached.set(reached);
            shared.sources.borrow().iter().for_each(Activator::activate);
        }
    });
}

/// What the driver remembers between two turns, beside the instance itself.
struct Run {
    shared: Rc<Shared>,
    activator: Activator,
    options: SourceOptions,
    /// Rows, rejects included, and bytes that were read in the current tick, and since when.
    rows: usize,
    bytes: usize,
    since: Option<Duration>,
    /// Ticks that are not done yet, with their rows and bytes.
    in_flight: VecDeque<(u64, usize, usize)>,
    /// Positions that were reached in ticks that are not done yet.
    undelivered: VecDeque<(u64, Positions)>,
    /// Positions that may be committed.
    delivered: BTreeMap<Partition, Offset>,
    committed_at: Duration,
    reported_at: Option<Duration>,
    /// It waits for a sink.
    waiting: bool,
    ready: bool,
    wait: Duration,
    /// When the next timer of ours goes off.
    alarm: Option<Duration>,
}

impl Run {
    fn new(shared: Rc<Shared>, activator: Activator, options: SourceOptions) -> Self {
        let committed_at = shared.clock.elapsed();
        Run {
            shared,
            activator,
            options,
            rows: 0,
            bytes: 0,
            since: None,
            in_flight: VecDeque::new(),
            undelivered: VecDeque::new(),
            delivered: BTreeMap::new(),
            committed_at,
            reported_at: None,
            waiting: false,
            ready: true,
            wait: Duration::from_millis(1),
            alarm: None,
        }
    }

    /// The rows and bytes this source may have in flight.
    fn bounds(&self) -> (usize, usize) {
        let share = self.shared.local_workers * self.shared.sources.borrow().len().max(1);
        ((self.shared.pace.rows / share).max(4), (self.shared.pace.bytes / share).max(4))
    }

    /// Whether it may read on. If not, the current tick must end before it waits.
    fn may_read(&mut self) -> bool {
        while let Some(&(tick, ..)) = self.in_flight.front()
            && !self.shared.done.less_equal(&tick)
        {
            self.in_flight.pop_front();
        }
        let (most_rows, most_bytes) = self.bounds();
        let rows: usize = self.in_flight.iter().map(|&(_, rows, _)| rows).sum();
        let bytes: usize = self.in_flight.iter().map(|&(_, _, bytes)| bytes).sum();
        self.waiting = rows + self.rows >= most_rows || bytes + self.bytes >= most_bytes;
        !self.waiting && !self.shared.host.stopping()
    }

    /// How many records to ask for.
    fn batch(&self) -> usize {
        self.options.max_poll_records.min(self.bounds().0 / 4).max(1)
    }

    /// Takes note of what was read.
    fn read(&mut self, rows: usize, look: &Option<Looked>, now: Duration, longest: Duration) {
        self.rows += rows;
        self.bytes += look.as_ref().map_or(0, |look| look.bytes);
        if rows > 0 {
            self.since.get_or_insert(now);
            self.wait = Duration::from_millis(1);
        } else {
            self.wait = (self.wait * 2).min(longest);
        }
        self.ready = look.as_ref().is_some_and(|look| look.poll == Poll::Ready);
    }

    /// Whether the current tick ends now.
    fn ends_tick(&self, current: u64, now: Duration, last: bool) -> bool {
        let (most_rows, most_bytes) = self.bounds();
        let due = self.since.is_some_and(|since| now - since >= self.shared.pace.tick)
            || self.rows >= most_rows / 4
            || self.bytes >= most_bytes / 4
            || self.waiting;
        last || self.shared.reached.get() > current || (due && self.rows > 0)
    }

    /// Ends the current tick and returns the number of the next one.
    fn end_tick(&mut self, current: u64, moved: Positions) -> u64 {
        if self.rows > 0 {
            self.in_flight.push_back((current, self.rows, self.bytes));
        }
        if !moved.is_empty() {
            self.undelivered.push_back((current, moved));
        }
        (self.rows, self.bytes, self.since) = (0, 0, None);
        let next = self.shared.reached.get().max(current + 1);
        self.shared.reached.set(next);
        next
    }

    /// Commits what has been delivered, when it is time to.
    fn commit<S, F, T>(&mut self, instance: &mut Instance<S, F>, now: Duration, last: bool)
    where
        S: Source,
        T: IntoTime,
        F: Fn(&S::Record) -> T,
    {
        while let Some((tick, _)) = self.undelivered.front()
            && !self.shared.done.less_equal(tick)
            && !self.shared.host.failed()
        {
            let (_, positions) = self.undelivered.pop_front().expect("looked at above");
            self.delivered.extend(positions);
        }
        let due = last || now.saturating_sub(self.committed_at) >= self.options.commit_every;
        if self.options.auto_commit && due && !self.delivered.is_empty() {
            let positions: Positions = std::mem::take(&mut self.delivered).into_iter().collect();
            instance.commit(&positions);
            self.committed_at = now;
        }
    }

    /// Tells the board, when it is time to.
    fn report<S, F, T>(&mut self, instance: &mut Instance<S, F>, now: Duration, last: bool)
    where
        S: Source,
        T: IntoTime,
        F: Fn(&S::Record) -> T,
    {
        let due = self.reported_at.is_none_or(|at| now.saturating_sub(at) >= REPORT_EVERY);
        if due || last {
            self.shared.board.post(instance.report(self.waiting));
            self.reported_at = Some(now);
        }
    }

    /// Whether everything that was read has been delivered and committed.
    fn settled(&self) -> bool {
        self.undelivered.is_empty() && (self.delivered.is_empty() || !self.options.auto_commit)
    }

    /// Whether the source has answered every commit, or has been given long enough to.
    fn answered<S, F, T>(
        &mut self,
        instance: &mut Instance<S, F>,
        now: Duration,
        last: bool,
    ) -> bool
    where
        S: Source,
        T: IntoTime,
        F: Fn(&S::Record) -> T,
    {
        let open = instance.unanswered();
        let given_up = last && now.saturating_sub(self.committed_at) > LAST_ANSWERS;
        if open > 0 && given_up {
            tracing::warn!("{open} positions were not known to be committed when the run ended");
        }
        open == 0 || given_up
    }

    /// Sees to it that this operator runs again when there is something to do.
    fn schedule(&mut self, now: Duration, draining: bool) {
        if self.ready && !self.waiting && !draining {
            self.activator.activate();
            return;
        }
        let mut wait = self.wait;
        if draining || self.waiting {
            wait = Duration::from_micros(500);
        } else if let Some(since) = self.since {
            wait = wait.min((since + self.shared.pace.tick).saturating_sub(now));
        }
        let at = now + wait;
        if self.alarm.is_none_or(|alarm| alarm <= now || alarm > at) {
            self.activator.activate_after(wait);
            self.alarm = Some(at);
        }
    }
}
