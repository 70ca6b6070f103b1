//! The binary as its users meet it: `tiderace run` on files, generators and Kafka, with what it
//! writes, says and ends with.

#[path = "run/command.rs"]
mod command;
#[path = "run/ends.rs"]
mod ends;
#[cfg(feature = "kafka")]
#[path = "run/kafka.rs"]
mod kafka;
#[path = "run/results.rs"]
mod results;
#[path = "run/watched.rs"]
mod watched;
