//! `tiderace demo`: a whole job that needs nothing installed.

use std::path::PathBuf;

use crate::error::{Error, Kind};
use crate::runtime::LaunchArgs;

/// The pipeline of the demo as a file, with a generator in the place of Kafka.
const PIPELINE: &str = include_str!("../../examples/pipelines/demo.yaml");
/// Events a second while the demo runs without end, and by `--seconds`.
#[cfg(feature = "kafka")]
const RATE: f64 = 20_000.0;

/// Runs a job on an embedded Kafka: out-of-order events, deduplication, windows, live numbers.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct DemoArgs {
    /// End after so many events, as fast as they are taken.
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    pub events: Option<u64>,

    /// End after the events of so many seconds.
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,

    /// Events a second; 20000 unless --events is given.
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,

    /// Compute the answer once more as a batch, compare every window, and fail if one differs.
    #[arg(long)]
    pub verify: bool,

    /// Do not run: write the pipeline as a file to start from.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,

    /// How to run it.
    #[command(flatten)]
    pub launch: LaunchArgs,
}

/// Runs the verb.
pub fn run(args: DemoArgs) -> Result<i32, Error> {
    if let Some(path) = &args.write {
        return write(path);
    }
    if args.rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
        return Err(Error::new(Kind::Usage, "--rate: it must be more than nothing a second"));
    }
    if args.verify && args.events.is_none() && args.seconds.is_none() {
        let message = "--verify needs an end: add --events N or --seconds N";
        return Err(Error::new(Kind::Usage, message));
    }
    launch(args)
}

fn write(path: &std::path::Path) -> Result<i32, Error> {
    let name = path.display();
    let created = std::fs::File::create_new(path).and_then(|mut file| {
        use std::io::Write;
        file.write_all(PIPELINE.as_bytes())
    });
    created.map_err(|error| {
        Error::new(Kind::Storage, format!("cannot write {name}: {error}"))
            .hint("an existing file is never overwritten")
    })?;
    eprintln!("{name} is written; run it with `tiderace run {name}`");
    Ok(0)
}

#[cfg(feature = "kafka")]
fn launch(args: DemoArgs) -> Result<i32, Error> {
    let endless = args.events.is_none();
    let rate = args.rate.or(endless.then_some(RATE));
    let by_time = args.seconds.map(|seconds| (seconds as f64 * rate.unwrap_or(RATE)) as u64);
    let demo = crate::demo::Demo { events: args.events.or(by_time), rate, verify: args.verify };
    demo.run(args.launch)
}

#[cfg(not(feature = "kafka"))]
fn launch(_: DemoArgs) -> Result<i32, Error> {
    let message = "this build has no Kafka: the demo needs the feature `kafka`";
    Err(Error::new(Kind::Usage, message).hint("`tiderace demo --write FILE` needs none"))
}
