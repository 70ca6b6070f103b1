//! Tiderace: event-time stream processing on timely dataflow.
pub mod cli;
pub mod config;
pub mod decode;
pub mod error;
pub mod record;
pub mod sink;
pub mod source;
