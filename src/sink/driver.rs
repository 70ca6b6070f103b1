//! Drives one instance of a sink on every worker: write, stage at the end of a tick, commit.
//!
//! Rows of a tick are written as they come; rows of later ticks wait. When the tick is complete the
//! sink stages what it has, and the tick counts as delivered once that is committed. Sources see
//! this as the frontier of the sink's acknowledgements: it bounds how far they run ahead, and it
//! decides which positions they may commit.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tiderace_operators::events::{Data, Events};
use tiderace_operators::time::Timed;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::{Commit, Sink, SinkContext, Staged, Write};
use crate::error::Error;
use crate::flow::Flow;

/// How long a sink that is full or has commits pending waits before it is asked again.
const RETRY: Duration = Duration::from_millis(1);

impl<'scope> Flow<'scope> {
    /// Writes an event stream to a sink on every worker, without the envelope of the rows. The
    /// factory makes this worker's instance.
    pub fn sink<S: Sink<Record: Data>>(
        &self,
        name: &str,
        events: &Events<'scope, u64, S::Record>,
        make: impl FnOnce(SinkContext) -> Result<S, Error>,
    ) {
        let bare = |row: Timed<S::Record>| row.data;
        self.sink_with(name, events.parts().0, bare, make);
    }

    /// Writes rows of any stream to a sink on every worker, each through a function.
    pub fn sink_with<D: Data, S: Sink<Record: Data>>(
        &self,
        name: &str,
        rows: StreamVec<'scope, u64, D>,
        to_record: impl Fn(D) -> S::Record + 'static,
        make: impl FnOnce(SinkContext) -> Result<S, Error>,
    ) {
        self.claim(name);
        let (scope, shared) = (self.scope(), self.shared().clone());
        let mut builder = OperatorBuilder::new(name.to_owned(), scope);
        let activator = scope.activator_for(builder.operator_info().address);
        let mut input = builder.new_input(rows, Pipeline);
        let (confirmed, confirmations) = builder.new_output::<Vec<()>>();
        let mut confirmed = OutputBuilder::<_, CapacityContainerBuilder<Vec<()>>>::from(confirmed);
        let counters = shared.observer.register(name, "sink", scope.index());
        let instance = make(SinkContext { worker: scope.index(), peers: scope.peers() })
            .map_err(|error| shared.host.fail(error))
            .ok();

        builder.build_reschedule(move |mut caps| {
            let mut sink = instance;
            let mut state = State {
                // The tick whose rows are being written, until the input has ended.
                current: caps.pop(),
                waiting: BTreeMap::new(),
                writing: Vec::new(),
                written: 0,
                staged: VecDeque::new(),
            };
            move |frontiers| {
                // The acknowledgements are a frontier; no row is ever sent.
                drop(confirmed.activate());
                input.for_each(|tick, rows| {
                    counters.input.add(rows.len() as u64);
                    let waiting = state.waiting.entry(*tick.time()).or_insert_with(VecDeque::new);
                    waiting.push_back(rows.drain(..).map(&to_record).collect());
                });
                let Some(this) = sink.as_mut() else { return false };
                let end = frontiers[0].frontier().first().copied();
                match state.step(this, end) {
                    Ok(Step { rows, again }) => {
                        counters.kept.add(rows);
                        counters.output.add(rows);
                        if again {
                            activator.activate_after(RETRY);
                        }
                    }
                    Err(error) => {
                        // The capabilities stay: nothing after this point counts as delivered.
                        shared.host.fail(error);
                        this.close();
                        sink = None;
                        return false;
                    }
                }
                if state.current.is_none() && state.staged.is_empty() {
                    this.close();
                    sink = None;
                }
                sink.is_some()
            }
        });
        self.watch(confirmations);
    }
}

/// What is between the input and what the sink has confirmed.
struct State<R> {
    current: Option<Capability<u64>>,
    /// Rows that have come and are not written, by tick.
    waiting: BTreeMap<u64, VecDeque<Vec<R>>>,
    /// Rows of the current tick that the sink did not take yet.
    writing: Vec<R>,
    /// How many rows of the current tick the sink has taken.
    written: u64,
    /// What was staged and is not committed, oldest first, each with its tick held.
    staged: VecDeque<(Capability<u64>, Staged)>,
}

/// What one turn has done.
struct Step {
    rows: u64,
    again: bool,
}

impl<R> State<R> {
    /// Writes, stages and commits as far as the sink goes along.
    fn step<S: Sink<Record = R>>(&mut self, sink: &mut S, end: Option<u64>) -> Result<Step, Error> {
        let mut step = Step { rows: 0, again: false };
        while let Some(tick) = self.current.as_ref().map(|cap| *cap.time()) {
            if !self.write(sink, tick, &mut step)? {
                step.again = true;
                break;
            }
            if end.is_some_and(|end| end <= tick) {
                break;
            }
            let cap = self.current.as_mut().expect("looked at above");
            if self.written > 0 {
                self.staged.push_back((cap.clone(), sink.stage(tick)?));
                self.written = 0;
            }
            match self.waiting.keys().next().copied().into_iter().chain(end).min() {
                Some(next) => cap.downgrade(&next),
                None => self.current = None,
            }
        }
        while let Some((_, staged)) = self.staged.front() {
            if sink.commit(staged)? == Commit::Pending {
                step.again = true;
                break;
            }
            self.staged.pop_front();
        }
        Ok(step)
    }

    /// Writes the rows of a tick that have come; whether the sink took them all.
    fn write<S: Sink<Record = R>>(
        &mut self,
        sink: &mut S,
        tick: u64,
        step: &mut Step,
    ) -> Result<bool, Error> {
        loop {
            if self.writing.is_empty() {
                let next = self.waiting.get_mut(&tick).and_then(VecDeque::pop_front);
                let Some(rows) = next else { break };
                self.writing = rows;
            }
            let before = self.writing.len();
            let write = sink.write(tick, &mut self.writing)?;
            let taken = (before - self.writing.len()) as u64;
            self.written += taken;
            step.rows += taken;
            if write == Write::Full {
                return Ok(false);
            }
            debug_assert!(self.writing.is_empty(), "the sink said that it took all rows");
        }
        self.waiting.remove(&tick);
        Ok(true)
    }
}
