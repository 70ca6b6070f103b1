//! Percentiles: the value below which a share of the rows lie.
//!
//! Two definitions are in use, and they differ on few rows. **Nearest rank** ([`Percentile`]) is
//! the element at place `ceil(p / 100 · n)` of the sorted values: always a value that occurred
//! (SQL's `PERCENTILE_DISC`). **Continuous** ([`PercentileCont`]) lies between the two elements
//! around place `1 + p / 100 · (n − 1)`, in proportion (SQL's `PERCENTILE_CONT`, type 7 of Hyndman
//! and Fan). Places are computed in whole numbers, a percentage being taken to nine decimals.
//!
//! What is kept, and so what it costs:
//!
//! | | state | result |
//! |---|---|---|
//! | [`Percentile`], [`Percentiles`], [`PercentileCont`], [`Median`] | every different value, with its count | exact |
//! | the same with `exact_up_to(n)` | as above up to n different values, then bins | exact, then with an error |
//! | [`ApproxPercentile`], [`ApproxPercentiles`] | bins | with an error |
//!
//! A bin is a stretch of numbers that agree in their sign, exponent and leading bits, so that all of
//! them are near its middle in proportion: by default within 0.4 %. Bins are what DDSketch (Masson,
//! Rim and Lee 2019) and HDR histograms have, here cut by bits instead of logarithms, so that every
//! machine finds the same one. Counts of bins add up, whatever the order, and none are ever joined:
//! there are 128 of them (for 0.4 %) for each factor of two that the values span.
//!
//! **NaN** has no place among the others. By default it is refused: with a NaN among the rows there
//! is no percentile, and the result is `None`, as it is without rows. `ignore_nan()` takes the
//! percentile of the other values.

mod bins;
mod kind;
mod place;

pub(super) use kind::{Between, Kind, Nearest, Remove};
pub(super) use place::{Percent, between};

use kind::{Coarse, UpTo};
use serde::{Deserialize, Serialize};

use super::{Aggregate, Number, Retract};
use crate::time::EventTime;

/// A percentile, and how far from the true one it can be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// The percentile.
    pub value: f64,
    /// The true one is at most this far away; zero where the value is exact.
    pub error: f64,
}

macro_rules! percentiles {
    ($(
        $(#[$doc:meta])*
        $name:ident asks $asked:ty, finds $kind:ident gives $output:ty: $finish:expr;
    )+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name<F> {
            asked: $asked,
            value: F,
            kind: $kind,
        }

        impl<F> $name<F> {
            /// Leaves NaN out, instead of having no result because of it.
            #[must_use]
            pub fn ignore_nan(mut self) -> Self {
                self.kind.ignore_nan = true;
                self
            }
        }

        impl<D, V: Number, F: Fn(&D) -> V + Clone + 'static> Aggregate<D> for $name<F> {
            type State = <$kind as Kind>::State;
            type Output = $output;

            #[inline]
            fn create(&self) -> Self::State {
                Self::State::default()
            }

            #[inline]
            fn add(&self, state: &mut Self::State, row: &D) {
                self.kind.add(state, (self.value)(row).to_f64());
            }

            fn merge(&self, state: &mut Self::State, other: &Self::State) {
                self.kind.merge(state, other);
            }

            fn is_small(&self) -> bool {
                false
            }

            fn finish(&self, state: &Self::State) -> Self::Output {
                let finish: fn(&$kind, &Self::State, &$asked) -> $output = $finish;
                finish(&self.kind, state, &self.asked)
            }
        }
    )+};
}

