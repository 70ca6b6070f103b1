//! From a long number to the nearest `f64`.

use super::{LARGEST, LEAST};

/// `± limbs · 2^exponent`, rounded to nearest, ties to even. The limbs are lowest first.
pub(super) fn round(negative: bool, limbs: &[u64], exponent: i32) -> f64 {
    let Some(top) = limbs.iter().rposition(|&limb| limb != 0) else {
        return 0.0;
    };
    let highest = top as i32 * 64 + 63 - limbs[top].leading_zeros() as i32;
    // The exponent of the last bit which is kept: 53 bits, fewer at the very bottom.
    let mut kept = (exponent + highest - 52).max(LEAST);
    let cut = kept - exponent;
    let mut mantissa = if cut < 0 {
        // All bits are kept, and there are fewer than 53: they lie in the lowest limb.
        limbs[0] << -cut
    } else {
        bits(limbs, cut) & ((1 << 53) - 1)
    };
    if cut > 0 {
        let half = bits(limbs, cut - 1) & 1 == 1;
        let odd = mantissa & 1 == 1;
        if half && (odd || any_below(limbs, cut - 1)) {
            mantissa += 1;
            if mantissa == 1 << 53 {
                mantissa >>= 1;
                kept += 1;
            }
        }
    }
    let magnitude = if kept > LARGEST {
        f64::INFINITY
    } else if mantissa < 1 << 52 {
        // Denormal: its unit is that of the least number.
        f64::from_bits(mantissa)
    } else {
        f64::from_bits(((kept + 1_075) as u64) << 52 | mantissa & ((1 << 52) - 1))
    };
    if negative { -magnitude } else { magnitude }
}

/// `± limbs · 2^exponent / count`, rounded once.
pub(super) fn divide(negative: bool, limbs: &[u64], exponent: i32, count: u64) -> f64 {
    // Two more limbs below: the quotient then has at least 65 bits, more than are kept, and whatever
    // is left over shows in one of them (it is at least one part in 2^64), so no tie is mistaken.
    let mut quotient = vec![0; limbs.len() + 2];
    quotient[2..].copy_from_slice(limbs);
    divide_whole(&mut quotient, count);
    round(negative, &quotient, exponent - 128)
}

/// Divides a whole number, rounding down.
pub(super) fn divide_whole(limbs: &mut [u64], count: u64) {
    let mut rest = 0_u128;
    for limb in limbs.iter_mut().rev() {
        let part = rest << 64 | u128::from(*limb);
        *limb = (part / u128::from(count)) as u64;
        rest = part % u128::from(count);
    }
}

/// The 64 bits from bit `from` on.
fn bits(limbs: &[u64], from: i32) -> u64 {
    let (index, shift) = (from as usize / 64, from as u32 % 64);
    let limb = |index: usize| limbs.get(index).copied().unwrap_or(0);
    match shift {
        0 => limb(index),
        _ => limb(index) >> shift | limb(index + 1) << (64 - shift),
    }
}

/// Whether any bit below bit `end` is set.
fn any_below(limbs: &[u64], end: i32) -> bool {
    let (index, shift) = (end as usize / 64, end as u32 % 64);
    limbs.iter().take(index).any(|&limb| limb != 0)
        || limbs.get(index).is_some_and(|limb| limb & ((1 << shift) - 1) != 0)
}
