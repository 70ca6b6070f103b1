//! Views: collections that are kept up to date, rows coming and going.
//!
//! *As of the end of tick e a view holds what its definition makes of the rows that its inputs hold
//! as of the end of tick e.* A [`View`] is a differential-dataflow collection whose time is the tick,
//! with the clock that event-time operators need. Event times and watermarks stay outside: a row
//! changes the view in the tick in which it comes, and a late one corrects everything that was made
//! of the older contents, through joins, aggregates, top-k and loops, in that same tick.
//!
//! ```text
//!  Events ──┐ view     ┌───────────── tick time ────────────┐ changelog ──▶ Changes
//!           ├─────────▶│ map  join  count  top_k  iterate … │
//!  Changes ─┘ upsert   └────────────────────────────────────┘ upserts, snapshots ──▶ Events
//! ```
//!
//! **In.** [`Events::view`](crate::events::Events::view) and
//! [`Changes::view`](crate::change::Changes::view) take rows as they are and hold them for ever or
//! for a span of event time ([`Retain`]);
//! [`Events::upsert`](crate::events::Events::upsert) holds the newest value of each key.
//!
//! **Out.** [`View::changelog`] sends the changes of each tick, consolidated: one consistent set of
//! rows with −1 and +1. [`View::upserts`] sends for each key that has changed its new value, or that
//! it has none. [`View::snapshots`] sends all rows, at intervals of event time. All of these have the
//! frontier f(e−1) as their event time, the least that is not behind: a view forgets when its rows
//! happened unless their data says so. [`View::collection`] gives the differential collection itself,
//! and [`View::via`] takes any function of it, `iterate` included.
//!
//! **Cuts.** What is kept over cuts are the inputs: changes for ever-growing ones, rows by buckets
//! of event time for those of a span, the newest values of upserts. A dataflow that goes on after a
//! cut gives them to the view again at tick zero and drops what the view says of ticks up to the
//! cut, because that has been said. It follows that a view has to be a function of its inputs alone,
//! and that a collection which comes from elsewhere is not kept.
//!
//! **Cost.** Differential holds an arrangement of every input of a join, an aggregate or a top-k,
//! sorted by key and compacted as ticks complete: the rows that are alive, not their history. Counts,
//! sums and distinct rows use the faster operators for totally ordered time.
//!
//! The method is that of McSherry, Murray, Isaacs and Isard, *Differential dataflow* (CIDR 2013);
//! that expiry comes in whole buckets and is not scheduled ahead is our own.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::prelude::*;
//!
//! let totals = Arc::new(Mutex::new(Vec::new()));
//! let into = totals.clone();
//! timely::execute_directly(move |worker| {
//!     let observer = Observer::default();
//!     let (mut orders, mut cities) = worker.dataflow::<u64, _, _>(|scope| {
//!         let policy = Policy::bounded(secs(0));
//!         // (customer, amount) and (customer, city)
//!         let (orders_in, orders) = EventInput::<(u32, i64)>::new(scope, 0, policy, &observer);
//!         let (cities_in, cities) = EventInput::<(u32, String)>::new(scope, 1, policy, &observer);
//!         let orders = orders.view("orders", Retain::forever());
//!         let cities = cities.upsert("cities", |row| row.0, |row| Some(row.1.clone()));
//!         let by_city = orders.join(&cities).map(|(_, (amount, city))| (city, amount));
//!         by_city.sum(|&amount| amount).changelog("totals").inspect(move |row| {
//!             into.lock().unwrap().push((row.data.data.clone(), row.data.diff));
//!         });
//!         (orders_in, cities_in)
//!     });
//!     cities.send(0, EventTime::from_secs(1), (7, "Bern".into()));
//!     orders.send(0, EventTime::from_secs(5), (7, 100));
//!     orders.send(0, EventTime::from_secs(6), (7, 20));
//!     orders.end_tick();
//!     cities.end_tick();
//!     for _ in 0..20 { worker.step(); }
//!     orders.send(0, EventTime::from_secs(4), (7, 3)); // late, and still counted
//!     cities.send(0, EventTime::from_secs(3), (7, "Basel".into())); // the customer has moved
//!     cities.send(0, EventTime::from_secs(2), (7, "Biel".into())); // late: Basel is newer
//!     orders.finish();
//!     cities.finish();
//! });
//! let totals = totals.lock().unwrap().clone();
//! let (bern, basel) = ("Bern".to_owned(), "Basel".to_owned());
//! assert_eq!(totals, [((bern.clone(), 120), 1), ((basel, 123), 1), ((bern, 120), -1)]);
//! ```

mod forever;
mod input;
mod keyed;
mod output;
mod retain;
mod row;
mod snapshot;
mod span;
#[cfg(test)]
mod tests;
mod upsert;

pub use input::Retained;
pub use retain::Retain;
pub use snapshot::Snapshot;

use std::hash::Hash;

use differential_dataflow::lattice::Lattice;
use differential_dataflow::operators::ThresholdTotal;
use differential_dataflow::{AsCollection, ExchangeData, VecCollection};
use serde::Serialize;
use serde::de::DeserializeOwned;
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use crate::change::Change;
use crate::events::{Clock, Events, Tick};
use crate::key::Key;

