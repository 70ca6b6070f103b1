//! Aggregates of rows whose type is known.

use std::marker::PhantomData;

use super::{
    Count, CountIf, FastMean, FastSum, Max, Mean, Min, Number, Ranked, StdPop, StdSample, Sum,
    VarPop, VarSample,
};

/// Makes aggregates of rows of type `D`, so that closures need not name it.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, Of};
///
/// struct Reading { celsius: f64, samples: u32 }
///
/// let of = Of::<Reading>::rows();
/// let summary = (of.count(), of.mean(|r| r.celsius), of.sum(|r| r.samples), of.max(|r| r.celsius));
///
/// let mut state = summary.create();
/// summary.add(&mut state, &Reading { celsius: 18.0, samples: 3 });
/// summary.add(&mut state, &Reading { celsius: 21.0, samples: 4 });
/// assert_eq!(summary.finish(&state), (2, 19.5, 7, Some(21.0)));
/// ```
#[derive(Debug)]
pub struct Of<D>(PhantomData<fn(&D)>);

impl<D> Clone for Of<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for Of<D> {}

impl<D> Of<D> {
    /// Of rows of this type.
    pub const fn rows() -> Self {
        Of(PhantomData)
    }

    /// See [`Count`].
    pub fn count(self) -> Count {
        Count
    }

    /// See [`CountIf`].
    pub fn count_if<F: Fn(&D) -> bool>(self, condition: F) -> CountIf<F> {
        CountIf::when(condition)
    }

    /// See [`Sum`].
    pub fn sum<V: Number, F: Fn(&D) -> V>(self, value: F) -> Sum<F> {
        Sum::of(value)
    }

    /// See [`Mean`].
    pub fn mean<V: Number, F: Fn(&D) -> V>(self, value: F) -> Mean<F> {
        Mean::of(value)
    }

    /// See [`Min`].
    pub fn min<V: Ranked, F: Fn(&D) -> V>(self, value: F) -> Min<F> {
        Min::of(value)
    }

    /// See [`Max`].
    pub fn max<V: Ranked, F: Fn(&D) -> V>(self, value: F) -> Max<F> {
        Max::of(value)
    }

    /// See [`VarPop`].
    pub fn var_pop<V: Into<f64>, F: Fn(&D) -> V>(self, value: F) -> VarPop<F> {
        VarPop::of(value)
    }

    /// See [`VarSample`].
    pub fn var_sample<V: Into<f64>, F: Fn(&D) -> V>(self, value: F) -> VarSample<F> {
        VarSample::of(value)
    }

    /// See [`StdPop`].
    pub fn std_pop<V: Into<f64>, F: Fn(&D) -> V>(self, value: F) -> StdPop<F> {
        StdPop::of(value)
    }

    /// See [`StdSample`].
    pub fn std_sample<V: Into<f64>, F: Fn(&D) -> V>(self, value: F) -> StdSample<F> {
        StdSample::of(value)
    }

    /// See [`FastSum`].
    pub fn fast_sum<F: Fn(&D) -> f64>(self, value: F) -> FastSum<F> {
        FastSum::of(value)
    }

    /// See [`FastMean`].
    pub fn fast_mean<F: Fn(&D) -> f64>(self, value: F) -> FastMean<F> {
        FastMean::of(value)
    }
}
