//! The handshake on every connection between processes of a job.
//!
//! Timely trusts whoever is at the other end of a socket, so we make sure first. Both sides say who
//! they are (job, generation, plan, versions, index) with a random number, and prove that they know
//! the secret by a keyed hash over both greetings. Whatever does not do so, in time, is a stranger:
//!
//! 1. caller → listener: greeting
//! 2. listener → caller: greeting, proof
//! 3. caller → listener: proof
//! 4. listener → caller: verdict, with the reason if it refuses

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::secret::Secret;

const MAGIC: [u8; 8] = *b"TIDERACE";
/// The version of this handshake and of the control frames after it.
const PROTOCOL: u16 = 1;
/// A greeting is a few hundred bytes; nothing longer is read from a stranger.
const MOST_BYTES: usize = 4096;
/// Timely's version is part of the greeting, for its wire format is nobody's promise.
const TIMELY: &str = "0.31.0";

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Role {
    /// Timely's records and progress.
    Data,
    /// Heartbeats, stops, snapshots.
    Control,
}

/// Who a process says it is. All but the index must be the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    pub(super) job: String,
    pub(super) generation: u64,
    pub(super) plan: u64,
    pub(super) processes: usize,
    pub(super) workers: usize,
    pub(super) index: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Greeting {
    tiderace: String,
    timely: String,
    role: Role,
    who: Identity,
    nonce: [u8; 32],
}

/// Why a handshake did not succeed, in words for the log.
pub(super) type Refusal = String;

/// Calls at a peer that should be `expected`.
pub(super) fn call(
    stream: &TcpStream,
    who: &Identity,
    secret: &Secret,
    role: Role,
    expected: usize,
    until: Instant,
) -> Result<(), Refusal> {
    let mut wire = Wire { stream, until };
    let ours = greeting(who, role)?;
    wire.send(&ours)?;
    let (theirs, greeted) = wire.greeting()?;
    let proof = wire.array::<32>("a proof")?;
    if !proves(secret, "listener", &ours, &theirs, &proof) {
        return Err("it does not know our secret".into());
    }
    wire.send(&prove(secret, "caller", &ours, &theirs))?;
    let [refused] = wire.array::<1>("a verdict")?;
    if refused != 0 {
        let length = u16::from_le_bytes(wire.array("a reason")?).into();
        let reason = wire.bytes(length, "a reason")?;
        return Err(format!("it refused us: {}", String::from_utf8_lossy(&reason)));
    }
    check(who, &greeted)?;
    if greeted.who.index != expected {
        return Err(format!("it is process {}, not process {expected}", greeted.who.index));
    }
    Ok(())
}

/// Answers a caller; gives its index and what the connection is for.
pub(super) fn answer(
    stream: &TcpStream,
    who: &Identity,
    secret: &Secret,
    until: Instant,
) -> Result<(usize, Role), Refusal> {
    let mut wire = Wire { stream, until };
    let (theirs, caller) = wire.greeting()?;
    let ours = greeting(who, caller.role)?;
    wire.send(&ours)?;
    wire.send(&prove(secret, "listener", &theirs, &ours))?;
    let proof =
        wire.array::<32>("a proof").map_err(|why| format!("{why} (it may have another secret)"))?;
    let verdict = if !proves(secret, "caller", &theirs, &ours, &proof) {
        Err("the secrets differ".to_string())
    } else {
        check(who, &caller).and_then(|()| {
            let index = caller.who.index;
            let wrong = match caller.role {
                Role::Data => index <= who.index || index >= who.processes,
                Role::Control => who.index != 0 || index == 0 || index >= who.processes,
            };
            if wrong {
                return Err(format!("process {index} does not call at process {}", who.index));
            }
            Ok(index)
        })
    };
    match verdict {
        Ok(index) => {
            wire.send(&[0])?;
            Ok((index, caller.role))
        }
        Err(why) => {
            let mut reply = vec![1];
            reply.extend(u16::try_from(why.len()).unwrap_or(u16::MAX).to_le_bytes());
            reply.extend(why.bytes().take(usize::from(u16::MAX)));
            // The refusal stands, whether the caller hears of it or not.
            let _ = wire.send(&reply);
            Err(why)
        }
    }
}