/// What a view may hold: data in a total order that can be sent and written down. Rows that are
/// equal have to be written alike.
pub trait Element: ExchangeData + Serialize + DeserializeOwned {}
impl<D: ExchangeData + Serialize + DeserializeOwned> Element for D {}

/// What rows of a view may be grouped by.
pub trait Group: Element + Hash {}
impl<K: Element + Hash> Group for K {}

/// A collection that is kept up to date, tick by tick. Cheap to clone.
pub struct View<'scope, T: Tick + Lattice, D: 'static> {
    rows: VecCollection<'scope, T, D>,
    clock: Clock<'scope, T>,
}

impl<T: Tick + Lattice, D: Element> Clone for View<'_, T, D> {
    fn clone(&self) -> Self {
        View { rows: self.rows.clone(), clock: self.clock.clone() }
    }
}

impl<'scope, T: Tick + Lattice, D: Element> View<'scope, T, D> {
    /// From a differential collection at tick time. What it is made of is not kept over cuts, and
    /// whoever calls this sees to it that a dataflow which goes on after a cut finds it complete.
    pub fn from_collection(rows: VecCollection<'scope, T, D>, clock: Clock<'scope, T>) -> Self {
        View { rows, clock }
    }

    /// From changes, each at the tick it is sent in.
    fn from_changes(changes: &Events<'scope, T, Change<D>>) -> Self {
        let (rows, clock) = changes.parts();
        let updates = rows.unary(Pipeline, "View", |_, _| {
            move |input, output| {
                input.for_each(|tick, rows| {
                    let time = tick.time().clone();
                    let mut session = output.session(&tick);
                    session.give_iterator(rows.drain(..).map(|row| {
                        let Change { data, diff } = row.data;
                        (data, time.clone(), multiplicity(diff))
                    }));
                });
            }
        });
        View { rows: updates.as_collection(), clock }
    }

    /// The differential collection, for any operator on it.
    pub fn collection(&self) -> VecCollection<'scope, T, D> {
        self.rows.clone()
    }

    /// What operators on its outputs need to know about time.
    pub fn clock(&self) -> Clock<'scope, T> {
        self.clock.clone()
    }

    /// The scope it is in.
    pub fn scope(&self) -> Scope<'scope, T> {
        self.rows.scope()
    }

    /// Applies a function to the differential collection: a way to all of its operators.
    ///
    /// A loop is written like this; operators inside it are those of differential, because event
    /// time means nothing there:
    ///
    /// ```
    /// use differential_dataflow::operators::Iterate;
    /// # use differential_dataflow::lattice::Lattice;
    /// # use tiderace_operators::events::Tick;
    /// # use tiderace_operators::view::View;
    ///
    /// /// Who can be reached from whom along edges, in any number of steps.
    /// fn reachable<'scope, T: Tick + Lattice>(
    ///     edges: &View<'scope, T, (u32, u32)>,
    /// ) -> View<'scope, T, (u32, u32)> {
    ///     edges.via(|edges| {
    ///         edges.clone().iterate(|scope, reached| {
    ///             let edges = edges.enter(scope);
    ///             let by_end = reached.clone().map(|(from, to)| (to, from));
    ///             by_end.join_map(edges, |_, &from, &to| (from, to)).concat(reached).distinct()
    ///         })
    ///     })
    /// }
    /// ```
    pub fn via<E: Element>(
        &self,
        f: impl FnOnce(VecCollection<'scope, T, D>) -> VecCollection<'scope, T, E>,
    ) -> View<'scope, T, E> {
        View { rows: f(self.rows.clone()), clock: self.clock.clone() }
    }

    /// Every row through a function. Rows that become equal add up.
    pub fn map<E: Element>(&self, f: impl FnMut(D) -> E + 'static) -> View<'scope, T, E> {
        self.via(|rows| rows.map(f))
    }

    /// The rows that satisfy a predicate.
    pub fn filter(&self, keep: impl FnMut(&D) -> bool + 'static) -> Self {
        self.via(|rows| rows.filter(keep))
    }

    /// Every row to any number of rows.
    pub fn flat_map<I>(&self, f: impl FnMut(D) -> I + 'static) -> View<'scope, T, I::Item>
    where
        I: IntoIterator<Item: Element> + 'static,
    {
        self.via(|rows| rows.flat_map(f))
    }

    /// The rows of both views; a row that is in both is there as often as in the two together.
    pub fn concat(&self, other: &Self) -> Self {
        let rows = self.rows.clone().concat(other.rows.clone());
        View { rows, clock: self.clock.union(&other.clock) }
    }

    /// Every row as often less as it was there more: with [`concat`](Self::concat) what is in one
    /// view and not in another.
    pub fn negate(&self) -> Self {
        self.via(VecCollection::negate)
    }

    /// Every row that is there at least once, once. State: the rows with their counts.
    pub fn distinct(&self) -> Self
    where
        D: Hash,
    {
        // Differential's own `distinct_total` does not withdraw a row whose count falls to zero
        // while its additions and removals are still apart in the trace.
        self.via(|rows| rows.threshold_total(|_, &count| isize::from(count > 0)))
    }
}

/// Rows are counted by differential in the machine's word.
fn multiplicity(diff: i64) -> isize {
    isize::try_from(diff).expect("no row is there more often than a word can count")
}

/// Keys of views of pairs whose state is kept by key.
pub trait UpsertKey: Key + Group {}
impl<K: Key + Group> UpsertKey for K {}
