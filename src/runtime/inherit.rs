//! What a supervisor gives the processes it starts, and how they take it.
//!
//! A child finds in an environment variable the number of two inherited descriptors: its listener,
//! already bound, and one end of a socket pair. On the latter comes everything else, the secret
//! among it, which so appears neither among the arguments nor in the environment. The pair stays
//! open for life: its end tells a child that its supervisor is gone.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::parent_id;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{fatal, os};
use crate::error::{Error, Kind, Result};

/// `<pid of the supervisor>:<descriptor of the pair>:<descriptor of the listener>`
pub(super) const VARIABLE: &str = "TIDERACE_SUPERVISED";
/// How long a child waits for what it was promised.
const WAIT: Duration = Duration::from_secs(10);
/// Room for the addresses of many processes.
const MOST_BYTES: u64 = 1 << 20;

/// A child's place in the job. It holds the secret: never print it.
#[derive(Serialize, Deserialize)]
pub(super) struct Bequest {
    pub(super) index: usize,
    pub(super) hosts: Vec<String>,
    pub(super) secret: Vec<u8>,
    pub(super) restarts: u32,
}

/// The value of [`VARIABLE`] for a child.
pub(super) fn variable(pair: RawFd, listener: RawFd) -> String {
    format!("{}:{pair}:{listener}", std::process::id())
}

/// What the supervisor of this process has given it, if it has one.
///
/// The variable may also come from further up: from a supervised process that has started this one
/// for other reasons. Then the parent is another and the variable means nothing here.
pub(super) fn take() -> Result<Option<(Bequest, TcpListener)>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let Some(value) = std::env::var(VARIABLE).ok() else { return Ok(None) };
    let parts: Vec<i64> = value.split(':').filter_map(|part| part.parse().ok()).collect();
    let &[supervisor, pair, listener] = &parts[..] else { return Ok(None) };
    if supervisor != i64::from(parent_id()) {
        return Ok(None);
    }
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(Error::new(
            Kind::Usage,
            "a program can start only one job of several processes; give its jobs -n 1 or -p",
        ));
    }
    let failed = |error: std::io::Error| {
        Error::new(Kind::Bug, "a supervised process did not get what it needs").caused_by(error)
    };
    let pair = UnixStream::from(os::adopt(pair).map_err(failed)?);
    let listener = TcpListener::from(os::adopt(listener).map_err(failed)?);
    pair.set_read_timeout(Some(WAIT)).map_err(failed)?;
    let mut line = String::new();
    BufReader::new((&pair).take(MOST_BYTES)).read_line(&mut line).map_err(failed)?;
    let bequest = serde_json::from_str(&line).map_err(|error| failed(error.into()))?;
    pair.set_read_timeout(None).map_err(failed)?;
    std::thread::Builder::new()
        .name("tiderace:parent".into())
        .spawn(move || end_with_parent(&pair))
        .map_err(failed)?;
    Ok(Some((bequest, listener)))
}

/// The supervisor writes nothing more; whatever ends this read is its end.
fn end_with_parent(mut pair: &UnixStream) {
    while pair.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::Interrupted) {}
    fatal::exit_with(&Error::new(Kind::PeerLost, "the supervisor of this process is gone"));
}
