//! One dataflow on one worker: what its sources and sinks share.
//!
//! Sources of a dataflow end their ticks together, stay a bounded number of rows ahead of the
//! slowest sink, and stop when the process is asked to stop. A [`Flow`] is where they find each
//! other; a program gets one from `worker.dataflow(|flow| …)` or makes one in any timely scope.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tiderace_operators::observe::Observer;
use timely::dataflow::Scope;
use timely::dataflow::operators::probe;
use timely::scheduling::Activator;

use crate::clock::Clock;
use crate::error::Error;
use crate::runtime::{Process, Worker};
use crate::source::Waker;

/// What a dataflow needs of the process it runs in.
pub trait Host: Send + Sync + 'static {
    /// Whether the sources should stop.
    fn stopping(&self) -> bool;
    /// Calls this when the sources should stop.
    fn on_stop(&self, waker: Waker);
    /// The run cannot go on. The first failure counts.
    fn fail(&self, error: Error);
    /// Whether the run has failed.
    fn failed(&self) -> bool;
}

/// A host for programs that run timely themselves, and for tests.
#[derive(Default)]
pub struct LocalHost {
    stopping: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
    failure: Mutex<Option<Error>>,
}

impl LocalHost {
    /// A host that has not been asked to stop.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Asks the sources to stop. What is in flight still comes out; open windows do not fire.
    pub fn stop(&self) {
        self.stopping.store(true, SeqCst);
        for waker in self.wakers.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).iter() {
            waker.wake();
        }
    }

    /// The failure that ended the run, if one did.
    pub fn take_failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }
}

impl Host for LocalHost {
    fn stopping(&self) -> bool {
        self.stopping.load(SeqCst)
    }

    fn on_stop(&self, waker: Waker) {
        self.wakers.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(waker);
    }

    fn fail(&self, error: Error) {
        let mut failure = self.failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        failure.get_or_insert(error);
        drop(failure);
        self.stop();
    }

    fn failed(&self) -> bool {
        self.failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).is_some()
    }
}

/// How a dataflow is paced.
#[derive(Clone, Debug)]
pub struct Pace {
    /// How long a tick lasts at most while rows come in.
    pub tick: Duration,
    /// How many rows the sources of a process may be ahead of the slowest sink.
    pub rows: usize,
    /// How many bytes the sources of a process may be ahead of the slowest sink.
    pub bytes: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { tick: Duration::from_millis(20), rows: 500_000, bytes: 64 << 20 }
    }
}

/// One dataflow on one worker.
#[derive(Clone)]
pub struct Flow<'scope> {
    scope: Scope<'scope, u64>,
    shared: Rc<Shared>,
}

/// What the sources and sinks of a dataflow share on one worker.
pub(crate) struct Shared {
    pub(crate) pace: Pace,
    /// How many workers of this process share the bounds of the pace.
    pub(crate) local_workers: usize,
    pub(crate) clock: Clock,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) observer: Observer,
    pub(crate) board: crate::observe::Board,
    /// Passes a tick once every sink on every worker has confirmed it.
    pub(crate) done: probe::Handle<u64>,
    /// The tick after the greatest that any source has ended.
    pub(crate) reached: Cell<u64>,
    /// Wakes the sources of this worker when `reached` has moved.
    pub(crate) sources: RefCell<Vec<Activator>>,
    names: RefCell<Vec<String>>,
}

impl<'scope> Flow<'scope> {
    /// A flow in a timely scope.
    pub fn new(scope: Scope<'scope, u64>, setup: FlowSetup) -> Self {
        let FlowSetup { pace, local_workers, clock, host, observer, board } = setup;
        let shared = Shared {
            pace,
            local_workers: local_workers.max(1),
            clock,
            host,
            observer,
            board,
            done: probe::Handle::new(),
            reached: Cell::new(0),
            sources: RefCell::default(),
            names: RefCell::default(),
        };
        Flow { scope, shared: Rc::new(shared) }
    }

    /// The timely scope.
    pub fn scope(&self) -> Scope<'scope, u64> {
        self.scope
    }

    /// The index of this worker over all processes.
    pub fn index(&self) -> usize {
        self.scope.index()
    }

    /// The number of workers in all processes.
    pub fn peers(&self) -> usize {
        self.scope.peers()
    }

    /// Where the operators of this dataflow register their counters.
    pub fn observer(&self) -> &Observer {
        &self.shared.observer
    }

    /// Has the sources of this dataflow stay at most a bounded number of rows ahead of a stream of
    /// any timely operators, and commit their positions only when it has passed them.
    pub fn watch<C: timely::Container>(&self, stream: timely::dataflow::Stream<'scope, u64, C>) {
        use timely::dataflow::operators::Probe;
        stream.probe_with(&self.shared.done);
    }

    pub(crate) fn shared(&self) -> &Rc<Shared> {
        &self.shared
    }

    /// Takes a name for a source or sink.
    ///
    /// # Panics
    /// If the name is taken: that is a mistake in the program, found when it is built.
    pub(crate) fn claim(&self, name: &str) {
        let mut names = self.shared.names.borrow_mut();
        assert!(!names.iter().any(|taken| taken == name), "the name `{name}` is used twice");
        names.push(name.to_owned());
    }
}

/// What a [`Flow`] is made from.
#[derive(Clone)]
pub struct FlowSetup {
    /// How it is paced.
    pub pace: Pace,
    /// The number of workers in this process.
    pub local_workers: usize,
    /// The clock that times ticks and idleness.
    pub clock: Clock,
    /// The process.
    pub host: Arc<dyn Host>,
    /// Where operators register their counters.
    pub observer: Observer,
    /// Where sources tell how far they are.
    pub board: crate::observe::Board,
}

impl FlowSetup {
    /// Defaults, on this host.
    pub fn new(host: Arc<dyn Host>) -> Self {
        FlowSetup {
            pace: Pace::default(),
            local_workers: 1,
            clock: Clock::system(),
            host,
            observer: Observer::default(),
            board: crate::observe::Board::default(),
        }
    }
}

impl Host for Arc<Process> {
    fn stopping(&self) -> bool {
        Process::stopping(self)
    }

    fn on_stop(&self, waker: Waker) {
        Process::on_stop(self, move || waker.wake());
    }

    fn fail(&self, error: Error) {
        Process::fail(self, error);
    }

    fn failed(&self) -> bool {
        Process::failed(self)
    }
}

impl Worker<'_> {
    /// Builds a dataflow of event streams on this worker. Every worker must build the same.
    pub fn dataflow<R>(&mut self, build: impl FnOnce(&Flow<'_>) -> R) -> R {
        self.dataflow_paced(Pace::default(), build)
    }

    /// Builds a dataflow of event streams with bounds of its own. The tick is the process's.
    pub fn dataflow_paced<R>(&mut self, pace: Pace, build: impl FnOnce(&Flow<'_>) -> R) -> R {
        let process = self.process().clone();
        let setup = FlowSetup {
            pace: Pace { tick: process.tick(), ..pace },
            local_workers: process.workers(),
            observer: process.observer().clone(),
            board: process.board().clone(),
            ..FlowSetup::new(Arc::new(process))
        };
        self.timely().dataflow::<u64, _, _>(|scope| build(&Flow::new(scope, setup)))
    }
}