fn check(ours: &Identity, theirs: &Greeting) -> Result<(), Refusal> {
    let version = env!("CARGO_PKG_VERSION");
    let (it, we) = (&theirs.who, ours);
    for (what, it, we) in [
        ("tiderace", theirs.tiderace.clone(), version.to_string()),
        ("timely", theirs.timely.clone(), TIMELY.to_string()),
        ("job", it.job.clone(), we.job.clone()),
        ("plan", format!("{:016x}", it.plan), format!("{:016x}", we.plan)),
        ("generation", it.generation.to_string(), we.generation.to_string()),
        ("--processes", it.processes.to_string(), we.processes.to_string()),
        ("--workers", it.workers.to_string(), we.workers.to_string()),
    ] {
        if it != we {
            let index = theirs.who.index;
            return Err(format!(
                "process {index} has {what} {it:?}, process {} has {we:?}",
                ours.index
            ));
        }
    }
    Ok(())
}

fn greeting(who: &Identity, role: Role) -> Result<Vec<u8>, Refusal> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|error| format!("no random numbers: {error}"))?;
    let greeting = Greeting {
        tiderace: env!("CARGO_PKG_VERSION").into(),
        timely: TIMELY.into(),
        role,
        who: who.clone(),
        nonce,
    };
    let body = serde_json::to_vec(&greeting).map_err(|error| error.to_string())?;
    let length = u16::try_from(body.len()).ok().filter(|&length| usize::from(length) <= MOST_BYTES);
    let length = length.ok_or("the name of the job is too long for a greeting")?;
    let mut frame = MAGIC.to_vec();
    frame.extend(PROTOCOL.to_le_bytes());
    frame.extend(length.to_le_bytes());
    frame.extend(body);
    Ok(frame)
}

fn keyed(secret: &Secret, label: &str, caller: &[u8], listener: &[u8]) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("HMAC takes keys of every length");
    for part in [label.as_bytes(), caller, listener] {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    mac
}

fn prove(secret: &Secret, label: &str, caller: &[u8], listener: &[u8]) -> [u8; 32] {
    keyed(secret, label, caller, listener).finalize().into_bytes().into()
}

fn proves(secret: &Secret, label: &str, caller: &[u8], listener: &[u8], proof: &[u8; 32]) -> bool {
    keyed(secret, label, caller, listener).verify_slice(proof).is_ok()
}

/// A socket on which everything together has to be over by a certain time.
struct Wire<'a> {
    stream: &'a TcpStream,
    until: Instant,
}

