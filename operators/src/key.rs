//! Keys, and the one hash that places them.
//!
//! Which worker holds a key, and where a key stands in a snapshot, follow from a 64-bit hash that
//! never changes: not with the machine, its pointer width or byte order, the compiler or the
//! standard library. It is part of the format of checkpoints, and defined here in full:
//!
//! * **Integers** are widened to 64 bits (with their sign), so `7u8`, `7u64` and `7i32` hash alike
//!   and a field may be widened later. Then
//!   `h = fold((x ^ 0x8bb84b93962eacc9) * (rotate_left(x, 32) ^ 0x2d358dccaa6c78a5))`, the product
//!   taken at 128 bits and its halves joined by exclusive or. `bool`, `char` and [`EventTime`](crate::time::EventTime) hash
//!   as the integers they are; 128-bit integers as the pair (high, low).
//! * **Strings and bytes** hash by rapidhash V3 of their bytes, with its default seed.
//! * **Several parts** (tuples, structs) start from `h = 0x4b33a62ed433d4a3 + number of parts` and
//!   take each part's hash `p` in order as `h = integer_hash(rotate_left(h, 26) ^ p)`. Slices and
//!   arrays of anything but bytes do the same over their elements.
//! * **Options**: `None` is zero parts, `Some(x)` is one part.
//!
//! Floats are not keys: `-0.0 == 0.0` and `NaN != NaN` have no good answer. Take
//! [`f64::to_bits`], or round to an integer, and say so in the key's type.

mod types;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// How many key groups there are. A constant of the format, not a setting.
pub const GROUPS: u32 = 4_096;

/// What rows are grouped by: anything that compares equal, can be written down and has a
/// [`StableHash`]. Implemented for all such types.
pub trait Key: StableHash + Clone + Eq + Serialize + DeserializeOwned + Send + 'static {}

impl<K: StableHash + Clone + Eq + Serialize + DeserializeOwned + Send + 'static> Key for K {}

/// A 64-bit hash which is the same everywhere and for ever.
///
/// Values that compare equal must hash alike. All bits of the result are used: the middle ones
/// choose the [`group`], the low and the high ones the place in a table.
///
/// A struct gets it in one line:
///
/// ```
/// use tiderace_operators::key::{StableHash, group};
/// use tiderace_operators::stable_hash_fields;
///
/// #[derive(Clone, PartialEq, Eq)]
/// struct Route { from: u32, to: u32, line: String }
/// stable_hash_fields!(Route, from, to, line);
///
/// let there = Route { from: 1, to: 2, line: "U6".into() };
/// let back = Route { from: 2, to: 1, line: "U6".into() };
/// assert_eq!(there.stable_hash(), (1u32, 2u32, "U6").stable_hash());
/// assert_ne!(there.stable_hash(), back.stable_hash());
/// assert!(group(there.stable_hash()) < 4_096);
/// ```
pub trait StableHash {
    /// The hash of this value.
    fn stable_hash(&self) -> u64;

    /// The hash of several values in a row. Only bytes have a way of their own.
    #[inline]
    fn stable_hash_slice(values: &[Self]) -> u64
    where
        Self: Sized,
    {
        let mut parts = Parts::new(values.len());
        for value in values {
            parts.add(value);
        }
        parts.hash()
    }
}

/// The key group of a hash: its bits 32 to 43.
#[inline]
pub const fn group(hash: u64) -> u32 {
    (hash >> 32) as u32 % GROUPS
}

/// What an exchange takes to find the worker of a hash: the worker is this number modulo the
/// number of workers, so that a whole key group lives on one of them.
#[inline]
pub const fn route(hash: u64) -> u64 {
    group(hash) as u64
}

/// Gives a struct with named fields a [`StableHash`] over those fields, in the order written.
///
/// Every field has to be named: one which is forgotten does not compile. The order is part of the
/// format, as is the set of fields.
#[macro_export]
macro_rules! stable_hash_fields {
    ($struct:ident, $($field:ident),+ $(,)?) => {
        impl $crate::key::StableHash for $struct {
            #[inline]
            fn stable_hash(&self) -> u64 {
                let $struct { $($field),+ } = self;
                $crate::key::StableHash::stable_hash(&($($field,)+))
            }
        }
    };
}

/// Hashes a value made of several parts, for types that [`stable_hash_fields!`] does not fit.
///
/// ```
/// use tiderace_operators::key::{Parts, StableHash};
///
/// enum Place { Zone(u32), Street { name: String, number: u16 } }
///
/// impl StableHash for Place {
///     fn stable_hash(&self) -> u64 {
///         match self {
///             Place::Zone(zone) => Parts::of(2).with(&0u8).with(zone).hash(),
///             Place::Street { name, number } => {
///                 Parts::of(3).with(&1u8).with(name).with(number).hash()
///             }
///         }
///     }
/// }
///
/// assert_eq!(Place::Zone(7).stable_hash(), (0u8, 7u32).stable_hash());
/// assert_ne!(
///     Place::Zone(7).stable_hash(),
///     Place::Street { name: "Am Ring".into(), number: 7 }.stable_hash(),
/// );
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Parts(u64);

impl Parts {
    /// A value of so many parts.
    #[inline]
    pub const fn of(count: u64) -> Self {
        Parts(0x4b33_a62e_d433_d4a3_u64.wrapping_add(count))
    }

    #[inline]
    const fn new(count: usize) -> Self {
        Parts::of(count as u64)
    }

    /// With the next part.
    #[inline]
    #[must_use]
    pub fn with<T: StableHash + ?Sized>(mut self, part: &T) -> Self {
        self.add(part);
        self
    }

    /// Takes the next part.
    #[inline]
    pub fn add<T: StableHash + ?Sized>(&mut self, part: &T) {
        self.0 = mix(self.0.rotate_left(26) ^ part.stable_hash());
    }

    /// The hash of all parts.
    #[inline]
    pub const fn hash(self) -> u64 {
        self.0
    }
}

/// One folded multiply of the value with itself, its halves swapped, so that every bit of the value
/// stands both high and low in a factor and reaches all bits of the product's folded halves.
#[inline]
const fn mix(value: u64) -> u64 {
    let a = value ^ 0x8bb8_4b93_962e_acc9;
    let b = value.rotate_left(32) ^ 0x2d35_8dcc_aa6c_78a5;
    let product = a as u128 * b as u128;
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests;