percentiles! {
    /// The percentile by nearest rank: the element at place `ceil(p / 100 · n)`, for p in (0, 100].
    ///
    /// Exact. `None` without rows, and with a NaN among them (see [the module](self)). Integers
    /// beyond 2^53 are rounded to an `f64` first. Cost: a search in a sorted map a row; state: each
    /// different value.
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, Percentile};
    ///
    /// let of = |p| Percentile::of(p, |ms: &f64| *ms);
    /// let (p50, p95) = (of(50.0), of(95.0));
    /// let mut state = p50.create();
    /// assert_eq!(p50.finish(&state), None);
    /// for ms in [50.0, 10.0, 40.0, 20.0, 30.0] {
    ///     p50.add(&mut state, &ms);
    /// }
    /// assert_eq!(p50.finish(&state), Some(30.0));
    /// assert_eq!(p95.finish(&state), Some(50.0));
    ///
    /// p50.add(&mut state, &f64::NAN);
    /// assert_eq!(p50.finish(&state), None);
    /// assert_eq!(p50.ignore_nan().finish(&state), Some(30.0));
    /// ```
    Percentile asks Percent, finds Nearest gives Option<f64>: |kind, state, p| kind.at(state, *p);

    /// Several percentiles by nearest rank, from one state: a list in the order asked for.
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, Percentiles};
    ///
    /// let latency = Percentiles::of([50.0, 95.0, 99.0], |ms: &u32| *ms);
    /// let mut state = latency.create();
    /// for ms in 1..=200 {
    ///     latency.add(&mut state, &ms);
    /// }
    /// assert_eq!(latency.finish(&state), [Some(100.0), Some(190.0), Some(198.0)]);
    /// ```
    Percentiles asks Vec<Percent>, finds Nearest gives Vec<Option<f64>>:
        |kind, state, asked| asked.iter().map(|p| kind.at(state, *p)).collect();

    /// The continuous percentile: in proportion between the two elements around place
    /// `1 + p / 100 · (n − 1)`, for p in [0, 100].
    ///
    /// Exact but for the rounding of that proportion. Otherwise like [`Percentile`].
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, PercentileCont};
    ///
    /// let p95 = PercentileCont::of(95.0, |ms: &f64| *ms);
    /// let mut state = p95.create();
    /// for ms in [50.0, 10.0, 40.0, 20.0, 30.0] {
    ///     p95.add(&mut state, &ms);
    /// }
    /// assert_eq!(p95.finish(&state), Some(48.0));
    /// ```
    PercentileCont asks Percent, finds Between gives Option<f64>:
        |kind, state, p| kind.at(state, *p);

    /// What [`Percentile::exact_up_to`] makes.
    PercentileUpTo asks Percent, finds UpTo gives Option<Quantile>:
        |kind, state, p| kind.at(state, *p);

    /// What [`Percentiles::exact_up_to`] makes.
    PercentilesUpTo asks Vec<Percent>, finds UpTo gives Vec<Option<Quantile>>:
        |kind, state, asked| asked.iter().map(|p| kind.at(state, *p)).collect();

    /// The percentile by nearest rank from bins: near the true one, in proportion, in little memory.
    ///
    /// By default within 0.4 % of the true value ([`ApproxPercentile::within`] sets it); values
    /// below `2.3e-308` in size count as zero. The result says the largest error there can be. Cost:
    /// a search in a map of bins a row; state: a number for each bin that has a value, 128 bins for
    /// each factor of two the values span. Any order of rows and merges gives the same result.
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, ApproxPercentile};
    ///
    /// let p99 = ApproxPercentile::of(99.0, |ms: &u32| *ms).within(0.01);
    /// let mut state = p99.create();
    /// for ms in 1..=100_000 {
    ///     p99.add(&mut state, &ms);
    /// }
    /// let found = p99.finish(&state).expect("there are rows");
    /// assert!((found.value - 99_000.0).abs() <= found.error);
    /// assert!(found.error <= 990.0);
    /// ```
    ApproxPercentile asks Percent, finds Coarse gives Option<Quantile>:
        |kind, state, p| kind.at(state, *p);

    /// Several percentiles as [`ApproxPercentile`] finds them, from one state.
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, ApproxPercentiles};
    ///
    /// let latency = ApproxPercentiles::of([50.0, 99.0], |ms: &f64| *ms);
    /// let mut state = latency.create();
    /// for ms in 1..=1_000 {
    ///     latency.add(&mut state, &f64::from(ms));
    /// }
    /// for (found, exact) in latency.finish(&state).into_iter().flatten().zip([500.0, 990.0]) {
    ///     assert!((found.value - exact).abs() <= 0.004 * exact);
    /// }
    /// ```
    ApproxPercentiles asks Vec<Percent>, finds Coarse gives Vec<Option<Quantile>>:
        |kind, state, asked| asked.iter().map(|p| kind.at(state, *p)).collect();
}

macro_rules! retracts {
    ($($name:ident)+) => {$(
        impl<D, V: Number, F: Fn(&D) -> V + Clone + 'static> Retract<D> for $name<F> {
            fn retract(&self, state: &mut Self::State, _time: EventTime, row: &D) {
                self.kind.remove(state, (self.value)(row).to_f64());
            }
        }
    )+};
}

retracts!(Percentile Percentiles PercentileCont ApproxPercentile ApproxPercentiles);

impl<F> Percentile<F> {
    /// The percentile of what `value` takes from each row.
    ///
    /// # Panics
    /// If the percentage is not above 0 and at most 100.
    pub fn of<D, V: Number>(percent: f64, value: F) -> Self
    where
        F: Fn(&D) -> V,
    {
        Percentile {
            asked: Percent::above_zero("Percentile", percent),
            value,
            kind: Nearest::new(),
        }
    }

