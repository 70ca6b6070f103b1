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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::encode::json::Json;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Lines;

        fn make_writer(&'a self) -> Lines {
            self.clone()
        }
    }

    fn logged(level: Level, listens_to: Level) -> Vec<serde_json::Value> {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(listens_to)
            .with_writer(lines.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let mut sink = LogSink::new("out", level, Json::<(u32, &str)>::new());
            let mut rows = vec![(1, "a"), (2, "b")];
            assert_eq!(sink.write(9, &mut rows).unwrap(), Write::All);
            assert!(rows.is_empty());
            assert_eq!(sink.stage(9).unwrap().rows, 2);
        });
        let bytes = lines.0.lock().unwrap();
        bytes.split_inclusive(|b| *b == b'\n').map(|l| serde_json::from_slice(l).unwrap()).collect()
    }

    #[test]
    fn each_row_is_one_structured_event_at_its_level() {
        for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
            let events = logged(level, Level::TRACE);
            assert_eq!(events.len(), 2);
            for (event, record) in events.iter().zip(["[1,\"a\"]", "[2,\"b\"]"]) {
                assert_eq!(event["level"], level.as_str());
                assert_eq!(event["target"], "tiderace::sink");
                assert_eq!(event["fields"]["sink"], "out");
                assert_eq!(event["fields"]["tick"], 9);
                assert_eq!(event["fields"]["record"], record);
            }
        }
    }

    #[test]
    fn nobody_listening_means_no_event() {
        assert!(logged(Level::DEBUG, Level::INFO).is_empty());
    }
}
