//! The verbs that measure one kind of work beside its floor.

use std::path::PathBuf;

use super::print_json;
use crate::bench::plot;
use crate::bench::work::{Report, Suite, chart, scaling};
use crate::error::{Error, Kind};
use crate::runtime::LaunchArgs;

/// What is measured, and on how much.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, about = None, long_about = None)]
pub struct WorkArgs {
    /// How many events each row is given; if this is not given, as many as take some ten seconds in
    /// all.
    #[arg(long, value_name = "N")]
    pub events: Option<u64>,

    /// How many keys, one number after the other: 1000,1000000.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub keys: Vec<u64>,

    /// How many of a hundred events are of one key; the others are spread evenly.
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    pub skew: u64,

    /// How often each row is run; the best counts.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub runs: usize,

    /// Run everything with so many workers, one number after the other: 1,2,4.
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with_all = ["workers", "processes"])]
    pub scale: Vec<usize>,

    /// Draw the rows as bars, in an SVG file.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,

    /// Print the results as JSON.
    #[arg(long)]
    pub json: bool,

    /// How to run it.
    #[command(flatten)]
    pub launch: LaunchArgs,
}

/// Measures the work of this name.
pub fn run(work: &str, args: WorkArgs) -> Result<i32, Error> {
    let WorkArgs { events, keys, skew, runs, scale, plot, json, launch } = args;
    let suite = Suite { work: work.to_owned(), events, keys, skew, runs, progress: !json };
    let scale = if scale.is_empty() { vec![launch.workers] } else { scale };
    let at = |workers| suite.run(LaunchArgs { workers, ..launch.clone() });
    let reports = scale.into_iter().filter_map(|workers| at(workers).transpose());
    let reports: Vec<Report> = reports.collect::<Result<_, _>>()?;
    // Nothing was measured where this process only supervised, or was not the first one.
    if reports.is_empty() {
        return Ok(0);
    }
    match (json, &reports[..]) {
        (true, [report]) => print_json(report)?,
        (true, _) => print_json(&reports)?,
        (false, _) => crate::cli::print(&tables(&reports))?,
    };
    if let Some(file) = plot {
        plot::write(&file, &chart(&reports))?;
    }
    verdict(work, &reports)
}

/// The exit code: it is our bug if a row gave what it should not.
fn verdict(work: &str, reports: &[Report]) -> Result<i32, Error> {
    match reports.iter().all(Report::is_right) {
        true => Ok(0),
        false => {
            let message = format!("{work}: a row gave other results than its floor");
            Err(Error::new(Kind::Bug, message).hint("please report it, with the command line"))
        }
    }
}

fn tables(reports: &[Report]) -> String {
    let mut text: Vec<String> = reports.iter().map(Report::table).collect();
    if reports.len() > 1 {
        text.push(scaling(reports));
    }
    text.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::work::{Line, OfKeys};

    #[test]
    fn a_wrong_row_is_our_bug() {
        let report = |right| {
            let line = Line { right, ..Line::default() };
            Report {
                keys: vec![OfKeys { rows: vec![line], ..OfKeys::default() }],
                ..Report::default()
            }
        };
        assert!(verdict("window", &[report(None), report(Some(true))]).is_ok());
        let error = verdict("window", &[report(Some(true)), report(Some(false))]).unwrap_err();
        assert_eq!(error.kind().exit_code(), 70);
        assert!(error.to_string().contains("window"));
    }
}
