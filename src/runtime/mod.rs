//! Running a job: threads, processes, and how they start, find each other, stop and fail.
//!
//! [`execute`] takes a command line and a program and gives every worker to the program. One
//! process with some threads needs nothing more. Several processes on one machine are
//! started by a supervisor that restarts them together; several machines are told of each other by
//! `-p` and `--hosts`. All of them share a [`Process`], which knows whether the job is stopping or
//! has failed.

mod args;
mod control;
mod fatal;
mod frame;
mod hello;
mod inherit;
mod launch;
mod layout;
mod os;
mod peers;
mod process;
mod secret;
mod signal;
mod supervise;
mod worker;

pub use args::{LaunchArgs, LogFormat, expand_help};
pub use fatal::report;
pub use launch::{Outcome, execute, execute_with, finish};
pub use layout::MOST_WORKERS;
pub use process::Process;
pub use worker::Worker;
