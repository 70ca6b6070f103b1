//! The laws every aggregate keeps: any order, any split, any way of merging, the same result.

mod bounds;
mod laws;
mod meaning;
mod refused;

use proptest::prelude::*;

use super::*;

/// A row with one value of each kind.
#[derive(Clone, Debug)]
struct Row {
    signed: i64,
    unsigned: u64,
    float: f64,
    single: f32,
    name: String,
}

fn row() -> impl Strategy<Value = Row> {
    let signed = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), -3..3_i64];
    let unsigned = prop_oneof![any::<u64>(), Just(u64::MAX), 0..3_u64];
    let float = prop_oneof![
        prop::num::f64::ANY,
        prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.5]),
        (-9_999..9_999_i32).prop_map(|x| f64::from(x) / 10.0),
    ];
    (signed, unsigned, float, -9.0..9.0_f32, "[a-c]{0,3}").prop_map(
        |(signed, unsigned, float, single, name)| Row { signed, unsigned, float, single, name },
    )
}

/// Everything at once, with floats as bits so that NaN is equal to itself and `-0.0` is not `0.0`.
fn summary(parts: &[Vec<Row>], order: &[prop::sample::Index]) -> String {
    let of = Of::<Row>::rows();
    let all = (
        (Count, of.count_if(|r| r.signed > 0), of.sum(|r| r.signed), of.sum(|r| r.unsigned)),
        (of.mean(|r| r.signed), of.mean(|r| r.unsigned), of.sum(|r| r.float), of.mean(|r| r.float)),
        (of.sum(|r| r.single), of.min(|r| r.signed), of.max(|r| r.unsigned)),
        (
            of.min(|r| r.float),
            of.max(|r| r.float),
            of.var_pop(|r| r.float),
            of.std_sample(|r| r.single),
        ),
        (of.min(|r| r.name.clone()), of.max(|r| (r.single, r.name.clone()))),
    );
    let mut states: Vec<_> = parts
        .iter()
        .map(|rows| {
            let mut state = all.create();
            rows.iter().for_each(|row| all.add(&mut state, row));
            state
        })
        .collect();
    let mut order = order.iter();
    while states.len() > 1 {
        let at = order.next().map_or(0, |index| index.index(states.len()));
        let state = states.swap_remove(at);
        let into = order.next().map_or(0, |index| index.index(states.len()));
        all.merge(&mut states[into], &state);
    }
    let (counts, sums, singles, (least, greatest, var, std), names) = all.finish(&states[0]);
    let bits = (sums.0.to_bits(), sums.1.to_bits(), sums.2.to_bits(), sums.3.to_bits());
    let extremes =
        (least.map(f64::to_bits), greatest.map(f64::to_bits), var.map(f64::to_bits), std);
    format!("{counts:?} {bits:?} {singles:?} {extremes:?} {names:?}")
}

proptest! {
    #[test]
    fn orders_splits_and_merges_do_not_matter(
        (rows, shuffled) in prop::collection::vec(row(), 0..30)
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        owners in prop::collection::vec(0..5_usize, 30),
        order in prop::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let mut parts = vec![Vec::new(); 5];
        for (row, owner) in shuffled.into_iter().zip(owners) {
            parts[owner].push(row);
        }
        prop_assert_eq!(summary(&parts, &order), summary(&[rows], &[]));
    }

    #[test]
    fn integers_are_exact(values in prop::collection::vec(any::<i64>(), 1..50)) {
        let (sum, mean) = (Sum::of(|x: &i64| *x), Mean::of(|x: &i64| *x));
        let both = (sum, mean);
        let mut state = both.create();
        values.iter().for_each(|value| both.add(&mut state, value));
        let expected: i128 = values.iter().map(|&value| i128::from(value)).sum();
        let (total, mean) = both.finish(&state);
        prop_assert_eq!(total, expected);
        // No float is nearer to the exact mean: compare distances in whole numbers.
        let distance = |x: f64| (x as i128 * values.len() as i128 - expected).abs();
        if mean.abs() > 2_f64.powi(53) {
            prop_assert!(distance(mean) <= distance(mean.next_up()));
            prop_assert!(distance(mean) <= distance(mean.next_down()));
        }
    }
}

#[test]
fn sums_at_the_ends_of_their_types() {
    let sum = Sum::of(|x: &i64| *x);
    let mut state = sum.create();
    for value in [i64::MIN, i64::MIN, i64::MAX] {
        sum.add(&mut state, &value);
    }
    assert_eq!(sum.finish(&state), i128::from(i64::MIN) - 1);
    let mean = Mean::of(|x: &u64| *x);
    let mut state = mean.create();
    assert!(mean.finish(&state).is_nan());
    mean.add(&mut state, &u64::MAX);
    mean.add(&mut state, &(u64::MAX - 2));
    assert_eq!(mean.finish(&state), u64::MAX as f64);
}

#[test]
fn zeros_have_an_order_and_nan_does_not_count() {
    let (min, max) = (Min::of(|x: &f64| *x), Max::of(|x: &f64| *x));
    for values in [[0.0, -0.0, f64::NAN], [f64::NAN, -0.0, 0.0]] {
        let both = (min, max);
        let mut state = both.create();
        values.iter().for_each(|value| both.add(&mut state, value));
        let (least, greatest) = both.finish(&state);
        assert!(least.is_some_and(|x| x == 0.0 && x.is_sign_negative()));
        assert!(greatest.is_some_and(|x| x == 0.0 && x.is_sign_positive()));
    }
    let mut state = Aggregate::create(&max);
    max.add(&mut state, &f64::NAN);
    assert_eq!(max.finish(&state), None);
}

/// Up to eight aggregates make one; a tuple in a tuple makes more.
#[test]
fn eight_in_a_tuple() {
    let of = Of::<i32>::rows();
    let eight = (Count, of.sum(|x| *x), of.min(|x| *x), of.max(|x| *x), Count, Count, Count, Count);
    let mut state = eight.create();
    eight.add(&mut state, &-4);
    eight.add(&mut state, &9);
    assert_eq!(eight.finish(&state), (2, 5, Some(-4), Some(9), 2, 2, 2, 2));
}
