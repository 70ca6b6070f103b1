//! A sum that fits in 128 bits, in a unit chosen when the first value came.

use super::LEAST;

/// How far below the first value's last bit the near sum begins: room for smaller values.
const ROOM_BELOW: i32 = 40;

/// A sum in units of two to the power of `base`. In halves, so that it needs no more alignment, and
/// so no more room, than it has to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Near {
    low: u64,
    high: i64,
    pub base: i16,
    _place: Place,
}

/// A byte with one value: the others tell [`Held`](super::Held) which it is, so that it needs no
/// byte of its own.
#[derive(Clone, Copy, Debug, Default)]
#[repr(u8)]
enum Place {
    #[default]
    Here = 0,
}

impl Near {
    /// A sum in units of two to the power of `base`.
    pub fn of(sum: i128, base: i16) -> Self {
        let mut near = Near { base, ..Near::default() };
        near.set(sum);
        near
    }

    /// What it holds, in its unit.
    #[inline]
    pub fn sum(&self) -> i128 {
        i128::from(self.high) << 64 | i128::from(self.low)
    }

    /// Replaces what it holds, in the same unit.
    #[inline]
    pub fn set(&mut self, sum: i128) {
        (self.low, self.high) = (sum as u64, (sum >> 64) as i64);
    }

    /// Holds just this value, with room on both sides.
    pub fn begin(&mut self, mantissa: i128, exponent: i32) {
        let base = (exponent - ROOM_BELOW).max(LEAST);
        self.set(mantissa << (exponent - base));
        self.base = base as i16;
    }
}
