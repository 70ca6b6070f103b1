//! The flags with which every job is started, in the words timely users know: `-w -n -p -h -r -z`.
//!
//! [`LaunchArgs`] is flattened into the command line of every verb and of library programs. What
//! the flags mean together (who are the peers, does this process supervise) is in
//! [`layout`](super::layout).

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, ValueEnum};

use crate::error::{Error, Kind, Result};

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For a person: one line, colours on a terminal.
    Pretty,
    /// For a machine: one JSON object a line.
    Json,
}

/// How a job is laid out on threads and processes, and how it talks and stops.
///
/// The command that flattens these needs `#[command(disable_help_flag = true)]`, because `-h` is
/// the host file as in timely; [`expand_help`] gives a bare `-h` its usual meaning back.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Launch", about = None, long_about = None)]
pub struct LaunchArgs {
    /// Worker threads in each process.
    #[arg(short = 'w', long, value_name = "N", default_value_t = 1)]
    pub workers: usize,

    /// Processes of the job; without -p they are all started and supervised here.
    #[arg(short = 'n', long, value_name = "N")]
    pub processes: Option<usize>,

    /// Which of the processes this one is, from 0.
    #[arg(short = 'p', long, value_name = "INDEX")]
    pub process: Option<usize>,

    /// File with one host:port a line, in order of process.
    #[arg(short = 'h', long, value_name = "FILE", conflicts_with = "hosts")]
    pub hostfile: Option<PathBuf>,

    /// The addresses of the processes, in order: a:2101,b:2101.
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',')]
    pub hosts: Vec<String>,

    /// Report how connecting to the other processes goes.
    #[arg(short = 'r', long)]
    pub report: bool,

    /// Exchange serialised bytes between threads instead of moving typed records.
    #[arg(short = 'z', long)]
    pub zerocopy: bool,

    /// How long a tick lasts: the slice in which input is taken up and results appear.
    #[arg(long, value_name = "DURATION", default_value = "20ms", value_parser = tick)]
    pub tick: Duration,

    /// How long a stop may take before the process ends anyway.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub grace: Duration,

    /// How long to wait for the other processes at the start.
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = duration)]
    pub connect_timeout: Duration,

    /// Restarts in a row, each after less than ten seconds, before a supervised job is given up.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub max_restarts: u32,

    /// File with the secret that the processes prove to each other (or TIDERACE_SECRET).
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,

    /// How log lines look; for a person on a terminal, JSON elsewhere.
    #[arg(long, value_name = "FORMAT")]
    pub log: Option<LogFormat>,

    /// Say more in the log; twice for everything.
    #[arg(short = 'v', long, action = ArgAction::Count)]
    pub verbose: u8,

    /// Say less in the log: warnings; twice for errors only.
    #[arg(short = 'q', long, action = ArgAction::Count)]
    pub quiet: u8,

    /// Print help.
    #[arg(long, action = ArgAction::Help)]
    pub help: Option<bool>,

    /// The name of the job; processes of different jobs refuse each other.
    #[arg(skip = String::from("tiderace"))]
    pub job: String,

    /// A hash of what the job computes; processes with different plans refuse each other.
    #[arg(skip)]
    pub plan: u64,

    /// Environment variables for the processes that are started and supervised here.
    #[arg(skip)]
    pub environment: Vec<(String, String)>,
}

#[derive(Parser)]
#[command(disable_help_flag = true)]
struct Program {
    #[command(flatten)]
    launch: LaunchArgs,

    /// The program's own arguments; those that start with a dash go after `--`.
    #[arg(value_name = "ARGS")]
    own: Vec<String>,
}

impl LaunchArgs {
    /// The launch arguments of a library program, and what is left for the program itself.
    ///
    /// The first item is the name of the program, as in [`std::env::args`]. `--help` (and a bare
    /// `-h`) prints the help and ends the process with 0, as is usual.
    pub fn parse_program<I>(args: impl IntoIterator<Item = I>) -> Result<(LaunchArgs, Vec<String>)>
    where
        I: Into<OsString>,
    {
        match Program::try_parse_from(expand_help(args)) {
            Ok(program) => Ok((program.launch, program.own)),
            Err(error) if !error.use_stderr() => error.exit(),
            Err(error) => {
                let text = error.to_string();
                let text = text.strip_prefix("error: ").unwrap_or(&text);
                Err(Error::new(Kind::Usage, text.trim_end()))
            }
        }
    }
}

