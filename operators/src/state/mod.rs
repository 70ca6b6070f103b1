//! State that can be cut and restored.
//!
//! A **cut** at tick c is a consistent line through a dataflow: everything of the ticks up to c is in
//! it, nothing of later ones. A source's mark announces it. Each stateful operator, once it has
//! completed tick c and before it takes any row of a later tick, writes what changed since the cut
//! before: one [`Frame`] after another, on a stream of its own. Frames that are applied in order to
//! a [`Snapshot`] make the state as of c, and an operator that is built with a [`Keeper`] that holds
//! a snapshot goes on from there, on any number of workers.
//!
//! ```text
//!  tick            …   c−1    c  │  c+1   …      (rows of c+1 may be waiting already)
//!  operator      apply, close, … │ save ▶ frames ▶ Snapshot ──▶ load, on other workers
//!  source              positions │ as of the end of c
//! ```
//!
//! An entry of state is `(table, bucket, group, key, value)`. Tables tell the parts of an operator's
//! state apart. A bucket is what is dropped as a whole, in the order of time. The
//! [group](crate::key::group) of the key decides which worker holds it. Values are replaced, or added
//! up where they are counts. The bytes are those of postcard, in frames with a version and a
//! checksum; a [`Shape`] of parameters and types guards against reading them as something else.

mod frame;
mod keeper;
mod outline;
mod saver;
mod shape;
mod snapshot;
mod table;

pub use frame::Frame;
use frame::Op;
pub use keeper::Keeper;
pub use saver::Saver;
pub use shape::Shape;
pub use snapshot::{OperatorState, Snapshot};
pub use table::{Epoch, Packed, Table};

use serde::de::DeserializeOwned;

use crate::tick::Fuel;

/// Who holds an entry of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The worker of its key group.
    Keyed,
    /// Every worker.
    Broadcast,
}

/// State of an operator that is written at cuts and built from what was written.
///
/// Law: a fresh state of the same parameters that loads every entry that the [`Snapshot`] of all
/// saves holds behaves from there on as this one does.
pub trait State {
    /// A fingerprint of the parameters that give the saved bytes their meaning, and of their types.
    fn shape(&self) -> Shape;

    /// Who holds the entries of a table.
    fn scope(&self, table: u8) -> Scope {
        let _ = table;
        Scope::Keyed
    }

    /// Writes what has changed since the last save. It takes from `fuel` what it looks at and
    /// returns whether it is done; if not, it is called again before anything else happens.
    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool;

    /// Takes an entry back. Only called on a fresh state.
    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt>;
}

/// An entry of saved state.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Which part of the operator's state it belongs to.
    pub table: u8,
    /// What it is dropped with.
    pub bucket: i64,
    /// The group of its key.
    pub group: u16,
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> Entry<'a> {
    /// From its parts.
    pub fn new(table: u8, bucket: i64, group: u16, key: &'a [u8], value: &'a [u8]) -> Self {
        Entry { table, bucket, group, key, value }
    }

    /// Its key.
    pub fn key<K: DeserializeOwned>(&self) -> Result<K, Corrupt> {
        decode(self.key, "key")
    }

    /// Its value.
    pub fn value<V: DeserializeOwned>(&self) -> Result<V, Corrupt> {
        decode(self.value, "value")
    }
}

fn decode<V: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<V, Corrupt> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(Corrupt(format!("{} bytes left after a {what}", rest.len()))),
        Err(error) => Err(Corrupt(format!("a {what} cannot be read: {error}"))),
    }
}

/// Saved bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrupt(pub String);

impl std::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Corrupt {}

/// For operators that keep nothing from one tick to the next.
#[macro_export]
macro_rules! keeps_nothing {
    ($type:ty $(; $($generics:tt)*)?) => {
        impl $(<$($generics)*>)? $crate::state::State for $type {
            fn shape(&self) -> $crate::state::Shape {
                $crate::state::Shape::nothing()
            }

            fn save(&mut self, _: &mut $crate::tick::Fuel, _: &mut $crate::state::Saver) -> bool {
                true
            }

            fn load(
                &mut self,
                _: &$crate::state::Entry<'_>,
            ) -> Result<(), $crate::state::Corrupt> {
                Err($crate::state::Corrupt("state for an operator that keeps none".into()))
            }
        }
    };
}
