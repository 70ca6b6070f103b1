//! Streams of panes: results that are parts of results.

use std::ops::Deref;

use timely::dataflow::{Scope, StreamVec};

use crate::events::{Clock, Data, Events, Tick};
use crate::time::Timed;

/// The results of windows that give several, each of what came since the one before.
///
/// A pane is neither a row of its own nor a change of one: to count panes, join them or put them in a
/// view means nothing before somebody has added up those of a window. So this goes to sinks only, and
/// no operator with an event-time meaning takes it. Cheap to clone.
pub struct Panes<'scope, T: Tick, D: Data> {
    panes: Events<'scope, T, D>,
}

impl<T: Tick, D: Data> Clone for Panes<'_, T, D> {
    fn clone(&self) -> Self {
        Panes { panes: self.panes.clone() }
    }
}

impl<'scope, T: Tick, D: Data> Panes<'scope, T, D> {
    pub(super) fn new(panes: Events<'scope, T, D>) -> Self {
        Panes { panes }
    }

    /// Every pane through a function.
    pub fn map<E: Data>(&self, f: impl FnMut(D) -> E + 'static) -> Panes<'scope, T, E> {
        Panes { panes: self.panes.map(f) }
    }

    /// The panes that satisfy a predicate; the others are counted as filtered under this name.
    pub fn filter(&self, name: &str, keep: impl FnMut(&D) -> bool + 'static) -> Self {
        Panes { panes: self.panes.filter(name, keep) }
    }

    /// Calls a function with every pane as it passes, on the worker where it is. A source stays at
    /// most a bounded number of rows ahead of this point.
    pub fn inspect(&self, f: impl FnMut(&Timed<D>) + 'static) -> Self {
        Panes { panes: self.panes.inspect(f) }
    }

    /// The panes as an ordinary timely stream, and the clock: for sinks.
    pub fn parts(&self) -> (StreamVec<'scope, T, Timed<D>>, Clock<'scope, T>) {
        self.panes.parts()
    }

    /// The scope it is in.
    pub fn scope(&self) -> Scope<'scope, T> {
        self.panes.scope()
    }
}

/// What a windowed stream gives, of whatever kind, and the rows it refused as late.
///
/// It stands for the results wherever they are asked for.
#[derive(Clone)]
pub struct Fired<'scope, T: Tick, S, D: Data> {
    results: S,
    late: Events<'scope, T, D>,
}

impl<'scope, T: Tick, S: Clone, D: Data> Fired<'scope, T, S, D> {
    pub(crate) fn new(results: S, late: Events<'scope, T, D>) -> Self {
        Fired { results, late }
    }

    /// The results.
    pub fn results(&self) -> S {
        self.results.clone()
    }

    /// The rows that were refused, as they came; `behind` says how far each was behind.
    pub fn late(&self) -> Events<'scope, T, D> {
        self.late.clone()
    }
}

impl<T: Tick, S, D: Data> Deref for Fired<'_, T, S, D> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.results
    }
}
