//! The control connections: a star around process 0, beside timely's own.
//!
//! Each end sends a beat every second and takes ten seconds of silence for the loss of the other.
//! Stops and failures travel over it to every process, and snapshots to process 0. When its work is
//! done a process says so with its final snapshot and leaves when process 0 lets it go; so process
//! 0 knows what every process had to say before it returns.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::frame::Frame;
use super::process::{Process, lock};
use crate::error::{Error, Kind, Result};

/// How often each end says that it is alive.
const BEAT: Duration = Duration::from_secs(1);
/// How long silence may last.
const SILENCE: Duration = Duration::from_secs(10);
/// How long process 0 waits for the final snapshots, and the others for leave to go.
const FINAL_WAIT: Duration = Duration::from_secs(10);

/// The control connections of one process.
pub(super) struct Control {
    me: usize,
    links: Vec<Arc<Link>>,
}

/// A connection to one other process.
struct Link {
    peer: usize,
    address: String,
    outbox: Mutex<Outbox>,
    wake: Condvar,
    state: Mutex<State>,
    changed: Condvar,
}

/// What waits to be sent. Beats are made when nothing else is.
#[derive(Default)]
struct Outbox {
    frames: VecDeque<Frame>,
    /// Only the latest is worth sending, which bounds the memory.
    snapshot: Option<Vec<u8>>,
    sending: bool,
    /// Nothing more will be pushed.
    closed: bool,
    /// Nothing more can be sent.
    broken: bool,
}

#[derive(Default)]
struct State {
    /// The other end has sent its final snapshot, or let us go: its end is no loss any more.
    parted: bool,
}

impl Control {
    /// Starts the threads that send and receive.
    pub(super) fn start(
        process: &Arc<Process>,
        streams: BTreeMap<usize, TcpStream>,
        hosts: &[String],
    ) -> Result<Control> {
        let failed = |error: io::Error| {
            Error::new(Kind::Failed, "cannot set up the control connection").caused_by(error)
        };
        let mut links = Vec::new();
        for (peer, stream) in streams {
            let link = Arc::new(Link {
                peer,
                address: hosts[peer].clone(),
                outbox: Mutex::default(),
                wake: Condvar::new(),
                state: Mutex::default(),
                changed: Condvar::new(),
            });
            stream.set_read_timeout(Some(SILENCE)).map_err(failed)?;
            stream.set_write_timeout(Some(SILENCE)).map_err(failed)?;
            let (sender, owner) = (Arc::clone(&link), Arc::downgrade(process));
            let out = stream.try_clone().map_err(failed)?;
            std::thread::Builder::new()
                .name(format!("tiderace:beat-{peer}"))
                .spawn(move || {
                    if let (Err(error), Some(process)) = (sender.send(&out), owner.upgrade()) {
                        sender.lost(&process, &error);
                    }
                })
                .map_err(failed)?;
            let (receiver, owner) = (Arc::clone(&link), Arc::clone(process));
            std::thread::Builder::new()
                .name(format!("tiderace:control-{peer}"))
                .spawn(move || {
                    if let Err(error) = receiver.receive(&stream, &owner) {
                        receiver.lost(&owner, &error);
                    }
                })
                .map_err(failed)?;
            links.push(link);
        }
        Ok(Control { me: process.index(), links })
    }

    /// Tells the others that the job was asked to stop.
    pub(super) fn stop(&self, signal: i32) {
        self.links.iter().for_each(|link| link.push(Frame::Stop(signal)));
    }

    /// Gives process 0 a snapshot in place of the one before.
    pub(super) fn snapshot(&self, bytes: &[u8]) {
        for link in self.links.iter().filter(|link| link.peer == 0) {
            lock(&link.outbox).snapshot = Some(bytes.to_vec());
            link.wake.notify_one();
        }
    }

    /// Tells the others which process failed and why, and waits a moment until that is sent.
    pub(super) fn failed(&self, index: usize, why: &str, limit: Duration) {
        let why: String = why.chars().take(2000).collect();
        let frame = Frame::Failed(u32::try_from(index).unwrap_or(u32::MAX), why);
        self.links.iter().for_each(|link| link.push(frame.clone()));
        self.flush(limit);
    }

