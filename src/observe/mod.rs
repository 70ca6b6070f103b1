//! Seeing inside a running job: what it tells about itself, and its log.

mod board;
pub mod log;

pub use board::{Board, PartitionReport, SourceReport};
