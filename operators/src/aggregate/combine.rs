//! Aggregates made of another one: of some of the rows, or with another result.

use super::{Aggregate, Retract};
use crate::time::EventTime;

/// An aggregate of the rows for which something is true.
///
/// Cost and state are those of the aggregate.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, Mean, When};
///
/// struct Request { ms: f64, failed: bool }
///
/// let mean = Mean::of(|r: &Request| r.ms);
/// let both = (mean, When::holds(|r: &Request| r.failed, mean));
/// let mut state = both.create();
/// for (ms, failed) in [(10.0, false), (40.0, true), (20.0, true), (30.0, false)] {
///     both.add(&mut state, &Request { ms, failed });
/// }
/// assert_eq!(both.finish(&state), (25.0, 30.0));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct When<C, A> {
    condition: C,
    aggregate: A,
}

impl<C, A> When<C, A> {
    /// The aggregate of the rows for which `condition` holds.
    pub fn holds<D>(condition: C, aggregate: A) -> Self
    where
        C: Fn(&D) -> bool,
        A: Aggregate<D>,
    {
        When { condition, aggregate }
    }
}

impl<D, C: Fn(&D) -> bool + Clone + 'static, A: Aggregate<D>> Aggregate<D> for When<C, A> {
    type State = A::State;
    type Output = A::Output;

    #[inline]
    fn create(&self) -> A::State {
        self.aggregate.create()
    }

    #[inline]
    fn add(&self, state: &mut A::State, row: &D) {
        if (self.condition)(row) {
            self.aggregate.add(state, row);
        }
    }

    #[inline]
    fn add_at(&self, state: &mut A::State, time: EventTime, row: &D) {
        if (self.condition)(row) {
            self.aggregate.add_at(state, time, row);
        }
    }

    #[inline]
    fn merge(&self, state: &mut A::State, other: &A::State) {
        self.aggregate.merge(state, other);
    }

    fn is_small(&self) -> bool {
        self.aggregate.is_small()
    }

    #[inline]
    fn finish(&self, state: &A::State) -> A::Output {
        self.aggregate.finish(state)
    }
}

impl<D, C: Fn(&D) -> bool + Clone + 'static, A: Retract<D>> Retract<D> for When<C, A> {
    #[inline]
    fn retract(&self, state: &mut A::State, time: EventTime, row: &D) {
        if (self.condition)(row) {
            self.aggregate.retract(state, time, row);
        }
    }
}

/// An aggregate whose result is made into another one.
///
/// Cost and state are those of the aggregate.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, Mapped, Max, Min};
///
/// let range = Mapped::of(
///     (Min::of(|x: &i64| *x), Max::of(|x: &i64| *x)),
///     |(least, greatest): (Option<i64>, Option<i64>)| Some(greatest? - least?),
/// );
/// let mut state = Aggregate::<i64>::create(&range);
/// assert_eq!(range.finish(&state), None);
/// for x in [3, -4, 9] {
///     range.add(&mut state, &x);
/// }
/// assert_eq!(range.finish(&state), Some(13));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Mapped<A, M> {
    aggregate: A,
    map: M,
}

impl<A, M> Mapped<A, M> {
    /// The result of `aggregate`, made into what `map` makes of it.
    pub fn of<Output, Other>(aggregate: A, map: M) -> Self
    where
        M: Fn(Output) -> Other,
    {
        Mapped { aggregate, map }
    }
}

impl<D, A, M, Other> Aggregate<D> for Mapped<A, M>
where
    A: Aggregate<D>,
    M: Fn(A::Output) -> Other + Clone + 'static,
    Other: Clone + 'static,
{
    type State = A::State;
    type Output = Other;

    #[inline]
    fn create(&self) -> A::State {
        self.aggregate.create()
    }

    #[inline]
    fn add(&self, state: &mut A::State, row: &D) {
        self.aggregate.add(state, row);
    }

    #[inline]
    fn add_at(&self, state: &mut A::State, time: EventTime, row: &D) {
        self.aggregate.add_at(state, time, row);
    }

    #[inline]
    fn merge(&self, state: &mut A::State, other: &A::State) {
        self.aggregate.merge(state, other);
    }

    fn is_small(&self) -> bool {
        self.aggregate.is_small()
    }

    #[inline]
    fn finish(&self, state: &A::State) -> Other {
        (self.map)(self.aggregate.finish(state))
    }
}

impl<D, A, M, Other> Retract<D> for Mapped<A, M>
where
    A: Retract<D>,
    M: Fn(A::Output) -> Other + Clone + 'static,
    Other: Clone + 'static,
{
    #[inline]
    fn retract(&self, state: &mut A::State, time: EventTime, row: &D) {
        self.aggregate.retract(state, time, row);
    }
}
