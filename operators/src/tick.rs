//! The one place with frontier logic: drain, stash, close, release.
//!
//! *When both the rows and the marks of tick e are complete, the operator's frontier f(e) is known;
//! what is due by f(e) is sent at e, and e is released.* Rows of later ticks that have already come
//! wait in whole containers. After e the operator goes on at the least tick that has rows or marks
//! waiting, or else at its input's frontier; it never counts ticks itself.
//!
//! An event-time operator is a [`TickLogic`]: plain state with two methods, testable without timely.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{ParallelizationContract, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

use crate::events::{Data, Events, Tick};
use crate::observe::Counters;
use crate::time::{EventTime, Timed};
use crate::watermark::Mark;

/// How many rows an operator handles before it lets others run.
const FUEL: usize = 1 << 16;

/// The state of an event-time operator and what it does with a tick.
pub trait TickLogic<D>: 'static {
    /// What it sends.
    type Out: Data;
    /// What it sets aside: late rows, duplicates.
    type Side: Data;

    /// Takes rows of the current tick, in whatever order they come. `before` is the frontier as of
    /// the end of the previous tick. The result of the whole tick may depend on the multiset of its
    /// rows only. Leaves `rows` empty, and counts what becomes of each: kept, filtered, late,
    /// duplicate or rejected. `out` is empty at the call.
    fn apply(
        &mut self,
        before: EventTime,
        rows: &mut Vec<Timed<D>>,
        out: &mut Emit<Self::Out, Self::Side>,
    );

    /// The tick is complete and the frontier is now `frontier`: sends what is due. It takes from
    /// `fuel` what it handles and returns whether it is done; if not it is called again.
    fn close(
        &mut self,
        before: EventTime,
        frontier: EventTime,
        fuel: &mut Fuel,
        out: &mut Emit<Self::Out, Self::Side>,
    ) -> bool;
}

/// What an operator sends at the current tick.
#[derive(Debug)]
pub struct Emit<O, S> {
    /// Results.
    pub rows: Vec<Timed<O>>,
    /// Rows set aside.
    pub side: Vec<Timed<S>>,
}

impl<O, S> Default for Emit<O, S> {
    fn default() -> Self {
        Emit { rows: Vec::new(), side: Vec::new() }
    }
}

/// How much work is left in this turn.
#[derive(Debug)]
pub struct Fuel(usize);

impl Fuel {
    /// So many rows.
    pub fn new(rows: usize) -> Self {
        Fuel(rows)
    }

    /// How many rows may still be handled in this turn.
    pub fn left(&self) -> usize {
        self.0
    }

    /// So many rows were handled.
    pub fn burn(&mut self, rows: usize) {
        self.0 = self.0.saturating_sub(rows);
    }
}

/// Rows and marks that have come, by tick.
struct Waiting<T, D> {
    rows: BTreeMap<T, VecDeque<Vec<Timed<D>>>>,
    marks: BTreeMap<T, Vec<Mark>>,
}

impl<T: Tick, D> Waiting<T, D> {
    /// The least tick that has anything waiting.
    fn least(&self) -> Option<T> {
        let rows = self.rows.keys().next();
        let marks = self.marks.keys().next();
        rows.into_iter().chain(marks).min().cloned()
    }
}

/// Whether everything of a tick has come.
fn complete<T: Tick>(frontier: &MutableAntichain<T>, tick: &T) -> bool {
    !frontier.less_equal(tick)
}

