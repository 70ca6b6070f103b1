//! Event streams: rows with event times, and the watermarks beside them.
//!
//! An [`Events`] is a pair. Its rows are an ordinary timely stream of [`Timed`] rows; its clock is
//! the streams of watermark marks of every source that feeds it, with plan-time constants about how
//! the rows lag behind. The one invariant: *for every tick e, a row after e that is on time has an
//! event time of at least f(e) less the delay.*

use std::rc::Rc;

use timely::ExchangeData;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::{Concatenate, Inspect, Probe, probe};
use timely::dataflow::{Scope, StreamVec};
use timely::order::TotalOrder;
use timely::progress::Timestamp;

use crate::events_time::Shift;
use crate::observe::Observer;
use crate::state::Keeper;
use crate::time::{Span, Timed};
use crate::watermark::{Mark, SourceId, Watermarks};

/// So many rows that one row has become are sent before there are more.
const MANY: usize = 4_096;

/// A timely timestamp that counts slices of processing. Its value means nothing about event time.
pub trait Tick: Timestamp + TotalOrder {}
impl<T: Timestamp + TotalOrder> Tick for T {}

/// What a row may be made of.
pub trait Data: Clone + 'static {}
impl<D: Clone + 'static> Data for D {}

/// A stream of rows with event times, and its watermarks. Cheap to clone.
pub struct Events<'scope, T: Tick, D: 'static> {
    rows: StreamVec<'scope, T, Timed<D>>,
    clock: Clock<'scope, T>,
}

/// The watermarks of an event stream: what every operator on it needs to know about time.
pub struct Clock<'scope, T: Tick> {
    /// Each with where its frontier stands for rows of this stream.
    sources: Rc<Vec<(SourceMarks<'scope, T>, Shift)>>,
    /// The largest allowed lateness of any operator upstream that lets late results through.
    late: Span,
    observer: Observer,
    keeper: Keeper<'scope, T>,
}

/// The marks of one source, and how rows of this stream relate to them.
pub struct SourceMarks<'scope, T: Tick> {
    /// Which source.
    pub id: SourceId,
    /// Its marks, the same on every worker.
    pub marks: StreamVec<'scope, T, Mark>,
    /// How much later than the source's frontier a row on time may be.
    pub delay: Span,
    /// Moves with whatever consumes the stream, so that the source knows how far ahead it is.
    pub done: probe::Handle<T>,
}

impl<T: Tick> Clone for SourceMarks<'_, T> {
    fn clone(&self) -> Self {
        let (id, marks, delay) = (self.id, self.marks.clone(), self.delay);
        SourceMarks { id, marks, delay, done: self.done.clone() }
    }
}

impl<T: Tick> Clone for Clock<'_, T> {
    fn clone(&self) -> Self {
        let (observer, keeper) = (self.observer.clone(), self.keeper.clone());
        Clock { sources: self.sources.clone(), late: self.late, observer, keeper }
    }
}

impl<'scope, T: Tick> Clock<'scope, T> {
    /// The clock of a source.
    pub fn of_source(source: SourceMarks<'scope, T>, observer: Observer) -> Self {
        let shift = Shift::earlier(source.delay);
        let sources = Rc::new(vec![(source, shift)]);
        Clock { sources, late: Span::ZERO, observer, keeper: Keeper::default() }
    }

