//! An exact sum of floats: rounded once, at the end, so that order and splits cannot matter.
//!
//! Every finite `f64` is a whole number times a power of two. Values of similar size, which is
//! nearly all there ever are, add up in one 128-bit whole number times a power chosen when the
//! first value comes: a shift and an add. What does not fit there, because it is far smaller or
//! far larger, goes to a boxed number [`Wide`] enough for every `f64` there is. Both are exact, so
//! it does not matter which values went where.

mod round;
mod spread;
mod wide;

use serde::{Deserialize, Serialize};

use round::{divide, round};
use wide::Wide;

pub(super) use spread::spread;

/// The exponent of the last bit of the least denormal number, the least there is.
const LEAST: i32 = -1_074;
/// The exponent of the last bit of the largest numbers.
const LARGEST: i32 = 971;
/// How far below the first value's last bit the near sum begins: room for smaller values.
const ROOM_BELOW: i32 = 40;
/// How far a value may be shifted up in the near sum: 53 bits and this are below 127.
const ROOM: i32 = 73;

/// The exact sum of any number of `f64`, in any order, put together from any parts.
///
/// The total is rounded once (to nearest, ties to even). Sums between may be as large as they
/// like. Infinities and NaN count as in IEEE arithmetic, whatever the order: a NaN, or infinities
/// of both signs, give NaN. A sum of zero is `+0.0`, also when all values were `-0.0`.
///
/// ```
/// use tiderace_operators::aggregate::ExactSum;
///
/// let mut sum = ExactSum::default();
/// for value in [1e308, 1.0, 1e308, -1e308, 1e-300, -1e308] {
///     sum.add(value);
/// }
/// assert_eq!(sum.total(), 1.0);
///
/// let tenths: ExactSum = std::iter::repeat_n(0.1, 10).collect();
/// assert_eq!(tenths.total(), 1.0);
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct ExactSum {
    /// The near sum, in units of two to the power of `base`.
    near: i128,
    base: i16,
    /// Which of NaN and the infinities were seen.
    special: u8,
    /// Everything that did not fit into the near sum.
    wide: Option<Box<Wide>>,
}

const NAN: u8 = 1;
const ABOVE: u8 = 2;
const BELOW: u8 = 4;

impl ExactSum {
    /// Adds one value.
    #[inline]
    pub fn add(&mut self, value: f64) {
        let bits = value.to_bits();
        let power = (bits >> 52 & 0x7ff) as i32;
        let fraction = bits & 0x000f_ffff_ffff_ffff;
        // Denormals have the same unit as the least normal numbers, and no hidden bit.
        let (mantissa, exponent) = match power {
            0 => (fraction, LEAST),
            0x7ff => return self.add_special(value),
            _ => (fraction | 1 << 52, power - 1_075),
        };
        let mantissa = if value < 0.0 { -i128::from(mantissa) } else { i128::from(mantissa) };
        let shift = exponent - i32::from(self.base);
        if (0..=ROOM).contains(&shift)
            && let Some(near) = self.near.checked_add(mantissa << shift)
        {
            self.near = near;
        } else {
            self.add_far(mantissa, exponent);
        }
    }

    /// Adds all of another sum.
    pub fn merge(&mut self, other: &ExactSum) {
        self.special |= other.special;
        if let Some(theirs) = &other.wide {
            match &mut self.wide {
                Some(ours) => ours.merge(theirs),
                None => self.wide = Some(theirs.clone()),
            }
        }
        if other.near == 0 {
            return;
        }
        if self.near == 0 {
            (self.near, self.base) = (other.near, other.base);
            return;
        }
        let (high, low) = if self.base >= other.base {
            ((self.near, self.base), (other.near, other.base))
        } else {
            ((other.near, other.base), (self.near, self.base))
        };
        let apart = (high.1 - low.1) as u32;
        // Bring both to one unit if neither loses a bit by it.
        let together = if low.0.trailing_zeros() >= apart {
            low.0
                .checked_shr(apart)
                .and_then(|low| low.checked_add(high.0))
                .map(|sum| (sum, high.1))
        } else if high.0.unsigned_abs().leading_zeros() > apart {
            (high.0 << apart).checked_add(low.0).map(|sum| (sum, low.1))
        } else {
            None
        };
        match together {
            Some(sum) => (self.near, self.base) = sum,
            None => self.wide().add(other.near, i32::from(other.base)),
        }
    }

