//! Tiderace: event-time stream processing on timely dataflow.
pub mod decode;
pub mod encode;
pub mod error;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod sink;
pub mod source;
