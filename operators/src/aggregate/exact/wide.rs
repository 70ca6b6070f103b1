//! A number that has a place for every bit any `f64` can have, and for a sum of 2^64 of them.

use super::LEAST;

/// Digits of 32 bits each in 64-bit places: the spare bits take carries until they are worked off.
const DIGITS: usize = 70;
/// How many additions the places can take without a carry being worked off.
const PATIENCE: u32 = 1 << 29;
const DIGIT: i64 = 0xffff_ffff;

/// A signed number in units of the least `f64`, as digits of 32 bits, lowest first.
#[derive(Clone, Debug)]
pub(super) struct Wide {
    digits: [i64; DIGITS],
    /// Additions since the carries were worked off.
    pending: u32,
}

impl Default for Wide {
    fn default() -> Self {
        Wide { digits: [0; DIGITS], pending: 0 }
    }
}

impl Wide {
    /// Adds `whole · 2^exponent`.
    pub(super) fn add(&mut self, whole: i128, exponent: i32) {
        let sign = if whole < 0 { -1 } else { 1 };
        let mut rest = whole.unsigned_abs();
        let place = (exponent - LEAST) as usize;
        let shift = place % 32;
        let mut digit = place / 32;
        while rest != 0 {
            let part = (rest as u64 & DIGIT as u64) << shift;
            self.digits[digit] += sign * (part as i64 & DIGIT);
            self.digits[digit + 1] += sign * (part >> 32) as i64;
            rest >>= 32;
            digit += 1;
        }
        // A place gets up to two parts of one number.
        self.pending += 2;
        if self.pending >= PATIENCE {
            self.carry();
        }
    }

    /// Adds another number.
    pub(super) fn merge(&mut self, other: &Wide) {
        for (digit, theirs) in self.digits.iter_mut().zip(&other.digits) {
            *digit += theirs;
        }
        self.pending += other.pending + 1;
        if self.pending >= PATIENCE {
            self.carry();
        }
    }

    /// Works off the carries: every digit but the highest is in `0..2^32`, and that one has the
    /// sign of the number.
    fn carry(&mut self) {
        let mut carry = 0;
        let (highest, lower) = self.digits.split_last_mut().expect("there are digits");
        for digit in lower {
            let value = *digit + carry;
            *digit = value & DIGIT;
            carry = value >> 32;
        }
        *highest += carry;
        self.pending = 0;
    }

    /// Whether no digit is larger than so many additions can make it, nor close to its place's end.
    #[cfg(test)]
    pub(super) fn within_bounds(&self) -> bool {
        let most = (u64::from(self.pending) + 1) << 32;
        let lower = &self.digits[..DIGITS - 1];
        most < 1 << 63 && lower.iter().all(|digit| digit.unsigned_abs() <= most)
    }

    /// Whether it is negative, and its magnitude in limbs of 64 bits, lowest first.
    pub(super) fn magnitude(mut self) -> (bool, Vec<u64>) {
        self.carry();
        let negative = self.digits[DIGITS - 1] < 0;
        if negative {
            for digit in &mut self.digits {
                *digit = -*digit;
            }
            self.carry();
        }
        let limbs = self.digits.chunks(2).map(|pair| pair[0] as u64 | (pair[1] as u64) << 32);
        (negative, limbs.collect())
    }

    /// The digits with all carries worked off.
    pub(super) fn into_digits(mut self) -> Vec<i64> {
        self.carry();
        self.digits.to_vec()
    }

    /// From digits with all carries worked off; nothing if they are not.
    pub(super) fn from_digits(digits: Vec<i64>) -> Option<Wide> {
        let digits: [i64; DIGITS] = digits.try_into().ok()?;
        let (highest, lower) = digits.split_last()?;
        let sound = lower.iter().all(|digit| (0..=DIGIT).contains(digit))
            && (-DIGIT..=DIGIT).contains(highest);
        sound.then_some(Wide { digits, pending: 0 })
    }
}
