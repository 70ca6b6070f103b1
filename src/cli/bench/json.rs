//! `tiderace bench json`.

use crate::bench::json::Parsing;
use crate::error::Error;
use crate::runtime::LaunchArgs;

/// JSON from memory into windows, beside the parser alone.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct JsonArgs {
    /// How many events there are; each takes some 160 bytes of memory.
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    pub events: u64,

    /// How many keys.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub keys: u64,

    /// Print the results as JSON.
    #[arg(long)]
    pub json: bool,

    /// How to run it.
    #[command(flatten)]
    pub launch: LaunchArgs,
}

pub(super) fn run(args: JsonArgs) -> Result<i32, Error> {
    super::positive(&[("--events", args.events), ("--keys", args.keys)])?;
    let report = Parsing { events: args.events, keys: args.keys }.run(&args.launch)?;
    super::shown(args.json, &report, || report.table())?;
    super::right(report.right)
}