    /// The marks of all sources of several clocks, each source once, in one stream.
    pub(crate) fn all_marks(
        clocks: &[Self],
        scope: Scope<'scope, T>,
    ) -> StreamVec<'scope, T, Mark> {
        let mut all: Vec<&SourceMarks<'scope, T>> = Vec::new();
        for (source, _) in clocks.iter().flat_map(|clock| clock.sources.iter()) {
            if all.iter().all(|known| known.id != source.id) {
                all.push(source);
            }
        }
        match all[..] {
            [one] => one.marks.clone(),
            _ => scope.concatenate(all.iter().map(|source| source.marks.clone())),
        }
    }

    /// An empty table for the marks of all sources.
    pub fn watermarks(&self, workers: usize) -> Watermarks {
        let sources = self.sources.iter().map(|(source, shift)| (source.id, *shift));
        Watermarks::shifted(sources, workers)
    }

    /// The largest allowed lateness upstream: state is kept at least that long.
    pub fn late(&self) -> Span {
        self.late
    }

    /// Where operators on this stream register their counters.
    pub fn observer(&self) -> &Observer {
        &self.observer
    }

    /// Where operators on this stream keep their state.
    pub fn keeper(&self) -> &Keeper<'scope, T> {
        &self.keeper
    }

    /// The same clock, with operators that keep their state there.
    #[must_use]
    pub fn kept_by(mut self, keeper: &Keeper<'scope, T>) -> Self {
        self.keeper = keeper.clone();
        self
    }

    /// The same clock for rows that come out this much later than they used to.
    #[must_use]
    pub fn delayed(self, delay: Span) -> Self {
        self.shifted(Shift::earlier(delay))
    }

    /// The same clock for rows whose event times have all been shifted.
    #[must_use]
    pub fn shifted(mut self, by: Shift) -> Self {
        if by != Shift::NONE {
            let sources = self.sources.iter().cloned();
            self.sources =
                Rc::new(sources.map(|(source, shift)| (source, shift.then(by))).collect());
        }
        self
    }

    /// The same clock for a stream on which results may be this late.
    #[must_use]
    pub fn with_late(mut self, late: Span) -> Self {
        self.late = late;
        self
    }

    /// The clock of the union: the least of both.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut sources = (*self.sources).clone();
        for (theirs, shift) in other.sources.iter() {
            match sources.iter_mut().find(|(ours, _)| ours.id == theirs.id) {
                Some((_, ours)) => *ours = *shift.min(ours),
                None => sources.push((theirs.clone(), *shift)),
            }
        }
        Clock {
            sources: Rc::new(sources),
            late: self.late.max(other.late),
            observer: self.observer.clone(),
            keeper: self.keeper.clone(),
        }
    }
}

impl<T: Tick, D: Data> Clone for Events<'_, T, D> {
    fn clone(&self) -> Self {
        Events { rows: self.rows.clone(), clock: self.clock.clone() }
    }
}

impl<'scope, T: Tick, D: Data> Events<'scope, T, D> {
    /// An event stream from its two parts.
    pub fn from_parts(rows: StreamVec<'scope, T, Timed<D>>, clock: Clock<'scope, T>) -> Self {
        Events { rows, clock }
    }

