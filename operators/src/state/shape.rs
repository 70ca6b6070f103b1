//! Fingerprints of what saved bytes mean.

use std::any::type_name;
use std::fmt::Debug;

use crate::key::StableHash;

/// A fingerprint of an operator's parameters and of the types that its state is made of.
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
    pub fn with<V>(self) -> Self {
        Shape((self.0, type_name::<V>()).stable_hash())
    }

    /// The fingerprint.
    pub fn value(self) -> u64 {
        self.0
    }
}
