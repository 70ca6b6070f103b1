//! Aggregates of rows whose type is known.

use std::marker::PhantomData;

use super::{
    Aggregate, ApproxDistinct, ApproxPercentile, ApproxPercentiles, BottomK, Choose, Collect,
    CollectSet, Composite, Count, CountIf, Countable, Distinct, Ema, FastFrequent, FastMean,
    FastStdPop, FastStdSample, FastSum, FastVarPop, FastVarSample, First, Frequent, Last, LastN,
    Mapped, Max, MaxBy, Mean, Median, Min, MinBy, Mode, Number, Percentile, PercentileCont,
    Percentiles, Ranked, StdPop, StdSample, Sum, TopK, VarPop, VarSample, When,
};
use crate::aggregate::first::ByKey;
use crate::key::StableHash;

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

    /// See [`FastVarPop`].
    pub fn fast_var_pop<F: Fn(&D) -> f64>(self, value: F) -> FastVarPop<F> {
        FastVarPop::of(value)
    }

    /// See [`FastVarSample`].
    pub fn fast_var_sample<F: Fn(&D) -> f64>(self, value: F) -> FastVarSample<F> {
        FastVarSample::of(value)
    }

    /// See [`FastStdPop`].
    pub fn fast_std_pop<F: Fn(&D) -> f64>(self, value: F) -> FastStdPop<F> {
        FastStdPop::of(value)
    }

    /// See [`FastStdSample`].
    pub fn fast_std_sample<F: Fn(&D) -> f64>(self, value: F) -> FastStdSample<F> {
        FastStdSample::of(value)
    }

    /// See [`FastFrequent`].
    pub fn fast_frequent<V, F>(self, capacity: usize, value: F) -> FastFrequent<F>
    where
        V: Ranked,
        F: Fn(&D) -> V,
    {
        FastFrequent::of(capacity, value)
    }

    /// See [`First`].
    pub fn first<V: Ranked, F: Fn(&D) -> V>(self, value: F) -> First<F> {
        First::of(value)
    }

    /// See [`First::by`].
    pub fn first_by<K, V, G, F>(self, order: G, value: F) -> First<F, ByKey<G>>
    where
        K: Ranked,
        V: Ranked,
        G: Fn(&D) -> K,
        F: Fn(&D) -> V,
    {
        First::by(order, value)
    }

    /// See [`Last`].
    pub fn last<V: Ranked, F: Fn(&D) -> V>(self, value: F) -> Last<F> {
        Last::of(value)
    }

    /// See [`Last::by`].
    pub fn last_by<K, V, G, F>(self, order: G, value: F) -> Last<F, ByKey<G>>
    where
        K: Ranked,
        V: Ranked,
        G: Fn(&D) -> K,
        F: Fn(&D) -> V,
    {
        Last::by(order, value)
    }

    /// See [`MinBy`].
    pub fn min_by<K: Ranked, V: Ranked, G: Fn(&D) -> K, F: Fn(&D) -> V>(
        self,
        key: G,
        value: F,
    ) -> MinBy<G, F> {
        MinBy::of(key, value)
    }

    /// See [`MaxBy`].
    pub fn max_by<K: Ranked, V: Ranked, G: Fn(&D) -> K, F: Fn(&D) -> V>(
        self,
        key: G,
        value: F,
    ) -> MaxBy<G, F> {
        MaxBy::of(key, value)
    }

    /// See [`Percentile`].
    pub fn percentile<V: Number, F: Fn(&D) -> V>(self, percent: f64, value: F) -> Percentile<F> {
        Percentile::of(percent, value)
    }

    /// See [`Percentiles`].
    pub fn percentiles<V: Number, F: Fn(&D) -> V>(
        self,
        percents: impl IntoIterator<Item = f64>,
        value: F,
    ) -> Percentiles<F> {
        Percentiles::of(percents, value)
    }

    /// See [`PercentileCont`].
    pub fn percentile_cont<V, F>(self, percent: f64, value: F) -> PercentileCont<F>
    where
        V: Number,
        F: Fn(&D) -> V,
    {
        PercentileCont::of(percent, value)
    }

    /// See [`Median`].
    pub fn median<V: Number, F: Fn(&D) -> V>(self, value: F) -> PercentileCont<F> {
        Median::of(value)
    }

    /// See [`ApproxPercentile`].
    pub fn approx_percentile<V, F>(self, percent: f64, value: F) -> ApproxPercentile<F>
    where
        V: Number,
        F: Fn(&D) -> V,
    {
        ApproxPercentile::of(percent, value)
    }

    /// See [`ApproxPercentiles`].
    pub fn approx_percentiles<V: Number, F: Fn(&D) -> V>(
        self,
        percents: impl IntoIterator<Item = f64>,
        value: F,
    ) -> ApproxPercentiles<F> {
        ApproxPercentiles::of(percents, value)
    }

    /// See [`ApproxDistinct`].
    pub fn approx_distinct<V: StableHash, F: Fn(&D) -> V>(self, value: F) -> ApproxDistinct<F> {
        ApproxDistinct::of(value)
    }

    /// See [`Distinct`].
    pub fn distinct<V: Countable, F: Fn(&D) -> V>(self, value: F) -> Distinct<F> {
        Distinct::of(value)
    }

    /// See [`Mode`].
    pub fn mode<V: Ranked, F: Fn(&D) -> V>(self, value: F) -> Mode<F> {
        Mode::of(value)
    }

    /// See [`Frequent`].
    pub fn frequent<V: Ranked, F: Fn(&D) -> V>(self, most: usize, value: F) -> Frequent<F> {
        Frequent::top(most, value)
    }

    /// See [`TopK`].
    pub fn top_k<V: Ranked, K: Ranked, S: Fn(&D) -> V, F: Fn(&D) -> K>(
        self,
        count: usize,
        score: S,
        key: F,
    ) -> TopK<S, F> {
        TopK::of(count, score, key)
    }

    /// See [`BottomK`].
    pub fn bottom_k<V: Ranked, K: Ranked, S: Fn(&D) -> V, F: Fn(&D) -> K>(
        self,
        count: usize,
        score: S,
        key: F,
    ) -> BottomK<S, F> {
        BottomK::of(count, score, key)
    }

    /// See [`Collect`].
    pub fn collect<V: Ranked, F: Fn(&D) -> V>(self, limit: usize, value: F) -> Collect<F> {
        Collect::of(limit, value)
    }

    /// See [`CollectSet`].
    pub fn collect_set<V: Ranked, F: Fn(&D) -> V>(self, limit: usize, value: F) -> CollectSet<F> {
        CollectSet::of(limit, value)
    }

    /// See [`LastN`].
    pub fn last_n<V: Ranked, F: Fn(&D) -> V>(self, count: usize, value: F) -> LastN<F> {
        LastN::of(count, value)
    }

    /// See [`Ema`].
    pub fn ema<V: Into<f64>, F: Fn(&D) -> V>(self, span: f64, value: F) -> Ema<F> {
        Ema::span(span, value)
    }

    /// See [`Composite`].
    pub fn composite<F: Fn(&D) -> f64>(self, value: F) -> Composite<F> {
        Composite::of(value)
    }

    /// See [`Choose`].
    pub fn choose<A: Aggregate<D>, C: Fn(&D) -> usize>(
        self,
        choice: C,
        aggregates: impl IntoIterator<Item = A>,
    ) -> Choose<C, A> {
        Choose::new(choice, aggregates)
    }

    /// See [`When`].
    pub fn when<A: Aggregate<D>, C: Fn(&D) -> bool>(self, condition: C, of: A) -> When<C, A> {
        When::holds(condition, of)
    }

    /// See [`Mapped`].
    pub fn mapped<A, M, Other>(self, aggregate: A, map: M) -> Mapped<A, M>
    where
        A: Aggregate<D>,
        M: Fn(A::Output) -> Other,
    {
        Mapped::of(aggregate, map)
    }
}
