//! `tiderace run FILE`: a pipeline file as a running job.

mod ledger;
mod talk;
mod watch;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::parser::ValueSource;
use tiderace_operators::key::StableHash;

use self::watch::Watch;
use crate::config::{Checked, Severity, load};
use crate::error::{Error, Kind};
use crate::flow::Pace;
use crate::observe::{job_status, publish};
use crate::plan::{Setup, build};
use crate::runtime::{LaunchArgs, Outcome, Process, Worker, execute_with, report};
use crate::server::{Ask, DEFAULT_ADDRESS, Server};
use crate::sink::stdout::is_reader_gone;

/// Runs a pipeline file.
///
/// Bounded input is read to its end. SIGINT or SIGTERM stops the sources, lets what is in flight
/// finish and ends with 0; a second one ends at once. Rows for standard output are the only thing
/// written there; the ledger of the run goes to standard error.
#[derive(Clone, Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct RunArgs {
    /// The pipeline file; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Where the local endpoint listens, or `off`. Default: 127.0.0.1:7070, or a free port if that
    /// one is taken.
    #[arg(long, value_name = "HOST:PORT", value_parser = http)]
    pub http: Option<Http>,

    /// How often the counters are logged, or `off`. Default: what the file says.
    #[arg(long, value_name = "DURATION", value_parser = interval)]
    pub stats_every: Option<Interval>,

    /// Writes the status of the job to this file, again and again, for `tiderace why --status`.
    #[arg(long, value_name = "FILE")]
    pub status: Option<PathBuf>,

    /// How long brokers may take to answer at the start.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub start_timeout: Duration,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub launch: LaunchArgs,
}

/// Where the local endpoint listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    /// Nowhere.
    Off,
    /// At this address and no other.
    At(SocketAddr),
}

/// How often something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// Never.
    Off,
    /// This often.
    Every(Duration),
}

fn http(text: &str) -> Result<Http, String> {
    if text == "off" {
        return Ok(Http::Off);
    }
    let text = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let mut found = std::net::ToSocketAddrs::to_socket_addrs(text)
        .map_err(|error| format!("{error}; write it like 127.0.0.1:7070, or `off`"))?;
    found.next().map(Http::At).ok_or_else(|| "this host has no address".to_owned())
}

fn interval(text: &str) -> Result<Interval, String> {
    if text == "off" {
        return Ok(Interval::Off);
    }
    duration(text).map(Interval::Every)
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be more than zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; write it like 500ms or 10s")),
    }
}

/// Which flags were given on the command line: those win over the file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given {
    workers: bool,
    tick: bool,
}

impl Given {
    /// What the parser found.
    pub(super) fn of(flags: Option<&clap::ArgMatches>) -> Self {
        let given = |name: &str| {
            flags.is_some_and(|flags| flags.value_source(name) == Some(ValueSource::CommandLine))
        };
        Given { workers: given("workers"), tick: given("tick") }
    }
}

/// Runs the verb and gives the exit code.
pub(super) fn run(args: RunArgs, given: Given, begun: Instant) -> Result<i32, Error> {
    if args.file == Path::new("-") && args.launch.processes.is_some_and(|n| n > 1) {
        let text = "several processes cannot all read the pipeline from standard input";
        return Err(Error::new(Kind::Usage, text).hint("put it into a file"));
    }
    let plan = match load(&args.file) {
        Ok(plan) => plan,
        Err(mistakes) => {
            talk::say(&mistakes.render(talk::colour()));
            let count = mistakes.count(Severity::Error);
            talk::say(&format!(
                "{count} mistake{} in {}\n",
                if count == 1 { "" } else { "s" },
                mistakes.file
            ));
            return Ok(Kind::Config.exit_code());
        }
    };
    let mut launch = args.launch.clone();
    if let (false, Some(workers)) = (given.workers, plan.workers) {
        launch.workers = workers as usize;
    }
    if !given.tick {
        launch.tick = plan.tick;
    }
    (launch.job, launch.plan) = (plan.name.clone(), hash(&plan));
    let quiet = launch.quiet > 0;
    let setup = Setup { start_timeout: args.start_timeout, begun, ..Setup::new() };
    let stats = match args.stats_every {
        Some(Interval::Off) => None,
        Some(Interval::Every(every)) => Some(every),
        None => plan.stats_every,
    };
    let watch = Watch::new(stats, args.status.clone());
    let job = Arc::new(Job { plan, http: args.http, setup, quiet, watch });
    let ours = Arc::clone(&job);
    let outcome = execute_with(launch, move |worker| ours.start(worker));
    match outcome {
        Ok(Outcome::Supervised) => Ok(0),
        Ok(Outcome::Finished { process, .. }) => job.end(&process),
        Err(error) if is_reader_gone(&error) => Ok(0),
        Err(error) => {
            report(&error);
            Ok(error.kind().exit_code())
        }
    }
}

/// A hash of everything that a plan computes; spelling and comments of the file do not matter.
fn hash(plan: &Checked) -> u64 {
    let bare = Checked { warnings: Default::default(), ..plan.clone() };
    // Values of properties are not shown, and so do not count.
    format!("{bare:?}").stable_hash()
}

/// One process's part of a job.
struct Job {
    plan: Checked,
    http: Option<Http>,
    setup: Setup,
    quiet: bool,
    watch: Arc<Watch>,
}

impl Job {
    /// Builds the dataflow on a worker; the first worker of a process also starts what the process
    /// has once.
    fn start(&self, worker: &mut Worker<'_>) -> Result<(), Error> {
        let process = Arc::clone(worker.process());
        if worker.index().is_multiple_of(process.workers()) {
            let server = self.serve(&process)?;
            if process.index() == 0 && !self.quiet {
                talk::say(&self.plan.warnings.render(talk::colour()));
                talk::say(&talk::banner(&self.plan, &process, server, self.http.is_some()));
            }
            publish(&process)?;
            if process.index() == 0 {
                self.watch.start(&process)?;
            }
        }
        let (rows, bytes) = (self.plan.in_flight_rows, self.plan.in_flight_bytes);
        let whole = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let pace = Pace { rows: whole(rows), bytes: whole(bytes), ..Pace::default() };
        worker.dataflow_paced(pace, |flow| build(flow, &self.plan, &self.setup))
    }

    /// Starts the endpoint on process 0.
    fn serve(&self, process: &Arc<Process>) -> Result<Option<SocketAddr>, Error> {
        if process.index() != 0 {
            return Ok(None);
        }
        let asked = Arc::clone(process);
        let ask: Ask = Arc::new(move || job_status(&asked));
        let server = match self.http {
            Some(Http::Off) => return Ok(None),
            Some(Http::At(address)) => Server::start(address, ask)?,
            None => Server::start(DEFAULT_ADDRESS, Arc::clone(&ask)).or_else(|_| {
                let free = SocketAddr::new(DEFAULT_ADDRESS.ip(), 0);
                Server::start(free, ask)
            })?,
        };
        Ok(Some(server.address()))
    }

    /// The workers have finished: the last status and the ledger, on process 0.
    fn end(&self, process: &Arc<Process>) -> Result<i32, Error> {
        if process.index() != 0 {
            return Ok(0);
        }
        let status = job_status(process);
        self.watch.finish(&status)?;
        if !self.quiet {
            talk::say(&ledger::text(&self.plan, &status, process.stopping()));
        }
        match ledger::mistakes(&status) {
            None => Ok(0),
            Some(text) => Err(Error::new(Kind::Bug, text)
                .hint("please report it with the pipeline file and the ledger above")),
        }
    }
}
