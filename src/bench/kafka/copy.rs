//! The pipeline of the open loop: from one topic, through a filter and a map, to another.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::decode::json::Json;
use crate::encode::json::Json as ToJson;
use crate::prelude::*;
use crate::sink::kafka::{KafkaSink, KafkaSinkConfig};
use crate::source::kafka::{KafkaSource, KafkaSourceConfig};

/// An event on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub id: u64,
    /// Event time in milliseconds since 1970.
    pub at: i64,
    /// Passed through.
    pub key: u64,
    /// Some are kept by it, and it is doubled.
    pub value: i64,
}

/// Whether an event of this value passes: nine in ten do.
pub fn passes(value: i64) -> bool {
    value % 10 != 0
}

/// What becomes of a value.
pub fn mapped(value: i64) -> i64 {
    value * 2
}

/// Builds the pipeline on a worker.
pub fn copy(flow: &Flow<'_>, from: &KafkaSourceConfig, to: &KafkaSinkConfig, behind: Duration) {
    let times =
        event_time(|event: &Event| EventTime::from_millis(event.at)).behind(behind).trust_future();
    let make = |context| KafkaSource::new(from.clone(), context, Json::<Event>::new());
    let events = flow.source("events", make, times).events;
    let copies = events
        .filter("some", |event| passes(event.value))
        .map(|event| Event { value: mapped(event.value), ..event });
    flow.sink("copies", &copies, |context| KafkaSink::new(to.clone(), context, ToJson::new()));
}
