//! Fingerprints of what saved bytes mean.

use std::fmt::Debug;

use serde::de::DeserializeOwned;

use super::outline::outline;
use crate::key::StableHash;

/// A fingerprint of an operator's parameters and of the types that its state is made of.
///
/// Types are told apart by what they ask a deserializer for: names of structs, fields, enums and
/// variants, and their order. A struct with a field more, less, or of another type has another
/// shape.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tiderace_operators::state::Shape;
///
/// #[derive(Serialize, Deserialize)]
/// struct Total { count: u64, sum: i128 }
///
/// let counts = Shape::of("window", &"10 s").with::<Total>();
/// assert_eq!(counts, Shape::of("window", &"10 s").with::<Total>());
/// assert_ne!(counts, Shape::of("window", &"20 s").with::<Total>());
/// assert_ne!(counts, Shape::of("window", &"10 s").with::<(u64, i128)>());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape(u64);

impl Shape {
    /// Of an operator without state.
    pub fn nothing() -> Self {
        Shape(0)
    }

    /// Of an operator of this kind, with parameters that give its state its meaning.
    pub fn of(kind: &str, parameters: &impl Debug) -> Self {
        Shape((kind, format!("{parameters:?}")).stable_hash())
    }

    /// With a type that its keys or values are made of.
    #[must_use]
    pub fn with<V: DeserializeOwned>(self) -> Self {
        Shape((self.0, outline::<V>()).stable_hash())
    }

    /// The fingerprint.
    pub fn value(self) -> u64 {
        self.0
    }
}
