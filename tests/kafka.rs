//! The Kafka source and sink against the embedded cluster, and against a real broker when
//! `KAFKA_BOOTSTRAP` is set (see `scripts/kafka.sh`).
#![cfg(feature = "kafka")]

#[path = "kafka/cluster.rs"]
mod cluster;
#[path = "kafka/driven.rs"]
mod driven;
#[path = "kafka/sink.rs"]
mod sink;
#[path = "kafka/source.rs"]
mod source;
#[path = "kafka/trouble.rs"]
mod trouble;