impl Wire<'_> {
    fn send(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.stream
            .set_write_timeout(Some(self.left()?))
            .and_then(|()| self.stream.write_all(bytes))
            .map_err(|error| format!("sending failed: {error}"))
    }

    fn bytes(&mut self, length: usize, what: &str) -> Result<Vec<u8>, Refusal> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            let left = self.left().map_err(|_| format!("it did not send {what} in time"))?;
            let read = self.stream.set_read_timeout(Some(left));
            match read.and_then(|()| self.stream.read(&mut bytes[filled..])) {
                Ok(0) => return Err(format!("it closed the connection before {what}")),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    return Err(format!("it did not send {what} in time"));
                }
                Err(error) => return Err(format!("reading {what} failed: {error}")),
            }
        }
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Refusal> {
        let bytes = self.bytes(N, what)?;
        Ok(bytes.try_into().expect("as many bytes were read as asked for"))
    }

    /// A greeting as it came, and what it says.
    fn greeting(&mut self) -> Result<(Vec<u8>, Greeting), Refusal> {
        let mut frame = self.bytes(MAGIC.len(), "a greeting")?;
        if frame != MAGIC {
            return Err("it does not speak our protocol".into());
        }
        let protocol = self.array("a greeting")?;
        let length = self.array("a greeting")?;
        frame.extend(protocol);
        frame.extend(length);
        let (protocol, length) = (u16::from_le_bytes(protocol), u16::from_le_bytes(length));
        if protocol != PROTOCOL {
            return Err(format!("it speaks version {protocol} of our protocol, not {PROTOCOL}"));
        }
        if usize::from(length) > MOST_BYTES {
            return Err(format!("its greeting has {length} bytes; at most {MOST_BYTES} are read"));
        }
        let body = self.bytes(length.into(), "a greeting")?;
        let greeting = serde_json::from_slice(&body)
            .map_err(|error| format!("its greeting is not understood: {error}"))?;
        frame.extend(body);
        Ok((frame, greeting))
    }

    fn left(&self) -> Result<std::time::Duration, Refusal> {
        self.until
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
            .ok_or_else(|| "it took too long".into())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    type Ends = (Result<(), Refusal>, Result<(usize, Role), Refusal>);

    fn identity(index: usize) -> Identity {
        Identity { job: "j".into(), generation: 3, plan: 7, processes: 3, workers: 2, index }
    }

    fn meet(caller: (Identity, &str, Role), listener: (Identity, &str)) -> Ends {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        let (who, secret) = (listener.0, Secret::from_bytes(listener.1.into()));
        let expected = who.index;
        let listening = std::thread::spawn(move || {
            let (stream, _) = socket.accept().unwrap();
            answer(&stream, &who, &secret, until)
        });
        let stream = TcpStream::connect(address).unwrap();
        let secret = Secret::from_bytes(caller.1.into());
        let called = call(&stream, &caller.0, &secret, caller.2, expected, until);
        drop(stream);
        (called, listening.join().unwrap())
    }

    #[test]
    fn peers_of_a_job_accept_each_other() {
        let ends = meet((identity(2), "s", Role::Data), (identity(1), "s"));
        assert_eq!(ends, (Ok(()), Ok((2, Role::Data))));
        let ends = meet((identity(1), "", Role::Control), (identity(0), ""));
        assert_eq!(ends, (Ok(()), Ok((1, Role::Control))));
    }

    #[test]
    fn another_secret_is_refused_by_both() {
        let (called, answered) = meet((identity(2), "s", Role::Data), (identity(1), "t"));
        assert!(called.unwrap_err().contains("secret"));
        assert!(answered.unwrap_err().contains("secret"));
    }

    #[test]
    fn another_job_plan_or_layout_is_refused_with_the_difference() {
        type Change = fn(&mut Identity);
        let changes: [(Change, &str); 6] = [
            (|who| who.job = "k".into(), "job"),
            (|who| who.generation = 4, "generation"),
            (|who| who.plan = 8, "plan"),
            (|who| who.workers = 1, "--workers"),
            (|who| who.processes = 4, "--processes"),
            (|who| who.index = 0, "does not call"),
        ];
        for (change, words) in changes {
            let mut other = identity(2);
            change(&mut other);
            let (called, answered) = meet((other, "s", Role::Data), (identity(1), "s"));
            assert!(called.unwrap_err().contains(words), "{words}");
            assert!(answered.unwrap_err().contains(words), "{words}");
        }
    }

    #[test]
    fn strangers_are_told_apart() {
        for (bytes, words) in [
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "does not speak our protocol"),
            (vec![], "closed the connection"),
            (b"TIDERACE\x01\x00\xff\xff".to_vec(), "65535 bytes"),
            (b"TIDERACE\x02\x00\x05\x00".to_vec(), "version 2"),
            (b"TIDERACE\x01\x00\x02\x00{}".to_vec(), "not understood"),
        ] {
            let socket = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut stranger = TcpStream::connect(socket.local_addr().unwrap()).unwrap();
            stranger.write_all(&bytes).unwrap();
            stranger.shutdown(std::net::Shutdown::Write).unwrap();
            let (stream, _) = socket.accept().unwrap();
            let until = Instant::now() + Duration::from_secs(20);
            let why = answer(&stream, &identity(0), &Secret::default(), until).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
    }

    #[test]
    fn a_silent_or_dripping_stranger_runs_out_of_time() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stranger = TcpStream::connect(socket.local_addr().unwrap()).unwrap();
        let (stream, _) = socket.accept().unwrap();
        let drip = std::thread::spawn(move || {
            for byte in b"TIDERA" {
                std::thread::sleep(Duration::from_millis(100));
                let _ = stranger.write_all(&[*byte]);
            }
            // Held open, so that only the deadline can end the handshake.
            stranger
        });
        let begin = Instant::now();
        let until = begin + Duration::from_millis(400);
        let why = answer(&stream, &identity(0), &Secret::default(), until).unwrap_err();
        assert!(why.contains("in time"), "{why}");
        assert!(begin.elapsed() < Duration::from_secs(3));
        drip.join().unwrap();
    }

    #[test]
    fn the_version_of_timely_is_the_pinned_one() {
        assert!(include_str!("../../Cargo.toml").contains(&format!("timely = \"={TIMELY}\"")));
    }
}
