//! The one place with frontier logic: drain, stash, close, release.
//!
//! *When both the rows and the marks of tick e are complete, the operator's frontier f(e) is known;
//! what is due by f(e) is sent at e, and e is released.* Rows of later ticks that have already come
//! wait in whole containers. After e the operator goes on at the least tick that has rows or marks
//! waiting, or else at its input's frontier; it never counts ticks itself.
//!
//! An event-time operator is a [`TickLogic`]: plain state with two methods, testable without timely.
//! At a cut, after e is done and before any row of a later tick is taken, its [`State`] is saved.

mod side;
mod timers;

pub use side::{InputFrontier, Side, Sides};
pub(crate) use timers::{Timer, Timers};

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{ParallelizationContract, Pipeline};
use timely::dataflow::operators::Concatenate;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

use crate::events::{Clock, Data, Events, Tick};
use crate::observe::Counters;
use crate::state::{Frame, State};
use crate::time::{EventTime, Timed};
use crate::watermark::{Mark, Watermarks};

/// How many rows an operator handles before it lets others run.
const FUEL: usize = 1 << 16;

/// The state of an event-time operator and what it does with a tick. `F` is its input's frontier.
pub trait TickLogic<D, F = EventTime>: State + 'static {
    /// What it sends.
    type Out: Data;
    /// What it sets aside: late rows, duplicates.
    type Side: Data;

    /// Takes rows of the current tick, in whatever order they come. `before` is the frontier as of
    /// the end of the previous tick. The result of the whole tick may depend on the multiset of its
    /// rows only. Leaves `rows` empty, and counts what becomes of each: kept, filtered, late,
    /// duplicate or rejected. `out` is empty at the call.
    fn apply(&mut self, before: F, rows: &mut Vec<Timed<D>>, out: &mut Emit<Self::Out, Self::Side>);

    /// The tick is complete: sends what is due. It takes from `fuel` what it handles and returns
    /// whether it is done; if not it is called again.
    fn close(
        &mut self,
        now: Now<F>,
        fuel: &mut Fuel,
        out: &mut Emit<Self::Out, Self::Side>,
    ) -> bool;
}

/// What is known of time at the end of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now<F = EventTime> {
    /// The event-time frontier as of the end of the previous tick.
    pub before: F,
    /// The event-time frontier as of the end of this tick.
    pub frontier: F,
    /// Processing time: the latest wall time that a source has put on a mark so far.
    pub wall: EventTime,
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

/// The input of an operator: rows, and what is known of event time on each of its sides.
struct Input<'scope, T: Tick, D: 'static> {
    rows: StreamVec<'scope, T, Timed<D>>,
    clocks: Vec<Clock<'scope, T>>,
}

/// The watermarks of each side of an operator's input.
struct Tables {
    sides: Vec<Watermarks>,
    wall: EventTime,
    cut: bool,
}

impl Tables {
    fn apply(&mut self, mark: Mark) {
        self.wall = self.wall.max(EventTime::from_micros(mark.made_at));
        self.cut |= mark.cut;
        self.sides.iter_mut().for_each(|side| side.apply(mark));
    }

    fn advance<D, F: InputFrontier<D>>(&mut self) -> F {
        self.each(Watermarks::advance)
    }

    fn each<D, F: InputFrontier<D>>(&mut self, f: impl FnMut(&mut Watermarks) -> EventTime) -> F {
        F::of_inputs(&self.sides.iter_mut().map(f).collect::<Vec<_>>())
    }
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
    operator(name, None, Input { rows, clocks: vec![clock] }, pact, logic, counters)
}

/// A tick operator that holds nothing between ticks, and so has nothing to be saved: the first part
/// of the one that is called `whole`, whose frontier it goes on from.
pub(crate) fn first_part<'scope, T, D, P, L>(
    whole: &str,
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
    let name = format!("{whole}: first part");
    operator(&name, Some(whole), Input { rows, clocks: vec![clock] }, pact, logic, counters)
}

/// An operator with two inputs that completes ticks: its results, and the rows it sets aside.
pub fn tick_operator_2<'scope, T, L, R, P, O>(
    name: &str,
    left: &Events<'scope, T, L>,
    right: &Events<'scope, T, R>,
    pact: P,
    logic: O,
    counters: Arc<Counters>,
) -> (StreamVec<'scope, T, Timed<O::Out>>, StreamVec<'scope, T, Timed<O::Side>>)
where
    T: Tick,
    L: Data,
    R: Data,
    P: ParallelizationContract<T, Vec<Timed<Side<L, R>>>>,
    O: TickLogic<Side<L, R>, Sides>,
{
    let (left, left_clock) = left.map(Side::Left).parts();
    let (right, right_clock) = right.map(Side::Right).parts();
    let rows = left.scope().concatenate([left, right]);
    let clocks = vec![left_clock, right_clock];
    operator(name, None, Input { rows, clocks }, pact, logic, counters)
}