    /// The total, rounded once.
    pub fn total(&self) -> f64 {
        if let Some(special) = self.special() {
            return special;
        }
        match &self.wide {
            None => {
                let (low, high) = halves(self.near.unsigned_abs());
                round(self.near < 0, &[low, high], i32::from(self.base))
            }
            Some(_) => {
                let (negative, limbs) = self.whole();
                round(negative, &limbs, LEAST)
            }
        }
    }

    /// The total divided by `count`, rounded once: the exact mean, and finite where the total may
    /// not be. NaN for a count of zero.
    pub fn mean(&self, count: u64) -> f64 {
        if count == 0 {
            return f64::NAN;
        }
        if let Some(special) = self.special() {
            return special;
        }
        match &self.wide {
            None => exact_quotient(self.near, i32::from(self.base), count),
            Some(_) => {
                let (negative, limbs) = self.whole();
                divide(negative, &limbs, LEAST, count)
            }
        }
    }

    /// What the total is if not all values were finite.
    fn special(&self) -> Option<f64> {
        match self.special {
            0 => None,
            ABOVE => Some(f64::INFINITY),
            BELOW => Some(f64::NEG_INFINITY),
            _ => Some(f64::NAN),
        }
    }

    #[cold]
    fn add_special(&mut self, value: f64) {
        self.special |= if value.is_nan() {
            NAN
        } else if value > 0.0 {
            ABOVE
        } else {
            BELOW
        };
    }

    /// Adds a value for which the near sum has no room as it is now.
    #[cold]
    #[inline(never)]
    fn add_far(&mut self, mantissa: i128, exponent: i32) {
        if mantissa == 0 {
            return;
        }
        if self.near == 0 {
            return self.begin(mantissa, exponent);
        }
        let below = i32::from(self.base) - exponent;
        if below > 0 {
            // A short number (3.0, 0.5) may fit although the places a long one has do not.
            if mantissa.trailing_zeros() as i32 >= below
                && let Some(near) = self.near.checked_add(mantissa >> below)
            {
                self.near = near;
            } else {
                self.wide().add(mantissa, exponent);
            }
        } else {
            // Too large: from here on the near sum is where the large values are, so that a tiny
            // first one does not make all others slow.
            let (near, base) = (self.near, i32::from(self.base));
            self.wide().add(near, base);
            self.begin(mantissa, exponent);
        }
    }

    /// Makes the near sum hold just this value, with room on both sides.
    fn begin(&mut self, mantissa: i128, exponent: i32) {
        let base = (exponent - ROOM_BELOW).max(LEAST);
        self.near = mantissa << (exponent - base);
        self.base = base as i16;
    }

    fn wide(&mut self) -> &mut Wide {
        self.wide.get_or_insert_default()
    }

    /// Sign and magnitude of everything, in units of the least number.
    fn whole(&self) -> (bool, Vec<u64>) {
        let mut all = self.wide.clone().unwrap_or_default();
        all.add(self.near, i32::from(self.base));
        all.magnitude()
    }
}

impl Extend<f64> for ExactSum {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        for value in values {
            self.add(value);
        }
    }
}

impl FromIterator<f64> for ExactSum {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut sum = ExactSum::default();
        sum.extend(values);
        sum
    }
}

/// `whole · 2^exponent / count`, rounded once.
pub(super) fn exact_quotient(whole: i128, exponent: i32, count: u64) -> f64 {
    let (low, high) = halves(whole.unsigned_abs());
    divide(whole < 0, &[low, high], exponent, count)
}

fn halves(value: u128) -> (u64, u64) {
    (value as u64, (value >> 64) as u64)
}

/// How a sum is written: the parts as they are, checked when they come back.
#[derive(Serialize, Deserialize)]
struct Saved {
    near: i128,
    base: i16,
    special: u8,
    wide: Option<Vec<i64>>,
}

impl From<ExactSum> for Saved {
    fn from(sum: ExactSum) -> Self {
        let wide = sum.wide.map(|wide| wide.into_digits());
        Saved { near: sum.near, base: sum.base, special: sum.special, wide }
    }
}

impl TryFrom<Saved> for ExactSum {
    type Error = &'static str;

    fn try_from(saved: Saved) -> Result<Self, Self::Error> {
        if !(LEAST..=LARGEST).contains(&i32::from(saved.base))
            || saved.special > NAN | ABOVE | BELOW
        {
            return Err("not an exact sum: a part is out of its bounds");
        }
        let wide = match saved.wide {
            None => None,
            Some(digits) => {
                Some(Box::new(Wide::from_digits(digits).ok_or("not an exact sum: bad digits")?))
            }
        };
        Ok(ExactSum { near: saved.near, base: saved.base, special: saved.special, wide })
    }
}

#[cfg(test)]
mod tests;
