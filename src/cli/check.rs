//! `tiderace check FILE…`: all mistakes of pipeline files, without running or connecting anything.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use crate::config::report::Finding;
use crate::config::{Checked, Report, Severity, load};
use crate::error::{Error, Kind};

/// Checks pipeline files without running them.
///
/// Every mistake is shown with its line and a way out. Nothing is connected and nothing is read
/// but the files. The exit code is 78 if there is a mistake.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// Pipeline files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How mistakes are written: for people to standard error, or as JSON to standard output.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Counts warnings as mistakes.
    #[arg(long)]
    pub deny_warnings: bool,
}

/// How mistakes are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: a list of objects.
    Json,
}

/// Checks the files and says what is wrong with them; gives the exit code.
pub fn run(args: CheckArgs) -> Result<i32, Error> {
    let color = use_color();
    check(&args, color, &mut io::stdout().lock(), &mut io::stderr().lock())
}

/// Whether reports on standard error are coloured.
fn use_color() -> bool {
    let set =
        |name| std::env::var_os(name).is_some_and(|value: std::ffi::OsString| !value.is_empty());
    if set("NO_COLOR") {
        return false;
    }
    let forced =
        std::env::var("CLICOLOR_FORCE").is_ok_and(|value| value != "0" && !value.is_empty());
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    forced || (io::stderr().is_terminal() && !dumb)
}

fn check(
    args: &CheckArgs,
    color: bool,
    out: &mut dyn Write,
    talk: &mut dyn Write,
) -> Result<i32, Error> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut failed = false;
    for file in &args.files {
        let loaded = load(file);
        let report = loaded.as_ref().map_or_else(|report| report, |checked| &checked.warnings);
        let warnings = report.count(Severity::Warning);
        failed |= report.count(Severity::Error) > 0 || (args.deny_warnings && warnings > 0);
        let written = match args.format {
            Format::Json => {
                findings.extend(report.findings());
                Ok(())
            }
            Format::Text => tell(report, loaded.as_ref().ok(), color, out, talk),
        };
        if let Some(code) = broken(written)? {
            return Ok(code);
        }
    }
    if args.format == Format::Json {
        let text = serde_json::to_string_pretty(&findings).map_err(|error| {
            Error::new(Kind::Bug, "the mistakes could not be written as JSON").caused_by(error)
        })?;
        if let Some(code) = broken(writeln!(out, "{text}"))? {
            return Ok(code);
        }
    }
    Ok(if failed { Kind::Config.exit_code() } else { 0 })
}

/// A reader that went away ends the program quietly; another failure to write is one.
fn broken(written: io::Result<()>) -> Result<Option<i32>, Error> {
    match written {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Some(0)),
        Err(error) => {
            Err(Error::new(Kind::Failed, "the result cannot be written").caused_by(error))
        }
    }
}

/// Writes what was found in one file for a person.
fn tell(
    report: &Report,
    checked: Option<&Checked>,
    color: bool,
    out: &mut dyn Write,
    talk: &mut dyn Write,
) -> io::Result<()> {
    write!(talk, "{}", report.render(color))?;
    talk.flush()?;
    let count = |severity, one: &str, many: &str| match report.count(severity) {
        1 => format!("1 {one}"),
        n => format!("{n} {many}"),
    };
    let mistakes = count(Severity::Error, "mistake", "mistakes");
    let warnings = match report.count(Severity::Warning) {
        0 => String::new(),
        _ => format!(", {}", count(Severity::Warning, "warning", "warnings")),
    };
    let Some(checked) = checked else {
        return writeln!(talk, "{mistakes}{warnings} in {}", report.file);
    };
    writeln!(out, "{}: no mistakes{warnings}", report.file)?;
    for sink in &checked.sinks {
        writeln!(out, "  sink {}: {}", sink.name, sink.delivery)?;
    }
    for note in report.mistakes.iter().filter(|m| m.severity == Severity::Note) {
        writeln!(out, "  note: {}", note.message)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn args(file: &str, format: Format) -> CheckArgs {
        CheckArgs { files: vec![file.into()], format, deny_warnings: false }
    }

    #[test]
    fn a_file_that_is_not_there_is_a_mistake() {
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        let code = check(&args("no/such.yaml", Format::Text), false, &mut out, &mut talk).unwrap();
        assert_eq!(code, 78);
        assert!(String::from_utf8(talk).unwrap().contains("cannot read no/such.yaml"));
        assert!(out.is_empty());
    }

    #[test]
    fn programs_get_a_list() {
        let folder = tempfile::tempdir().unwrap();
        let [bad, odd] = ["bad.yaml", "odd.yaml"].map(|name| folder.path().join(name));
        let rest = "sinks: { ö: { from: in, stdout: {} } }\n";
        std::fs::write(&bad, format!("# ü\nsources: {{ in: {{ generat: {{}} }} }}\n{rest}"))
            .unwrap();
        let steps = "steps: { s: { from: in, keep: at > 0 } }\n";
        std::fs::write(&odd, format!("sources: {{ in: {{ generate: {{}} }} }}\n{steps}{rest}"))
            .unwrap();
        let said = |files: &[&PathBuf], deny_warnings| {
            let files = files.iter().map(|file| (*file).clone()).collect();
            let args = CheckArgs { files, format: Format::Json, deny_warnings };
            let (mut out, mut talk) = (Vec::new(), Vec::new());
            let code = check(&args, false, &mut out, &mut talk).unwrap();
            assert!(talk.is_empty());
            (code, serde_json::from_slice::<serde_json::Value>(&out).unwrap())
        };
        let (code, list) = said(&[&bad, &odd], false);
        assert_eq!(code, 78);
        let unknown = &list[1];
        assert_eq!(unknown["message"], "unknown setting `generat`");
        assert_eq!(unknown["file"], bad.display().to_string());
        let at =
            [&unknown["line"], &unknown["column"], &unknown["length"]].map(|n| n.as_u64().unwrap());
        assert_eq!(at, [2, 18, 7]);
        assert_eq!(unknown["hint"], "did you mean `generate`?");
        assert_eq!(unknown["severity"], "error");
        let (code, list) = said(&[&odd], false);
        assert_eq!((code, &list[0]["severity"]), (0, &"warning".into()));
        assert_eq!(said(&[&odd], true).0, 78);
    }

    #[test]
    fn a_reader_that_went_away_ends_quietly() {
        let code = check(&args("no/such.yaml", Format::Json), false, &mut Gone, &mut Gone);
        assert_eq!(code.unwrap(), 0);
    }
}
