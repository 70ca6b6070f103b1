//! Benchmarks that check what they measure.
//!
//! Every figure is of a run whose results were compared with an independent computation, and stands
//! beside the least that the same work can cost: the making of the events, a bare loop. CPU time is
//! what counts on machines that are shared; wall time is told with the load of the machine.

mod cost;
mod feed;
pub mod json;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod latency;
mod lines;
pub mod machine;
pub mod nexmark;
pub mod plot;
mod progress;
mod reading;
mod stage;
mod tally;
mod windowed;
pub mod work;

pub use cost::Cost;
pub use stage::Measured;
pub use tally::{Sum, Tally};
