//! Lookup join: each row with what a table says about its key.
//!
//! The table is a stream of upserts: from its event time on a key is worth a value, or with `None`
//! nothing any more. *A row at t is a result in the first tick e with `f_table(e) > t + lateness`,
//! with the value that its key has as of t.* Of several upserts of a key at one instant the one with
//! the greatest bytes counts, and one with a value before one without.
//!
//! The table goes to all workers, so the rows stay where they are, however many of them ask for one
//! key; each worker holds the whole table. That suits small tables and big or skewed streams; where
//! both are big an [as-of join](super::JoinAsOf) splits them by key.
//!
//! With [`latest`](JoinLookup::latest) a row does not wait: it meets the value with the newest event
//! time among all that have come up to the end of its tick. What that is depends on when things come,
//! so **the results are not a function of the input alone**.
//!
//! A row of either side is refused iff its time is less than F − lateness, F being its partition's
//! frontier when it was read. A late row of the table is counted on every worker, and sent once.
//!
//! Cost: a hash, a lookup and a push onto a heap for a row; a copy to each worker, a lookup and an
//! insertion for an upsert. State: rows until they are sent; of the table the newest version of each
//! key at or before the lesser of both frontiers less their lateness, and all later ones. That a key
//! was deleted is forgotten once nothing older can come. In a cut the table is written once.
//!
//! Results have the event time t of their row. It has just come, so t ≥ f − lateness, or it waited,
//! so t ≥ f_table − lateness: the stream's delay is the lateness.

use std::time::Duration;

use timely::ExchangeData;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::vec::Broadcast;

use super::Joined;
use super::kind::{Inner, Kind, LeftOuter};
use super::versions::{Pick, Plan, VersionJoin};
use crate::events::{Data, Events, Tick};
use crate::key::Key;
use crate::tick::tick_operator_2;
use crate::time::Span;

/// A stream whose rows are to be looked up in a table.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use tiderace_operators::prelude::*;
///
/// let results = Arc::new(Mutex::new(Vec::new()));
/// let late = Arc::new(Mutex::new(Vec::new()));
/// let (into, late_into) = (results.clone(), late.clone());
/// timely::execute_directly(move |worker| {
///     let observer = Observer::default();
///     let (mut sales, mut rates) = worker.dataflow::<u64, _, _>(|scope| {
///         let policy = Policy::ascending();
///         let (sales_in, sales) = EventInput::<(u8, i64)>::new(scope, 0, policy, &observer);
///         let (rates_in, rates) = EventInput::<(u8, Option<i64>)>::new(scope, 1, policy, &observer);
///         let converted = sales.lookup("converted", &rates, |sale| sale.0).left();
///         converted.inspect(move |row| {
///             let ((_, amount), rate) = row.data;
///             into.lock().unwrap().push((row.time.millis() / 1_000, rate.map(|rate| amount * rate)));
///         });
///         converted.late_left().inspect(move |row| late_into.lock().unwrap().push(row.data.1));
///         (sales_in, rates_in)
///     });
///     let at = EventTime::from_secs;
///     for (second, amount) in [(5, 10), (15, 10), (25, 10), (24, 11)] {
///         sales.send(0, at(second), (1, amount)); // the last one is late
///         sales.end_tick();
///     }
///     rates.send(0, at(10), (1, Some(3)));
///     rates.send(0, at(20), (1, None));
///     rates.finish();
///     sales.finish();
/// });
/// let mut results = results.lock().unwrap().clone();
/// results.sort();
/// assert_eq!(results, [(5, None), (15, Some(30)), (25, None)]);
/// assert_eq!(*late.lock().unwrap(), [11]);
/// ```
pub struct JoinLookup<'scope, T: Tick, D: Data, K: Data, V: Data, F> {
    name: String,
    rows: Events<'scope, T, D>,
    table: Events<'scope, T, (K, Option<V>)>,
    key: F,
    pick: Pick,
    lateness: Span,
}

impl<'scope, T: Tick, D: Data> Events<'scope, T, D> {
    /// Looks each row up in a table that is sent to all workers, by event time.
    pub fn lookup<K: Data, V: Data, F: Fn(&D) -> K + 'static>(
        &self,
        name: &str,
        table: &Events<'scope, T, (K, Option<V>)>,
        key: F,
    ) -> JoinLookup<'scope, T, D, K, V, F> {
        JoinLookup {
            name: name.to_owned(),
            rows: self.clone(),
            table: table.clone(),
            key,
            pick: Pick::Backward(None),
            lateness: Span::ZERO,
        }
    }
}

impl<'scope, T, D, K, V, F> JoinLookup<'scope, T, D, K, V, F>
where
    T: Tick,
    D: ExchangeData + Data,
    K: Key + ExchangeData + Data,
    V: ExchangeData + Data,
    F: Fn(&D) -> K + 'static,
{
    /// Accepts rows of either side that are this far behind their partition's frontier, and waits
    /// that much longer for those of the table.
    #[must_use]
    pub fn allow_late(mut self, lateness: Duration) -> Self {
        self.lateness = lateness.into();
        self
    }

    /// Takes what is known when the row comes, without waiting. The results depend on timing.
    #[must_use]
    pub fn latest(mut self) -> Self {
        self.pick = Pick::Latest;
        self
    }

    /// Rows whose key has a value, each with it.
    pub fn inner(self) -> Joined<'scope, T, Events<'scope, T, (D, V)>, D, (K, Option<V>)> {
        self.build::<Inner>()
    }

    /// All rows, each with the value of its key if there is one.
    pub fn left(self) -> Joined<'scope, T, Events<'scope, T, (D, Option<V>)>, D, (K, Option<V>)> {
        self.build::<LeftOuter>()
    }

    fn build<J: Kind<D, V>>(
        self,
    ) -> Joined<'scope, T, Events<'scope, T, J::Out>, D, (K, Option<V>)> {
        let JoinLookup { name, rows, table, key, pick, lateness } = self;
        let (clock, table_clock) = (rows.clock(), table.clock());
        let late = (lateness.max(clock.late()), lateness.max(table_clock.late()));
        let scope = rows.scope();
        let counters = clock.observer().register(&name, "lookup_join", scope.index());
        let plan = Plan { pick, late, shared: Some((scope.index(), scope.peers())) };
        let split = |upsert: (K, Option<V>)| upsert;
        let logic = VersionJoin::<K, D, (K, Option<V>), V, F, _, J>::new(
            plan,
            key,
            split,
            counters.clone(),
        );
        let table = table.rows(Broadcast::broadcast);
        let (results, refused) = tick_operator_2(&name, &rows, &table, Pipeline, logic, counters);
        let clock = clock.union(&table_clock);
        Joined::new(
            Events::from_parts(results, clock.clone().delayed(plan.delay()).with_late(Span::ZERO)),
            Events::from_parts(refused, clock),
        )
    }
}
