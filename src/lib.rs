//! Tiderace: event-time stream processing on timely dataflow.
pub mod decode;
pub mod error;
pub mod observe;
pub mod runtime;
pub mod sink;
pub mod source;

pub use runtime::execute;
