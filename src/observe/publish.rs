//! How the processes of a job come to one status.

use std::sync::Arc;
use std::time::Duration;

use super::status::{ProcessStatus, Status};
use super::why::instant;
use crate::error::{Error, Kind};
use crate::runtime::Process;

/// How often a process tells process 0 what it knows.
const EVERY: Duration = Duration::from_millis(500);

/// Has this process tell process 0 what it knows, from time to time and at its end.
pub fn publish(process: &Arc<Process>) -> Result<(), Error> {
    let asked = Arc::downgrade(process);
    process.on_dump(move || {
        if let Some(process) = asked.upgrade() {
            dump(&job_status(&process));
        }
    });
    let last = process.clone();
    process.on_finish(move || bytes(&last));
    let weak = Arc::downgrade(process);
    let tell = move || {
        while let Some(process) = weak.upgrade() {
            if let Err(error) = process.publish(bytes(&process)) {
                tracing::warn!(%error, "the status was not published");
            }
            drop(process);
            std::thread::sleep(EVERY);
        }
    };
    let thread = std::thread::Builder::new().name("tiderace:status".into()).spawn(tell);
    thread.map(drop).map_err(|error| {
        Error::new(Kind::Failed, "cannot start the thread that tells the status").caused_by(error)
    })
}

/// The status of the whole job as process 0 knows it.
pub fn job_status(process: &Process) -> Status {
    let own = process.index();
    let others = process.snapshots().into_iter().filter(|(index, _)| *index != own);
    let others = others.filter_map(|(index, bytes)| match serde_json::from_slice(&bytes) {
        Ok(status) => Some(status),
        Err(error) => {
            tracing::warn!(%error, "the status of process {index} cannot be read");
            None
        }
    });
    Status::merge(others.chain([ProcessStatus::take(process.observer(), process.board())]))
}

/// Tells the log how every operator stands.
fn dump(status: &Status) {
    tracing::info!("{}", status.why);
    for operator in &status.operators {
        let frontier = operator.frontier.map_or("unknown".to_owned(), instant);
        tracing::info!(operator = operator.name, frontier, counts = ?operator.counts, "stands");
    }
}

fn bytes(process: &Process) -> Vec<u8> {
    let status = ProcessStatus::take(process.observer(), process.board());
    serde_json::to_vec(&status).expect("a status has string keys only")
}
