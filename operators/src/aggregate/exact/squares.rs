//! The exact sum of squares of floats.
//!
//! The square of a float has up to 106 bits. Squares of values of similar size add up in one number
//! of 256 bits times a power chosen when the first one comes; the others, and those that are too
//! large or too small for a float, go to an [`ExactSum`] as two floats each.

use serde::{Deserialize, Serialize};

use super::wide::Wide;
use super::{ExactSum, LARGEST, LEAST};

/// How far below the first square's last bit the near sum begins: room for smaller ones.
const ROOM_BELOW: i32 = 72;
/// How far a square may be shifted up: 106 bits and this leave room for many of them.
const ROOM: i32 = 128;

/// The exact sum of the squares of any number of `f64`, in any order, put together from any parts.
///
/// What a square counts as is told by its value alone: exactly itself, but infinite beyond the
/// largest float, and rounded where it has bits below the least one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct ExactSquares {
    /// The near sum in units of two to the power of `base`: limbs, lowest first, of which the last
    /// has the sign.
    near: [u64; 4],
    base: i16,
    /// Everything that did not fit into the near sum.
    far: Option<Box<ExactSum>>,
}

impl ExactSquares {
    /// Adds the square of a value.
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.change(value, false);
    }

    /// Takes out the square of a value that was added before.
    #[inline]
    pub fn remove(&mut self, value: f64) {
        self.change(value, true);
    }

    #[inline]
    fn change(&mut self, value: f64, take: bool) {
        let bits = value.to_bits();
        let power = (bits >> 52 & 0x7ff) as i32;
        let exponent = 2 * (power - 1_075);
        // Squares that are floats, or two: neither too large nor with bits below the least float.
        if exponent < LEAST || power >= 0x5fe {
            return self.change_far(value, take);
        }
        let mantissa = u128::from(bits & 0x000f_ffff_ffff_ffff | 1 << 52);
        let square = mantissa * mantissa;
        let shift = exponent - i32::from(self.base);
        if !(0..=ROOM).contains(&shift) || !self.change_near(square, shift as u32, take) {
            self.change_elsewhere(value, square, exponent, take);
        }
    }

    /// Adds a shifted square to the near sum, or takes it away; false if that has no room for it.
    #[inline]
    fn change_near(&mut self, square: u128, shift: u32, take: bool) -> bool {
        let (limb, shift) = (shift as usize / 64, shift % 64);
        let low = square << shift;
        // In two steps, as a shift by all 128 bits is none.
        let high = (square >> 64 >> (64 - shift)) as u64;
        let mut limbs = [0; 5];
        limbs[limb] = low as u64;
        limbs[limb + 1] = (low >> 64) as u64;
        limbs[limb + 2] = high;
        let changed = plus(self.near, [limbs[0], limbs[1], limbs[2], limbs[3]], take);
        match changed {
            Some(sum) if limbs[4] == 0 => {
                self.near = sum;
                true
            }
            _ => false,
        }
    }

    /// Adds a square for which the near sum has no room as it is now.
    #[cold]
    #[inline(never)]
    fn change_elsewhere(&mut self, value: f64, square: u128, exponent: i32, take: bool) {
        if self.near != [0; 4] && exponent < i32::from(self.base) {
            return self.change_far(value, take);
        }
        // The near sum is where the large ones are; what it held goes where there is room for all.
        let (near, base) = (std::mem::take(&mut self.near), i32::from(self.base));
        if near != [0; 4] {
            add_limbs(self.far().wide(), near, base);
        }
        let base = (exponent - ROOM_BELOW).max(LEAST);
        self.base = base as i16;
        let fits = self.change_near(square, (exponent - base) as u32, take);
        debug_assert!(fits, "an empty near sum has room for the square it begins with");
    }

    #[cold]
    #[inline(never)]
    fn change_far(&mut self, value: f64, take: bool) {
        if value == 0.0 {
            return;
        }
        let square = value * value;
        // What rounding took away from the square.
        let rest = if square.is_finite() { value.mul_add(value, -square) } else { 0.0 };
        let far = self.far();
        for part in [square, rest] {
            if take {
                far.remove(part);
            } else {
                far.add(part);
            }
        }
    }

    /// Adds all of another sum.
    pub fn merge(&mut self, other: &ExactSquares) {
        if let Some(theirs) = &other.far {
            self.far().merge(theirs);
        }
        if self.near == [0; 4] {
            (self.near, self.base) = (other.near, other.base);
        } else if other.near != [0; 4] {
            self.merge_near(other.near, other.base);
        }
    }

    fn merge_near(&mut self, mut theirs: [u64; 4], base: i16) {
        // Both in the lower unit of the two, unless the higher one is too far up for it.
        let together = if base >= self.base {
            shifted(theirs, (base - self.base) as u32).map(|theirs| (self.near, theirs, self.base))
        } else {
            shifted(self.near, (self.base - base) as u32).map(|ours| (ours, theirs, base))
        };
        if let Some((ours, theirs, base)) = together
            && let Some(sum) = plus(ours, theirs, false)
        {
            (self.near, self.base) = (sum, base);
            return;
        }
        let mut base = base;
        if base > self.base {
            std::mem::swap(&mut self.near, &mut theirs);
            std::mem::swap(&mut self.base, &mut base);
        }
        add_limbs(self.far().wide(), theirs, i32::from(base));
    }

    fn far(&mut self) -> &mut ExactSum {
        self.far.get_or_insert_default()
    }

    /// What the sum is if not all squares were finite.
    pub fn special(&self) -> Option<f64> {
        self.far.as_ref().and_then(|far| far.special())
    }

    /// Sign and magnitude of the sum, in units of the least number.
    pub fn whole(&self) -> (bool, Vec<u64>) {
        let far = self.far.as_deref();
        let mut all = far.and_then(ExactSum::far_off).cloned().unwrap_or_default();
        if let Some(far) = far {
            all.add(far.near().sum(), i32::from(far.near().base));
        }
        add_limbs(&mut all, self.near, i32::from(self.base));
        all.magnitude()
    }
}

