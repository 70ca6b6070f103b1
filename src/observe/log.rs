//! Log lines on stderr: for a person on a terminal, JSON for everyone else.
//!
//! Each line says which process and worker it comes from, where that is known. Standard output is
//! for data and never written to.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::runtime::{LaunchArgs, LogFormat};

/// No index is known.
const UNKNOWN: usize = usize::MAX;

static PROCESS: AtomicUsize = AtomicUsize::new(UNKNOWN);

thread_local! {
    static WORKER: Cell<usize> = const { Cell::new(UNKNOWN) };
}

/// What the log looks like and how much it says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The format; decided by whether stderr is a terminal if it is not given.
    pub format: Option<LogFormat>,
    /// More than 0 says more, less says less.
    pub verbosity: i16,
}

impl Settings {
    /// What the launch flags ask for.
    pub fn of(args: &LaunchArgs) -> Settings {
        let verbosity = i16::from(args.verbose) - i16::from(args.quiet);
        Settings { format: args.log, verbosity }
    }

    /// Our own lines at the level asked for; other libraries only when they warn. `TIDERACE_LOG`
    /// overrides both, in the words of tracing's filters (`tiderace::source=debug,warn`).
    fn filter(&self) -> (EnvFilter, Option<String>) {
        let mut wrong = None;
        if let Some(text) = std::env::var_os("TIDERACE_LOG").filter(|text| !text.is_empty()) {
            match EnvFilter::try_new(text.to_string_lossy()) {
                Ok(filter) => return (filter, None),
                Err(error) => wrong = Some(format!("TIDERACE_LOG is not used: {error}")),
            }
        }
        let filter = EnvFilter::new(match self.verbosity {
            ..=-2 => "error",
            -1 => "warn",
            0 => "warn,tiderace=info,tiderace_operators=info",
            1 => "warn,tiderace=debug,tiderace_operators=debug",
            2.. => "trace",
        });
        (filter, wrong)
    }
}

/// Starts the log. Does nothing if the program has set up its own, or it was started before.
pub fn init(settings: &Settings) {
    let terminal = std::io::stderr().is_terminal();
    let format = settings.format.unwrap_or(match terminal {
        true => LogFormat::Pretty,
        false => LogFormat::Json,
    });
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let colour = !set("NO_COLOR") && (set("CLICOLOR_FORCE") || (terminal && !dumb));
    let (filter, wrong) = settings.filter();
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .event_format(Line { format })
        .try_init();
    // A subscriber that is already there is the program's own choice.
    if let (Ok(()), Some(wrong)) = (started, wrong) {
        tracing::warn!("{wrong}");
    }
}

/// Says which process this is in all its further lines; nothing when there is only one.
pub(crate) fn set_process(index: usize, processes: usize) {
    PROCESS.store(if processes > 1 { index } else { UNKNOWN }, Ordering::Relaxed);
}

/// Says which worker this thread is in its further lines.
pub(crate) fn set_worker(index: usize) {
    WORKER.set(index);
}

/// One event, one line.
struct Line {
    format: LogFormat,
}

/// The fields of an event, the message apart.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => {
                self.others.insert(name.to_string(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let now = chrono::Utc::now();
        let known = |index: usize| (index != UNKNOWN).then_some(index);
        let process = known(PROCESS.load(Ordering::Relaxed));
        let worker = known(WORKER.get());
        let meta = event.metadata();
        let line = match self.format {
            LogFormat::Json => {
                let mut object = Map::new();
                let time = now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
                object.insert("time".into(), time.into());
                object.insert("level".into(), meta.level().as_str().to_lowercase().into());
                object.insert("message".into(), fields.message.into());
                object.insert("target".into(), meta.target().into());
                object.extend(process.map(|index| ("process".to_string(), index.into())));
                object.extend(worker.map(|index| ("worker".to_string(), index.into())));
                if !fields.others.is_empty() {
                    object.insert("fields".into(), fields.others.into());
                }
                Value::Object(object).to_string()
            }
            LogFormat::Pretty => {
                let time = now.format("%H:%M:%S%.3f").to_string();
                pretty(&time, *meta.level(), process, worker, &fields, writer.has_ansi_escapes())?
            }
        };
        writeln!(writer, "{line}")
    }
}

fn pretty(
    time: &str,
    level: Level,
    process: Option<usize>,
    worker: Option<usize>,
    fields: &Fields,
    colour: bool,
) -> Result<String, fmt::Error> {
    let (paint, dim, plain) = match (colour, level) {
        (false, _) => ("", "", ""),
        (true, Level::ERROR) => ("\x1b[31m", "\x1b[2m", "\x1b[0m"),
        (true, Level::WARN) => ("\x1b[33m", "\x1b[2m", "\x1b[0m"),
        (true, _) => ("\x1b[32m", "\x1b[2m", "\x1b[0m"),
    };
    let mut line = format!("{dim}{time}{plain} {paint}{:<5}{plain} ", level.as_str());
    match (process, worker) {
        (Some(process), Some(worker)) => write!(line, "{dim}p{process} w{worker}{plain} ")?,
        (Some(process), None) => write!(line, "{dim}p{process}{plain} ")?,
        (None, Some(worker)) => write!(line, "{dim}w{worker}{plain} ")?,
        (None, None) => {}
    }
    line.push_str(&fields.message);
    for (name, value) in &fields.others {
        write!(line, " {dim}{name}={plain}")?;
        match value {
            Value::String(text) => line.push_str(text),
            value => write!(line, "{value}")?,
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(format: LogFormat, verbosity: i16, say: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(Settings { format: None, verbosity }.filter().0)
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .event_format(Line { format })
            .finish();
        tracing::subscriber::with_default(subscriber, say);
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_lines_are_objects_with_the_worker() {
        let text = lines(LogFormat::Json, 0, || {
            set_worker(3);
            tracing::info!(rows = 7, name = "a\"b", "taken {}", 1);
        });
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "taken 1");
        assert_eq!(line["level"], "info");
        assert_eq!(line["worker"], 3);
        assert_eq!(line["fields"]["rows"], 7);
        assert_eq!(line["fields"]["name"], "a\"b");
    }

    #[test]
    fn pretty_lines_are_one_line() {
        let text = lines(LogFormat::Pretty, 0, || {
            set_worker(1);
            tracing::warn!(rows = 7, "slow");
        });
        assert!(text.ends_with("WARN  w1 slow rows=7\n"), "{text:?}");
    }

    #[test]
    fn verbosity_chooses_the_level() {
        let all = || {
            tracing::error!("e");
            tracing::warn!("w");
            tracing::info!("i");
            tracing::debug!("d");
        };
        for (verbosity, lines_said) in [(-2, 1), (-1, 2), (0, 3), (1, 4)] {
            let text = lines(LogFormat::Pretty, verbosity, all);
            assert_eq!(text.lines().count(), lines_said, "{verbosity}: {text}");
        }
    }
}
