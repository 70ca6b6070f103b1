//! Event-time operators over timely streams.
#![forbid(missing_docs)]
pub mod aggregate;
pub mod dedup;
pub mod key;
pub mod time;
