//! How a process ends when it cannot go on: once, with one message and one exit code.
//!
//! Timely's workers do not notice that a sibling thread panicked; they would wait for ever. So
//! while a job runs a panic in any of its threads ends the process, with 70 when it is a bug and
//! with 75 when it is timely's way of saying that a peer process is gone.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write;
use std::panic::PanicHookInfo;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{os, process};
use crate::error::{Error, Kind};

/// What timely's threads panic with when the socket to another process breaks.
const LOST_PEER: [&str; 7] = [
    "timely communication error:",
    "MergeQueue poisoned",
    "Clean shutdown followed by data",
    "Send thread panic",
    "Recv thread panic",
    "Failed to receive MergeQueue",
    "failed to send MergeQueue",
];
/// How long a panic about a socket waits for the control connection to say why.
const REASON_WAIT: Duration = Duration::from_millis(600);
/// How long the exit waits for standard output to take what was printed.
const FLUSH_WAIT: Duration = Duration::from_millis(200);

static ENDING: AtomicBool = AtomicBool::new(false);

/// Writes an error to stderr the way every verb does: the sentence, its causes, the way out.
pub fn report(error: &Error) {
    let mut text = format!("error: {error}\n");
    let mut cause = std::error::Error::source(error);
    let mut said = error.to_string();
    while let Some(error) = cause {
        let words = error.to_string();
        if !said.contains(&words) {
            text.push_str(&format!("  because: {words}\n"));
        }
        said = words;
        cause = error.source();
    }
    if let Some(hint) = error.hint_text() {
        text.push_str(&format!("  hint: {hint}\n"));
    }
    say(&text);
}

/// Writes to stderr past the capturing of test harnesses; a closed stderr is no reason to fail.
pub(super) fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Ends the process with this code. The first caller wins; the others wait for the end.
pub(super) fn exit(code: i32) -> ! {
    claim_the_end();
    leave(code)
}

/// Reports the error and ends the process with its code.
pub(super) fn exit_with(error: &Error) -> ! {
    claim_the_end();
    report(error);
    leave(error.kind().exit_code())
}

/// Returns in one thread only; the others wait for the end.
fn claim_the_end() {
    if ENDING.swap(true, Ordering::SeqCst) {
        loop {
            std::thread::park();
        }
    }
}

/// Ends the process. The destructors of foreign libraries are not run: other threads may still be
/// using them.
fn leave(code: i32) -> ! {
    let flushed = std::thread::Builder::new().name("tiderace:flush".into()).spawn(|| {
        let _ = std::io::stdout().flush();
    });
    if let Ok(flushed) = flushed {
        let until = Instant::now() + FLUSH_WAIT;
        while !flushed.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    os::exit_now(code)
}

/// Makes panics end the process while a job runs in it. Installing it twice does nothing.
pub(super) fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let running = process::running();
            let clustered = running.iter().any(|process| process.processes() > 1);
            if running.is_empty() || !(clustered || is_job_thread()) {
                return previous(info);
            }
            end_by_panic(info, clustered);
        }));
    });
}

/// In a program of one process only the threads of the job end it: those of the runtime, of timely
/// and of connectors (which have no name, or start it with `tiderace:`). A caller may have other
/// threads that expect to panic, such as those of a test harness.
fn is_job_thread() -> bool {
    let thread = std::thread::current();
    thread.name().is_none_or(|name| name.starts_with("timely:") || name.starts_with("tiderace:"))
}

fn end_by_panic(info: &PanicHookInfo<'_>, clustered: bool) -> ! {
    let payload = info.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message");
    if clustered && LOST_PEER.iter().any(|known| message.contains(known)) {
        // The control connection usually knows who it was, and it says so itself.
        std::thread::sleep(REASON_WAIT);
        exit_with(&Error::new(Kind::PeerLost, format!("lost a peer process: {message}")));
    }
    claim_the_end();
    let thread = std::thread::current();
    let place = info.location().map(|at| format!(" at {at}")).unwrap_or_default();
    let mut text = format!(
        "error: internal error in thread {}{place}: {message}\n",
        thread.name().unwrap_or("without a name"),
    );
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        text.push_str(&format!("{trace}\n"));
    }
    text.push_str(concat!(
        "  hint: this is a bug, in the program's own closures or in tiderace ",
        env!("CARGO_PKG_VERSION"),
        "; please report it with this message at ",
        env!("CARGO_PKG_REPOSITORY"),
        "/issues (RUST_BACKTRACE=1 adds where it happened)\n"
    ));
    say(&text);
    for process in process::running() {
        process.tell_failure(process.index(), message);
    }
    leave(Kind::Bug.exit_code())
}
