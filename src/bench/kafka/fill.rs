//! Fills a topic, as fast as it is taken.

use std::time::Duration;

use super::Topic;
use crate::error::{Error, Kind, Result};
use crate::kafka::config::Settings;
use crate::kafka::produce::Feeding;

/// How long the last events may take to be delivered.
const FLUSH: Duration = Duration::from_secs(60);

/// Writes the events of the numbers below `events`, in turns to all partitions; `write` appends
/// one as it is to be in the topic.
pub fn fill(topic: &Topic<'_>, events: u64, write: impl Fn(u64, &mut Vec<u8>)) -> Result<()> {
    let producer = Feeding::new("the benchmark", topic.address(), &Settings::new())?;
    let (mut payload, partitions) = (Vec::new(), topic.partitions() as u64);
    for number in 0..events {
        payload.clear();
        write(number, &mut payload);
        producer.send_all(topic.name(), (number % partitions) as i32, &payload)?;
        if number % 512 == 0 {
            producer.poll();
        }
    }
    producer.flush(FLUSH)?;
    topic.whole()
}

/// The number of partitions as the command line has it.
pub(super) fn checked(partitions: usize) -> Result<()> {
    match partitions {
        1..=1_000 => Ok(()),
        _ => Err(Error::new(Kind::Usage, "--partitions must be from 1 to 1000")),
    }
}
