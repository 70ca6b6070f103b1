//! The verbs of the binary.
//!
//! Output for programs goes to standard output, talk to standard error. An error is reported once,
//! with its hint, and its [`Kind`] gives the exit code; the parser of the command line exits
//! with 2.

pub mod bench;
pub mod check;
pub mod demo;
pub mod run;
pub mod why;

use std::ffi::OsString;
use std::io::Write;
use std::time::Instant;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::error::{Error, Kind};
use crate::runtime::{expand_help, report};

/// Event-time stream processing: windows, watermarks, deduplication and aggregation over Kafka.
#[derive(Debug, Parser)]
#[command(name = "tiderace", version, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Verb {
    Demo(demo::DemoArgs),
    Run(run::RunArgs),
    Check(check::CheckArgs),
    Why(why::WhyArgs),
    Bench(bench::BenchArgs),
}

/// Runs a command line, program name first, and gives the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> i32 {
    let begun = Instant::now();
    let matches = match command().try_get_matches_from(expand_help(args)) {
        Ok(matches) => matches,
        Err(error) => return said(&error),
    };
    let verb = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli.verb,
        Err(error) => return said(&error),
    };
    let done = match verb {
        Verb::Demo(args) => demo::run(args),
        Verb::Run(args) => {
            let given = run::Given::of(matches.subcommand().map(|(_, flags)| flags));
            run::run(args, given, begun)
        }
        Verb::Check(args) => check::run(args),
        Verb::Why(args) => why::run(&args),
        Verb::Bench(args) => bench::run(args),
    };
    done.unwrap_or_else(|error| {
        report(&error);
        error.kind().exit_code()
    })
}

/// The parser of the command line. A benchmark is asked for by query, and `-q` is short for that.
fn command() -> clap::Command {
    Cli::command().mut_subcommand("bench", |bench| {
        bench.mut_subcommand("nexmark", |nexmark| nexmark.mut_arg("quiet", |arg| arg.short(None)))
    })
}

/// Help, version, or a mistake in the command line.
fn said(error: &clap::Error) -> i32 {
    // Nobody may be reading any more; that is no failure.
    let _ = error.print();
    error.exit_code()
}

/// Writes to standard output; a reader that went away ends the program quietly.
pub(crate) fn print(text: &str) -> Result<i32, Error> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(0),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(0),
        Err(error) => Err(Error::new(Kind::Failed, "cannot write the answer").caused_by(error)),
    }
}
