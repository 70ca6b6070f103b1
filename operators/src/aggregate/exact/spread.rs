//! The spread of values around their mean, without the cancellation that makes it hard.

use super::round::{divide_whole, round};
use super::{ExactSquares, ExactSum, LEAST};

/// Limbs of the numbers here: squares of whole sums (35 limbs each), times a count.
const LIMBS: usize = 80;
/// Limbs below the unit: room for the quotient's bits and for what is left over.
const BELOW: usize = 4;

/// `(Σx² − (Σx)² / count) / divisor`, from the exact sums, rounded once. Never negative.
pub(in crate::aggregate) fn spread(
    sum: &ExactSum,
    squares: &ExactSquares,
    count: u64,
    divisor: u64,
) -> f64 {
    if sum.special().is_some() {
        return f64::NAN;
    }
    if let Some(special) = squares.special() {
        return special;
    }
    // In units of the square of the least number. What is subtracted is not larger, but for values
    // so small that their squares vanish.
    let mut limbs = vec![0; BELOW + LIMBS];
    let above = &mut limbs[BELOW..];
    add_shifted(above, &squares.whole().1, count);
    if !subtract_square(above, &sum.whole().1) {
        return 0.0;
    }
    divide_whole(&mut limbs, count);
    divide_whole(&mut limbs, divisor);
    round(false, &limbs, 2 * LEAST - 64 * BELOW as i32)
}

/// Adds `whole · factor`, where the whole number is in units of the least number.
fn add_shifted(to: &mut [u64], whole: &[u64], factor: u64) {
    let (place, shift) = (-LEAST as usize / 64, -LEAST as u32 % 64);
    for (i, &limb) in whole.iter().enumerate().filter(|(_, limb)| **limb != 0) {
        let product = u128::from(limb) * u128::from(factor);
        add(to, place + i, (product << shift) as u64);
        add(to, place + i + 1, (product << shift >> 64) as u64);
        add(to, place + i + 2, (product >> 64 >> (64 - shift)) as u64);
    }
}

/// Subtracts the square of a whole number; false if that is larger.
fn subtract_square(from: &mut [u64], whole: &[u64]) -> bool {
    let mut square = vec![0; from.len()];
    for (i, &a) in whole.iter().enumerate().filter(|(_, limb)| **limb != 0) {
        for (j, &b) in whole.iter().enumerate().filter(|(_, limb)| **limb != 0) {
            let product = u128::from(a) * u128::from(b);
            add(&mut square, i + j, product as u64);
            add(&mut square, i + j + 1, (product >> 64) as u64);
        }
    }
    let mut borrow = false;
    for (limb, square) in from.iter_mut().zip(square) {
        let (less, one) = limb.overflowing_sub(square);
        let (less, other) = less.overflowing_sub(u64::from(borrow));
        *limb = less;
        borrow = one || other;
    }
    !borrow
}

/// Adds a limb at a place, and carries.
fn add(to: &mut [u64], place: usize, limb: u64) {
    let mut carry = limb;
    for digit in &mut to[place..] {
        if carry == 0 {
            return;
        }
        let (sum, over) = digit.overflowing_add(carry);
        *digit = sum;
        carry = u64::from(over);
    }
}
