//! What the Kafka source and the Kafka sink have in common: the client's settings, its logs and
//! errors, the batch queue, and an embedded cluster for the demo and for tests.

pub mod config;
pub(crate) mod context;
pub mod embedded;
pub(crate) mod error;
pub(crate) mod produce;
pub(crate) mod queue;
