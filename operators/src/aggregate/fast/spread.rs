//! Variance and deviation in plain arithmetic.

use serde::{Deserialize, Serialize};

use super::super::Aggregate;

/// Count, mean, and the sum of squared distances from the mean, kept as values come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Welford {
    count: u64,
    mean: f64,
    distances: f64,
}

impl Welford {
    /// Takes in a value: Welford 1962.
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.distances += before * (value - self.mean);
    }

    /// Takes in all values of another: Chan, Golub and LeVeque 1979.
    pub fn merge(&mut self, other: &Welford) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let count = self.count + other.count;
        let apart = other.mean - self.mean;
        let share = other.count as f64 / count as f64;
        self.mean += apart * share;
        self.distances += other.distances + apart * apart * (self.count as f64 * share);
        self.count = count;
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Their variance, by the count or by so many fewer.
    pub fn variance(&self, fewer: u64) -> Option<f64> {
        let divisor = self.count.checked_sub(fewer).filter(|&divisor| divisor > 0)?;
        Some(self.distances / divisor as f64)
    }
}

macro_rules! spreads {
    ($($(#[$doc:meta])* $name:ident: $finish:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<F> {
            value: F,
        }

        impl<F> $name<F> {
            /// Of what `value` takes from each row.
            pub fn of<D>(value: F) -> Self
            where
                F: Fn(&D) -> f64,
            {
                $name { value }
            }
        }

        impl<D, F: Fn(&D) -> f64 + Clone + 'static> Aggregate<D> for $name<F> {
            type State = Welford;
            type Output = Option<f64>;

            #[inline]
            fn create(&self) -> Welford {
                Welford::default()
            }

            #[inline]
            fn add(&self, state: &mut Welford, row: &D) {
                state.add((self.value)(row));
            }

            #[inline]
            fn merge(&self, state: &mut Welford, other: &Welford) {
                state.merge(other);
            }

            #[inline]
            fn finish(&self, state: &Welford) -> Option<f64> {
                let finish: fn(&Welford) -> Option<f64> = $finish;
                finish(state)
            }
        }
    )+};
}

spreads! {
    /// The variance of all there is (division by n) in plain arithmetic; `None` of no rows.
    ///
    /// The last digits depend on the order of rows and on how they are spread over workers, unlike
    /// those of [`VarPop`](super::super::VarPop); but nothing cancels, so values far from zero do
    /// no harm. Method: Welford 1962, merged as Chan, Golub and LeVeque 1979. Cost: a division a
    /// row; state: three numbers.
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, FastVarPop};
    ///
    /// let variance = FastVarPop::of(|x: &f64| *x);
    /// let (mut a, mut b) = (variance.create(), variance.create());
    /// variance.add(&mut a, &(1e9 + 4.0));
    /// variance.add(&mut a, &(1e9 + 7.0));
    /// variance.add(&mut b, &(1e9 + 13.0));
    /// variance.add(&mut b, &(1e9 + 16.0));
    /// variance.merge(&mut a, &b);
    /// assert_eq!(variance.finish(&a), Some(22.5));
    /// ```
    FastVarPop: |state| state.variance(0);

    /// The variance of a sample (division by n − 1) in plain arithmetic; `None` of fewer than two
    /// rows. See [`FastVarPop`].
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, FastVarSample};
    ///
    /// let variance = FastVarSample::of(|x: &f64| *x);
    /// let mut state = variance.create();
    /// variance.add(&mut state, &4.0);
    /// assert_eq!(variance.finish(&state), None);
    /// variance.add(&mut state, &8.0);
    /// assert_eq!(variance.finish(&state), Some(8.0));
    /// ```
    FastVarSample: |state| state.variance(1);

    /// The standard deviation of all there is: the root of [`FastVarPop`].
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, FastStdPop};
    ///
    /// let deviation = FastStdPop::of(|x: &f64| *x);
    /// let mut state = deviation.create();
    /// for x in [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0] {
    ///     deviation.add(&mut state, &x);
    /// }
    /// assert_eq!(deviation.finish(&state), Some(2.0));
    /// ```
    FastStdPop: |state| state.variance(0).map(f64::sqrt);

    /// The standard deviation of a sample: the root of [`FastVarSample`].
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, FastStdSample};
    ///
    /// let deviation = FastStdSample::of(|x: &f64| *x);
    /// let mut state = deviation.create();
    /// for x in [1.0, 3.0, 5.0] {
    ///     deviation.add(&mut state, &x);
    /// }
    /// assert_eq!(deviation.finish(&state), Some(2.0));
    /// ```
    FastStdSample: |state| state.variance(1).map(f64::sqrt);
}
