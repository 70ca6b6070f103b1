//! From a command line to running workers and back to their results.

use std::ffi::OsString;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;

use timely::communication::Hooks;
use timely::communication::allocator::thread::ThreadBuilder;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::execute::execute_from;

use super::args::LaunchArgs;
use super::control::Control;
use super::hello::Identity;
use super::layout::Layout;
use super::peers::{self, Search};
use super::process::{Place, Process};
use super::secret::Secret;
use super::worker::Worker;
use super::{fatal, inherit, signal, supervise};
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
///
/// An error of the program or of an operator is returned when this is the only process of the job.
/// One of several processes reports it and ends with its exit code, which its peers and its
/// supervisor go by. A panic in a thread of the job always ends the process.
///
/// ```
/// use timely::dataflow::operators::{Exchange, Inspect, ToStream};
///
/// let outcome = tiderace::execute(["sums", "-w", "2", "100"], |worker| {
///     let last: u64 = worker.args()[0].parse().expect("the example gives a number");
///     let mine = (worker.index() as u64..last).step_by(worker.peers());
///     let sum = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
///     let adding = sum.clone();
///     worker.timely().dataflow::<u64, _, _>(|scope| {
///         mine.to_stream(scope)
///             .container::<Vec<_>>()
///             .exchange(|n| *n)
///             .inspect(move |n| drop(adding.fetch_add(*n, std::sync::atomic::Ordering::Relaxed)));
///     });
///     Ok(sum)
/// })?;
/// let sums = outcome.results();
/// let total: u64 = sums.iter().map(|sum| sum.load(std::sync::atomic::Ordering::Relaxed)).sum();
/// assert_eq!((sums.len(), total), (2, 99 * 100 / 2));
/// # Ok::<(), tiderace::error::Error>(())
/// ```
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
        Layout::Supervise { processes } => match inherit::take()? {
            None => {
                supervise::supervise(&args, processes)?;
                Ok(Outcome::Supervised)
            }
            Some((given, listener)) => {
                let generation = u64::from(given.restarts);
                let place =
                    Place { index: given.index, processes, restarts: given.restarts, generation };
                let secret = Secret::from_bytes(given.secret);
                Ok(together(args, own, place, given.hosts, secret, Some(listener), program))
            }
        },
        Layout::Peer { index, hosts, secret } => {
            let place = Place { index, processes: hosts.len(), ..Place::default() };
            Ok(together(args, own, place, hosts, secret, None, program))
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
    let results = run(&process, builders, program).and_then(|results| {
        process.leave()?;
        Ok(results)
    });
    process.set_done();
    let results = results?;
    match process.take_failure() {
        Some(error) => Err(error),
        None => Ok(Outcome::Finished { results, process }),
    }
}

/// Runs one of several processes. Any failure ends the process here, with its exit code: peers
/// and supervisor go by it, and `main` of a library program might turn it into another.
fn together<R, F>(
    args: LaunchArgs,
    own: Vec<String>,
    place: Place,
    hosts: Vec<String>,
    secret: Secret,
    listener: Option<TcpListener>,
    program: F,
) -> Outcome<R>
where
    R: Send + 'static,
    F: Fn(&mut Worker<'_>) -> Result<R> + Send + Sync + 'static,
{
    let started = begin(args, own, place);
    let ended = started.and_then(|process| {
        let results = join_and_run(&process, hosts, secret, listener, program)?;
        while process.failed() {
            // The thread that reports the failure is about to end the process.
            std::thread::park();
        }
        process.set_done();
        Ok(Outcome::Finished { results, process })
    });
    ended.unwrap_or_else(|error| fatal::exit_with(&error))
}

fn join_and_run<R, F>(
    process: &Arc<Process>,
    hosts: Vec<String>,
    secret: Secret,
    listener: Option<TcpListener>,
    program: F,
) -> Result<Vec<R>>
where
    R: Send + 'static,
    F: Fn(&mut Worker<'_>) -> Result<R> + Send + Sync + 'static,
{
    let (args, index) = (process.args(), process.index());
    let listener = match listener {
        Some(listener) => listener,
        None => peers::listen(&hosts[index], &format!("process {index} of the hosts"))?,
    };
    let search = Search {
        who: Identity {
            job: args.job.clone(),
            generation: process.generation(),
            plan: args.plan,
            processes: process.processes(),
            workers: process.workers(),
            index,
        },
        secret,
        hosts: hosts.clone(),
        timeout: args.connect_timeout,
        report: args.report,
    };
    let Some(links) = peers::find(search, listener, || process.stopping())? else {
        return Ok(Vec::new());
    };
    process.set_control(Control::start(process, links.control, &hosts)?);
    let mut data = links.data;
    let sockets = (0..process.processes()).map(|peer| data.remove(&peer)).collect();
    let hooks = Hooks::default();
    let (builders, traffic) =
        initialize_networking_from_sockets(threads(args), sockets, index, args.workers, hooks)
            .map_err(|error| {
                Error::new(Kind::Failed, "cannot start the threads of the network").caused_by(error)
            })?;
    let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
    let results = run(process, builders, program)?;
    // Sends what is left and waits until every other process has done the same.
    drop(traffic);
    process.leave()?;
    Ok(results)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_back_in_the_order_of_workers() {
        let outcome = execute(["t", "-w", "3"], |worker| Ok((worker.index(), worker.peers())));
        assert_eq!(outcome.unwrap().results(), [(0, 3), (1, 3), (2, 3)]);
    }

    #[test]
    fn the_first_error_comes_back() {
        let error = execute(["t", "-w", "2"], |worker| match worker.index() {
            0 => Ok(()),
            _ => Err(Error::new(Kind::Data, "row 7 is bad")),
        });
        let error = error.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Data, "row 7 is bad"));
        // A failure that an operator reports counts, though every worker returned well.
        let error = execute(["t"], |worker| {
            worker.process().fail(Error::new(Kind::Storage, "no disk"));
            worker.process().fail(Error::new(Kind::Data, "too late"));
            Ok(())
        });
        assert_eq!(error.unwrap_err().kind(), Kind::Storage);
    }

    #[test]
    fn a_stop_reaches_who_registers_before_and_after() {
        let outcome = execute(["t"], |worker| {
            let process = worker.process();
            let (send, calls) = std::sync::mpsc::channel();
            let before = send.clone();
            process.on_stop(move || before.send("before").unwrap());
            assert!(!process.stopping());
            process.stop();
            process.stop();
            assert!(process.stopping());
            process.on_stop(move || send.send("after").unwrap());
            Ok(calls.try_iter().collect::<Vec<_>>())
        });
        assert_eq!(outcome.unwrap().results(), [["before", "after"]]);
    }

    #[test]
    fn a_snapshot_has_a_bound() {
        let outcome = execute(["t"], |worker| {
            let process = worker.process();
            process.publish(vec![1])?;
            process.publish(vec![2])?;
            Ok(process.publish(vec![0; 5 << 20]).is_err())
        });
        let Outcome::Finished { results, process } = outcome.unwrap() else { panic!() };
        assert_eq!(results, [true]);
        assert_eq!(process.snapshots(), [(0, vec![2])]);
    }
}
