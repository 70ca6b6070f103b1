//! Signals: the first SIGINT or SIGTERM asks the job to stop, the second ends the process, SIGQUIT
//! asks for a dump of state.
//!
//! One thread takes all signals of the program, from the first job on. Between jobs signals do what
//! they would have done without us.

use std::sync::{Mutex, OnceLock};

use signal_hook::consts::signal::{SIGCHLD, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use super::process::{self, lock};
use crate::error::{Error, Kind, Result};

type Handler = Box<dyn Fn(i32) + Send>;

/// Who takes the signals instead of the running jobs: a supervisor.
static SUPERVISOR: Mutex<Option<Handler>> = Mutex::new(None);

/// Starts to listen; further calls do nothing.
pub(super) fn listen() -> Result<()> {
    static STARTED: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    let started = STARTED.get_or_init(|| {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGQUIT, SIGCHLD])
            .map_err(|error| format!("cannot listen for signals: {error}"))?;
        std::thread::Builder::new()
            .name("tiderace:signals".into())
            .spawn(move || signals.forever().for_each(take))
            .map_err(|error| format!("cannot start the thread that takes signals: {error}"))?;
        Ok(())
    });
    started.clone().map_err(|message| Error::new(Kind::Failed, message))
}

/// Gives all signals (SIGCHLD among them) to a supervisor until the returned guard is dropped.
pub(super) fn supervise(handler: impl Fn(i32) + Send + 'static) -> Result<Supervising> {
    *lock(&SUPERVISOR) = Some(Box::new(handler));
    listen()?;
    Ok(Supervising(()))
}

/// While this lives a supervisor has the signals.
pub(super) struct Supervising(());

impl Drop for Supervising {
    fn drop(&mut self) {
        *lock(&SUPERVISOR) = None;
    }
}

fn take(signal: i32) {
    if let Some(handler) = &*lock(&SUPERVISOR) {
        return handler(signal);
    }
    let running = process::running();
    if running.is_empty() {
        // Not ours: what the system does by default.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
    for process in running {
        match signal {
            SIGQUIT => process.dump(),
            SIGINT | SIGTERM => process.signalled(signal),
            _ => {}
        }
    }
}
