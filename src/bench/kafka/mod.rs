//! Through Kafka: how much of what the client and the parser can do is left with the engine around
//! them, and how long a record takes from being due to its result in another topic.

mod brokers;
mod copy;
mod fill;
mod floor;
mod open_loop;
mod reader;
mod report;
mod throughput;

pub use brokers::{Brokers, Topic};
pub use fill::fill;
pub use open_loop::OpenLoop;
pub use report::{OpenLoopReport, ThroughputReport};
pub use throughput::Throughput;

use crate::error::{Error, Kind};
use crate::runtime::LaunchArgs;

/// Clocks and processor time are read in one process.
pub(super) fn one_process(args: &LaunchArgs) -> Result<(), Error> {
    match args.processes {
        None => Ok(()),
        Some(_) => {
            let message = "this is measured in one process: its processor time and clocks are read";
            Err(Error::new(Kind::Usage, message).hint("-w N gives it more workers"))
        }
    }
}
