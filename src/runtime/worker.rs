//! The worker a program is given: timely's, and the process around it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use super::process::Process;

/// How often a worker with nothing to do looks whether the process has failed.
const LOOK: Duration = Duration::from_millis(100);

/// One worker thread of the job. It is timely's worker and knows its [`Process`].
pub struct Worker<'a> {
    timely: &'a mut timely::worker::Worker,
    process: Arc<Process>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(timely: &'a mut timely::worker::Worker, process: Arc<Process>) -> Self {
        Worker { timely, process }
    }

    /// What the workers of this process share.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Which of the job's workers this is, from 0.
    pub fn index(&self) -> usize {
        self.timely.index()
    }

    /// How many workers the job has.
    pub fn peers(&self) -> usize {
        self.timely.peers()
    }

    /// The arguments that are the program's own: free ones, and those after `--`.
    pub fn args(&self) -> &[String] {
        self.process.own_args()
    }

    /// Timely's worker.
    pub fn timely(&mut self) -> &mut timely::worker::Worker {
        self.timely
    }

    /// Works until every dataflow has ended or the process has failed; false if it failed.
    pub(super) fn finish(&mut self) -> bool {
        while !self.process.failed() {
            if !self.timely.step_or_park(Some(LOOK)) {
                return !self.process.failed();
            }
        }
        false
    }

    /// Gives up all dataflows, so that timely lets the thread go.
    pub(super) fn abandon(&mut self) {
        for dataflow in self.timely.installed_dataflows() {
            self.timely.drop_dataflow(dataflow);
        }
    }
}

impl Deref for Worker<'_> {
    type Target = timely::worker::Worker;

    fn deref(&self) -> &Self::Target {
        self.timely
    }
}

impl DerefMut for Worker<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.timely
    }
}
