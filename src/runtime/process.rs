//! What the workers of one process share: its place in the job, the stop, the failure, and what it
//! tells the other processes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use super::args::LaunchArgs;
use super::control::Control;
use super::{fatal, frame};
use crate::error::{Error, Kind, Result};
use crate::observe::Board;
use tiderace_operators::observe::Observer;

/// How long workers that can still return get before the process ends around them.
const RETURN_WAIT: Duration = Duration::from_millis(1500);

/// How long a process that ends by a failure takes to tell the others why.
const TELL_WAIT: Duration = Duration::from_millis(300);

type Callback = Box<dyn Fn() + Send>;
type Farewell = Box<dyn FnOnce() -> Vec<u8> + Send>;

/// The context of a process, shared by its workers, operators and helper threads.
pub struct Process {
    args: LaunchArgs,
    own_args: Vec<String>,
    place: Place,
    stopping: AtomicBool,
    on_stop: Mutex<Vec<Callback>>,
    on_dump: Mutex<Vec<Callback>>,
    signals: AtomicU32,
    /// Set by the first failure and never taken back; the error itself is taken by who reports it.
    failed: AtomicBool,
    failure: Mutex<Option<Error>>,
    observer: Observer,
    board: Board,
    control: OnceLock<Control>,
    /// The latest snapshot of each process that is known here.
    snapshots: Mutex<BTreeMap<usize, Vec<u8>>>,
    last: Mutex<Option<Vec<u8>>>,
    farewell: Mutex<Option<Farewell>>,
    done: (Mutex<bool>, Condvar),
}

/// Where a process stands in its job.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) index: usize,
    pub(super) processes: usize,
    pub(super) restarts: u32,
    pub(super) generation: u64,
}

static RUNNING: Mutex<Vec<Weak<Process>>> = Mutex::new(Vec::new());

/// The processes whose jobs run inside this program now: one, but for tests.
pub(super) fn running() -> Vec<Arc<Process>> {
    lock(&RUNNING).iter().filter_map(Weak::upgrade).filter(|process| !process.is_done()).collect()
}

impl Process {
    pub(super) fn new(args: LaunchArgs, own_args: Vec<String>, place: Place) -> Arc<Process> {
        let process = Arc::new(Process {
            args,
            own_args,
            place,
            stopping: AtomicBool::new(false),
            on_stop: Mutex::default(),
            on_dump: Mutex::default(),
            signals: AtomicU32::new(0),
            failed: AtomicBool::new(false),
            failure: Mutex::default(),
            observer: Observer::default(),
            board: Board::default(),
            control: OnceLock::new(),
            snapshots: Mutex::default(),
            last: Mutex::default(),
            farewell: Mutex::default(),
            done: (Mutex::new(false), Condvar::new()),
        });
        let mut running = lock(&RUNNING);
        running.retain(|process| process.strong_count() > 0);
        running.push(Arc::downgrade(&process));
        process
    }

    /// The flags the job was started with.
    pub fn args(&self) -> &LaunchArgs {
        &self.args
    }

    /// The arguments that are the program's own.
    pub fn own_args(&self) -> &[String] {
        &self.own_args
    }

    /// Which of the job's processes this is, from 0.
    pub fn index(&self) -> usize {
        self.place.index
    }

    /// How many processes the job has.
    pub fn processes(&self) -> usize {
        self.place.processes
    }

    /// How many worker threads each process has.
    pub fn workers(&self) -> usize {
        self.args.workers
    }

    /// How many workers the job has in all its processes.
    pub fn peers(&self) -> usize {
        self.args.workers * self.place.processes
    }

    /// How long a tick lasts.
    pub fn tick(&self) -> Duration {
        self.args.tick
    }

    /// How often the supervisor has restarted the job before this run.
    pub fn restarts(&self) -> u32 {
        self.place.restarts
    }

