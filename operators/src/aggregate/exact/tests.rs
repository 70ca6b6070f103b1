//! Exactness, against arithmetic on long numbers written naively.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

/// A natural number in units of the least `f64`, as digits of 32 bits, lowest first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Natural([u32; 80]);

impl Natural {
    const ZERO: Natural = Natural([0; 80]);

    /// The magnitude of a finite value, or two to the power of 1024 for an infinite one.
    fn of(value: f64) -> Natural {
        let bits = value.to_bits() & (u64::MAX >> 1);
        let (mantissa, shift) = match bits >> 52 {
            0 => (bits, 0),
            power => (bits & ((1 << 52) - 1) | 1 << 52, power as usize - 1),
        };
        let mut digits = [0; 80];
        for bit in (0..53).filter(|bit| mantissa >> bit & 1 == 1) {
            digits[(shift + bit) / 32] |= 1 << ((shift + bit) % 32);
        }
        Natural(digits)
    }

    fn plus(mut self, other: &Natural) -> Natural {
        let mut carry = 0_u64;
        for (digit, other) in self.0.iter_mut().zip(other.0) {
            carry += u64::from(*digit) + u64::from(other);
            *digit = carry as u32;
            carry >>= 32;
        }
        self
    }

    /// Less a number which is not larger.
    fn minus(mut self, other: &Natural) -> Natural {
        let mut borrow = 0_i64;
        for (digit, other) in self.0.iter_mut().zip(other.0) {
            let value = i64::from(*digit) - i64::from(other) + borrow;
            *digit = value as u32;
            borrow = value >> 32;
        }
        self
    }

    fn times(mut self, factor: u64) -> Natural {
        let mut carry = 0_u128;
        for digit in &mut self.0 {
            carry += u128::from(*digit) * u128::from(factor);
            *digit = carry as u32;
            carry >>= 32;
        }
        self
    }

    fn order(&self, other: &Natural) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

/// The nearest `f64` to the sum divided by `count`, found by asking of one number after another
/// whether it is too large.
fn nearest(values: &[f64], count: u64) -> f64 {
    let (mut above, mut below) = (Natural::ZERO, Natural::ZERO);
    for &value in values {
        let side = if value < 0.0 { &mut below } else { &mut above };
        *side = side.clone().plus(&Natural::of(value));
    }
    let negative = above.order(&below) == Ordering::Less;
    let sum = if negative { below.minus(&above) } else { above.minus(&below) };
    let (mut low, mut high) = (0_u64, f64::INFINITY.to_bits());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match Natural::of(f64::from_bits(middle)).times(count).order(&sum) {
            Ordering::Greater => high = middle,
            _ => low = middle,
        }
    }
    let twice_middle = Natural::of(f64::from_bits(low)).plus(&Natural::of(f64::from_bits(high)));
    let up = match sum.times(2).order(&twice_middle.times(count)) {
        Ordering::Less => false,
        Ordering::Equal => low % 2 == 1,
        Ordering::Greater => true,
    };
    let magnitude = f64::from_bits(if up { high } else { low });
    if negative { -magnitude } else { magnitude }
}

/// Values that are hard on a sum: of all sizes, denormal, short, extreme.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |x| x.is_finite()),
        2 => (any::<i32>(), -40..40_i32).prop_map(|(m, e)| f64::from(m) * 2_f64.powi(e)),
        2 => (1_u64 << 52..1 << 53, -60..60_i32).prop_map(|(m, e)| (m | 1) as f64 * 2_f64.powi(e)),
        2 => (-1_000_000..1_000_000_i64).prop_map(|cents| cents as f64 / 100.0),
        1 => (0_u64..1 << 52).prop_map(f64::from_bits),
        2 => prop::sample::select(vec![
            0.0, -0.0, 1.0, -1.0, 0.1, 1e308, -1e308, 1e-308, -1e-308, f64::MAX, f64::MIN,
            f64::MIN_POSITIVE, -f64::MIN_POSITIVE, f64::from_bits(1), -f64::from_bits(1), 1e16,
            f64::EPSILON / 2.0, 2_f64.powi(970), -2_f64.powi(970), 9_007_199_254_740_991.0,
        ]),
    ]
}