    /// Keeps at most so many different values; with more of them it goes on like
    /// [`ApproxPercentile`]. The result says which: its error is zero while it is exact.
    ///
    /// Which one it is depends on how many different values there are in all, not on their order.
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, Percentile};
    ///
    /// let p50 = Percentile::of(50.0, |ms: &f64| *ms).exact_up_to(100);
    /// let mut state = p50.create();
    /// (1..=100).for_each(|ms| p50.add(&mut state, &f64::from(ms)));
    /// let exact = p50.finish(&state).expect("there are rows");
    /// assert_eq!((exact.value, exact.error), (50.0, 0.0));
    /// (101..=1_000).for_each(|ms| p50.add(&mut state, &f64::from(ms)));
    /// let near = p50.finish(&state).expect("there are rows");
    /// assert!(near.error > 0.0 && (near.value - 500.0).abs() <= near.error);
    /// ```
    ///
    /// # Panics
    /// If the limit is zero.
    #[must_use]
    pub fn exact_up_to(self, limit: usize) -> PercentileUpTo<F> {
        let kind = UpTo::new("Percentile", limit, self.kind.ignore_nan);
        PercentileUpTo { asked: self.asked, value: self.value, kind }
    }
}

impl<F> Percentiles<F> {
    /// The percentiles of what `value` takes from each row.
    ///
    /// # Panics
    /// If a percentage is not above 0 and at most 100.
    pub fn of<D, V: Number>(percents: impl IntoIterator<Item = f64>, value: F) -> Self
    where
        F: Fn(&D) -> V,
    {
        Percentiles { asked: Percent::all("Percentiles", percents), value, kind: Nearest::new() }
    }

    /// See [`Percentile::exact_up_to`].
    ///
    /// # Panics
    /// If the limit is zero.
    #[must_use]
    pub fn exact_up_to(self, limit: usize) -> PercentilesUpTo<F> {
        let kind = UpTo::new("Percentiles", limit, self.kind.ignore_nan);
        PercentilesUpTo { asked: self.asked, value: self.value, kind }
    }
}

impl<F> PercentileCont<F> {
    /// The percentile of what `value` takes from each row.
    ///
    /// # Panics
    /// If the percentage is not between 0 and 100.
    pub fn of<D, V: Number>(percent: f64, value: F) -> Self
    where
        F: Fn(&D) -> V,
    {
        let asked = Percent::from_zero("PercentileCont", percent);
        PercentileCont { asked, value, kind: Between::new() }
    }
}

/// The median: the middle value, or half way between the two middle ones.
///
/// It is [`PercentileCont`] at 50.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, Median};
///
/// let median = Median::of(|x: &u32| *x);
/// let mut state = median.create();
/// for x in [7, 1, 100, 4] {
///     median.add(&mut state, &x);
/// }
/// assert_eq!(median.finish(&state), Some(5.5));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Median;

impl Median {
    /// The median of what `value` takes from each row.
    pub fn of<D, V: Number, F: Fn(&D) -> V>(value: F) -> PercentileCont<F> {
        PercentileCont::of(50.0, value)
    }
}

impl<F> ApproxPercentile<F> {
    /// The percentile of what `value` takes from each row, within 0.4 %.
    ///
    /// # Panics
    /// If the percentage is not above 0 and at most 100.
    pub fn of<D, V: Number>(percent: f64, value: F) -> Self
    where
        F: Fn(&D) -> V,
    {
        let asked = Percent::above_zero("ApproxPercentile", percent);
        ApproxPercentile { asked, value, kind: Coarse::new() }
    }

    /// Within this share of the true value, 0.01 being one percent. Half the error is twice the
    /// state.
    ///
    /// # Panics
    /// If the error is not between 0.000001 and 0.25.
    #[must_use]
    pub fn within(mut self, error: f64) -> Self {
        self.kind.within("ApproxPercentile", error);
        self
    }
}

impl<F> ApproxPercentiles<F> {
    /// The percentiles of what `value` takes from each row, within 0.4 %.
    ///
    /// # Panics
    /// If a percentage is not above 0 and at most 100.
    pub fn of<D, V: Number>(percents: impl IntoIterator<Item = f64>, value: F) -> Self
    where
        F: Fn(&D) -> V,
    {
        let asked = Percent::all("ApproxPercentiles", percents);
        ApproxPercentiles { asked, value, kind: Coarse::new() }
    }

    /// See [`ApproxPercentile::within`].
    ///
    /// # Panics
    /// If the error is not between 0.000001 and 0.25.
    #[must_use]
    pub fn within(mut self, error: f64) -> Self {
        self.kind.within("ApproxPercentiles", error);
        self
    }
}
