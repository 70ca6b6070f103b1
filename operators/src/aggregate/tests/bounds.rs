//! Errors stay within what is said, and fast aggregates near the exact ones.

use proptest::prelude::*;

use super::super::*;

/// Numbers that look random and are the same everywhere.
fn noise(count: usize) -> impl Iterator<Item = f64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    })
    .take(count)
}

#[test]
fn a_billion_and_noise() {
    let values: Vec<f64> = noise(10_000).map(|x| 1e9 + x).collect();
    let all = (
        FastVarPop::of(|x: &f64| *x),
        VarPop::of(|x: &f64| *x),
        FastStdSample::of(|x: &f64| *x),
        StdSample::of(|x: &f64| *x),
    );
    let mut parts = [all.create(), all.create(), all.create()];
    for (at, value) in values.iter().enumerate() {
        all.add(&mut parts[usize::from(at > 100) + usize::from(at > 7_000)], value);
    }
    let [mut state, second, third] = parts;
    all.merge(&mut state, &second);
    all.merge(&mut state, &third);
    all.merge(&mut state, &all.create());
    let (fast, exact, fast_std, std) = all.finish(&state);
    let (fast, exact) = (fast.expect("there are rows"), exact.expect("there are rows"));
    assert!((exact - 1.0 / 12.0).abs() < 0.003, "{exact}");
    assert!((fast / exact - 1.0).abs() < 1e-7, "{fast} for {exact}");
    let (fast, exact) = (fast_std.expect("there are rows"), std.expect("there are rows"));
    assert!((fast / exact - 1.0).abs() < 1e-7, "{fast} for {exact}");
}

#[test]
fn percentiles_from_bins() {
    // Spread over six powers of ten.
    let mut values: Vec<f64> = noise(20_000).map(|x| 10_f64.powf(x * 6.0)).collect();
    for error in [0.1, 0.02, 0.004, 0.000_5] {
        let percents = [0.01, 1.0, 25.0, 50.0, 99.0, 99.99, 100.0];
        let approx = ApproxPercentiles::of(percents, |x: &f64| *x).within(error);
        let mut state = approx.create();
        values.iter().for_each(|value| approx.add(&mut state, value));
        values.sort_by(f64::total_cmp);
        for (percent, found) in percents.iter().zip(approx.finish(&state)) {
            let place = (percent / 100.0 * values.len() as f64).ceil() as usize;
            let (exact, found) = (values[place - 1], found.expect("there are rows"));
            assert!((found.value - exact).abs() <= found.error, "{percent} is {found:?}");
            assert!(found.error <= error * exact, "{percent} is {found:?} of {exact}");
        }
    }
}

/// Errors of estimates at many counts: none beyond five standard deviations, and their root mean
/// square near one.
#[test]
fn estimated_counts() {
    for (error, power) in [(0.0163, 12), (0.0325, 10), (0.066, 8)] {
        let distinct = ApproxDistinct::of(|x: &u64| *x).within(error);
        let stated = 1.04 / f64::from(1_u32 << power).sqrt();
        let mut squares = Vec::new();
        for run in 0..12_u64 {
            let mut state = distinct.create();
            let mut next = 1_000;
            for number in 1..=40_000_u64 {
                distinct.add(&mut state, &(run << 40 | number));
                if number == next {
                    let found = distinct.finish(&state);
                    assert!((found.standard_error - stated).abs() < 1e-12);
                    let off = (found.count as f64 / number as f64 - 1.0) / found.standard_error;
                    assert!(off.abs() < 5.0, "{} for {number}", found.count);
                    squares.push(off * off);
                    next *= 2;
                }
            }
        }
        let mean = squares.iter().sum::<f64>() / squares.len() as f64;
        assert!((0.4..1.8).contains(&mean), "errors are {mean} times those stated, squared");
    }
    // Few are counted exactly.
    let distinct = ApproxDistinct::of(|x: &u64| *x);
    let mut state = distinct.create();
    for number in 1..=256_u64 {
        distinct.add(&mut state, &number);
        distinct.add(&mut state, &1);
        assert_eq!(distinct.finish(&state), Estimate { count: number, standard_error: 0.0 });
    }
    distinct.add(&mut state, &257);
    assert!(distinct.finish(&state).standard_error > 0.0);
}

proptest! {
    /// However rows are spread and merged, counts are within the bounds and no frequent value is
    /// missing.
    #[test]
    fn frequent_values(
        rows in prop::collection::vec((0..40_u32).prop_map(|x| x * x / 40), 1..400),
        capacity in 1..8_usize,
        owners in prop::collection::vec(0..3_usize, 400),
    ) {
        let frequent = FastFrequent::of(capacity, |x: &u32| *x);
        let mut states = vec![frequent.create(); 3];
        for (row, owner) in rows.iter().zip(owners) {
            frequent.add(&mut states[owner], row);
        }
        let mut state = states.remove(0);
        states.iter().for_each(|other| frequent.merge(&mut state, other));
        let found = frequent.finish(&state);
        prop_assert!(found.values.len() <= 2 * capacity);
        prop_assert!(found.error <= rows.len() as u64 / (capacity as u64 + 1));
        prop_assert!(found.values.is_sorted_by(|a, b| a.1 > b.1 || a.1 == b.1 && a.0 < b.0));
        for value in 0..40 {
            let count = rows.iter().filter(|row| **row == value).count() as u64;
            let listed = found.values.iter().find(|(held, _)| *held == value);
            let at_least = listed.map_or(0, |(_, count)| *count);
            prop_assert!(at_least <= count && count <= at_least + found.error);
        }
    }
}

#[test]
fn scores_wait_for_samples_and_need_a_spread() {
    let mut scores = ZScore::new(3, 2.0);
    let found: Vec<Option<f64>> =
        [5.0, 5.0, 5.0, 9.0, f64::NAN, 6.0].map(|x| scores.observe(x)).into();
    // Of 5, 5, 5 the deviation is zero; of 5, 5, 5, 9 the mean is 6 and there is one.
    assert_eq!(found, [None, None, None, None, None, Some(0.0)]);
    assert_eq!(scores.score(f64::INFINITY), None);
    let score = scores.score(16.0).expect("five values came before");
    assert!((score - 10.0 / 2.4_f64.sqrt()).abs() < 1e-12, "{score}");
    assert!(scores.is_unusual(score) && scores.is_unusual(-2.1) && !scores.is_unusual(2.0));
    let mut early = ZScore::new(3, 2.0);
    let found = [1.0, 3.0, 4.0, 9.0].map(|x| early.observe(x).is_some());
    assert_eq!(found, [false, false, false, true]);
    let bytes = postcard::to_allocvec(&scores).expect("it can be written");
    assert_eq!(postcard::from_bytes::<ZScore>(&bytes).expect("and read"), scores);
}

/// States are small enough to have a million of them.
#[test]
fn states_are_small() {
    fn size<A: Aggregate<f64>>(_: A) -> usize {
        size_of::<A::State>()
    }
    assert_eq!(size(Sum::of(|x: &f64| *x)), 24);
    assert_eq!(size(Mean::of(|x: &f64| *x)), 32);
    assert_eq!(size(VarPop::of(|x: &f64| *x)), 80);
    assert_eq!(size(FastVarPop::of(|x: &f64| *x)), 24);
    assert!(size(Last::of(|x: &f64| *x)) <= 24);
    assert!(size(ApproxDistinct::of(|x: &f64| x.to_bits())) <= 32);
    assert!(size(Composite::of(|x: &f64| *x)) <= 160);
}
