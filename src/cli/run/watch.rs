//! The thread that tells how a job is doing: to a file and to the log.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind};
use crate::observe::{Status, instant, job_status};
use crate::runtime::Process;

/// How often the status is written to a file.
const EVERY: Duration = Duration::from_millis(500);

/// What process 0 tells while the job runs.
#[derive(Default)]
pub(super) struct Watch {
    /// How often it logs the counters.
    pub(super) stats: Option<Duration>,
    /// The file that it writes the status to.
    pub(super) status: Option<PathBuf>,
    /// Whether the last status has been written. Held while the file is written, so that no older
    /// status replaces the last.
    done: Mutex<bool>,
}

impl Watch {
    pub(super) fn new(stats: Option<Duration>, status: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Watch { stats, status, done: Mutex::new(false) })
    }

    /// Starts the thread; it ends with the process.
    pub(super) fn start(self: &Arc<Self>, process: &Arc<Process>) -> Result<(), Error> {
        let (this, process) = (Arc::clone(self), Arc::downgrade(process));
        let Some(every) = self.status.as_ref().map(|_| EVERY).into_iter().chain(self.stats).min()
        else {
            return Ok(());
        };
        let watch = move || {
            let mut logged = Instant::now();
            while let Some(process) = process.upgrade() {
                let status = job_status(&process);
                drop(process);
                if this.stats.is_some_and(|every| logged.elapsed() >= every) {
                    log(&status);
                    logged = Instant::now();
                }
                if let Some(path) = &this.status {
                    let done = this.done.lock().unwrap_or_else(PoisonError::into_inner);
                    if *done {
                        return;
                    }
                    if let Err(error) = write(path, &status) {
                        tracing::warn!("{error}");
                    }
                }
                std::thread::sleep(every);
            }
        };
        let started = std::thread::Builder::new().name("tiderace:watch".into()).spawn(watch);
        started
            .map(drop)
            .map_err(|error| Error::new(Kind::Failed, "cannot start a thread").caused_by(error))
    }

    /// Writes the last status, after which there is no other.
    pub(super) fn finish(&self, status: &Status) -> Result<(), Error> {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.status.as_ref().map_or(Ok(()), |path| write(path, status))
    }
}

/// Replaces a file by the status as JSON, at once.
fn write(path: &Path, status: &Status) -> Result<(), Error> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let text = serde_json::to_vec_pretty(status).expect("a status has names and numbers only");
    std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, path)).map_err(|error| {
        let text = format!("cannot write the status to {}", path.display());
        Error::new(Kind::Storage, text).caused_by(error)
    })
}

/// One line with the counters.
fn log(status: &Status) {
    let ledger = status.ledger;
    let out: u64 =
        status.operators.iter().filter(|op| op.kind == "sink").map(|op| op.counts.output).sum();
    let watermark = status.frontier.filter(|at| *at != i64::MAX).map(instant);
    tracing::info!(
        read = ledger.read,
        out,
        filtered = ledger.filtered,
        late = ledger.late,
        duplicate = ledger.duplicate,
        rejected = ledger.rejected,
        held = ledger.held,
        lag = status.lag,
        watermark,
        "running"
    );
}
