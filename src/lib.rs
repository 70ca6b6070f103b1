//! Tiderace: event-time stream processing on timely dataflow.
pub mod clock;
pub mod decode;
pub mod error;
pub mod flow;
pub mod observe;
pub mod runtime;
pub mod sink;
pub mod source;

pub use runtime::execute;
