//! What the demo shows: a welcome, a live line, and the books at the end.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Demo, PARTITIONS, PerSecond, READINGS, RESULTS};
use crate::error::{Error, Kind};
use crate::observe::{Status, instant, job_status};
use crate::runtime::{LaunchArgs, Process};

/// The newest result of this process, for the live line, and whether there is one to come.
#[derive(Clone, Default)]
pub(super) struct Latest(Arc<(Mutex<Option<PerSecond>>, AtomicBool)>);

impl Latest {
    /// Shows a result instead of the last one.
    pub(super) fn show(&self, row: &PerSecond) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(row.clone());
    }

    /// The job has ended: no live line any more.
    pub(super) fn end(&self) {
        self.0.1.store(true, SeqCst);
    }

    fn ended(&self) -> bool {
        self.0.1.load(SeqCst)
    }

    fn take(&self) -> Option<PerSecond> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Says what is about to happen.
pub(super) fn welcome(demo: &Demo, args: &LaunchArgs) {
    let processes = args.processes.unwrap_or(1);
    let events = demo.events.map_or("without end".to_owned(), |n| format!("{} events", grouped(n)));
    eprintln!("No services needed: an embedded Kafka and 100 sensors, {events},");
    eprintln!("out of order by up to 2 s on purpose, 1 in 200 late, 1 in 100 twice.");
    eprintln!(
        "  {READINGS} ({PARTITIONS} partitions) > dedup by id > 1 s windows by sensor > {RESULTS}"
    );
    eprintln!("  {processes} process(es) x {} worker(s), tick {:?}", args.workers, args.tick);
    eprintln!("  open windows are lost in a crash or stop: this version has no checkpoints");
    if demo.events.is_none() {
        eprintln!("Ctrl-C stops; `tiderace demo --write demo.yaml` gives you a pipeline to edit.");
    }
}

/// Starts the live line on process 0.
pub(super) fn start(process: &Arc<Process>, latest: Latest) -> Result<(), Error> {
    if process.index() != 0 {
        return Ok(());
    }
    let weak = Arc::downgrade(process);
    let live = std::io::stderr().is_terminal();
    let every = if live { Duration::from_millis(500) } else { Duration::from_secs(2) };
    let show = move || {
        let (mut before, mut at) = (0, Instant::now());
        loop {
            std::thread::sleep(every);
            let Some(process) = weak.upgrade().filter(|_| !latest.ended()) else { return };
            let status = job_status(&process);
            let rate = (status.ledger.read - before) as f64 / at.elapsed().as_secs_f64();
            (before, at) = (status.ledger.read, Instant::now());
            let line = line(&status, rate, latest.take());
            let mut stderr = std::io::stderr().lock();
            // Nobody to show it to is no reason to stop.
            let _ = match live {
                true => write!(stderr, "\r\x1b[2K{line}"),
                false => writeln!(stderr, "{line}"),
            };
            let _ = stderr.flush();
        }
    };
    let thread = std::thread::Builder::new().name("tiderace:screen".into()).spawn(show);
    thread
        .map(drop)
        .map_err(|error| Error::new(Kind::Failed, "cannot start the live line").caused_by(error))
}

fn line(status: &Status, rate: f64, latest: Option<PerSecond>) -> String {
    let at = status.frontier.map_or("-".to_owned(), instant);
    let mut line = format!(
        "read {} ({:.0} k/s)  watermark {at}  windows {}  late {}  twice {}  lag {}",
        grouped(status.ledger.read),
        rate / 1e3,
        grouped(status.counts(RESULTS).output),
        grouped(status.ledger.late),
        grouped(status.ledger.duplicate),
        status.lag.map_or("-".to_owned(), grouped),
    );
    if let Some(PerSecond { sensor, count, mean, .. }) = latest {
        line += &format!("  sensor {sensor}: {count} x {mean:.2} °C");
    }
    line
}

/// Prints the books of the whole job; an error if they do not balance.
pub(super) fn ledger(status: &Status) -> Result<(), Error> {
    let [readings, once, windows, sink] =
        [READINGS, "once", RESULTS, "results"].map(|name| status.counts(name));
    let late = once.late + windows.late;
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
    eprintln!(
        "ledger    {} read = {} in windows + {} late + {} duplicate + {} rejected",
        grouped(readings.input),
        grouped(windows.kept),
        grouped(late),
        grouped(once.duplicate),
        grouped(readings.rejected),
    );
    eprintln!(
        "          {} windows written, {} still open and lost with this run; lag {}",
        grouped(sink.kept),
        grouped(windows.held),
        status.lag.map_or("unknown".to_owned(), grouped),
    );
    let balanced = status.unbalanced().is_empty()
        && readings.kept == once.input
        && once.kept == windows.input
        && windows.output == sink.input
        && sink.input == sink.kept
        && readings.input == windows.kept + late + once.duplicate + readings.rejected;
    if balanced {
        return Ok(());
    }
    let books = serde_json::to_string(&status.operators).unwrap_or_default();
    Err(Error::new(Kind::Bug, format!("the books do not balance: {books}")))
}

/// A number with a comma at every thousand.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_have_commas_at_every_thousand() {
        assert_eq!([0, 999, 1_000].map(grouped), ["0", "999", "1,000"]);
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
