//! The thread that tells how a job is doing: to process 0, to a file, to the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind};
use crate::observe::{ProcessStatus, Status, instant};
use crate::runtime::Process;

/// How often each process says how it is doing.
const EVERY: Duration = Duration::from_millis(500);

/// What the thread does beside publishing.
pub(super) struct Watch {
    /// How often process 0 logs the counters.
    pub(super) stats: Option<Duration>,
    /// The file that process 0 writes the status to.
    pub(super) status: Option<PathBuf>,
}

impl Watch {
    /// Starts the thread; it ends when the workers of this process have finished.
    pub(super) fn start(self, process: &Arc<Process>) -> Result<(), Error> {
        let (finished, finish) = channel::<()>();
        let last = Arc::downgrade(process);
        process.on_finish(move || {
            drop(finished);
            last.upgrade().map(|process| own(&process)).unwrap_or_default()
        });
        let process = Arc::downgrade(process);
        let watch = move || {
            let mut logged = Instant::now();
            let every = self.stats.map_or(EVERY, |stats| stats.min(EVERY));
            while finish.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let Some(process) = process.upgrade() else { return };
                if let Err(error) = process.publish(own(&process)) {
                    tracing::debug!(%error, "the status of this process was not sent");
                }
                if process.index() != 0 {
                    continue;
                }
                let due = self.stats.is_some_and(|every| logged.elapsed() >= every);
                if !due && self.status.is_none() {
                    continue;
                }
                let status = status_now(&process);
                if let Some(path) = &self.status
                    && let Err(error) = write(path, &status)
                {
                    tracing::warn!("{error}");
                }
                if due {
                    log(&status);
                    logged = Instant::now();
                }
            }
        };
        let started = std::thread::Builder::new().name("tiderace:status".into()).spawn(watch);
        started
            .map(drop)
            .map_err(|error| Error::new(Kind::Failed, "cannot start a thread").caused_by(error))
    }
}

/// What this process knows, for the others.
fn own(process: &Process) -> Vec<u8> {
    let status = ProcessStatus::take(process.observer(), process.board());
    serde_json::to_vec(&status).expect("a status has names and numbers, which JSON can say")
}

/// The status of the job as process 0 knows it: itself now, the others as they said last.
pub(super) fn status_now(process: &Process) -> Status {
    let own = ProcessStatus::take(process.observer(), process.board());
    Status::merge(others(process).chain([own]))
}

/// The status of the job after its end, by the last words of every process.
pub(super) fn status_at_end(process: &Process) -> Status {
    // Nothing changes any more, so what process 0 knows now is what it said last.
    status_now(process)
}

fn others(process: &Process) -> impl Iterator<Item = ProcessStatus> {
    let own = process.index();
    let others = process.snapshots().into_iter().filter(move |(index, _)| *index != own);
    others.filter_map(|(index, bytes)| match serde_json::from_slice(&bytes) {
        Ok(status) => Some(status),
        Err(error) => {
            tracing::warn!(%error, "the status of process {index} cannot be read");
            None
        }
    })
}

/// Replaces a file by the status as JSON, at once.
pub(super) fn write(path: &Path, status: &Status) -> Result<(), Error> {
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
