//! Seeing inside: what a running dataflow tells about itself.

mod board;

pub use board::{Board, PartitionReport, SourceReport};
