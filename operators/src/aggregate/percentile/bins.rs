//! Bins of numbers that are near one another in proportion.

use super::Quantile;

/// The bin of a number that is not NaN, where bins agree in so many leading bits of the fraction.
///
/// Bins are in the order of their numbers, with those of negative numbers below zero.
#[inline]
pub fn bin(value: f64, bits: u32) -> i32 {
    // Denormals have fewer bits than bins agree in: they count as zero.
    let size = if value.is_subnormal() { 0 } else { value.abs().to_bits() };
    let bin = (size >> (52 - bits)) as i32;
    if value < 0.0 { -bin } else { bin }
}

/// The middle of a bin, and how far from it a number of the bin can be.
pub fn middle(bin: i32, bits: u32) -> Quantile {
    let from = |bin: u32| f64::from_bits(u64::from(bin) << (52 - bits));
    let low = from(bin.unsigned_abs());
    if low == 0.0 {
        return Quantile { value: 0.0, error: f64::MIN_POSITIVE };
    }
    if low.is_infinite() {
        return Quantile { value: if bin < 0 { -low } else { low }, error: 0.0 };
    }
    // The last number of the bin, so that no bin reaches to infinity.
    let high = from(bin.unsigned_abs() + 1).next_down();
    let error = (high - low) / 2.0;
    let value = low + error;
    // Either half may have been rounded.
    let error = (value - low).max(high - value);
    Quantile { value: if bin < 0 { -value } else { value }, error }
}

/// How many leading bits must agree for numbers to be within a share of their bin's middle.
pub fn bits_for(who: &str, error: f64) -> u32 {
    assert!(
        (0.000_001..=0.25).contains(&error),
        "{who}: an error is a share between 0.000001 and 0.25, not {error}",
    );
    let mut bits = 1;
    while 0.5_f64.powi(bits as i32 + 1) > error {
        bits += 1;
    }
    bits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_near_the_middle_of_their_bin(
            value in prop_oneof![
                prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO,
                (-1e6..1e6_f64),
            ],
            bits in 1..20_u32,
        ) {
            let found = middle(bin(value, bits), bits);
            prop_assert!((found.value - value).abs() <= found.error);
            if value.is_normal() {
                let share = 0.5_f64.powi(bits as i32 + 1);
                prop_assert!(found.error <= share * value.abs() * (1.0 + 1e-9));
            }
        }

        #[test]
        fn bins_are_in_order(mut values in prop::collection::vec(any::<f64>(), 2..20)) {
            values.retain(|value| !value.is_nan());
            values.sort_by(f64::total_cmp);
            prop_assert!(values.is_sorted_by_key(|value| bin(*value, 7)));
        }
    }

    #[test]
    fn infinities_and_zeros_have_bins_of_their_own() {
        for value in [f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(middle(bin(value, 7), 7), Quantile { value, error: 0.0 });
            assert_ne!(bin(value, 7), bin(f64::MAX.copysign(value), 7));
        }
        assert_eq!(bin(0.0, 7), bin(-0.0, 7));
        assert_eq!(bits_for("test", 0.004), 7);
        assert_eq!(bits_for("test", 0.25), 1);
    }
}
