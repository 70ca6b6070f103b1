//! Benchmarks that check what they measure.
//!
//! Every figure is of a run whose results were compared with an independent computation, and stands
//! beside the least that the same work can cost: the making of the events, a bare loop. CPU time is
//! what counts on machines that are shared; wall time is told with the load of the machine.

mod feed;
pub mod latency;
pub mod machine;
pub mod nexmark;
pub mod plot;
mod progress;
mod stage;
mod tally;
pub mod work;

pub use stage::Measured;
pub use tally::{Sum, Tally};
