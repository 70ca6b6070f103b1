//! Other aggregates for other keys.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Aggregate, Retract};
use crate::time::EventTime;

/// One aggregate of several for each row, and so, where the row's key decides, for each key.
///
/// The result has an entry for each aggregate that got rows: its place in the list and its result,
/// in the order of the list. Where the key alone decides, that is one entry. Cost: a branch more a
/// row than the aggregate; state: that of each aggregate which got rows.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, Choose, Composite};
///
/// let of = Composite::of(|r: &(&str, f64)| r.1);
/// let by_sensor = Choose::new(
///     |r: &(&str, f64)| usize::from(r.0.starts_with("door")),
///     [of.clone().mean("avg").max("max"), of.count("openings")],
/// );
///
/// let mut kitchen = by_sensor.create();
/// by_sensor.add(&mut kitchen, &("kitchen", 20.5));
/// by_sensor.add(&mut kitchen, &("kitchen", 21.5));
/// let (which, found) = &by_sensor.finish(&kitchen)[0];
/// assert_eq!((*which, found.get("avg"), found.get("openings")), (0, Some(21.0), None));
///
/// let mut door = by_sensor.create();
/// by_sensor.add(&mut door, &("door 3", 1.0));
/// let (which, found) = &by_sensor.finish(&door)[0];
/// assert_eq!((*which, found.get("openings")), (1, Some(1.0)));
/// ```
#[derive(Clone, Debug)]
pub struct Choose<C, A> {
    choice: C,
    aggregates: Arc<[A]>,
}

impl<C, A> Choose<C, A> {
    /// The aggregate at the place that `choice` says for a row, counted from 0. A place beyond the
    /// list is a panic when such a row comes.
    ///
    /// # Panics
    /// If the list is empty.
    pub fn new<D>(choice: C, aggregates: impl IntoIterator<Item = A>) -> Self
    where
        C: Fn(&D) -> usize,
        A: Aggregate<D>,
    {
        let aggregates: Arc<[A]> = aggregates.into_iter().collect();
        assert!(!aggregates.is_empty(), "Choose: there is no aggregate to choose");
        Choose { choice, aggregates }
    }

    #[inline]
    fn chosen<D>(&self, row: &D) -> (usize, &A)
    where
        C: Fn(&D) -> usize,
    {
        let which = (self.choice)(row);
        let count = self.aggregates.len();
        assert!(which < count, "Choose: place {which} was chosen of {count} aggregates");
        (which, &self.aggregates[which])
    }
}

/// The state of one of the aggregates, with how many rows it got.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part<S> {
    which: u32,
    rows: u64,
    state: S,
}

/// The part of an aggregate, made where it is missing. Parts are in the order of the list.
fn part<S>(parts: &mut Vec<Part<S>>, which: usize, create: impl FnOnce() -> S) -> &mut Part<S> {
    let which = which as u32;
    let place = parts.partition_point(|part| part.which < which);
    if parts.get(place).is_none_or(|part| part.which != which) {
        parts.insert(place, Part { which, rows: 0, state: create() });
    }
    &mut parts[place]
}

impl<D, C: Fn(&D) -> usize + Clone + 'static, A: Aggregate<D>> Aggregate<D> for Choose<C, A> {
    type State = Vec<Part<A::State>>;
    type Output = Vec<(usize, A::Output)>;

    fn create(&self) -> Self::State {
        Vec::new()
    }

    #[inline]
    fn add(&self, state: &mut Self::State, row: &D) {
        let (which, aggregate) = self.chosen(row);
        let part = part(state, which, || aggregate.create());
        part.rows += 1;
        aggregate.add(&mut part.state, row);
    }

    #[inline]
    fn add_at(&self, state: &mut Self::State, time: EventTime, row: &D) {
        let (which, aggregate) = self.chosen(row);
        let part = part(state, which, || aggregate.create());
        part.rows += 1;
        aggregate.add_at(&mut part.state, time, row);
    }

    fn merge(&self, state: &mut Self::State, other: &Self::State) {
        for theirs in other {
            let aggregate = &self.aggregates[theirs.which as usize];
            let ours = part(state, theirs.which as usize, || aggregate.create());
            ours.rows += theirs.rows;
            aggregate.merge(&mut ours.state, &theirs.state);
        }
    }

    fn is_small(&self) -> bool {
        self.aggregates.iter().all(Aggregate::is_small)
    }

    fn finish(&self, state: &Self::State) -> Self::Output {
        let each = state.iter().map(|part| {
            let which = part.which as usize;
            (which, self.aggregates[which].finish(&part.state))
        });
        each.collect()
    }
}

impl<D, C: Fn(&D) -> usize + Clone + 'static, A: Retract<D>> Retract<D> for Choose<C, A> {
    fn retract(&self, state: &mut Self::State, time: EventTime, row: &D) {
        let (which, aggregate) = self.chosen(row);
        let part = part(state, which, || aggregate.create());
        debug_assert!(part.rows > 0, "a row is taken out that was not taken in");
        aggregate.retract(&mut part.state, time, row);
        part.rows = part.rows.saturating_sub(1);
        // What never had rows has no entry.
        state.retain(|part| part.rows > 0);
    }
}
