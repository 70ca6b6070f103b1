//! The supervisor: starts the processes of a job on this machine, ends them together, starts again.
//!
//! There is no partial recovery in timely: when one process is lost the others end too, and the job
//! starts anew from what it has stored. Failures that a restart cannot mend are passed on.

use std::io::{self, IsTerminal, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use signal_hook::consts::signal::{SIGCHLD, SIGINT, SIGKILL, SIGQUIT, SIGTERM};

use super::args::LaunchArgs;
use super::inherit::{self, Bequest};
use super::secret::Secret;
use super::{fatal, os, signal};
use crate::error::{Error, Kind, Result};

/// How long the others get to end by themselves when one process has failed.
const COLLAPSE: Duration = Duration::from_millis(1000);
/// How much longer than `--grace` a stop may take before the processes are killed.
const SLACK: Duration = Duration::from_secs(3);
/// The pause before the first restart; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A run that has lasted this long has got somewhere: failures are counted from one again.
const PROGRESS: Duration = Duration::from_secs(10);
/// How long a child may take to read what it is given.
const BEQUEATH: Duration = Duration::from_secs(10);
/// How often to look for ended children, should a signal be missed.
const LOOK: Duration = Duration::from_secs(1);

/// Exit codes of failures that would only happen again.
const LASTING: [i32; 4] = [1, 2, 65, 78];

/// Runs the job in processes of its own until it has ended. Returns when it has ended well, and
/// ends this process with the exit code of the job otherwise.
pub(super) fn supervise(args: &LaunchArgs, processes: usize) -> Result<()> {
    let (send, signals) = channel();
    let _guard = signal::supervise(move |signal| {
        // The receiver lives as long as the guard.
        let _ = send.send(signal);
    })?;
    let mut restarts = 0;
    let mut failures = 0;
    loop {
        let begin = Instant::now();
        let (code, stopped) = Run::start(args, processes, restarts)?.watch(&signals);
        if code == 0 {
            return Ok(());
        }
        if stopped || LASTING.contains(&code) {
            fatal::exit(code);
        }
        failures = if begin.elapsed() < PROGRESS { failures + 1 } else { 1 };
        if failures > args.max_restarts {
            let (most, soon) = (args.max_restarts, humantime::format_duration(PROGRESS));
            match failures {
                1 => tracing::error!("giving up: the job has failed (--max-restarts {most})"),
                _ => tracing::error!(
                    "giving up: the job has failed {failures} times in a row, each within {soon} of its start (--max-restarts {most})"
                ),
            }
            fatal::exit(code);
        }
        let pause = (FIRST_PAUSE * 2u32.saturating_pow(failures - 1)).min(LONGEST_PAUSE);
        restarts += 1;
        tracing::warn!(
            "restart {restarts} of the job in {}, failure {failures} of at most {}",
            humantime::format_duration(pause),
            args.max_restarts
        );
        if wait_for_stop(&signals, pause) {
            fatal::exit(code);
        }
    }
}

/// Waits; true when a signal says that there is to be no further run.
fn wait_for_stop(signals: &Receiver<i32>, pause: Duration) -> bool {
    let until = Instant::now() + pause;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        if let Ok(SIGINT | SIGTERM) = signals.recv_timeout(left) {
            return true;
        }
    }
    false
}

/// One run of all processes.
struct Run {
    members: Vec<Member>,
    grace: Duration,
}

struct Member {
    index: usize,
    child: Child,
    /// Held open: its end is the end of the child.
    _pair: UnixStream,
    ended: Option<ExitStatus>,
    /// The supervisor ended it; that says nothing about the job.
    killed: bool,
}

impl Run {
    fn start(args: &LaunchArgs, processes: usize, restarts: u32) -> Result<Run> {
        let failed = |error: io::Error| {
            Error::new(Kind::Failed, "cannot start the processes of the job").caused_by(error)
        };
        let listeners: Vec<TcpListener> = (0..processes)
            .map(|_| TcpListener::bind("127.0.0.1:0"))
            .collect::<io::Result<_>>()
            .map_err(failed)?;
        let hosts: Vec<String> = listeners
            .iter()
            .map(|listener| Ok(listener.local_addr()?.to_string()))
            .collect::<io::Result<_>>()
            .map_err(failed)?;
        let secret = Secret::random()?;
        let mut run = Run { members: Vec::new(), grace: args.grace };
        for (index, listener) in listeners.into_iter().enumerate() {
            let (hosts, secret) = (hosts.clone(), secret.bytes().to_vec());
            let bequest = Bequest { index, hosts, secret, restarts };
            match start(args, bequest, &listener) {
                Ok(member) => run.members.push(member),
                Err(error) => {
                    run.kill();
                    return Err(failed(error));
                }
            }
        }
        Ok(run)
    }

