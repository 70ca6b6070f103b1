//! Aggregates of changes: rows that come, and rows that are taken away again.

use super::{Aggregate, Retract};
use crate::change::Change;
use crate::time::EventTime;

/// An aggregate of the rows that are left once all changes are in; `None` if none is.
///
/// Windows on a stream of corrected results are made of it: what is withdrawn upstream is taken out
/// here. Cost: that of the aggregate, once for each time a row is added or taken away.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, Count, Signed, Sum};
/// use tiderace_operators::change::Change;
///
/// let total = Signed::of((Count, Sum::of(|n: &i64| *n)));
/// let mut state = total.create();
/// total.add(&mut state, &Change::add(5));
/// total.add(&mut state, &Change::add(7));
/// total.add(&mut state, &Change::remove(5)); // it was 6
/// total.add(&mut state, &Change::add(6));
/// assert_eq!(total.finish(&state), Some((2, 13)));
/// assert_eq!(total.finish(&total.create()), None);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Signed<A>(A);

impl<A> Signed<A> {
    /// Of changes of the rows that `aggregate` is of.
    pub fn of(aggregate: A) -> Self {
        Signed(aggregate)
    }
}

impl<D: 'static, A: Retract<D>> Aggregate<Change<D>> for Signed<A> {
    /// How many rows are left, and what is made of them.
    type State = (i64, A::State);
    type Output = Option<A::Output>;

    #[inline]
    fn create(&self) -> Self::State {
        (0, self.0.create())
    }

    #[inline]
    fn add(&self, state: &mut Self::State, change: &Change<D>) {
        self.add_at(state, EventTime::MIN, change);
    }

    #[inline]
    fn add_at(&self, (left, state): &mut Self::State, time: EventTime, change: &Change<D>) {
        *left += change.diff;
        for _ in 0..change.diff {
            self.0.add_at(state, time, &change.data);
        }
        for _ in change.diff..0 {
            self.0.retract(state, time, &change.data);
        }
    }

    #[inline]
    fn merge(&self, (left, state): &mut Self::State, other: &Self::State) {
        *left += other.0;
        self.0.merge(state, &other.1);
    }

    /// Rows must not be taken out where they have not been taken in.
    fn is_small(&self) -> bool {
        false
    }

    fn finish(&self, (left, state): &Self::State) -> Option<A::Output> {
        (*left != 0).then(|| self.0.finish(state))
    }
}