fn operator<'scope, T, D, P, L, F>(
    name: &str,
    part_of: Option<&str>,
    input: Input<'scope, T, D>,
    pact: P,
    logic: L,
    counters: Arc<Counters>,
) -> (StreamVec<'scope, T, Timed<L::Out>>, StreamVec<'scope, T, Timed<L::Side>>)
where
    T: Tick,
    D: Data,
    P: ParallelizationContract<T, Vec<Timed<D>>>,
    F: InputFrontier<D>,
    L: TickLogic<D, F>,
{
    let Input { rows, clocks } = input;
    let scope = rows.scope();
    let mut logic = logic;
    let keeper = clocks[0].keeper().clone();
    let (mut saver, restored) = match part_of {
        Some(whole) => (None, keeper.frontiers(whole)),
        None => match keeper.open(name, &mut logic, scope.index(), scope.peers()) {
            Some((saver, frontiers)) => (Some(saver), frontiers),
            None => (None, Vec::new()),
        },
    };
    let mut builder = OperatorBuilder::new(name.to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let mut rows_in = builder.new_input(rows, pact);
    let marks = Clock::all_marks(&clocks, scope);
    let mut marks_in = builder.new_input(marks, Pipeline);
    let (out, out_stream) = builder.new_output::<Vec<Timed<L::Out>>>();
    let (side, side_stream) = builder.new_output::<Vec<Timed<L::Side>>>();
    let mut out = OutputBuilder::<_, CapacityContainerBuilder<Vec<_>>>::from(out);
    let mut side = OutputBuilder::<_, CapacityContainerBuilder<Vec<_>>>::from(side);
    let (saves, frames) = builder.new_output::<Vec<Frame>>();
    let mut saves = OutputBuilder::<_, CapacityContainerBuilder<Vec<_>>>::from(saves);
    let sides = clocks.iter().map(|clock| clock.watermarks(scope.peers())).collect();
    let mut tables = Tables { sides, wall: EventTime::MIN, cut: false };
    for (side, frontier) in tables.sides.iter_mut().zip(restored) {
        side.restore(frontier);
    }
    let speaks = scope.index() == 0;
    keeper.keep(frames);

    builder.build(move |mut caps| {
        let mut cap = || caps.pop().expect("there are three outputs");
        let (save_cap, side_cap, out_cap) = (cap(), cap(), cap());
        // What the operator may still send: its current tick, until the input has ended.
        let mut caps = Some([out_cap, side_cap, save_cap]);
        let mut waiting = Waiting { rows: BTreeMap::new(), marks: BTreeMap::new() };
        let mut emit = Emit::default();
        // f of the last tick that was completed.
        let mut before: F = tables.each(|side| side.frontier());
        // What is known of the tick that is being completed, and whether all that is due is sent.
        let mut closing: Option<(Now<F>, bool)> = None;

        move |frontiers| {
            let Some(caps_now) = caps.as_mut() else {
                rows_in.for_each(|_, rows| debug_assert!(rows.is_empty()));
                marks_in.for_each(|_, _| ());
                return;
            };
            let [out_cap, side_cap, save_cap] = caps_now;
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
                        tables.sides.iter().any(Watermarks::excluded)
                            || $rows.iter().all(|row| {
                                !row.behind.is_zero() || row.time >= before.of_row(&row.data)
                            }),
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
                let now = tick.time() == out_cap.time() && fuel.left() > 0 && closing.is_none();
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
                let (now, sent) = closing.get_or_insert_with(|| {
                    for mark in waiting.marks.remove(&current).unwrap_or_default() {
                        tables.apply(mark);
                    }
                    let (frontier, wall) = (tables.advance(), tables.wall);
                    (Now { before, frontier, wall }, false)
                });
                if !*sent {
                    *sent = logic.close(*now, &mut fuel, &mut emit);
                    flush!();
                    if !*sent {
                        activator.activate();
                        return;
                    }
                }
                if tables.cut
                    && let Some(saver) = &mut saver
                {
                    let done = logic.save(&mut fuel, saver);
                    if done && speaks {
                        let each: Vec<_> = tables.sides.iter().map(Watermarks::frontier).collect();
                        saver.frontiers(&each);
                    }
                    let mut frames = saver.take(done);
                    if !frames.is_empty() {
                        saves.activate().session(&*save_cap).give_container(&mut frames);
                    }
                    if !done {
                        activator.activate();
                        return;
                    }
                }
                tables.cut = false;
                before = now.frontier;
                closing = None;
                debug_assert!(counters.counts().balanced(), "a row left by no counted door");
                counters.frontier.set(before.least());
                let inputs = frontiers.iter().filter_map(|f| f.frontier().first().cloned());
                let Some(next) = waiting.least().into_iter().chain(inputs).min() else {
                    break;
                };
                for cap in [&mut *out_cap, &mut *side_cap, &mut *save_cap] {
                    cap.downgrade(&next);
                }
            }
            drop((out, side));
            caps = None;
        }
    });
    (out_stream, side_stream)
}