/// The sum of two signed numbers, or their difference; nothing if it has no room.
#[inline]
fn plus(a: [u64; 4], b: [u64; 4], take: bool) -> Option<[u64; 4]> {
    // A difference is the sum with all bits of the other turned around, and one.
    let turn = if take { u64::MAX } else { 0 };
    let mut sum = [0; 4];
    let mut carry = take;
    for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
        let (part, first) = a.overflowing_add(b ^ turn);
        let (part, second) = part.overflowing_add(u64::from(carry));
        (*sum, carry) = (part, first | second);
    }
    // Too large if both have one sign and the sum has the other.
    let same = !(a[3] ^ b[3] ^ turn);
    let over = same & (a[3] ^ sum[3]);
    (over >> 63 == 0).then_some(sum)
}

/// A signed number times a power of two; nothing if it has no room.
fn shifted(limbs: [u64; 4], by: u32) -> Option<[u64; 4]> {
    let (places, bits) = (by as usize / 64, by % 64);
    if places > 3 {
        return None;
    }
    let mut up = [0; 4];
    for (from, limb) in up[places..].iter_mut().enumerate() {
        let below = if from > 0 && bits > 0 { limbs[from - 1] >> (64 - bits) } else { 0 };
        *limb = limbs[from] << bits | below;
    }
    // It fits if it comes back the same.
    let mut back = [0; 4];
    let sign = (up[3] as i64 >> 63) as u64;
    for (place, limb) in back.iter_mut().enumerate() {
        let at = |index: usize| up.get(index).copied().unwrap_or(sign);
        let above = if bits > 0 { at(place + places + 1) << (64 - bits) } else { 0 };
        *limb = at(place + places) >> bits | above;
    }
    (back == limbs).then_some(up)
}

fn add_limbs(to: &mut Wide, limbs: [u64; 4], base: i32) {
    for (place, limb) in limbs.into_iter().enumerate() {
        let limb = if place == 3 { i128::from(limb as i64) } else { i128::from(limb) };
        to.add(limb, base + 64 * place as i32);
    }
}

/// How a sum is written: the parts as they are, checked when they come back.
#[derive(Serialize, Deserialize)]
struct Saved {
    near: [u64; 4],
    base: i16,
    far: Option<Box<ExactSum>>,
}

impl From<ExactSquares> for Saved {
    fn from(sum: ExactSquares) -> Self {
        Saved { near: sum.near, base: sum.base, far: sum.far }
    }
}

