//! Finding the other processes: listen, call, greet, until every connection of the job is made.
//!
//! Process i calls at every process before it and listens for those after it; besides, each calls
//! once more at process 0 for the control connection. Every caller is met in a short-lived thread
//! of its own with a deadline, so that a silent stranger holds nobody up.

use std::collections::BTreeMap;
use std::io;
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};

use super::hello::{self, Identity, Role};
use super::process::lock;
use super::secret::Secret;
use crate::error::{Error, Kind, Result};

/// How long a handshake may take.
const GREET: Duration = Duration::from_secs(2);
/// How long one attempt to connect may take, and the pause after it.
const CONNECT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);
/// How often to see whether those who are connected are still there.
const REVIEW: Duration = Duration::from_millis(500);
/// How often the listener looks for callers.
const LOOK: Duration = Duration::from_millis(10);
/// How many callers are greeted at the same time; more are turned away and may try again.
const MOST_CALLERS: usize = 64;
/// How long a port that is taken may still be that of a process that is just ending.
const BIND_WAIT: Duration = Duration::from_secs(2);
/// How long sent bytes may stay unacknowledged before the connection is given up.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections of a process, by the index of the process at the other end.
pub(super) struct Links {
    pub(super) data: BTreeMap<usize, TcpStream>,
    pub(super) control: BTreeMap<usize, TcpStream>,
}

/// What is needed to find the others.
pub(super) struct Search {
    pub(super) who: Identity,
    pub(super) secret: Secret,
    pub(super) hosts: Vec<String>,
    pub(super) timeout: Duration,
    /// Tell the user how it goes.
    pub(super) report: bool,
}

struct Meeting {
    search: Search,
    /// Connections made so far.
    made: Mutex<BTreeMap<(Role, usize), TcpStream>>,
    /// The last reason why calling at a process failed.
    reasons: Mutex<BTreeMap<usize, String>>,
    callers: AtomicUsize,
    over: AtomicBool,
}

/// Listens at the address of this process.
pub(super) fn listen(address: &str, flag: &str) -> Result<TcpListener> {
    let until = Instant::now() + BIND_WAIT;
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                std::thread::sleep(PAUSE);
            }
            Err(error) => {
                let taken = error.kind() == io::ErrorKind::AddrInUse;
                return Err(Error::new(
                    Kind::Unreachable,
                    format!("cannot listen at {address} ({flag}): {error}"),
                )
                .hint(match taken {
                    true => "another program uses this port; is the job running already?",
                    false => "the address must be one of this machine",
                }));
            }
        }
    }
}

/// Makes all connections of this process, or none when `cancelled` becomes true meanwhile.
pub(super) fn find(
    search: Search,
    listener: TcpListener,
    cancelled: impl Fn() -> bool,
) -> Result<Option<Links>> {
    let until = Instant::now() + search.timeout;
    let meeting = Arc::new(Meeting {
        search,
        made: Mutex::default(),
        reasons: Mutex::default(),
        callers: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    });
    let found = meeting.gather(&listener, until, cancelled);
    meeting.over.store(true, Ordering::SeqCst);
    if !found? {
        return Ok(None);
    }
    let made = std::mem::take(&mut *lock(&meeting.made));
    let mut links = Links { data: BTreeMap::new(), control: BTreeMap::new() };
    for ((role, index), stream) in made {
        settle(&stream).map_err(|error| {
            let address = &meeting.search.hosts[index];
            Error::new(Kind::PeerLost, format!("lost process {index} ({address}) at the start"))
                .caused_by(error)
        })?;
        match role {
            Role::Data => links.data.insert(index, stream),
            Role::Control => links.control.insert(index, stream),
        };
    }
    Ok(Some(links))
}

