//! Variance and standard deviation.
//!
//! Kept are the exact sums of the values and of their squares, so nothing cancels and no order
//! matters. Squares of values beyond about `1e154` are infinite, and those of values below about
//! `1e-140` lose digits. State: 80 bytes, but for values that differ very much in size.

use super::exact::{ExactSquares, ExactSum, spread};
use super::{Aggregate, Retract};
use crate::time::EventTime;

/// The exact sum of some values, that of their squares, and how many they are.
pub(super) type Moments = (ExactSum, ExactSquares, u64);

#[inline]
pub(super) fn add((sum, squares, count): &mut Moments, value: f64) {
    sum.add(value);
    *count += 1;
    squares.add(value);
}

/// Takes a value out that was added before.
fn remove((sum, squares, count): &mut Moments, value: f64) {
    sum.remove(value);
    *count -= 1;
    squares.remove(value);
}

pub(super) fn merge(state: &mut Moments, other: &Moments) {
    state.0.merge(&other.0);
    state.1.merge(&other.1);
    state.2 += other.2;
}

pub(super) fn variance((sum, squares, count): &Moments, fewer: u64) -> Option<f64> {
    let divisor = count.checked_sub(fewer).filter(|&divisor| divisor > 0)?;
    Some(spread(sum, squares, *count, divisor))
}

macro_rules! spreads {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $finish:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<F> {
            value: F,
        }

        impl<F> $name<F> {
            #[doc = $what]
            pub fn of<D, V: Into<f64>>(value: F) -> Self
            where
                F: Fn(&D) -> V,
            {
                $name { value }
            }
        }

        impl<D, V: Into<f64>, F: Fn(&D) -> V + Clone + 'static> Aggregate<D> for $name<F> {
            type State = Moments;
            type Output = Option<f64>;

            #[inline]
            fn create(&self) -> Moments {
                Moments::default()
            }

            #[inline]
            fn add(&self, state: &mut Moments, row: &D) {
                add(state, (self.value)(row).into());
            }

            #[inline]
            fn merge(&self, state: &mut Moments, other: &Moments) {
                merge(state, other);
            }

            #[inline]
            fn finish(&self, state: &Moments) -> Option<f64> {
                let finish: fn(&Moments) -> Option<f64> = $finish;
                finish(state)
            }
        }

        impl<D, V: Into<f64>, F: Fn(&D) -> V + Clone + 'static> Retract<D> for $name<F> {
            #[inline]
            fn retract(&self, state: &mut Moments, _time: EventTime, row: &D) {
                remove(state, (self.value)(row).into());
            }
        }
    )+};
}

spreads! {
    /// The variance of all there is (division by n); `None` of no rows.
    ///
    /// Rounded once from the exact value, so the order of rows does not matter. NaN and infinite
    /// values make it NaN.
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, VarPop};
    ///
    /// let variance = VarPop::of(|x: &f64| *x);
    /// let mut state = variance.create();
    /// for x in [1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0] {
    ///     variance.add(&mut state, &x);
    /// }
    /// assert_eq!(variance.finish(&state), Some(22.5));
    /// ```
    VarPop, "The variance of what `value` takes from each row.", |state| variance(state, 0);

    /// The variance of a sample (division by n − 1); `None` of fewer than two rows.
    ///
    /// Rounded once from the exact value, so the order of rows does not matter.
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, VarSample};
    ///
    /// let variance = VarSample::of(|x: &i32| *x);
    /// let mut state = variance.create();
    /// variance.add(&mut state, &4);
    /// assert_eq!(variance.finish(&state), None);
    /// variance.add(&mut state, &8);
    /// assert_eq!(variance.finish(&state), Some(8.0));
    /// ```
    VarSample, "The variance of what `value` takes from each row.", |state| variance(state, 1);

    /// The standard deviation of all there is: the root of [`VarPop`].
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, StdPop};
    ///
    /// let deviation = StdPop::of(|x: &f64| *x);
    /// let mut state = deviation.create();
    /// for x in [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0] {
    ///     deviation.add(&mut state, &x);
    /// }
    /// assert_eq!(deviation.finish(&state), Some(2.0));
    /// ```
    StdPop, "The deviation of what `value` takes from each row.",
        |state| variance(state, 0).map(f64::sqrt);

    /// The standard deviation of a sample: the root of [`VarSample`].
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, StdSample};
    ///
    /// let deviation = StdSample::of(|x: &f64| *x);
    /// let mut state = deviation.create();
    /// for x in [1.0, 3.0, 5.0] {
    ///     deviation.add(&mut state, &x);
    /// }
    /// assert_eq!(deviation.finish(&state), Some(2.0));
    /// ```
    StdSample, "The deviation of what `value` takes from each row.",
        |state| variance(state, 1).map(f64::sqrt);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::exact::exact_quotient;

    fn moments(values: impl IntoIterator<Item = f64>) -> Moments {
        let mut state = Moments::default();
        values.into_iter().for_each(|value| add(&mut state, value));
        state
    }

    proptest! {
        /// Against whole numbers, where everything is exact, also when scaled by powers of two.
        #[test]
        fn agrees_with_whole_numbers(
            values in prop::collection::vec(prop_oneof![any::<i32>(), -5..5_i32], 2..40),
            offset in prop::sample::select(vec![0, 1, 1_000_000_007]),
            power in -400..400_i32,
        ) {
            let whole: Vec<i128> = values.iter().map(|&x| i128::from(x) + offset).collect();
            let n = whole.len() as i128;
            let squares: i128 = whole.iter().map(|x| x * x).sum();
            let sum: i128 = whole.iter().sum();
            let state = moments(whole.iter().map(|&x| x as f64 * 2_f64.powi(power)));
            for fewer in [0, 1] {
                let over = (n * (n - fewer as i128)) as u64;
                let expected = exact_quotient(n * squares - sum * sum, 0, over);
                let expected = expected * 2_f64.powi(power) * 2_f64.powi(power);
                prop_assert_eq!(variance(&state, fewer), Some(expected));
            }
        }

        /// Values of 53 bits, whose squares are not floats: a shift of all changes nothing.
        #[test]
        fn squares_are_exact(low in 0..1_000_i64) {
            let far = (1_i64 << 52) + low;
            let state = moments([far, far + 1, far + 2, far + 5].map(|x| x as f64));
            prop_assert_eq!(variance(&state, 0), Some(3.5));
        }
    }

    #[test]
    fn many_rows_spread_like_few() {
        let few = moments([0.1, -7.3, 1e5, 3.0]);
        let mut many = few.clone();
        for _ in 0..60 {
            let other = many.clone();
            VarPop::of(|x: &f64| *x).merge(&mut many, &other);
        }
        assert_eq!(many.2, 1 << 62);
        assert_eq!(variance(&many, 0), variance(&few, 0));
    }

    #[test]
    fn values_that_are_not_finite() {
        let of = |values: [f64; 2]| variance(&moments(values), 0).expect("there are values");
        assert!(of([f64::NAN, 1.0]).is_nan());
        assert!(of([f64::INFINITY, 1.0]).is_nan());
        assert_eq!(of([1e200, -1e200]), f64::INFINITY);
        assert_eq!(of([1e-200, -1e-200]), 0.0);
        assert_eq!(variance(&moments([]), 0), None);
        assert_eq!(variance(&moments([3.0]), 1), None);
        assert_eq!(variance(&moments([0.1]), 0), Some(0.0));
    }
}