impl TryFrom<Saved> for ExactSquares {
    type Error = &'static str;

    fn try_from(saved: Saved) -> Result<Self, Self::Error> {
        if !(LEAST..=LARGEST).contains(&i32::from(saved.base)) {
            return Err("not a sum of squares: the unit is out of its bounds");
        }
        Ok(ExactSquares { near: saved.near, base: saved.base, far: saved.far })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::exact::round::round;

    fn total(sum: &ExactSquares) -> f64 {
        let (negative, limbs) = sum.whole();
        sum.special().unwrap_or_else(|| round(negative, &limbs, LEAST))
    }

    /// The same as two floats a square, in a sum of floats.
    fn expected(values: &[f64]) -> f64 {
        let mut sum = ExactSum::default();
        for value in values {
            let square = value * value;
            sum.add(square);
            if square.is_finite() {
                sum.add(value.mul_add(*value, -square));
            }
        }
        sum.total()
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            3 => any::<f64>(),
            4 => -1e6..1e6_f64,
            2 => -1e30..1e30_f64,
            2 => (any::<i32>(), -60..60_i32).prop_map(|(m, e)| f64::from(m) * 2_f64.powi(e)),
            2 => (-520..-480_i32, 1.0..2.0_f64).prop_map(|(e, m)| m * 2_f64.powi(e)),
            1 => prop::sample::select(vec![0.0, -0.0, 1e-154, 1.3e154, 1.4e154, f64::MAX, 1.0]),
        ]
    }

    fn same(a: f64, b: f64) -> bool {
        a == b || a.is_nan() && b.is_nan()
    }

    proptest! {
        #![proptest_config(crate::testing::cases(2_000))]

        #[test]
        fn squares_add_up_in_any_way(
            values in prop::collection::vec(value(), 0..30),
            removed in prop::collection::vec(value(), 0..10),
            owners in prop::collection::vec(0..4_usize, 40),
            first in any::<bool>(),
        ) {
            let mut parts = vec![ExactSquares::default(); 4];
            for (value, owner) in values.iter().chain(&removed).zip(&owners) {
                parts[*owner].add(*value);
            }
            if first {
                for (value, owner) in removed.iter().zip(&owners[values.len()..]) {
                    parts[*owner].remove(*value);
                }
            }
            let mut sum = parts.remove(0);
            for part in parts {
                let bytes = postcard::to_allocvec(&part).expect("a sum can be written");
                sum.merge(&postcard::from_bytes(&bytes).expect("and read"));
            }
            if !first {
                removed.iter().for_each(|value| sum.remove(*value));
            }
            let (found, expected) = (total(&sum), expected(&values));
            prop_assert!(same(found, expected), "{found:e} is not {expected:e}");
        }

        #[test]
        fn ordinary_readings_stay_near(cents in prop::collection::vec(1..10_000_000_i64, 1..100)) {
            let mut sum = ExactSquares::default();
            cents.iter().for_each(|&cents| sum.add(cents as f64 / 100.0));
            prop_assert!(sum.far.is_none());
        }

        #[test]
        fn shifts_come_back(limbs in any::<[u64; 4]>(), kept in 0..4_usize, by in 0..256_u32) {
            let sign = (limbs[kept] as i64 >> 63) as u64;
            let limbs: [u64; 4] = std::array::from_fn(|i| if i <= kept { limbs[i] } else { sign });
            let mut doubled = Some(limbs);
            for _ in 0..by {
                doubled = doubled.and_then(|limbs| plus(limbs, limbs, false));
            }
            prop_assert_eq!(shifted(limbs, by), doubled);
        }
    }

    /// Doubled by merging until no number of 256 bits holds it.
    #[test]
    fn a_full_near_sum_makes_room() {
        let mut sum = ExactSquares::default();
        sum.add(3.0);
        sum.add(1e12);
        let exact = 9.0 + 1e24;
        for _ in 0..200 {
            let other = sum.clone();
            sum.merge(&other);
        }
        assert_eq!(total(&sum), exact * 2_f64.powi(200));
        sum.add(7.0);
        assert_eq!(total(&sum), exact * 2_f64.powi(200));
    }
}