/// Values, some of them with their negatives, so that much cancels.
fn values() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((value(), any::<bool>()), 0..40)
        .prop_map(|pairs| {
            pairs
                .into_iter()
                .flat_map(|(x, both)| if both { vec![x, -x] } else { vec![x] })
                .collect::<Vec<f64>>()
        })
        .prop_shuffle()
}

fn same(found: f64, expected: f64) -> bool {
    found.to_bits() == expected.to_bits() || (found == 0.0 && expected == 0.0)
}

proptest! {
    #![proptest_config(crate::testing::cases(1_500))]

    #[test]
    fn total_and_mean_are_the_nearest(values in values(), count in any::<u64>()) {
        let sum: ExactSum = values.iter().copied().collect();
        let (found, expected) = (sum.total(), nearest(&values, 1));
        prop_assert!(same(found, expected), "{found:e} is not {expected:e}");
        for count in [1, 3, values.len() as u64, count] {
            if count > 0 {
                let (found, expected) = (sum.mean(count), nearest(&values, count));
                prop_assert!(same(found, expected), "{found:e} is not {expected:e} by {count}");
            }
        }
    }

    #[test]
    fn splits_and_orders_do_not_matter(
        values in values(),
        owners in prop::collection::vec(0..6_usize, 80),
        merges in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 5),
    ) {
        let expected = nearest(&values, 1);
        let mut parts = vec![ExactSum::default(); 6];
        for (value, owner) in values.iter().zip(owners) {
            parts[owner].add(*value);
        }
        for (one, other) in merges {
            // A part is written and read on its way, as in a checkpoint.
            let part = parts.swap_remove(one.index(parts.len()));
            let written = serde_json::to_string(&part).expect("an exact sum can be written");
            let part: ExactSum = serde_json::from_str(&written).expect("and read");
            let into = other.index(parts.len());
            parts[into].merge(&part);
        }
        let found = parts[0].total();
        prop_assert!(same(found, expected), "{found:e} is not {expected:e}");
    }

    #[test]
    fn what_is_taken_out_was_never_there(
        kept in values(),
        removed in prop::collection::vec(
            prop_oneof![
                4 => value(),
                1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
            ],
            0..20,
        ),
        order in prop::collection::vec(any::<prop::sample::Index>(), 20),
    ) {
        let mut all = kept.clone();
        for (value, at) in removed.iter().zip(order) {
            all.insert(at.index(all.len() + 1), *value);
        }
        let mut sum: ExactSum = all.into_iter().collect();
        removed.iter().for_each(|value| sum.remove(*value));
        let (found, expected) = (sum.total(), nearest(&kept, 1));
        prop_assert!(same(found, expected), "{found:e} is not {expected:e}");
    }

    #[test]
    fn ordinary_readings_stay_near(cents in prop::collection::vec(1..10_000_000_i64, 1..200)) {
        let sum: ExactSum = cents.iter().map(|&cents| cents as f64 / 100.0).collect();
        prop_assert!(matches!(sum.0, Held::Near(_)));
    }
}

#[test]
fn known_sums() {
    let total = |values: &[f64]| values.iter().copied().collect::<ExactSum>().total();
    assert_eq!(total(&[]), 0.0);
    assert_eq!(total(&[1e308, -1e308, 1e-308]), 1e-308);
    assert_eq!(total(&[1e16, 1.0, -1e16]), 1.0);
    assert_eq!(total(&[f64::MAX, f64::MAX]), f64::INFINITY);
    assert_eq!(total(&[f64::MAX, f64::MAX, -f64::MAX]), f64::MAX);
    assert_eq!(total(&[f64::from_bits(1), f64::from_bits(1)]).to_bits(), 2);
    // Half a unit above the largest number is a tie, and goes to infinity; a little less does not.
    assert_eq!(total(&[f64::MAX, 2_f64.powi(970)]), f64::INFINITY);
    assert_eq!(total(&[f64::MAX, 2_f64.powi(970), -f64::from_bits(1)]), f64::MAX);
    // Ties go to the even neighbour, and one unit of the least number breaks them.
    assert_eq!(total(&[1.0, f64::EPSILON / 2.0]), 1.0);
    assert_eq!(total(&[1.0, f64::EPSILON / 2.0, f64::from_bits(1)]), 1.0 + f64::EPSILON);
    assert_eq!(total(&[1.0, f64::EPSILON / 2.0, f64::EPSILON / 4.0]), 1.0 + f64::EPSILON);
    assert_eq!(total(&[1.0, f64::EPSILON / 4.0, f64::EPSILON / 8.0]), 1.0);
    assert!(total(&[-0.0, -0.0]).is_sign_positive());
    assert!(ExactSum::default().mean(0).is_nan());
}

