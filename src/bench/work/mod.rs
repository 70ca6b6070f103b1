//! The verbs that measure one kind of work: each way to do it beside its floor, in the same run.
//!
//! All ways are run in turns, several times, on the same workers, and what they give is compared with
//! what their floor gives. The best time of the runs counts: whatever else the machine does can only
//! make it longer. A floor is a loop on one thread, so that only processor time can be compared with it
//! where there are several workers.

mod chart;
mod report;
mod run;
mod scaling;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use chart::chart;
pub use report::{Beside, Line, OfKeys, Report};
pub use scaling::scaling;

use super::machine;
use super::stage::{self, Measured, Stage};
use crate::error::{Error, Kind};
use crate::runtime::{LaunchArgs, Outcome, execute_with};
use tiderace_work::{Load, Totals, WORKS, Work, mix};

/// What is run.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The name of the work: `window`.
    pub work: String,
    /// How many events each row is given; what the work suggests if there is no number.
    pub events: Option<u64>,
    /// Of how many keys, one number after the other; what the work suggests if there are none.
    pub keys: Vec<u64>,
    /// How many of a hundred events are of one key.
    pub skew: u64,
    /// How often each row is run.
    pub runs: usize,
    /// Whether a terminal is told how far it is.
    pub progress: bool,
}

/// What one process says of one run of a row.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Run {
    measured: Measured,
    totals: Totals,
}

/// What one process has to say at its end: the runs by number of keys and row.
type Told = Vec<Vec<Vec<Run>>>;

impl Suite {
    /// Runs everything. The report is there on process 0 of the job only.
    pub fn run(&self, mut args: LaunchArgs) -> Result<Option<Report>, Error> {
        let plan = Arc::new(self.plan()?);
        args.job = format!("tiderace-bench-{}", plan.work.name);
        args.plan = plan.hash();
        // What was measured up to a failure is lost; to measure it all again is for people to decide.
        args.max_restarts = 0;
        let load = machine::load();
        let (workers, processes, tick) = (args.workers, args.processes.unwrap_or(1), args.tick);
        let (stage, on_workers) = (Arc::new(Stage::new(workers)), plan.clone());
        let outcome = execute_with(args, move |worker| {
            if let Some(told) = run::all(worker, &on_workers, &stage)? {
                stage::tell(worker, &told)?;
            }
            Ok(())
        })?;
        let Outcome::Finished { process, .. } = outcome else { return Ok(None) };
        if process.index() != 0 {
            return Ok(None);
        }
        let told = stage::told::<Told>(&process)?.into_iter().reduce(join).unwrap_or_default();
        let report = Report::new(&plan, &told);
        Ok(Some(Report { workers, processes, tick: tick.as_secs_f64() * 1e3, load, ..report }))
    }

    /// What is to be done, with what the work suggests filled in.
    fn plan(&self) -> Result<Plan, Error> {
        let Some(work) = WORKS.into_iter().find(|work| work.name == self.work) else {
            let names = WORKS.map(|work| work.name).join(", ");
            let message = format!("there is no work called `{}`", self.work);
            return Err(Error::new(Kind::Usage, message).hint(format!("there are {names}")));
        };
        let keys = if self.keys.is_empty() { work.keys.to_vec() } else { self.keys.clone() };
        if keys.contains(&0) || self.runs == 0 || self.events == Some(0) {
            return Err(Error::new(Kind::Usage, "--keys, --runs and --events must be at least 1"));
        }
        if self.skew > 100 {
            return Err(Error::new(Kind::Usage, "--skew is a share in percent: at most 100"));
        }
        let events = self.events.unwrap_or(work.events);
        Ok(Plan { work, events, keys, skew: self.skew, runs: self.runs, progress: self.progress })
    }
}

/// What is to be done.
struct Plan {
    work: Work,
    events: u64,
    keys: Vec<u64>,
    skew: u64,
    runs: usize,
    progress: bool,
}

impl Plan {
    /// Processes that are to do something else refuse each other.
    fn hash(&self) -> u64 {
        let rest = [self.events, self.skew, self.runs as u64];
        rest.iter().chain(&self.keys).fold(0, |hash, part| mix(hash ^ part))
    }

    fn load(&self, keys: u64) -> Load {
        Load { events: self.events, keys, skew: self.skew }
    }
}

/// Together with what another process says of the same runs.
fn join(mut all: Told, more: Told) -> Told {
    let runs = all.iter_mut().flatten().flatten();
    for (one, other) in runs.zip(more.into_iter().flatten().flatten()) {
        one.measured = one.measured.and(other.measured);
        one.totals = one.totals.and(other.totals);
    }
    all
}
