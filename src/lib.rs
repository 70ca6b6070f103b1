//! Tiderace: event-time stream processing on timely dataflow.
pub mod bench;
pub mod cli;
pub mod clock;
pub mod config;
pub mod decode;
#[cfg(feature = "kafka")]
pub mod demo;
pub mod encode;
pub mod error;
pub mod flow;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod observe;
pub mod plan;
pub mod processor;
pub mod record;
pub mod runtime;
pub mod server;
pub mod sink;
pub mod source;

pub use runtime::execute;

/// What a program on this engine usually needs.
pub mod prelude {
    pub use tiderace_operators::prelude::*;

    pub use crate::error::{Error, Kind};
    pub use crate::flow::Flow;
    pub use crate::source::{SourceStream, event_time};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
