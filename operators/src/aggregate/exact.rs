//! An exact sum of floats: rounded once, at the end, so that order and splits cannot matter.
//!
//! Every finite `f64` is a whole number times a power of two. Values of similar size, which is
//! nearly all there ever are, add up in one 128-bit whole number times a power chosen when the
//! first value comes: a shift and an add. What does not fit there, because it is far smaller or
//! far larger, goes to a boxed number [`Wide`] enough for every `f64` there is. Both are exact, so
//! it does not matter which values went where.

mod near;
mod round;
mod saved;
mod spread;
mod squares;
mod wide;

use serde::{Deserialize, Serialize};

use near::Near;
use round::{divide, round};
use saved::Saved;
use wide::Wide;

pub(super) use spread::spread;
pub(super) use squares::ExactSquares;

/// The exponent of the last bit of the least denormal number, the least there is.
const LEAST: i32 = -1_074;
/// The exponent of the last bit of the largest numbers.
const LARGEST: i32 = 971;
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
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct ExactSum(Held);

/// What is held: 24 bytes where, as nearly always, the near sum is all there is.
#[derive(Clone, Debug)]
enum Held {
    Near(Near),
    Far(Box<Far>),
}

/// Everything that is not one whole number of 128 bits.
#[derive(Clone, Debug, Default)]
struct Far {
    near: Near,
    /// How many values were NaN, above and below all numbers.
    special: [u64; 3],
    /// Everything that did not fit into the near sum.
    wide: Option<Box<Wide>>,
}

const NAN: usize = 0;
const ABOVE: usize = 1;
const BELOW: usize = 2;

