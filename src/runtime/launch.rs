//! From a command line to running workers and back to their results.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use timely::communication::Hooks;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder, thread::ThreadBuilder};
use timely::execute::execute_from;

use super::args::LaunchArgs;
use super::layout::Layout;
use super::process::{Place, Process};
use super::worker::Worker;
use super::{fatal, signal};
use crate::error::{Error, Kind, Result};
use crate::observe::log;

/// How a job ended, as seen by this process.
#[derive(Debug)]
pub enum Outcome<R> {
    /// The workers of this process have finished.
    Finished {
        /// What the program returned on each worker of this process, in order.
        results: Vec<R>,
        /// The process they ran in.
        process: Arc<Process>,
    },
    /// This process only supervised; the processes it started have done the work.
    Supervised,
}

impl<R> Outcome<R> {
    /// What the program returned on each worker of this process; empty for a supervisor.
    pub fn results(self) -> Vec<R> {
        match self {
            Outcome::Finished { results, .. } => results,
            Outcome::Supervised => Vec::new(),
        }
    }
}

/// Runs a program on the workers that the command line asks for.
///
/// The first argument is the name of the program, as in [`std::env::args`]. The program is called
/// on every worker, builds dataflows and returns; the worker then runs them to their end. With
/// `-n 3` and no `-p` this process starts three more like itself and only looks after them.
pub fn execute<I, R, F>(args: impl IntoIterator<Item = I>, program: F) -> Result<Outcome<R>>
where
    I: Into<OsString>,
    R: Send + 'static,
    F: Fn(&mut Worker<'_>) -> Result<R> + Send + Sync + 'static,
{
    let (args, own) = LaunchArgs::parse_program(args)?;
    launch(args, own, program)
}

/// Runs a program on the workers that parsed launch arguments ask for.
pub fn execute_with<R, F>(args: LaunchArgs, program: F) -> Result<Outcome<R>>
where
    R: Send + 'static,
    F: Fn(&mut Worker<'_>) -> Result<R> + Send + Sync + 'static,
{
    launch(args, Vec::new(), program)
}

/// Ends `main`: an error is reported on stderr and gives its exit code.
pub fn finish<T>(result: Result<T>) -> ExitCode {
    match result {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            fatal::report(&error);
            ExitCode::from(u8::try_from(error.kind().exit_code()).unwrap_or(1))
        }
    }
}

fn launch<R, F>(args: LaunchArgs, own: Vec<String>, program: F) -> Result<Outcome<R>>
where
    R: Send + 'static,
    F: Fn(&mut Worker<'_>) -> Result<R> + Send + Sync + 'static,
{
    let layout = Layout::of(&args)?;
    log::init(&log::Settings::of(&args));
    match layout {
        Layout::Alone => alone(args, own, program),
        Layout::Supervise { .. } | Layout::Peer { .. } => {
            Err(Error::new(Kind::Usage, "several processes are not built in yet"))
        }
    }
}

fn alone<R, F>(args: LaunchArgs, own: Vec<String>, program: F) -> Result<Outcome<R>>
where
    R: Send + 'static,
    F: Fn(&mut Worker<'_>) -> Result<R> + Send + Sync + 'static,
{
    let place = Place { processes: 1, ..Place::default() };
    let process = begin(args, own, place)?;
    let workers = process.workers();
    let builders = if workers == 1 {
        vec![AllocatorBuilder::Thread(ThreadBuilder)]
    } else {
        threads(process.args()).into_iter().map(AllocatorBuilder::Process).collect()
    };
    let results = run(&process, builders, program);
    process.set_done();
    let results = results?;
    match process.take_failure() {
        Some(error) => Err(error),
        None => Ok(Outcome::Finished { results, process }),
    }
}

/// What comes before workers: from here on signals and panics are the process's business.
fn begin(args: LaunchArgs, own: Vec<String>, place: Place) -> Result<Arc<Process>> {
    log::set_process(place.index, place.processes);
    let process = Process::new(args, own, place);
    fatal::install_panic_hook();
    signal::listen()?;
    Ok(process)
}

/// The channels between the threads of this process.
fn threads(args: &LaunchArgs) -> Vec<ProcessBuilder> {
    let hooks = Hooks::default();
    if args.zerocopy {
        ProcessBuilder::new_bytes_vector(args.workers, hooks.refill, hooks.spill)
    } else {
        ProcessBuilder::new_typed_vector(args.workers, hooks.refill, hooks.spill)
    }
}

/// Starts the worker threads and waits for what they return. A failure of a worker is left with
/// the process.
fn run<R, F>(process: &Arc<Process>, builders: Vec<AllocatorBuilder>, program: F) -> Result<Vec<R>>
where
    R: Send + 'static,
    F: Fn(&mut Worker<'_>) -> Result<R> + Send + Sync + 'static,
{
    let shared = Arc::clone(process);
    let each = move |timely: &mut timely::worker::Worker| {
        let process = Arc::clone(&shared);
        log::set_worker(timely.index());
        let mut worker = Worker::new(timely, Arc::clone(&process));
        let result = program(&mut worker);
        let finished = match result {
            Ok(result) => worker.finish().then_some(result),
            Err(error) => {
                process.fail(error);
                None
            }
        };
        if finished.is_none() {
            while process.processes() > 1 {
                // Leaving would look like an orderly end to the peers; the process is ending.
                std::thread::park();
            }
            worker.abandon();
        }
        finished
    };
    let config = timely::WorkerConfig::default();
    let guards = execute_from(builders, Box::new(()), config, each)
        .map_err(|why| Error::new(Kind::Failed, format!("cannot start the workers: {why}")))?;
    let mut results = Vec::new();
    for joined in guards.join() {
        match joined {
            Ok(result) => results.extend(result),
            // The panic hook ends the process before a thread can be joined.
            Err(why) => return Err(Error::new(Kind::Bug, format!("a worker panicked: {why}"))),
        }
    }
    Ok(results)
}
