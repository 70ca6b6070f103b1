//! Looking ahead: where the next rows belong, before they are taken in.
//!
//! A table that is larger than the caches costs a row the time of one access to memory. Memory gives
//! many lines in the time of one, if it is asked for them together. So the places of a batch of rows
//! are found and asked for first, and the rows are added after that.

/// For how many rows at a time: as many as the lines of memory that a core can wait for at once, and
/// then some.
pub(super) const AHEAD: usize = 64;

/// Whether it is worth it for tables of so many bytes: smaller ones are in a cache near the core.
pub(super) fn is_large(bytes: usize) -> bool {
    bytes > 1 << 20
}