#[test]
fn values_that_are_not_finite_count_in_any_order() {
    let (up, down, nan) = (f64::INFINITY, f64::NEG_INFINITY, f64::NAN);
    let cases = [
        (vec![up, 1.0], up),
        (vec![-1e308, down], down),
        (vec![up, down], nan),
        (vec![nan, up], nan),
    ];
    for (values, expected) in cases {
        for reversed in [false, true] {
            let mut values = values.clone();
            if reversed {
                values.reverse();
            }
            let mut merged = ExactSum::default();
            for &value in &values {
                merged.merge(&[value].into_iter().collect());
            }
            let straight: ExactSum = values.iter().copied().collect();
            for found in [merged.total(), straight.total(), straight.mean(2)] {
                assert!(found == expected || found.is_nan() && expected.is_nan(), "{values:?}");
            }
        }
    }
}

#[test]
fn many_large_values_do_not_overflow() {
    let mut sum = ExactSum::default();
    for _ in 0..100_000 {
        sum.add(1e300);
        sum.add(-1.0);
        sum.add(3e-300);
    }
    for _ in 0..100_000 {
        sum.add(-1e300);
        sum.add(1.0);
    }
    assert_eq!(sum.total(), nearest(&vec![3e-300; 100_000], 1));
}

#[test]
fn doubling_by_merging_is_exact() {
    let mut sum: ExactSum = [1.0, 1e-30].into_iter().collect();
    for _ in 0..60 {
        let other = sum.clone();
        sum.merge(&other);
    }
    assert_eq!(sum.mean(1 << 60), 1.0);
    sum.add(-(2_f64.powi(60)));
    assert_eq!(sum.mean(1 << 60), 1e-30);
}

#[test]
fn what_is_no_sum_is_refused() {
    for bad in [
        r#"{"near":1,"base":-1075,"special":[0,0,0],"wide":null}"#,
        r#"{"near":1,"base":972,"special":[0,0,0],"wide":null}"#,
        r#"{"near":1,"base":0,"special":[0,0],"wide":null}"#,
        r#"{"near":1,"base":0,"special":[0,0,0],"wide":[1,2]}"#,
    ] {
        assert!(serde_json::from_str::<ExactSum>(bad).is_err(), "{bad}");
    }
}

/// The quotient is a tie but for the remainder, which lies far below the bits that are kept.
#[test]
fn a_remainder_breaks_a_tie() {
    let count = (1_u64 << 63) + 1;
    let tie = i128::from((1_u64 << 53) + 1);
    assert_eq!(exact_quotient(tie * i128::from(count), 0, count), 2_f64.powi(53));
    assert_eq!(exact_quotient(tie * i128::from(count) + 1, 0, count), 2_f64.powi(53) + 2.0);
    assert_eq!(exact_quotient(tie * i128::from(count) - 1, 0, count), 2_f64.powi(53));
    assert_eq!(exact_quotient(i128::MIN, 0, 1), -(2_f64.powi(127)));
    assert_eq!(exact_quotient(1, 0, u64::MAX), 2_f64.powi(-64));
}

/// Digits stay within their places however many additions there are: shown by the bound they keep.
#[test]
fn carries_are_worked_off_in_time() {
    let mut wide = Wide::default();
    for _ in 0..10 {
        wide.add(i128::MAX, LEAST + 31);
        assert!(wide.within_bounds());
    }
    for _ in 0..200 {
        let other = wide.clone();
        wide.merge(&other);
        wide.add(-1, LEAST);
        assert!(wide.within_bounds());
    }
}

#[test]
fn it_is_small() {
    assert!(size_of::<ExactSum>() <= 24);
}
