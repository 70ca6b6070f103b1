//! From streams to views.

use std::ops::Deref;

use differential_dataflow::lattice::Lattice;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;

use super::forever::Forever;
use super::row::Row;
use super::span::{Buckets, SetAside};
use super::{Element, Retain, View};
use crate::change::{Change, Changes};
use crate::events::{Data, Events, Tick};
use crate::exchange::exchange_by;
use crate::key::route;
use crate::tick::tick_operator;
use crate::time::{Span, Timed};

/// A view of a stream, the rows it has let go and those it refused as late.
///
/// It stands for the view wherever one is asked for. `L` is what late rows are: rows of the stream.
pub struct Retained<'scope, T: Tick + Lattice, D: Element, L: 'static = Change<D>> {
    view: View<'scope, T, D>,
    late: Events<'scope, T, L>,
    expired: Changes<'scope, T, D>,
}

impl<'scope, T: Tick + Lattice, D: Element> Retained<'scope, T, D> {
    fn new(
        rows: StreamVec<'scope, T, Timed<Change<D>>>,
        aside: Events<'scope, T, SetAside<D>>,
    ) -> Self {
        let late = aside.pick("Late", |row| match row {
            SetAside::Late(row) => Some(row),
            SetAside::Expired(_) => None,
        });
        let expired = aside.pick("Expired", |row| match row {
            SetAside::Late(_) => None,
            SetAside::Expired(row) => Some(row),
        });
        let clock = aside.clock().with_late(Span::ZERO);
        let rows = Events::from_parts(rows, clock.clone());
        let expired = Events::from_parts(expired.parts().0, clock);
        let view = View::from_changes(&rows);
        Retained { view, late, expired: Changes::from_events(expired) }
    }
}

impl<'scope, T: Tick + Lattice, D: Element, L: Data> Retained<'scope, T, D, L> {
    /// The view.
    pub fn rows(&self) -> View<'scope, T, D> {
        self.view.clone()
    }

    /// The rows that were refused, as they came; `behind` says how far each was behind.
    pub fn late(&self) -> Events<'scope, T, L> {
        self.late.clone()
    }

    /// What the view takes away because its time is up, nobody having asked for it: a sink which
    /// holds the rows themselves deletes these, or forgets that they are here and keeps them. Their
    /// event time is the frontier of the tick before, as that of all that comes out of views.
    pub fn expired(&self) -> Changes<'scope, T, D> {
        self.expired.clone()
    }
}

impl<'scope, T: Tick + Lattice, D: Element, L> Deref for Retained<'scope, T, D, L> {
    type Target = View<'scope, T, D>;

    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

impl<'scope, T: Tick + Lattice, D: Element> Changes<'scope, T, D> {
    /// What the changes so far add up to, as a view.
    ///
    /// Rows that are held for ever are held by the view alone, in the arrangements of whatever
    /// operators are on it. Rows that are held for a span are **held twice**: there, and in buckets
    /// here, from which they are taken back when the frontier is the span past the bucket's end,
    /// whole buckets in slices. A stream of results that may still be corrected is held at least as
    /// long as that. When the input has ended all of them go. State that is written at a cut: what
    /// has changed since the one before.
    pub fn view(&self, name: &str, retain: Retain) -> Retained<'scope, T, D> {
        let changes = self.events();
        let clock = self.clock();
        let counters = clock.observer().register(name, "view", self.scope().index());
        match retain.at_least(clock.late()).span {
            None => {
                let logic = Forever::new(clock.keeper().keeps(), counters.clone());
                let (rows, aside) = tick_operator(name, &changes, Pipeline, logic, counters);
                Retained::new(rows, Events::from_parts(aside, clock))
            }
            Some((span, by)) => {
                let mut scratch = Vec::new();
                let placed = changes.map(move |Change { data, diff }| {
                    let data = Row::new(data, &mut scratch);
                    Change { data, diff }
                });
                let pact = exchange_by(|row: &Timed<Change<Row<D>>>| route(row.data.data.hash));
                let logic = Buckets::new(by, span, counters.clone());
                let (rows, aside) = tick_operator(name, &placed, pact, logic, counters);
                Retained::new(rows, Events::from_parts(aside, clock))
            }
        }
    }
}

impl<'scope, T: Tick + Lattice, D: Element> Events<'scope, T, D> {
    /// The rows so far as a view; see [`Changes::view`].
    pub fn view(&self, name: &str, retain: Retain) -> Retained<'scope, T, D, D> {
        let Retained { view, late, expired } = self.changes().view(name, retain);
        Retained { view, late: late.map(|change| change.data), expired }
    }
}
