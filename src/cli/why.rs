//! `tiderace why`: what holds event time back, from a running job.

use std::time::Duration;

use crate::error::{Error, Kind};
use crate::observe::{Status, instant};
use crate::server::DEFAULT_ADDRESS;

/// Asks a running job what holds its event time back.
#[derive(Debug, clap::Args)]
pub struct WhyArgs {
    /// The job's local endpoint; the banner of `run` prints it.
    #[arg(value_name = "URL")]
    pub url: Option<String>,

    /// A status as JSON, from a file instead of a running job; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub status: Option<std::path::PathBuf>,

    /// How to print the answer.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// How to print an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Runs the verb.
pub fn run(args: &WhyArgs) -> Result<i32, Error> {
    let status = match &args.status {
        Some(path) => read(path)?,
        None => ask(args.url.as_deref())?,
    };
    match args.format {
        Format::Json => print_json(&status),
        Format::Text => super::print(&text(&status)),
    }
}

fn print_json(status: &Status) -> Result<i32, Error> {
    let text = serde_json::to_string_pretty(status)
        .map_err(|error| Error::new(Kind::Bug, "the status is not JSON").caused_by(error))?;
    super::print(&(text + "\n"))
}

/// The sentence, and under it every partition, the one furthest behind first.
fn text(status: &Status) -> String {
    let mut text = format!("{}\n", status.why);
    let mut rows: Vec<_> =
        status.sources.iter().flat_map(|s| s.partitions.iter().map(move |p| (s, p))).collect();
    rows.sort_by_key(|(s, p)| (p.frontier, s.source.clone(), p.partition));
    for (source, p) in rows {
        let frontier = p.frontier.map_or("-".to_owned(), instant);
        let lag = p.lag.map(|lag| format!("  lag {lag}")).unwrap_or_default();
        let name = format!("{}/{}", source.source, p.partition);
        text += &format!("  {name:<24} {:<9} {frontier}{lag}\n", p.state);
    }
    text
}

fn read(path: &std::path::Path) -> Result<Status, Error> {
    let text = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let name = path.display();
    let text = text.map_err(|error| {
        Error::new(Kind::Usage, format!("cannot read the status in {name}: {error}"))
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Error::new(Kind::Usage, format!("{name} is not a status: {error}")))
}

fn ask(url: Option<&str>) -> Result<Status, Error> {
    let url = url.map_or_else(|| format!("http://{DEFAULT_ADDRESS}"), str::to_owned);
    let url = if url.contains("://") { url } else { format!("http://{url}") };
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build().into();
    let full = format!("{}/api/v1/status", url.trim_end_matches('/'));
    let answer = agent.get(&full).call().and_then(|mut answer| answer.body_mut().read_json());
    answer.map_err(|error| {
        Error::new(Kind::Unreachable, format!("no job answers at {url}: {error}"))
            .hint("start one with `tiderace run`; its banner prints the address")
    })
}
