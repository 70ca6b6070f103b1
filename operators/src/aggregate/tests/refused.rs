//! Parameters that make no sense are refused when the aggregate is made.

use super::super::*;

macro_rules! refused {
    ($($name:ident, $message:literal: $make:expr;)+) => {$(
        #[test]
        #[should_panic(expected = $message)]
        fn $name() {
            let of = Of::<f64>::rows();
            let _ = $make(of);
        }
    )+};
}

refused! {
    percentile_zero, "Percentile: a percentile is above 0 and at most 100, not 0":
        |of: Of<f64>| of.percentile(0.0, |x| *x);
    percentile_beyond, "Percentile: a percentile is above 0 and at most 100, not 100.1":
        |of: Of<f64>| of.percentile(100.1, |x| *x);
    percentile_just_beyond, "at most 100, not 100.00000000001":
        |of: Of<f64>| of.percentile(100.000_000_000_01, |x| *x);
    percentile_nan, "Percentile: a percentile is above 0 and at most 100, not NaN":
        |of: Of<f64>| of.percentile(f64::NAN, |x| *x);
    percentiles_negative, "Percentiles: a percentile is above 0 and at most 100, not -1":
        |of: Of<f64>| of.percentiles([50.0, -1.0], |x| *x);
    percentiles_none, "Percentiles: no percentile is asked for":
        |of: Of<f64>| of.percentiles([], |x| *x);
    percentile_cont_beyond, "PercentileCont: a percentile is from 0 to 100, not 101":
        |of: Of<f64>| of.percentile_cont(101.0, |x| *x);
    percentile_cont_nan, "PercentileCont: a percentile is from 0 to 100, not NaN":
        |of: Of<f64>| of.percentile_cont(f64::NAN, |x| *x);
    approx_percentile_zero, "ApproxPercentile: a percentile is above 0 and at most 100, not 0":
        |of: Of<f64>| of.approx_percentile(0.0, |x| *x);
    approx_percentile_error, "ApproxPercentile: an error is a share between 0.000001 and 0.25":
        |of: Of<f64>| of.approx_percentile(50.0, |x| *x).within(0.0);
    exact_up_to_none, "Percentile: exact up to 0 values is not exact at all":
        |of: Of<f64>| of.percentile(50.0, |x| *x).exact_up_to(0);
    approx_distinct_error, "ApproxDistinct: a standard error is a share between 0.001 and 0.26":
        |of: Of<f64>| of.approx_distinct(|x| x.to_bits()).within(f64::NAN);
    top_zero, "TopK: 0 rows are none": |of: Of<f64>| of.top_k(0, |x| *x, |x| *x);
    bottom_zero, "BottomK: 0 rows are none": |of: Of<f64>| of.bottom_k(0, |x| *x, |x| *x);
    frequent_zero, "Frequent: the top 0 values are none": |of: Of<f64>| of.frequent(0, |x| *x);
    fast_frequent_zero, "FastFrequent: a capacity of 0": |of: Of<f64>| of.fast_frequent(0, |x| *x);
    collect_zero, "Collect: at most 0 values are none": |of: Of<f64>| of.collect(0, |x| *x);
    set_zero, "CollectSet: at most 0 values are none": |of: Of<f64>| of.collect_set(0, |x| *x);
    last_zero, "LastN: the last 0 values are none": |of: Of<f64>| of.last_n(0, |x| *x);
    last_percentile, "LastN: a percentile is above 0 and at most 100, not 0":
        |of: Of<f64>| of.last_n(5, |x: &f64| *x).percentile(0.0);
    span_below_one, "Ema: a span is a number from 1 on, not 0.5":
        |of: Of<f64>| of.ema(0.5, |x| *x);
    span_nan, "Ema: a span is a number from 1 on, not NaN":
        |of: Of<f64>| of.ema(f64::NAN, |x| *x);
    score_samples, "ZScore: 0 values have no mean": |_| ZScore::new(0, 3.0);
    score_threshold, "ZScore: a threshold is a number above 0, not 0": |_| ZScore::new(5, 0.0);
    name_twice, "Composite: the name \"n\" is used twice":
        |of: Of<f64>| of.composite(|x| *x).count("n").sum("n");
    composite_percentile, "Composite: a percentile is above 0 and at most 100, not 0":
        |of: Of<f64>| of.composite(|x| *x).percentile("p0", 0.0);
    choose_nothing, "Choose: there is no aggregate to choose":
        |of: Of<f64>| of.choose(|_| 0, [Count; 0]);
    choose_beyond, "Choose: place 2 was chosen of 2 aggregates":
        |of: Of<f64>| {
            let choose = of.choose(|_| 2, [Count; 2]);
            choose.add(&mut choose.create(), &1.0);
        };
}