/// An operator that completes ticks: its results, and the rows it sets aside.
pub fn tick_operator<'scope, T, D, P, L>(
    name: &str,
    events: &Events<'scope, T, D>,
    pact: P,
    logic: L,
    counters: Arc<Counters>,
) -> (StreamVec<'scope, T, Timed<L::Out>>, StreamVec<'scope, T, Timed<L::Side>>)
where
    T: Tick,
    D: Data,
    P: ParallelizationContract<T, Vec<Timed<D>>>,
    L: TickLogic<D>,
{
    let (rows, clock) = events.parts();
    let scope = rows.scope();
    let mut builder = OperatorBuilder::new(name.to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let mut rows_in = builder.new_input(rows, pact);
    let mut marks_in = builder.new_input(clock.marks(scope), Pipeline);
    let (out, out_stream) = builder.new_output::<Vec<Timed<L::Out>>>();
    let (side, side_stream) = builder.new_output::<Vec<Timed<L::Side>>>();
    let mut out = OutputBuilder::<_, CapacityContainerBuilder<Vec<_>>>::from(out);
    let mut side = OutputBuilder::<_, CapacityContainerBuilder<Vec<_>>>::from(side);
    let mut table = clock.watermarks(scope.peers());

    builder.build(move |mut caps| {
        let side_cap = caps.pop().expect("there are two outputs");
        let out_cap = caps.pop().expect("there are two outputs");
        // What the operator may still send: its current tick, until the input has ended.
        let mut caps: Option<(Capability<T>, Capability<T>)> = Some((out_cap, side_cap));
        let mut waiting = Waiting { rows: BTreeMap::new(), marks: BTreeMap::new() };
        let mut logic = logic;
        let mut emit = Emit::default();
        // f of the last tick that was completed, and of the one that is being completed.
        let mut before = EventTime::MIN;
        let mut closing: Option<EventTime> = None;

        move |frontiers| {
            let Some((out_cap, side_cap)) = caps.as_mut() else {
                rows_in.for_each(|_, rows| debug_assert!(rows.is_empty()));
                marks_in.for_each(|_, _| ());
                return;
            };
            let mut fuel = Fuel::new(FUEL);
            let mut out = out.activate();
            let mut side = side.activate();
            macro_rules! flush {
                () => {
                    counters.output.add(emit.rows.len() as u64);
                    if !emit.rows.is_empty() {
                        out.session(&*out_cap).give_container(&mut emit.rows);
                        emit.rows.clear();
                    }
                    if !emit.side.is_empty() {
                        side.session(&*side_cap).give_container(&mut emit.side);
                        emit.side.clear();
                    }
                };
            }
            macro_rules! apply {
                ($rows:expr) => {
                    debug_assert!(
                        table.excluded()
                            || $rows.iter().all(|row| !row.behind.is_zero() || row.time >= before),
                        "a row on time is behind the frontier: a source or an operator upstream \
                         broke its promise"
                    );
                    fuel.burn($rows.len());
                    counters.input.add($rows.len() as u64);
                    logic.apply(before, $rows, &mut emit);
                    flush!();
                };
            }
            marks_in.for_each(|tick, marks| {
                waiting.marks.entry(tick.time().clone()).or_default().append(marks);
            });
            rows_in.for_each(|tick, rows| {
                let now = tick.time() == out_cap.time() && fuel.left() > 0;
                if now && !waiting.rows.contains_key(tick.time()) {
                    apply!(rows);
                } else {
                    let tick = tick.time().clone();
                    waiting.rows.entry(tick).or_default().push_back(std::mem::take(rows));
                }
            });
            loop {
                let current = out_cap.time().clone();
                if let Some(containers) = waiting.rows.get_mut(&current) {
                    while fuel.left() > 0
                        && let Some(mut rows) = containers.pop_front()
                    {
                        apply!(&mut rows);
                    }
                    if !containers.is_empty() {
                        activator.activate();
                        return;
                    }
                    waiting.rows.remove(&current);
                }
                if !complete(&frontiers[0], &current) || !complete(&frontiers[1], &current) {
                    return;
                }
                let frontier = *closing.get_or_insert_with(|| {
                    for mark in waiting.marks.remove(&current).unwrap_or_default() {
                        table.apply(mark);
                    }
                    table.advance()
                });
                let done = logic.close(before, frontier, &mut fuel, &mut emit);
                flush!();
                if !done {
                    activator.activate();
                    return;
                }
                before = frontier;
                closing = None;
                debug_assert!(counters.counts().balanced(), "a row left by no counted door");
                counters.frontier.set(frontier);
                let inputs = frontiers.iter().filter_map(|f| f.frontier().first().cloned());
                let Some(next) = waiting.least().into_iter().chain(inputs).min() else {
                    break;
                };
                out_cap.downgrade(&next);
                side_cap.downgrade(&next);
            }
            drop((out, side));
            caps = None;
        }
    });
    (out_stream, side_stream)
}