    /// The number of this run among the runs of the job that the supervisor started.
    pub fn generation(&self) -> u64 {
        self.place.generation
    }

    /// Where the operators of this process register their counters.
    pub fn observer(&self) -> &Observer {
        &self.observer
    }

    /// Where the sources of this process report how far they are.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Whether the job was asked to stop. Sources look at this and end their input.
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Asks the whole job to stop: sources end, what is in flight finishes.
    pub fn stop(self: &Arc<Self>) {
        self.stop_by(libc::SIGTERM, true);
    }

    /// Calls this once when the job is asked to stop, or now if it already was. Sources register
    /// what wakes their worker; the call comes from another thread.
    pub fn on_stop(&self, wake: impl Fn() + Send + 'static) {
        let mut callbacks = lock(&self.on_stop);
        if self.stopping() {
            drop(callbacks);
            wake();
        } else {
            callbacks.push(Box::new(wake));
        }
    }

    /// Calls this at every SIGQUIT, to print what it knows to the log.
    pub fn on_dump(&self, dump: impl Fn() + Send + 'static) {
        lock(&self.on_dump).push(Box::new(dump));
    }

    /// Gives process 0 what this process knows about itself, in place of what it gave before.
    pub fn publish(&self, bytes: Vec<u8>) -> Result<()> {
        check_size(&bytes)?;
        if let Some(control) = self.control.get() {
            control.snapshot(&bytes);
        }
        self.keep_snapshot(self.index(), bytes);
        Ok(())
    }

    /// Gives process 0 what this process has to say at its end. Process 0 has it before
    /// [`execute`](super::execute) returns there.
    pub fn publish_final(&self, bytes: Vec<u8>) -> Result<()> {
        check_size(&bytes)?;
        *lock(&self.last) = Some(bytes);
        Ok(())
    }

    /// Calls this when the workers of this process have finished, and publishes what it returns as
    /// with [`publish_final`](Self::publish_final).
    pub fn on_finish(&self, farewell: impl FnOnce() -> Vec<u8> + Send + 'static) {
        *lock(&self.farewell) = Some(Box::new(farewell));
    }

    /// The latest that each process has published, by index. All of them are known on process 0,
    /// only its own on the others.
    pub fn snapshots(&self) -> Vec<(usize, Vec<u8>)> {
        lock(&self.snapshots).iter().map(|(index, bytes)| (*index, bytes.clone())).collect()
    }

    pub(super) fn keep_snapshot(&self, index: usize, bytes: Vec<u8>) {
        lock(&self.snapshots).insert(index, bytes);
    }

    pub(super) fn set_control(&self, control: Control) {
        if self.control.set(control).is_err() {
            unreachable!("the control connections of a process are made once");
        }
        if self.stopping() {
            // The stop came while they were being made.
            self.tell_stop(libc::SIGTERM);
        }
    }

    /// The workers have finished: the last words, in good order.
    pub(super) fn leave(&self) -> Result<()> {
        if let Some(farewell) = lock(&self.farewell).take() {
            self.publish_final(farewell())?;
        }
        let last = lock(&self.last).take();
        if let Some(bytes) = &last {
            self.keep_snapshot(self.index(), bytes.clone());
        }
        if let Some(control) = self.control.get() {
            for index in control.leave(last) {
                tracing::warn!("process {index} did not say in time how it ended");
            }
        }
        Ok(())
    }

    /// Ends this process with the error's message and exit code; the first error wins.
    ///
    /// In a job of one process the workers are given a moment to return, so that
    /// [`execute`](super::execute) can return the error. Otherwise the process ends, and its peers
    /// with it.
    pub fn fail(self: &Arc<Self>, error: Error) {
        let why = error.to_string();
        self.fail_for(self.index(), &why, error);
    }