    /// Ends the connections in good order; the final snapshot of this process goes to process 0.
    /// Gives the processes that were not heard of in time.
    pub(super) fn leave(&self, last: Option<Vec<u8>>) -> Vec<usize> {
        if self.me != 0 {
            self.links.iter().for_each(|link| link.push(Frame::Final(last.clone())));
        }
        let until = Instant::now() + FINAL_WAIT;
        let missing = self.links.iter().filter(|link| !link.wait_parted(until));
        let missing = missing.map(|link| link.peer).collect();
        if self.me == 0 {
            self.links.iter().for_each(|link| link.push(Frame::Bye));
        }
        self.links.iter().for_each(|link| link.close());
        self.flush(BEAT);
        missing
    }

    /// Waits until all frames are sent.
    fn flush(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let waiting = |link: &Arc<Link>| {
            // Tried only: the thread that holds the lock may be the one that is panicking.
            link.outbox.try_lock().is_ok_and(|out| out.sending || !out.frames.is_empty())
        };
        while self.links.iter().any(waiting) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Link {
    fn push(&self, frame: Frame) {
        let mut out = lock(&self.outbox);
        if !out.broken {
            out.frames.push_back(frame);
            self.wake.notify_one();
        }
    }

    fn close(&self) {
        lock(&self.outbox).closed = true;
        self.wake.notify_one();
    }

    fn part(&self) {
        lock(&self.state).parted = true;
        self.changed.notify_all();
    }

    fn wait_parted(&self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        let waited =
            self.changed.wait_timeout_while(lock(&self.state), left, |state| !state.parted);
        waited.unwrap_or_else(PoisonError::into_inner).0.parted
    }

    /// Sends what there is, and a beat when there is nothing for a second.
    fn send(&self, stream: &TcpStream) -> io::Result<()> {
        loop {
            let frame = {
                let idle = |out: &mut Outbox| {
                    out.frames.is_empty() && out.snapshot.is_none() && !out.closed
                };
                let mut out = lock(&self.outbox);
                out.sending = false;
                let waited = self.wake.wait_timeout_while(out, BEAT, idle);
                let (mut out, _) = waited.unwrap_or_else(PoisonError::into_inner);
                let frame = out.frames.pop_front();
                let frame = frame.or_else(|| out.snapshot.take().map(Frame::Snapshot));
                if frame.is_none() && out.closed {
                    return Ok(());
                }
                out.sending = true;
                frame.unwrap_or(Frame::Beat)
            };
            if let Err(error) = frame.write(stream) {
                *lock(&self.outbox) = Outbox { broken: true, ..Outbox::default() };
                return Err(error);
            }
        }
    }

    /// Does what the other end says until it has nothing more to say.
    fn receive(&self, stream: &TcpStream, process: &Arc<Process>) -> io::Result<()> {
        loop {
            match Frame::read(stream)? {
                Frame::Beat => {}
                Frame::Stop(signal) => process.stop_by(signal, process.index() == 0),
                Frame::Snapshot(bytes) => process.keep_snapshot(self.peer, bytes),
                Frame::Final(last) => {
                    if let Some(bytes) = last {
                        process.keep_snapshot(self.peer, bytes);
                    }
                    self.part();
                }
                Frame::Bye => {
                    self.part();
                    return Ok(());
                }
                Frame::Failed(index, why) => {
                    let error =
                        Error::new(Kind::PeerLost, format!("process {index} failed: {why}"));
                    process.fail_for(index as usize, &why, error);
                    return Ok(());
                }
            }
        }
    }

    fn lost(&self, process: &Arc<Process>, error: &io::Error) {
        if lock(&self.state).parted || process.is_done() {
            return;
        }
        let why = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("no sign of life for {}", humantime::format_duration(SILENCE))
            }
            io::ErrorKind::UnexpectedEof => "it has closed its connection".into(),
            _ => error.to_string(),
        };
        let message = format!("lost process {} ({}): {why}", self.peer, self.address);
        process.fail_for(self.peer, &why, Error::new(Kind::PeerLost, message));
    }
}
