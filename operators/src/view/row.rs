//! Rows with the hash that places them.

use serde::{Deserialize, Serialize};

use crate::key::StableHash;

/// A row and the hash of its bytes. Any row that can be written down has such a place, whatever its
/// type; equal rows have to be written alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Row<D> {
    pub hash: u64,
    pub data: D,
}

impl<D: Serialize> Row<D> {
    /// `scratch` is memory to be used again.
    pub fn new(data: D, scratch: &mut Vec<u8>) -> Self {
        Row { hash: hash_of(&data, scratch), data }
    }
}

/// The hash of the bytes that a value is written as.
pub(super) fn hash_of<D: Serialize>(data: &D, scratch: &mut Vec<u8>) -> u64 {
    scratch.clear();
    let bytes = postcard::to_extend(data, std::mem::take(scratch));
    *scratch = bytes.expect("the rows of a view can be written down: sequences have lengths");
    scratch[..].stable_hash()
}

impl<D> StableHash for Row<D> {
    #[inline]
    fn stable_hash(&self) -> u64 {
        self.hash
    }
}
