//! What `run` says to a person at the start, on standard error.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::time::Duration;

use humantime::format_duration;

use crate::config::plan::{Checked, Generate, SinkConnector, Source, SourceConnector};
use crate::runtime::Process;
use crate::server::DEFAULT_ADDRESS;

/// Writes to standard error; a closed one is no reason to fail.
pub(super) fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Whether what is said is coloured.
pub(super) fn colour() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !set("NO_COLOR") && !dumb && (set("CLICOLOR_FORCE") || std::io::stderr().is_terminal())
}

/// The banner: what runs, how event time moves, what each sink is promised, where to ask. `asked`
/// says whether the address was asked for.
pub(super) fn banner(
    plan: &Checked,
    process: &Process,
    server: Option<SocketAddr>,
    asked: bool,
) -> String {
    let workers = match (process.workers(), process.processes()) {
        (1, 1) => "1 worker".to_owned(),
        (workers, 1) => format!("{workers} workers"),
        (workers, processes) => format!("{processes} processes of {workers} workers"),
    };
    let tick = format_duration(process.tick());
    let mut text =
        format!("tiderace {}  {}  {workers}, tick {tick}\n", env!("CARGO_PKG_VERSION"), plan.name);
    for source in &plan.sources {
        text += &format!("  source {}: {}\n", source.name, reads(source));
        text += &format!("    {}\n", watermark(source));
    }
    for sink in &plan.sinks {
        let target = match &sink.connector {
            SinkConnector::Kafka(kafka) => format!("kafka {} at {}", kafka.topic, kafka.brokers),
            SinkConnector::File(path) => format!("file {}", path.display()),
            SinkConnector::Stdout => "standard output".to_owned(),
            SinkConnector::Log(_) => "the log".to_owned(),
        };
        text += &format!("  sink {}: {target}; {}\n", sink.name, sink.delivery);
    }
    match server {
        Some(address) if address == DEFAULT_ADDRESS => {
            text += &format!("  endpoint http://{address} (ask it with `tiderace why`)\n");
        }
        Some(address) => {
            let taken = if asked { String::new() } else { format!("{DEFAULT_ADDRESS} is taken; ") };
            text += &format!(
                "  endpoint http://{address} ({taken}ask it with `tiderace why {address}`)\n"
            );
        }
        None => text += "  endpoint off\n",
    }
    text
}

fn reads(source: &Source) -> String {
    match &source.connector {
        SourceConnector::Kafka(kafka) => {
            let end = if kafka.bounded { ", up to its end" } else { "" };
            format!("kafka {} at {}{end}", kafka.topic, kafka.brokers)
        }
        SourceConnector::File(file) => match &file.paths[..] {
            [path] => format!("file {}", path.display()),
            paths => format!("{} files", paths.len()),
        },
        SourceConnector::Generate(Generate { events, rate, .. }) => {
            let events =
                events.map_or("without end".to_owned(), |events| format!("{events} events"));
            let rate = rate.map_or(String::new(), |rate| format!(", {rate} a second"));
            format!("made up, {events}{rate}")
        }
    }
}

/// How event time moves: the usual reason why a window does not fire.
fn watermark(source: &Source) -> String {
    let Some(times) = &source.time else {
        return "no event time: records have the time they are read at".to_owned();
    };
    let duration = |duration: Duration| format_duration(duration).to_string();
    let follows = match times.behind.is_zero() {
        true => "records in order".to_owned(),
        false => format!("waits {} for stragglers", duration(times.behind)),
    };
    let idle = match times.idle_after {
        None => "a silent partition holds event time for ever (idle_after: off)".to_owned(),
        Some(idle) => format!("a silent partition is idle after {}", duration(idle)),
    };
    let skew = match times.max_future_skew {
        None => "the future is trusted".to_owned(),
        Some(skew) => format!("more than {} ahead of the clock moves nothing", duration(skew)),
    };
    format!("event time `{}`: {follows}; {idle}; {skew}", times.field)
}
