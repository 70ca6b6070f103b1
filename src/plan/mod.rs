//! From a checked pipeline to a running dataflow: the only place that knows both the file's words
//! and the operators.
//!
//! Every row of a pipeline is a [`Row`](crate::record::Row) whose fields are slots that were fixed
//! when the file was checked, so nothing is looked up by name while rows flow. [`build`] goes
//! through the plan once: sources, steps in the order rows flow, sinks.

mod aggregate;
mod build;
mod check;
mod key;
mod made;
mod sinks;
mod sources;
mod stateless;
mod steps;

pub use build::{Setup, build};
