//! Event-time operators over timely streams.
#![forbid(missing_docs)]
pub mod time;
