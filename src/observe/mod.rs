//! Seeing inside a running job.

pub mod log;