impl Default for LaunchArgs {
    /// One worker in one process.
    fn default() -> Self {
        let (launch, _) = LaunchArgs::parse_program(["program"])
            .expect("a command line without flags uses the defaults, which are valid");
        launch
    }
}

/// Turns a bare `-h` (last, or followed by another flag) into `--help`.
pub fn expand_help<I: Into<OsString>>(args: impl IntoIterator<Item = I>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let flags = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    for i in 1..flags {
        let bare = args.get(i + 1).is_none_or(|next| next.as_encoded_bytes().starts_with(b"-"));
        if args[i] == "-h" && bare {
            args[i] = "--help".into();
        }
    }
    args
}

/// A duration with its unit, such as `20ms` or `30s`.
fn duration(text: &str) -> std::result::Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it like 20ms or 30s"))
}

fn tick(text: &str) -> std::result::Result<Duration, String> {
    let tick = duration(text)?;
    if tick < Duration::from_millis(1) || tick > Duration::from_secs(60) {
        return Err("a tick lasts from 1ms to 60s".into());
    }
    Ok(tick)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<(LaunchArgs, Vec<String>)> {
        LaunchArgs::parse_program(line.split_whitespace())
    }

    #[test]
    fn short_and_long_names_and_own_arguments_mix() {
        let (args, own) =
            parse("prog 1000 -w2 -n 3 --process 1 --hosts a:1,b:2,c:3 -r --zerocopy --tick 1ms x")
                .unwrap();
        assert_eq!((args.workers, args.processes, args.process), (2, Some(3), Some(1)));
        assert_eq!(args.hosts, ["a:1", "b:2", "c:3"]);
        assert!(args.report && args.zerocopy);
        assert_eq!(args.tick, Duration::from_millis(1));
        assert_eq!(own, ["1000", "x"]);
        assert_eq!(parse("prog -- --mine -h").unwrap().1, ["--mine", "-h"]);
    }

    #[test]
    fn the_description_of_the_flags_is_not_that_of_the_command() {
        use clap::CommandFactory;

        /// Does a thing.
        #[derive(Parser)]
        #[command(disable_help_flag = true)]
        struct Verb {
            #[command(flatten)]
            launch: LaunchArgs,
        }
        let help = Verb::command().render_long_help().to_string();
        assert!(help.starts_with("Does a thing"), "{help}");
        assert_eq!(Verb::parse_from(["verb", "-w", "3"]).launch.workers, 3);
        let help = Program::command().render_long_help().to_string();
        assert!(help.starts_with("Usage:") && help.contains("--help"), "{help}");
    }

    #[test]
    fn defaults() {
        let args = LaunchArgs::default();
        assert_eq!((args.workers, args.processes, args.process), (1, None, None));
        assert_eq!((args.tick.as_millis(), args.grace.as_secs()), (20, 30));
    }

    #[test]
    fn mistakes_are_usage_errors_that_name_flag_and_value() {
        for (line, words) in [
            ("prog -w two", ["--workers", "two"]),
            ("prog --tick 20", ["--tick", "20"]),
            ("prog --tick 10us", ["--tick", "1ms"]),
            ("prog --mine", ["--mine", "-- --mine"]),
            ("prog -h f --hosts a:1", ["--hostfile", "--hosts"]),
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{line}");
            for word in words {
                assert!(error.to_string().contains(word), "{line}: {error}");
            }
        }
    }

    #[test]
    fn a_bare_h_is_help() {
        let expanded = |line: &str| {
            let args = expand_help(line.split_whitespace());
            args.into_iter().map(|a| a.into_string().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(expanded("prog -h"), "prog --help");
        assert_eq!(expanded("prog run -h -w 2"), "prog run --help -w 2");
        assert_eq!(expanded("prog -h hosts.txt"), "prog -h hosts.txt");
        assert_eq!(expanded("prog -- -h"), "prog -- -h");
    }
}
