//! Each row as one structured log event.
//!
//! The event has the target `tiderace::sink`, the fields `sink` and `tick`, and the encoded row in
//! `record`. When nobody listens at the level the rows are counted and not encoded.

use tracing::Level;

use super::{Commit, Guarantee, Sink, Staged, Write};
use crate::encode::Encode;
use crate::error::Error;

/// Logs each row at one level.
pub struct LogSink<E> {
    name: String,
    level: Level,
    encoder: E,
    unstaged: u64,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl<E: Encode> LogSink<E> {
    /// A sink that logs at this level what the encoder makes of a row.
    pub fn new(name: impl Into<String>, level: Level, encoder: E) -> Self {
        let (key, value) = (Vec::new(), Vec::new());
        LogSink { name: name.into(), level, encoder, unstaged: 0, key, value }
    }

    /// Whether somebody listens. The level of an event must be known when it is compiled.
    fn enabled(&self) -> bool {
        match self.level {
            Level::ERROR => tracing::enabled!(target: "tiderace::sink", Level::ERROR),
            Level::WARN => tracing::enabled!(target: "tiderace::sink", Level::WARN),
            Level::INFO => tracing::enabled!(target: "tiderace::sink", Level::INFO),
            Level::DEBUG => tracing::enabled!(target: "tiderace::sink", Level::DEBUG),
            Level::TRACE => tracing::enabled!(target: "tiderace::sink", Level::TRACE),
        }
    }

    fn log(&self, tick: u64) {
        let record = String::from_utf8_lossy(&self.value);
        macro_rules! log {
            ($level:expr) => {
                tracing::event!(target: "tiderace::sink", $level, sink = self.name, tick, %record)
            };
        }
        match self.level {
            Level::ERROR => log!(Level::ERROR),
            Level::WARN => log!(Level::WARN),
            Level::INFO => log!(Level::INFO),
            Level::DEBUG => log!(Level::DEBUG),
            Level::TRACE => log!(Level::TRACE),
        }
    }
}

impl<E: Encode> Sink for LogSink<E> {
    type Record = E::Record;

    fn name(&self) -> &str {
        &self.name
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn write(&mut self, tick: u64, rows: &mut Vec<E::Record>) -> Result<Write, Error> {
        self.unstaged += rows.len() as u64;
        if self.enabled() {
            for row in rows.iter() {
                self.key.clear();
                self.value.clear();
                if let Err(reject) = self.encoder.encode(row, &mut self.key, &mut self.value) {
                    return Err(super::lines::cannot_encode(&self.name, tick, &reject));
                }
                self.log(tick);
            }
        }
        rows.clear();
        Ok(Write::All)
    }

    fn stage(&mut self, tick: u64) -> Result<Staged, Error> {
        Ok(Staged { tick, rows: std::mem::take(&mut self.unstaged), bytes: Vec::new() })
    }

    fn commit(&mut self, _: &Staged) -> Result<Commit, Error> {
        Ok(Commit::Done)
    }

    fn close(&mut self) {}
}
