//! What depends on the order of rows: plain arithmetic in its last digits, and bounded counts.

mod frequent;
mod spread;

pub use frequent::{FastFrequent, FrequentValues};
pub use spread::{FastStdPop, FastStdSample, FastVarPop, FastVarSample, Welford};

use super::Aggregate;

/// The sum of an `f64` taken from each row, in plain arithmetic.
///
/// A few nanoseconds less a row than [`Sum`](super::Sum), but every order of rows and every way of
/// spreading them over workers may give other last digits.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, FastSum};
///
/// let sum = FastSum::of(|x: &f64| *x);
/// let mut state = sum.create();
/// for x in [0.5, 1.5, 2.0] {
///     sum.add(&mut state, &x);
/// }
/// assert_eq!(sum.finish(&state), 4.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FastSum<F> {
    value: F,
}

impl<F> FastSum<F> {
    /// Sums what `value` takes from each row.
    pub fn of<D>(value: F) -> Self
    where
        F: Fn(&D) -> f64,
    {
        FastSum { value }
    }
}

impl<D, F: Fn(&D) -> f64 + Clone + 'static> Aggregate<D> for FastSum<F> {
    type State = f64;
    type Output = f64;

    #[inline]
    fn create(&self) -> f64 {
        0.0
    }

    #[inline]
    fn add(&self, state: &mut f64, row: &D) {
        *state += (self.value)(row);
    }

    #[inline]
    fn merge(&self, state: &mut f64, other: &f64) {
        *state += other;
    }

    #[inline]
    fn finish(&self, state: &f64) -> f64 {
        *state
    }
}

/// The mean of an `f64` taken from each row, in plain arithmetic; NaN if there are no rows.
///
/// Like [`FastSum`], it depends on the order of rows in its last digits.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, FastMean};
///
/// let mean = FastMean::of(|x: &f64| *x);
/// let mut state = mean.create();
/// for x in [0.5, 1.5, 4.0] {
///     mean.add(&mut state, &x);
/// }
/// assert_eq!(mean.finish(&state), 2.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FastMean<F> {
    value: F,
}

impl<F> FastMean<F> {
    /// The mean of what `value` takes from each row.
    pub fn of<D>(value: F) -> Self
    where
        F: Fn(&D) -> f64,
    {
        FastMean { value }
    }
}

impl<D, F: Fn(&D) -> f64 + Clone + 'static> Aggregate<D> for FastMean<F> {
    type State = (f64, u64);
    type Output = f64;

    #[inline]
    fn create(&self) -> (f64, u64) {
        (0.0, 0)
    }

    #[inline]
    fn add(&self, (sum, count): &mut (f64, u64), row: &D) {
        *sum += (self.value)(row);
        *count += 1;
    }

    #[inline]
    fn merge(&self, (sum, count): &mut (f64, u64), other: &(f64, u64)) {
        *sum += other.0;
        *count += other.1;
    }

    #[inline]
    fn finish(&self, (sum, count): &(f64, u64)) -> f64 {
        sum / *count as f64
    }
}
