//! Sums and means that do not depend on order.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::exact::{ExactSum, exact_quotient};
use super::{Aggregate, Retract};
use crate::time::EventTime;

/// What can be summed: all integers up to 64 bits, and floats.
pub trait Number: Copy + 'static {
    /// The running sum, which is exact.
    type Running: Clone + Default + Serialize + DeserializeOwned + Send + 'static;
    /// The type of the total: `i128` for integers, `f64` for floats.
    type Total: Clone + 'static;

    /// Adds this value.
    fn add_to(self, running: &mut Self::Running);
    /// Takes this value out again.
    fn take_from(self, running: &mut Self::Running);
    /// The nearest `f64`; integers beyond 2^53 may be rounded.
    fn to_f64(self) -> f64;
    /// Adds all of another running sum.
    fn merge(running: &mut Self::Running, other: &Self::Running);
    /// The total.
    fn total(running: &Self::Running) -> Self::Total;
    /// The total divided by `count`, rounded once; NaN for a count of zero.
    fn mean(running: &Self::Running, count: u64) -> f64;
}

macro_rules! integers {
    ($($int:ty),+) => {$(
        impl Number for $int {
            // No wrap: 2^63 rows of the most extreme value still fit.
            type Running = i128;
            type Total = i128;

            #[inline]
            fn add_to(self, running: &mut i128) {
                *running += self as i128;
            }

            #[inline]
            fn take_from(self, running: &mut i128) {
                *running -= self as i128;
            }

            #[inline]
            fn to_f64(self) -> f64 {
                self as f64
            }

            #[inline]
            fn merge(running: &mut i128, other: &i128) {
                *running += other;
            }

            #[inline]
            fn total(running: &i128) -> i128 {
                *running
            }

            #[inline]
            fn mean(running: &i128, count: u64) -> f64 {
                if count == 0 { f64::NAN } else { exact_quotient(*running, 0, count) }
            }
        }
    )+};
}

integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

macro_rules! floats {
    ($($float:ty),+) => {$(
        impl Number for $float {
            type Running = ExactSum;
            type Total = f64;

            #[inline]
            fn add_to(self, running: &mut ExactSum) {
                running.add(f64::from(self));
            }

            #[inline]
            fn take_from(self, running: &mut ExactSum) {
                running.remove(f64::from(self));
            }

            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline]
            fn merge(running: &mut ExactSum, other: &ExactSum) {
                running.merge(other);
            }

            #[inline]
            fn total(running: &ExactSum) -> f64 {
                running.total()
            }

            #[inline]
            fn mean(running: &ExactSum, count: u64) -> f64 {
                running.mean(count)
            }
        }
    )+};
}

floats!(f32, f64);

/// The sum of a number taken from each row.
///
/// Integers add up to an `i128`, which never wraps. Floats add up exactly and are rounded once (see
/// [`ExactSum`]), so the order of rows does not matter; a NaN makes the sum NaN.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, Sum};
///
/// let bytes = Sum::of(|n: &u64| *n);
/// let mut state = bytes.create();
/// bytes.add(&mut state, &u64::MAX);
/// bytes.add(&mut state, &1);
/// assert_eq!(bytes.finish(&state), 1_i128 << 64);
///
/// let litres = Sum::of(|x: &f64| *x);
/// let (mut a, mut b) = (litres.create(), litres.create());
/// litres.add(&mut a, &1e16);
/// litres.add(&mut a, &1.0);
/// litres.add(&mut b, &-1e16);
/// litres.merge(&mut a, &b);
/// assert_eq!(litres.finish(&a), 1.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sum<F> {
    value: F,
}

impl<F> Sum<F> {
    /// Sums what `value` takes from each row.
    pub fn of<D, V: Number>(value: F) -> Self
    where
        F: Fn(&D) -> V,
    {
        Sum { value }
    }
}

impl<D, V: Number, F: Fn(&D) -> V + Clone + 'static> Aggregate<D> for Sum<F> {
    type State = V::Running;
    type Output = V::Total;

    #[inline]
    fn create(&self) -> Self::State {
        V::Running::default()
    }

    #[inline]
    fn add(&self, state: &mut Self::State, row: &D) {
        (self.value)(row).add_to(state);
    }

    #[inline]
    fn merge(&self, state: &mut Self::State, other: &Self::State) {
        V::merge(state, other);
    }

    #[inline]
    fn finish(&self, state: &Self::State) -> V::Total {
        V::total(state)
    }
}

impl<D, V: Number, F: Fn(&D) -> V + Clone + 'static> Retract<D> for Sum<F> {
    #[inline]
    fn retract(&self, state: &mut Self::State, _time: EventTime, row: &D) {
        (self.value)(row).take_from(state);
    }
}

/// The mean of a number taken from each row: the exact sum over the count, rounded once.
///
/// A NaN makes the mean NaN, as does the absence of rows (a window always has some).
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, Mean};
///
/// let mean = Mean::of(|celsius: &f64| *celsius);
/// let mut state = mean.create();
/// for celsius in [0.1, 0.2, 0.3] {
///     mean.add(&mut state, &celsius);
/// }
/// assert_eq!(mean.finish(&state), 0.2);
///
/// // The mean of huge numbers is finite although their sum is not.
/// let mut state = mean.create();
/// mean.add(&mut state, &1.5e308);
/// mean.add(&mut state, &1.7e308);
/// assert_eq!(mean.finish(&state), 1.6e308);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Mean<F> {
    value: F,
}

impl<F> Mean<F> {
    /// The mean of what `value` takes from each row.
    pub fn of<D, V: Number>(value: F) -> Self
    where
        F: Fn(&D) -> V,
    {
        Mean { value }
    }
}

impl<D, V: Number, F: Fn(&D) -> V + Clone + 'static> Aggregate<D> for Mean<F> {
    type State = (V::Running, u64);
    type Output = f64;

    #[inline]
    fn create(&self) -> Self::State {
        (V::Running::default(), 0)
    }

    #[inline]
    fn add(&self, (running, count): &mut Self::State, row: &D) {
        (self.value)(row).add_to(running);
        *count += 1;
    }

    #[inline]
    fn merge(&self, (running, count): &mut Self::State, other: &Self::State) {
        V::merge(running, &other.0);
        *count += other.1;
    }

    #[inline]
    fn finish(&self, (running, count): &Self::State) -> f64 {
        V::mean(running, *count)
    }
}

impl<D, V: Number, F: Fn(&D) -> V + Clone + 'static> Retract<D> for Mean<F> {
    #[inline]
    fn retract(&self, (running, count): &mut Self::State, _time: EventTime, row: &D) {
        (self.value)(row).take_from(running);
        *count -= 1;
    }
}
