//! Where the workers of a process meet between two runs, and what a run takes.

use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::{Probe, ToStream};

use super::{Tally, machine};
use crate::error::{Error, Kind};
use crate::runtime::{Process, Worker};

/// How often a worker with nothing to do looks around.
const LOOK: Duration = Duration::from_millis(100);

/// What one process measured of one run.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Wall time in nanoseconds.
    pub wall: u64,
    /// Processor time in nanoseconds.
    pub cpu: u64,
    /// The most memory that was in use, beyond that before the run, in bytes.
    pub memory: u64,
    /// Rows and corrections that came out.
    pub sent: u64,
}

impl Measured {
    /// Together with what another process measured of the same run.
    pub fn and(self, other: Measured) -> Measured {
        Measured {
            wall: self.wall.max(other.wall),
            cpu: self.cpu + other.cpu,
            memory: self.memory + other.memory,
            sent: self.sent + other.sent,
        }
    }
}

/// Where the workers of a process meet, and where they count what comes out.
pub struct Stage<T = Tally> {
    barrier: Barrier,
    tally: Mutex<Arc<T>>,
}

impl<T: Default> Stage<T> {
    /// One for so many workers.
    pub fn new(workers: usize) -> Self {
        Stage { barrier: Barrier::new(workers), tally: Mutex::default() }
    }
}

impl<T> Stage<T> {
    /// Waits for the other workers of this process.
    pub fn meet(&self) {
        self.barrier.wait();
    }

    /// Where to count now.
    pub fn tally(&self) -> Arc<T> {
        self.tally.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// All workers count there from now on.
    pub fn reset(&self, worker: &Worker<'_>, tally: T) {
        self.meet();
        if leads(worker) {
            *self.tally.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(tally);
        }
        self.meet();
    }
}

/// Whether this worker speaks for its process.
pub fn leads(worker: &Worker<'_>) -> bool {
    worker.index().is_multiple_of(worker.process().workers())
}

/// Waits for all workers of all processes.
pub fn together(worker: &mut Worker<'_>) -> Result<(), Error> {
    let done = worker.timely().dataflow::<u64, _, _>(|scope| {
        std::iter::empty::<()>().to_stream(scope).container::<Vec<_>>().probe().0
    });
    while !done.done() {
        step(worker, "the start of a run")?;
    }
    Ok(())
}

/// Works until every dataflow has ended.
pub fn finish(worker: &mut Worker<'_>, what: &str) -> Result<(), Error> {
    while step(worker, what)? {}
    Ok(())
}

/// Works for a moment, and says whether there is more to do. A run that is stopped has measured
/// nothing.
fn step(worker: &mut Worker<'_>, what: &str) -> Result<bool, Error> {
    let more = worker.timely().step_or_park(Some(LOOK));
    let why = match (worker.process().failed(), worker.process().stopping()) {
        (true, _) => format!("{what} has failed"),
        (_, true) => format!("stopped at `{what}`, before everything was measured"),
        _ => return Ok(more),
    };
    Err(Error::new(Kind::Failed, why))
}

/// What a process spends while all its workers do something. At the end it is asked how many rows were
/// sent.
pub fn measure<T>(
    worker: &mut Worker<'_>,
    stage: &Stage<T>,
    sent: impl FnOnce(&T) -> u64,
    work: impl FnOnce(&mut Worker<'_>) -> Result<(), Error>,
) -> Result<Measured, Error> {
    stage.meet();
    if leads(worker) {
        machine::forget_peak();
    }
    stage.meet();
    let (begun, cpu, memory) = (Instant::now(), machine::cpu(), machine::memory());
    work(worker)?;
    stage.meet();
    let measured = Measured {
        wall: begun.elapsed().as_nanos() as u64,
        cpu: machine::cpu().saturating_sub(cpu).as_nanos() as u64,
        memory: machine::peak_memory().saturating_sub(memory),
        sent: sent(&stage.tally()),
    };
    // Nobody starts with the next until everybody has read the clocks.
    stage.meet();
    Ok(measured)
}

/// Says what this process has measured, once at its end.
pub fn tell<T: Serialize>(worker: &Worker<'_>, told: &T) -> Result<(), Error> {
    let bytes = postcard::to_stdvec(told).expect("numbers can be written to memory");
    worker.process().publish_final(bytes)
}

/// What each process said, in their order.
pub fn told<T: DeserializeOwned>(process: &Process) -> Result<Vec<T>, Error> {
    let read = |(index, bytes): (usize, Vec<u8>)| {
        postcard::from_bytes(&bytes).map_err(|error| {
            let message = format!("cannot read what process {index} measured");
            Error::new(Kind::Bug, message).caused_by(error)
        })
    };
    process.snapshots().into_iter().map(read).collect()
}
