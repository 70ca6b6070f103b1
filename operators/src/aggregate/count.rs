//! How many rows.

use super::{Aggregate, Retract};
use crate::time::EventTime;

/// The number of rows.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, Count};
///
/// let mut state = Aggregate::<&str>::create(&Count);
/// Count.add(&mut state, &"a");
/// Count.add(&mut state, &"b");
/// assert_eq!(Aggregate::<&str>::finish(&Count, &state), 2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count;

impl<D> Aggregate<D> for Count {
    type State = u64;
    type Output = u64;

    #[inline]
    fn create(&self) -> u64 {
        0
    }

    #[inline]
    fn add(&self, state: &mut u64, _row: &D) {
        *state += 1;
    }

    #[inline]
    fn merge(&self, state: &mut u64, other: &u64) {
        *state += other;
    }

    #[inline]
    fn finish(&self, state: &u64) -> u64 {
        *state
    }
}

impl<D> Retract<D> for Count {
    #[inline]
    fn retract(&self, state: &mut u64, _time: EventTime, _row: &D) {
        *state -= 1;
    }
}

/// The number of rows of which something is true.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, CountIf};
///
/// let frosty = CountIf::when(|celsius: &f64| *celsius < 0.0);
/// let mut state = frosty.create();
/// for celsius in [-3.0, 0.0, 2.0, -0.5] {
///     frosty.add(&mut state, &celsius);
/// }
/// assert_eq!(frosty.finish(&state), 2);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CountIf<F> {
    condition: F,
}

impl<F> CountIf<F> {
    /// Counts the rows for which `condition` holds.
    pub fn when<D>(condition: F) -> Self
    where
        F: Fn(&D) -> bool,
    {
        CountIf { condition }
    }
}

impl<D, F: Fn(&D) -> bool + Clone + 'static> Aggregate<D> for CountIf<F> {
    type State = u64;
    type Output = u64;

    #[inline]
    fn create(&self) -> u64 {
        0
    }

    #[inline]
    fn add(&self, state: &mut u64, row: &D) {
        *state += u64::from((self.condition)(row));
    }

    #[inline]
    fn merge(&self, state: &mut u64, other: &u64) {
        *state += other;
    }

    #[inline]
    fn finish(&self, state: &u64) -> u64 {
        *state
    }
}

impl<D, F: Fn(&D) -> bool + Clone + 'static> Retract<D> for CountIf<F> {
    #[inline]
    fn retract(&self, state: &mut u64, _time: EventTime, row: &D) {
        *state -= u64::from((self.condition)(row));
    }
}