impl Meeting {
    fn gather(
        self: &Arc<Self>,
        listener: &TcpListener,
        until: Instant,
        cancelled: impl Fn() -> bool,
    ) -> Result<bool> {
        let me = self.search.who.index;
        for index in 0..me {
            self.spawn_call(Role::Data, index, until)?;
        }
        if me > 0 {
            self.spawn_call(Role::Control, 0, until)?;
        }
        let listening = |error: io::Error| {
            let address = &self.search.hosts[me];
            Error::new(Kind::Unreachable, format!("cannot take connections at {address}"))
                .caused_by(error)
        };
        listener.set_nonblocking(true).map_err(listening)?;
        let mut reviewed = Instant::now();
        loop {
            if reviewed.elapsed() > REVIEW {
                self.review(until)?;
                reviewed = Instant::now();
            }
            let missing = self.missing();
            if missing.is_empty() {
                self.say("all processes are connected");
                return Ok(true);
            }
            if cancelled() {
                return Ok(false);
            }
            if Instant::now() > until {
                return Err(self.not_there(&missing));
            }
            match listener.accept() {
                Ok((stream, from)) => self.meet(stream, from),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(LOOK),
                // The caller has gone already, or this process is short of something for a while.
                Err(error) => {
                    tracing::warn!("taking a connection failed: {error}");
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Forgets those who have gone while others were awaited, and calls again where it is on us to
    /// call: a process that ended during the start may be started anew.
    fn review(self: &Arc<Self>, until: Instant) -> Result<()> {
        let gone: Vec<_> = {
            let mut made = lock(&self.made);
            let gone = made.iter().filter(|(_, stream)| !is_open(stream));
            let gone: Vec<_> = gone.map(|(link, _)| *link).collect();
            gone.iter().for_each(|link| drop(made.remove(link)));
            gone
        };
        let me = self.search.who.index;
        for (role, index) in gone {
            self.say(&format!("process {index} has gone again ({role:?})"));
            if index < me {
                self.spawn_call(role, index, until)?;
            }
        }
        Ok(())
    }

    fn wanted(&self) -> Vec<(Role, usize)> {
        let me = self.search.who.index;
        let others = (0..self.search.who.processes).filter(|&index| index != me);
        let mut wanted: Vec<_> = others.clone().map(|index| (Role::Data, index)).collect();
        match me {
            0 => wanted.extend(others.map(|index| (Role::Control, index))),
            _ => wanted.push((Role::Control, 0)),
        }
        wanted
    }

    fn missing(&self) -> Vec<usize> {
        let made = lock(&self.made);
        let wanted = self.wanted().into_iter().filter(|link| !made.contains_key(link));
        let mut missing: Vec<usize> = wanted.map(|(_, index)| index).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    fn not_there(&self, missing: &[usize]) -> Error {
        let reasons = lock(&self.reasons);
        let names: Vec<String> = missing
            .iter()
            .map(|index| {
                let name = format!("process {index} ({})", self.search.hosts[*index]);
                reasons.get(index).map_or(name.clone(), |why| format!("{name}: {why}"))
            })
            .collect();
        Error::new(
            Kind::PeerLost,
            format!(
                "not connected within {}: {}",
                humantime::format_duration(self.search.timeout),
                names.join("; ")
            ),
        )
        .hint("start every process with the same flags but for -p, and see that the addresses are reachable")
    }

    /// Calls at a process from a thread, again and again until it answers.
    fn spawn_call(self: &Arc<Self>, role: Role, index: usize, until: Instant) -> Result<()> {
        let meeting = Arc::clone(self);
        let call = move || {
            while !meeting.over.load(Ordering::SeqCst) && Instant::now() < until {
                match meeting.call(role, index) {
                    Ok(stream) => {
                        meeting.say(&format!("connected to process {index} ({role:?})"));
                        lock(&meeting.made).insert((role, index), stream);
                        return;
                    }
                    Err(why) => meeting.note(index, why),
                }
                std::thread::sleep(PAUSE);
            }
        };
        let thread = std::thread::Builder::new().name(format!("tiderace:call-{index}"));
        thread.spawn(call).map(drop).map_err(|error| {
            Error::new(Kind::Failed, "cannot start a thread to connect with").caused_by(error)
        })
    }

    fn call(&self, role: Role, index: usize) -> std::result::Result<TcpStream, String> {
        let Search { who, secret, hosts, .. } = &self.search;
        let addresses = hosts[index].to_socket_addrs().map_err(|error| error.to_string())?;
        let mut why = "its name has no address".to_string();
        for address in addresses {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(stream) => {
                    hello::call(&stream, who, secret, role, index, Instant::now() + GREET)?;
                    return Ok(stream);
                }
                Err(error) => why = error.to_string(),
            }
        }
        Err(why)
    }

    /// Keeps the reason for the error at the end; says it once.
    fn note(&self, index: usize, why: String) {
        let mut reasons = lock(&self.reasons);
        if reasons.get(&index) != Some(&why) {
            self.say(&format!("process {index} ({}): {why}", self.search.hosts[index]));
            reasons.insert(index, why);
        }
    }

    /// Greets a caller in a thread of its own.
    fn meet(self: &Arc<Self>, stream: TcpStream, from: std::net::SocketAddr) {
        if self.callers.fetch_add(1, Ordering::SeqCst) >= MOST_CALLERS {
            self.callers.fetch_sub(1, Ordering::SeqCst);
            tracing::warn!("refused a connection from {from}: too many callers at once");
            return;
        }
        let meeting = Arc::clone(self);
        let greet = move || {
            if let Err(why) = meeting.greet(stream) {
                tracing::warn!("refused a connection from {from}: {why}");
            }
            meeting.callers.fetch_sub(1, Ordering::SeqCst);
        };
        if let Err(error) = std::thread::Builder::new().name("tiderace:greet".into()).spawn(greet) {
            self.callers.fetch_sub(1, Ordering::SeqCst);
            tracing::warn!("refused a connection from {from}: {error}");
        }
    }

    fn greet(&self, stream: TcpStream) -> std::result::Result<(), String> {
        stream.set_nonblocking(false).map_err(|error| error.to_string())?;
        let Search { who, secret, .. } = &self.search;
        let (index, role) = hello::answer(&stream, who, secret, Instant::now() + GREET)?;
        let mut made = lock(&self.made);
        if self.over.load(Ordering::SeqCst) {
            return Err("all processes are connected already".into());
        }
        if made.get(&(role, index)).is_some_and(is_open) {
            return Err(format!(
                "process {index} is connected already; was it started twice with -p {index}?"
            ));
        }
        made.insert((role, index), stream);
        self.say(&format!("process {index} has connected ({role:?})"));
        Ok(())
    }

    fn say(&self, message: &str) {
        match self.search.report {
            true => tracing::info!("{message}"),
            false => tracing::debug!("{message}"),
        }
    }
}

/// Whether the other end of a connection that nobody reads from yet is still there.
fn is_open(stream: &TcpStream) -> bool {
    let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    let open = match peeked {
        Ok(read) => read > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    };
    open && stream.set_nonblocking(false).is_ok()
}

/// Sets a connection up for its life: no deadlines of the handshake, early news of a lost peer.
fn settle(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let alive = TcpKeepalive::new()
        .with_time(Duration::from_secs(2))
        .with_interval(Duration::from_secs(2))
        .with_retries(4);
    socket.set_tcp_keepalive(&alive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}