    /// Waits for the end of all processes; gives the exit code of the job and whether it was asked
    /// to stop.
    fn watch(mut self, signals: &Receiver<i32>) -> (i32, bool) {
        let mut stopped = None;
        let mut kill_at: Option<Instant> = None;
        while self.reap() {
            if kill_at.is_none() && self.members.iter().any(Member::has_failed) {
                kill_at = Some(Instant::now() + COLLAPSE);
            }
            let left = kill_at.map_or(LOOK, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                self.kill();
                break;
            }
            match signals.recv_timeout(left.min(LOOK)) {
                Ok(signal @ (SIGINT | SIGTERM)) => {
                    if stopped.is_some() {
                        self.kill();
                        fatal::say("stopped at once by a second signal\n");
                        fatal::exit(128 + signal);
                    }
                    stopped = Some(signal);
                    self.signal(signal);
                    kill_at = kill_at.or(Some(Instant::now() + self.grace + SLACK));
                }
                Ok(SIGQUIT) => self.signal(SIGQUIT),
                Ok(SIGCHLD | _) | Err(RecvTimeoutError::Timeout) => {}
                // Cannot be: the handler holds the sender. Looking once a second still works.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(left.min(LOOK)),
            }
        }
        let ends = self.members.iter().filter(|member| !member.killed || stopped.is_some());
        let codes: Vec<i32> = ends.filter_map(|member| member.ended).map(code_of).collect();
        (verdict(&codes), stopped.is_some())
    }

    /// Notes which processes have ended; false when all have.
    fn reap(&mut self) -> bool {
        for member in self.members.iter_mut().filter(|member| member.ended.is_none()) {
            if let Ok(Some(status)) = member.child.try_wait() {
                member.ended = Some(status);
                let index = member.index;
                match (status.code(), status.signal()) {
                    (Some(0), _) => tracing::debug!("process {index} has ended"),
                    (Some(code), _) => tracing::error!("process {index} has ended with {code}"),
                    (None, signal) => {
                        let signal = signal.unwrap_or_default();
                        tracing::error!("process {index} was ended by signal {signal}");
                    }
                }
            }
        }
        self.members.iter().any(|member| member.ended.is_none())
    }

    fn signal(&self, signal: i32) {
        for member in self.members.iter().filter(|member| member.ended.is_none()) {
            os::signal(member.child.id(), signal);
        }
    }

    /// Ends what still runs, and waits for its end.
    fn kill(&mut self) {
        self.signal(SIGKILL);
        for member in self.members.iter_mut().filter(|member| member.ended.is_none()) {
            member.killed = true;
            member.ended = member.child.wait().ok();
        }
    }
}

impl Member {
    fn has_failed(&self) -> bool {
        self.ended.is_some_and(|status| !status.success())
    }
}

/// Starts one process: this program, with the same arguments.
fn start(args: &LaunchArgs, bequest: Bequest, listener: &TcpListener) -> io::Result<Member> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut arguments = std::env::args_os();
    let mut command = Command::new(std::env::current_exe()?);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments);
    command.envs(args.environment.iter().map(|(name, value)| (name, value)));
    command.process_group(0);
    // One process can read the input; a process in the background must not read the terminal.
    let reads = bequest.index == 0 && !io::stdin().is_terminal();
    command.stdin(if reads { Stdio::inherit() } else { Stdio::null() });
    let descriptors = [theirs.as_raw_fd(), listener.as_raw_fd()];
    command.env(inherit::VARIABLE, inherit::variable(descriptors[0], descriptors[1]));
    os::hand_over(&mut command, descriptors);
    let mut child = command.spawn()?;
    let index = bequest.index;
    let mut line = serde_json::to_vec(&bequest)?;
    line.push(b'\n');
    ours.set_write_timeout(Some(BEQUEATH))?;
    if let Err(error) = (&ours).write_all(&line) {
        child.kill()?;
        child.wait()?;
        return Err(error);
    }
    tracing::debug!("process {index} is {}", child.id());
    Ok(Member { index, child, _pair: ours, ended: None, killed: false })
}

/// As a shell gives it.
fn code_of(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// The code that says most about the job: a failure that lasts, else one that is not just the loss
/// of a peer, else whatever is not success.
fn verdict(codes: &[i32]) -> i32 {
    let lost = Kind::PeerLost.exit_code();
    let find = |wanted: &dyn Fn(i32) -> bool| codes.iter().copied().find(|&code| wanted(code));
    find(&|code| LASTING.contains(&code))
        .or_else(|| find(&|code| code != 0 && code != lost))
        .or_else(|| find(&|code| code != 0))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_decides_and_not_its_echo() {
        for (codes, code) in [
            (&[0, 0][..], 0),
            (&[75, 65, 75], 65),
            (&[75, 70], 70),
            (&[75, 137, 65], 65),
            (&[0, 75], 75),
            (&[137, 75], 137),
        ] {
            assert_eq!(verdict(codes), code, "{codes:?}");
        }
    }
}
