//! How the events come to the queries: made in memory, or as JSON through a file or through Kafka.

use std::fs::{File, create_dir_all};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Suite;
use super::files::{failed, json_line};
use crate::bench::feed::{Feed, Pace};
use crate::decode::json::Json;
use crate::decode::{Decode, Raw};
use crate::error::{Error, Kind, Result};
use crate::prelude::*;
use crate::runtime::Worker;
use crate::source::file::FileSource;
#[cfg(feature = "kafka")]
use crate::source::kafka::{KafkaSource, KafkaSourceConfig};
use crate::source::{Batch, Poll, Reject, Source, SourceContext, Times, Waker};
use tiderace_nexmark::{Event, Read};

/// What events come through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// They are made where they are read.
    #[default]
    Memory,
    /// As JSON from a file for each worker.
    File,
    /// As JSON from a topic of Kafka with a partition for each worker.
    Kafka,
}

impl Via {
    /// What is done to have an event, for a person.
    pub fn doing(self) -> &'static str {
        match self {
            Via::Memory => "making an event",
            Via::File => "reading an event from a file and decoding its JSON",
            Via::Kafka => "reading an event from Kafka and decoding its JSON",
        }
    }
}

/// Where the workers of a process have their events from.
pub enum Through {
    /// From the generator.
    Memory,
    /// From files in this directory.
    Files(PathBuf),
    /// From a topic.
    #[cfg(feature = "kafka")]
    Topic(Box<KafkaSourceConfig>),
}

impl Through {
    /// Has this worker write its share of the events, if they are read from files.
    pub fn prepare(&self, worker: &Worker<'_>, suite: &Suite) -> Result<()> {
        let Through::Files(directory) = self else { return Ok(()) };
        let path = path(directory, worker.index());
        let write = || {
            create_dir_all(directory)?;
            let mut file = BufWriter::with_capacity(1 << 18, File::create(&path)?);
            let mut mine = (worker.index() as u64..suite.events).step_by(worker.peers());
            mine.try_for_each(|number| json_line(&suite.generator.event(number), &mut file))?;
            file.flush()
        };
        write().map_err(|error| failed(&path, error))
    }

    /// The events as a stream.
    pub fn source<'scope>(&self, flow: &Flow<'scope>, suite: &Suite) -> Events<'scope, u64, Event> {
        let source = match self {
            Through::Memory => {
                flow.source("nexmark", |context| Ok(made(suite, &context)), times(suite))
            }
            Through::Files(directory) => {
                flow.source("nexmark", |context| lines(directory, context), times(suite))
            }
            #[cfg(feature = "kafka")]
            Through::Topic(config) => {
                flow.source("nexmark", |context| messages(config, context), times(suite))
            }
        };
        source.events
    }

    /// Reads this worker's share of the events to the end, and does nothing with them.
    pub fn drain(&self, worker: &Worker<'_>, suite: &Suite) -> Result<()> {
        let context = SourceContext {
            worker: worker.index(),
            peers: worker.peers(),
            // It looks again by itself: woken for each batch it would only read smaller ones.
            waker: Waker::new(|| {}),
        };
        match self {
            Through::Memory => {
                let mut last = EventTime::MIN;
                for number in (worker.index() as u64..suite.events).step_by(worker.peers()) {
                    last = last.max(std::hint::black_box(suite.generator.event(number)).time());
                }
                std::hint::black_box(last);
                Ok(())
            }
            Through::Files(directory) => drain(lines(directory, context)?),
            #[cfg(feature = "kafka")]
            Through::Topic(config) => drain(messages(config, context)?),
        }
    }
}

fn path(directory: &Path, worker: usize) -> PathBuf {
    directory.join(format!("events-{worker}.ndjson"))
}

fn times(suite: &Suite) -> Times<Event, fn(&Event) -> EventTime> {
    let bound = Duration::from_micros(suite.generator.behind().micros() as u64);
    event_time(Event::time as fn(&Event) -> EventTime).behind(bound).trust_future().never_idle()
}

fn made(suite: &Suite, context: &SourceContext) -> Feed<impl FnMut(u64) -> Event + use<>> {
    let pace = |per_second| Pace { begun: Instant::now(), per_second };
    let generator = suite.generator.clone();
    let make = move |number| generator.event(number);
    Feed::new(make, suite.events, suite.rate.map(pace), context)
}

fn lines(directory: &Path, context: SourceContext) -> Result<FileSource<InWords>> {
    let paths = (0..context.peers).map(|worker| path(directory, worker));
    FileSource::new("nexmark", paths, InWords::default).build(context)
}

#[cfg(feature = "kafka")]
fn messages(config: &KafkaSourceConfig, context: SourceContext) -> Result<KafkaSource<InWords>> {
    KafkaSource::new(config.clone(), context, InWords::default())
}

/// Decodes events in words.
#[derive(Default)]
struct InWords(Json<Read>);

impl Decode for InWords {
    type Record = Event;

    #[inline]
    fn decode(&mut self, raw: Raw<'_>) -> Result<Event, Reject> {
        self.0.decode(raw).map(|Read(event)| event)
    }
}

/// Reads a source to its end.
fn drain(mut source: impl Source<Record = Event>) -> Result<()> {
    let mut batch = Batch::default();
    loop {
        let poll = source.consume(8_192, &mut batch)?;
        let rejected = batch.messages.drain(..).find_map(|message| message.record.err());
        batch.events.clear();
        if let Some(Reject { message, .. }) = rejected {
            let message = format!("an event of the benchmark was not read back: {message}");
            return Err(Error::new(Kind::Bug, message));
        }
        match poll {
            Poll::Ready => {}
            Poll::Pending => std::thread::sleep(Duration::from_millis(1)),
            Poll::None | Poll::Finished => break,
        }
    }
    source.close();
    Ok(())
}
