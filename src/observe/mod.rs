//! Seeing inside a running job: what it tells about itself, and its log.

mod board;
pub mod log;
mod publish;
mod status;
mod why;

pub use board::{Board, PartitionReport, SourceReport};
pub use publish::{job_status, publish};
pub use status::{Ledger, OperatorStatus, ProcessStatus, Status};
pub use why::{grouped, instant, why};