    /// Fails because of what happened in process `index`; that is what the others are told.
    pub(super) fn fail_for(self: &Arc<Self>, index: usize, why: &str, error: Error) {
        {
            let mut failure = lock(&self.failure);
            if self.failed.swap(true, Ordering::SeqCst) {
                tracing::debug!("a further failure: {error}");
                return;
            }
            *failure = Some(error);
        }
        let (process, why) = (Arc::clone(self), why.to_string());
        let end = move || {
            process.tell_failure(index, &why);
            if process.processes() == 1 && process.wait_done(RETURN_WAIT) {
                return;
            }
            if let Some(error) = process.take_failure() {
                fatal::exit_with(&error);
            }
        };
        if std::thread::Builder::new().name("tiderace:fail".into()).spawn(end.clone()).is_err() {
            end();
        }
    }

    /// Whether something called [`fail`](Self::fail).
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    pub(super) fn take_failure(&self) -> Option<Error> {
        lock(&self.failure).take()
    }

    /// Tells the other processes why this one is about to end.
    pub(super) fn tell_failure(&self, index: usize, why: &str) {
        if let Some(control) = self.control.get() {
            control.failed(index, why, TELL_WAIT);
        }
    }

    fn tell_stop(&self, signal: i32) {
        if let Some(control) = self.control.get() {
            control.stop(signal);
        }
    }

    /// A signal from outside: the first stops the job, the second ends the process.
    pub(super) fn signalled(self: &Arc<Self>, signal: i32) {
        if self.signals.fetch_add(1, Ordering::SeqCst) > 0 {
            fatal::say("stopped at once by a second signal\n");
            fatal::exit(128 + signal);
        }
        self.stop_by(signal, true);
    }

    /// Stops this process's part of the job; `spread` tells the others too.
    pub(super) fn stop_by(self: &Arc<Self>, signal: i32, spread: bool) {
        let callbacks = {
            let mut callbacks = lock(&self.on_stop);
            if self.stopping.swap(true, Ordering::SeqCst) {
                return;
            }
            std::mem::take(&mut *callbacks)
        };
        tracing::info!("stopping: input ends, what is in flight finishes");
        if spread {
            self.tell_stop(signal);
        }
        for wake in callbacks {
            wake();
        }
        let process = Arc::clone(self);
        let watch = move || {
            let grace = process.args.grace;
            if !process.wait_done(grace) {
                fatal::say(&format!(
                    "not done {} after it was asked to stop (--grace): ending now\n",
                    humantime::format_duration(grace)
                ));
                fatal::exit(128 + signal);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("tiderace:grace".into()).spawn(watch) {
            self.fail(Error::new(Kind::Failed, "cannot start a thread").caused_by(error));
        }
    }

    pub(super) fn dump(&self) {
        tracing::info!(
            stopping = self.stopping(),
            failed = self.failed(),
            workers = self.workers(),
            processes = self.processes(),
            "state asked for by SIGQUIT"
        );
        for dump in lock(&self.on_dump).iter() {
            dump();
        }
    }

    /// Nothing of this job runs here any more.
    pub(super) fn set_done(&self) {
        *lock(&self.done.0) = true;
        self.done.1.notify_all();
    }

    pub(super) fn is_done(&self) -> bool {
        *lock(&self.done.0)
    }

    /// Waits for the end of the job in this process; false when it took longer.
    fn wait_done(&self, limit: Duration) -> bool {
        let done = lock(&self.done.0);
        let waited = self.done.1.wait_timeout_while(done, limit, |done| !*done);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("place", &self.place)
            .field("stopping", &self.stopping())
            .field("failed", &self.failed())
            .finish_non_exhaustive()
    }
}

fn check_size(bytes: &[u8]) -> Result<()> {
    if bytes.len() <= frame::MOST_BYTES {
        return Ok(());
    }
    let (length, most) = (bytes.len(), frame::MOST_BYTES);
    Err(Error::new(Kind::Bug, format!("a snapshot has {length} bytes; at most {most} are sent")))
}

/// Locks what holds no invariant across a panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