    /// What operators on it need to know about time.
    pub fn clock(&self) -> Clock<'scope, T> {
        self.clock.clone()
    }

    /// The same stream, with operators that keep their state there.
    #[must_use]
    pub fn kept_by(self, keeper: &Keeper<'scope, T>) -> Self {
        Events { rows: self.rows, clock: self.clock.kept_by(keeper) }
    }

    /// The rows as an ordinary timely stream, and the clock.
    pub fn parts(&self) -> (StreamVec<'scope, T, Timed<D>>, Clock<'scope, T>) {
        (self.rows.clone(), self.clock.clone())
    }

    /// The scope it is in.
    pub fn scope(&self) -> Scope<'scope, T> {
        self.rows.scope()
    }

    /// Applies any timely operators to the rows, envelope included. What they send must go out at
    /// the tick its input came in with, and must not change event times.
    pub fn rows<E: Data>(
        &self,
        f: impl FnOnce(StreamVec<'scope, T, Timed<D>>) -> StreamVec<'scope, T, Timed<E>>,
    ) -> Events<'scope, T, E> {
        Events { rows: f(self.rows.clone()), clock: self.clock.clone() }
    }

    /// Every row through a function; its event time stays.
    pub fn map<E: Data>(&self, f: impl FnMut(D) -> E + 'static) -> Events<'scope, T, E> {
        let (mut f, mut out) = (f, Vec::new());
        self.rows(|rows| {
            rows.unary(Pipeline, "Map", |_, _| {
                move |input, output| {
                    input.for_each(|tick, rows| {
                        out.extend(rows.drain(..).map(|row| row.map(&mut f)));
                        output.session(&tick).give_container(&mut out);
                        out.clear();
                    });
                }
            })
        })
    }

    /// The rows that satisfy a predicate; the others are counted as filtered under this name.
    pub fn filter(&self, name: &str, keep: impl FnMut(&D) -> bool + 'static) -> Self {
        let mut keep = keep;
        let counters = self.clock.observer.register(name, "filter", self.scope().index());
        self.rows(|rows| {
            rows.unary(Pipeline, name, |_, _| {
                move |input, output| {
                    input.for_each(|tick, rows| {
                        let before = rows.len() as u64;
                        rows.retain(|row| keep(&row.data));
                        let kept = rows.len() as u64;
                        counters.input.add(before);
                        counters.kept.add(kept);
                        counters.output.add(kept);
                        counters.filtered.add(before - kept);
                        output.session(&tick).give_container(rows);
                    });
                }
            })
        })
    }

    /// What a function chooses of the rows, on a stream of their own: the others are on another one
    /// and have been counted where the rows were told apart.
    pub(crate) fn pick<E: Data>(
        &self,
        name: &str,
        choose: impl Fn(D) -> Option<E> + 'static,
    ) -> Events<'scope, T, E> {
        let mut out = Vec::new();
        self.rows(|rows| {
            rows.unary(Pipeline, name, |_, _| {
                move |input, output| {
                    input.for_each(|tick, rows| {
                        out.extend(rows.drain(..).filter_map(|Timed { time, behind, data }| {
                            Some(Timed { time, behind, data: choose(data)? })
                        }));
                        output.session(&tick).give_container(&mut out);
                        out.clear();
                    });
                }
            })
        })
    }

    /// Every row to any number of rows with its event time. Rows that become none are counted as
    /// filtered under this name.
    pub fn flat_map<I>(
        &self,
        name: &str,
        f: impl FnMut(D) -> I + 'static,
    ) -> Events<'scope, T, I::Item>
    where
        I: IntoIterator<Item: Data>,
    {
        let (mut f, mut out) = (f, Vec::new());
        let counters = self.clock.observer.register(name, "flat_map", self.scope().index());
        self.rows(|rows| {
            rows.unary(Pipeline, name, |_, _| {
                move |input, output| {
                    input.for_each(|tick, rows| {
                        let mut session = output.session(&tick);
                        let (mut filtered, mut sent) = (0, 0);
                        counters.input.add(rows.len() as u64);
                        counters.kept.add(rows.len() as u64);
                        for Timed { time, behind, data } in rows.drain(..) {
                            let before = sent;
                            for data in f(data) {
                                out.push(Timed { time, behind, data });
                                sent += 1;
                            }
                            filtered += u64::from(sent == before);
                            if out.len() >= MANY {
                                session.give_container(&mut out);
                                out.clear();
                            }
                        }
                        session.give_container(&mut out);
                        out.clear();
                        counters.kept.set(counters.kept.get() - filtered);
                        counters.filtered.add(filtered);
                        counters.output.add(sent);
                    });
                }
            })
        })
    }

    /// The rows of both streams. Its frontier is the lesser of the two.
    pub fn union(&self, other: &Self) -> Self {
        let rows = self.scope().concatenate([self.rows.clone(), other.rows.clone()]);
        Events { rows, clock: self.clock.union(&other.clock) }
    }

    /// Calls a function with every row as it passes, on the worker where it is. A source stays at
    /// most a bounded number of rows ahead of this point.
    pub fn inspect(&self, f: impl FnMut(&Timed<D>) + 'static) -> Self {
        let seen = self.rows(|rows| rows.inspect(f));
        seen.watch();
        seen
    }

    /// Has the sources of this stream stay at most a bounded number of rows ahead of this point.
    pub fn watch(&self) {
        self.clock.watch(self.rows.clone());
    }
}

impl<'scope, T: Tick> Clock<'scope, T> {
    /// Has the sources stay at most a bounded number of rows ahead of this stream.
    pub fn watch<D: Data>(&self, stream: StreamVec<'scope, T, D>) {
        let mut stream = stream;
        for (source, _) in self.sources.iter() {
            stream = stream.probe_with(&source.done);
        }
    }
}

impl<T: Tick, D: ExchangeData + Data> Events<'_, T, D> {
    /// The rows, spread evenly over all workers in turns, without regard to their contents.
    pub fn rebalance(&self) -> Self {
        use timely::dataflow::channels::pact::Exchange;
        let mut next = self.scope().index() as u64;
        self.rows(|rows| {
            let pact = Exchange::new(move |_: &Timed<D>| {
                next += 1;
                next
            });
            rows.unary(pact, "Rebalance", |_, _| {
                move |input, output| {
                    input.for_each(|tick, rows| output.session(&tick).give_container(rows));
                }
            })
        })
    }
}
