//! Streams of changes: rows that come and go.
//!
//! A [`Changes`] stream says what is added to a collection and what is taken away again. At every
//! tick its changes so far add up to the collection as of that tick. Early and late results of
//! windows are changes, as are views: a result is withdrawn with −1 and its better version sent with
//! +1 in the same tick.

use timely::dataflow::Scope;

use serde::{Deserialize, Serialize};

use crate::events::{Clock, Data, Events, Tick};
use crate::keyed::Keyed;
use crate::time::Timed;

/// A row, and how many times it is added (or taken away, if negative).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Change<D> {
    /// The row.
    pub data: D,
    /// How many times it is added.
    pub diff: i64,
}

impl<D> Change<D> {
    /// The row is added.
    pub fn add(data: D) -> Self {
        Change { data, diff: 1 }
    }

    /// The row is taken away.
    pub fn remove(data: D) -> Self {
        Change { data, diff: -1 }
    }
}

/// A stream of changes, each with its event time. Cheap to clone.
pub struct Changes<'scope, T: Tick, D: Data> {
    changes: Events<'scope, T, Change<D>>,
}

impl<T: Tick, D: Data> Clone for Changes<'_, T, D> {
    fn clone(&self) -> Self {
        Changes { changes: self.changes.clone() }
    }
}

impl<'scope, T: Tick, D: Data> Changes<'scope, T, D> {
    /// From changes as rows. Whoever calls this promises that what is taken away was there.
    pub fn from_events(changes: Events<'scope, T, Change<D>>) -> Self {
        Changes { changes }
    }

    /// The changes as rows, for sinks and for operators that know what to do with a `diff`.
    pub fn events(&self) -> Events<'scope, T, Change<D>> {
        self.changes.clone()
    }

    /// Every row through a function. Rows that become equal add up.
    pub fn map<E: Data>(&self, f: impl FnMut(D) -> E + 'static) -> Changes<'scope, T, E> {
        let mut f = f;
        let map = move |Change { data, diff }| Change { data: f(data), diff };
        Changes { changes: self.changes.map(map) }
    }

    /// The rows that satisfy a predicate; the others are counted as filtered under this name.
    pub fn filter(&self, name: &str, keep: impl FnMut(&D) -> bool + 'static) -> Self {
        let mut keep = keep;
        Changes { changes: self.changes.filter(name, move |change| keep(&change.data)) }
    }

    /// The changes of both streams.
    pub fn union(&self, other: &Self) -> Self {
        Changes { changes: self.changes.union(&other.changes) }
    }

    /// Gives each row a key. What follows is told of changes: a window of them is made of aggregates
    /// that rows can be taken out of again ([`Signed`](crate::aggregate::Signed)).
    pub fn key_by<K>(
        &self,
        key: impl Fn(&D) -> K + Clone + 'static,
    ) -> Keyed<'scope, T, Change<D>, impl Fn(&Change<D>) -> K + Clone + 'static> {
        self.changes.key_by(move |change: &Change<D>| key(&change.data))
    }

    /// Calls a function with every change as it passes, on the worker where it is.
    pub fn inspect(&self, f: impl FnMut(&Timed<Change<D>>) + 'static) -> Self {
        Changes { changes: self.changes.inspect(f) }
    }

    /// The scope it is in.
    pub fn scope(&self) -> Scope<'scope, T> {
        self.changes.scope()
    }

    /// What operators on it need to know about time.
    pub fn clock(&self) -> Clock<'scope, T> {
        self.changes.parts().1
    }
}

impl<'scope, T: Tick, D: Data> Events<'scope, T, D> {
    /// The same rows as changes that only add.
    pub fn changes(&self) -> Changes<'scope, T, D> {
        Changes { changes: self.map(Change::add) }
    }
}
