//! How a processor is put together.

use std::time::Duration;

use super::stats::Handle;
use super::{Apply, Delivery, StreamProcessor};
use crate::clock::Clock;
use crate::error::{Error, Kind};
use crate::sink::{Sink, SinkContext};
use crate::source::{Reject, Rejected, Source, SourceContext, Waker};

type MakeSource<In> = Box<dyn FnOnce(SourceContext) -> Result<Box<dyn Source<Record = In>>, Error>>;
type MakeSink<Out> = Box<dyn FnOnce(SinkContext) -> Result<Box<dyn Sink<Record = Out>>, Error>>;

/// Puts a [`StreamProcessor`] together.
pub struct Builder<In, Out> {
    source: Option<MakeSource<In>>,
    apply: Option<Apply<In, Out>>,
    sink: Option<MakeSink<Out>>,
    on_failure: Option<Box<dyn FnMut(&Rejected)>>,
    options: Options,
    clock: Clock,
}

pub(super) struct Options {
    pub(super) auto_commit: bool,
    pub(super) commit_every: Duration,
    pub(super) max_failures: Option<u64>,
    pub(super) stats_every: Option<Duration>,
    pub(super) batch: usize,
    pub(super) grace: Duration,
}

impl<In: 'static, Out: 'static> Default for Builder<In, Out> {
    fn default() -> Self {
        Builder {
            source: None,
            apply: None,
            sink: None,
            on_failure: None,
            options: Options {
                auto_commit: true,
                commit_every: Duration::from_secs(1),
                max_failures: None,
                stats_every: None,
                batch: 500,
                grace: Duration::from_secs(30),
            },
            clock: Clock::system(),
        }
    }
}

impl<In: 'static, Out: 'static> Builder<In, Out> {
    /// Where records come from. The factory is called once, by [`build`](Builder::build).
    #[must_use]
    pub fn source<S: Source<Record = In>>(
        mut self,
        make: impl FnOnce(SourceContext) -> Result<S, Error> + 'static,
    ) -> Self {
        self.source = Some(Box::new(|context| Ok(Box::new(make(context)?))));
        self
    }

    /// What is done with each record: the row for the sink, `None` to skip the record, or why it
    /// cannot be used.
    #[must_use]
    pub fn process(
        mut self,
        apply: impl FnMut(In) -> Result<Option<Out>, Reject> + 'static,
    ) -> Self {
        self.apply = Some(Box::new(apply));
        self
    }

    /// Where rows go. The factory is called once, by [`build`](Builder::build).
    #[must_use]
    pub fn sink<K: Sink<Record = Out>>(
        mut self,
        make: impl FnOnce(SinkContext) -> Result<K, Error> + 'static,
    ) -> Self {
        self.sink = Some(Box::new(|context| Ok(Box::new(make(context)?))));
        self
    }

    /// Calls this with every record that failed, with its place and the reason. Unless told
    /// otherwise it is logged as a warning.
    #[must_use]
    pub fn on_failure(mut self, call: impl FnMut(&Rejected) + 'static) -> Self {
        self.on_failure = Some(Box::new(call));
        self
    }

    /// Whether positions are committed to the source once their output is durable; true unless told
    /// otherwise. Without it, call [`StreamProcessor::commit`] or [`Handle::commit`].
    #[must_use]
    pub fn auto_commit(mut self, commit: bool) -> Self {
        self.options.auto_commit = commit;
        self
    }

    /// How often positions are committed while it runs; every second unless told otherwise.
    #[must_use]
    pub fn commit_every(mut self, interval: Duration) -> Self {
        self.options.commit_every = interval;
        self
    }

    /// After so many failures in a row the run ends with an error that names the last one. A
    /// success starts the count anew. `None`, as unless told otherwise: never.
    #[must_use]
    pub fn max_failures(mut self, limit: Option<u64>) -> Self {
        self.options.max_failures = limit;
        self
    }

    /// Logs the statistics so often while it runs; `None`, as unless told otherwise: never.
    #[must_use]
    pub fn stats_every(mut self, interval: Option<Duration>) -> Self {
        self.options.stats_every = interval;
        self
    }

    /// How many records are asked for in one go; 500 unless told otherwise.
    #[must_use]
    pub fn batch(mut self, records: usize) -> Self {
        self.options.batch = records.max(1);
        self
    }

    /// How long the sink may take, at the end, to make everything durable; 30 s unless told
    /// otherwise.
    #[must_use]
    pub fn grace(mut self, limit: Duration) -> Self {
        self.options.grace = limit;
        self
    }

    /// Whose time it is, for intervals and limits; the machine's unless told otherwise.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The processor; an error of kind [`Kind::Config`] names the field that is missing.
    pub fn build(self) -> Result<StreamProcessor<In, Out>, Error> {
        let missing = |field: &str, call: &str| {
            Error::new(Kind::Config, format!("a stream processor needs a `{field}`"))
                .hint(format!("call `.{call}` before `.build()`"))
        };
        let source = self.source.ok_or_else(|| missing("source", "source(|context| …)"))?;
        let apply = self
            .apply
            .ok_or_else(|| missing("process", "process(|record| …)` or `.passthrough()"))?;
        let sink = self.sink.ok_or_else(|| missing("sink", "sink(|context| …)"))?;
        let handle = Handle::default();
        let woken = handle.clone();
        let waker = Waker::new(move || woken.wake());
        let mut source = source(SourceContext { worker: 0, peers: 1, waker })?;
        let sink = sink(SinkContext { worker: 0, peers: 1 }).inspect_err(|_| source.close())?;
        let auto_commit = self.options.auto_commit && source.commits();
        let delivery = Delivery::new(source, sink, handle.clone(), auto_commit);
        Ok(StreamProcessor::new(delivery, apply, self.on_failure, self.options, self.clock, handle))
    }
}

impl<D: 'static> Builder<D, D> {
    /// Every record goes to the sink as it is.
    #[must_use]
    pub fn passthrough(self) -> Self {
        self.process(|record| Ok(Some(record)))
    }
}
