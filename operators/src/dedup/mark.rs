//! What deduplication remembers of the copies of a key.

use std::num::NonZeroU64;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What is remembered of the copies of a key in a slot.
pub trait Mark: Serialize + DeserializeOwned {
    /// Whether each one is handed out when it is forgotten.
    const HANDED_OUT: bool = false;

    /// How long after the bucket's start one of the copies was, in microseconds.
    fn offset(&self) -> u64;
    /// Whether it has changed since the last cut.
    fn is_dirty(&self) -> bool;
    /// It has not changed since the last cut from here on.
    fn clean(&mut self);
}

/// An offset, and whether what it belongs to has changed since the last cut.
///
/// Offsets are less than 2^63 − 1: a bucket is not longer than the greater of `ttl` and lateness / 64.
/// One more is kept of them, so that it is never zero: a free place of a table needs no other mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Stamped(NonZeroU64);

impl Stamped {
    #[inline]
    pub fn dirty(offset: u64) -> Self {
        Stamped(NonZeroU64::MIN | (offset + 1) << 1)
    }

    #[inline]
    pub fn offset(self) -> u64 {
        (self.0.get() >> 1).wrapping_sub(1)
    }

    #[inline]
    pub fn is_dirty(self) -> bool {
        self.0.get() & 1 != 0
    }

    pub fn clean(&mut self) {
        self.0 = NonZeroU64::new(self.0.get() & !1).unwrap_or(self.0);
    }
}