impl Default for ExactSum {
    fn default() -> Self {
        ExactSum(Held::Near(Near::default()))
    }
}

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
            0x7ff => return self.add_special(value, 1),
            _ => (fraction | 1 << 52, power - 1_075),
        };
        let mantissa = if value < 0.0 { -i128::from(mantissa) } else { i128::from(mantissa) };
        let near = self.near_mut();
        let shift = exponent - i32::from(near.base);
        if (0..=ROOM).contains(&shift)
            && let Some(sum) = near.sum().checked_add(mantissa << shift)
        {
            near.set(sum);
        } else {
            self.add_far(mantissa, exponent);
        }
    }

    /// Takes a value out that was added before: what is left is the exact sum of the others.
    ///
    /// ```
    /// use tiderace_operators::aggregate::ExactSum;
    ///
    /// let mut sum: ExactSum = [0.1, 1e300, f64::NAN].into_iter().collect();
    /// sum.remove(f64::NAN);
    /// sum.remove(1e300);
    /// assert_eq!(sum.total(), 0.1);
    /// ```
    #[inline]
    pub fn remove(&mut self, value: f64) {
        if value.is_finite() {
            self.add(-value);
        } else {
            // Added modulo 2^64, this takes one away.
            self.add_special(value, u64::MAX);
        }
    }

    /// Adds all of another sum.
    pub fn merge(&mut self, other: &ExactSum) {
        if let Held::Far(theirs) = &other.0 {
            if theirs.special != [0; 3] {
                let ours = &mut self.far_mut().special;
                for (ours, theirs) in ours.iter_mut().zip(theirs.special) {
                    *ours = ours.wrapping_add(theirs);
                }
            }
            if let Some(theirs) = &theirs.wide {
                match &mut self.far_mut().wide {
                    Some(ours) => ours.merge(theirs),
                    None => self.far_mut().wide = Some(theirs.clone()),
                }
            }
        }
        let (ours, theirs) = (*self.near(), *other.near());
        let (our_sum, their_sum) = (ours.sum(), theirs.sum());
        if their_sum == 0 {
            return;
        }
        if our_sum == 0 {
            *self.near_mut() = theirs;
            return;
        }
        let (high, low) = if ours.base >= theirs.base {
            ((our_sum, ours.base), (their_sum, theirs.base))
        } else {
            ((their_sum, theirs.base), (our_sum, ours.base))
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
            Some((sum, base)) => {
                let near = self.near_mut();
                near.set(sum);
                near.base = base;
            }
            None => self.wide().add(their_sum, i32::from(theirs.base)),
        }
    }

    /// The total, rounded once.
    pub fn total(&self) -> f64 {
        if let Some(special) = self.special() {
            return special;
        }
        match self.far_off() {
            None => {
                let (low, high) = halves(self.near().sum().unsigned_abs());
                round(self.near().sum() < 0, &[low, high], i32::from(self.near().base))
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
        match self.far_off() {
            None => exact_quotient(self.near().sum(), i32::from(self.near().base), count),
            Some(_) => {
                let (negative, limbs) = self.whole();
                divide(negative, &limbs, LEAST, count)
            }
        }
    }

    #[inline]
    fn near(&self) -> &Near {
        match &self.0 {
            Held::Near(near) => near,
            Held::Far(far) => &far.near,
        }
    }

    #[inline]
    fn near_mut(&mut self) -> &mut Near {
        match &mut self.0 {
            Held::Near(near) => near,
            Held::Far(far) => &mut far.near,
        }
    }

    /// What did not fit into the near sum, if anything.
    fn far_off(&self) -> Option<&Wide> {
        match &self.0 {
            Held::Near(_) => None,
            Held::Far(far) => far.wide.as_deref(),
        }
    }

    #[cold]
    fn far_mut(&mut self) -> &mut Far {
        if let Held::Near(near) = self.0 {
            self.0 = Held::Far(Box::new(Far { near, ..Far::default() }));
        }
        match &mut self.0 {
            Held::Far(far) => far,
            Held::Near(_) => unreachable!("it was made far above"),
        }
    }

    /// What the total is if not all values were finite.
    fn special(&self) -> Option<f64> {
        let special = match &self.0 {
            Held::Near(_) => return None,
            Held::Far(far) => far.special.map(|count| count > 0),
        };
        match special {
            [false, false, false] => None,
            [false, true, false] => Some(f64::INFINITY),
            [false, false, true] => Some(f64::NEG_INFINITY),
            _ => Some(f64::NAN),
        }
    }

    #[cold]
    fn add_special(&mut self, value: f64, count: u64) {
        let which = if value.is_nan() {
            NAN
        } else if value > 0.0 {
            ABOVE
        } else {
            BELOW
        };
        let counted = &mut self.far_mut().special[which];
        *counted = counted.wrapping_add(count);
    }

    /// Adds a value for which the near sum has no room as it is now.
    #[cold]
    #[inline(never)]
    fn add_far(&mut self, mantissa: i128, exponent: i32) {
        if mantissa == 0 {
            return;
        }
        let near = self.near_mut();
        let sum = near.sum();
        if sum == 0 {
            return near.begin(mantissa, exponent);
        }
        let base = i32::from(near.base);
        let below = base - exponent;
        if below > 0 {
            // A short number (3.0, 0.5) may fit although the places a long one has do not.
            if mantissa.trailing_zeros() as i32 >= below
                && let Some(sum) = sum.checked_add(mantissa >> below)
            {
                near.set(sum);
            } else {
                self.wide().add(mantissa, exponent);
            }
        } else {
            // Too large: from here on the near sum is where the large values are, so that a tiny
            // first one does not make all others slow.
            near.begin(mantissa, exponent);
            self.wide().add(sum, base);
        }
    }

    fn wide(&mut self) -> &mut Wide {
        self.far_mut().wide.get_or_insert_default()
    }

    /// Sign and magnitude of everything, in units of the least number.
    fn whole(&self) -> (bool, Vec<u64>) {
        let mut all = self.far_off().cloned().unwrap_or_default();
        all.add(self.near().sum(), i32::from(self.near().base));
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

#[cfg(test)]
mod tests;
