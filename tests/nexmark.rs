//! NEXMark: what the dataflows give is what loops over all events give.

use std::process::Command;
use std::time::Duration;

use tiderace::bench::nexmark::{Suite, queries};
use tiderace::runtime::LaunchArgs;
use tiderace_nexmark::{Disorder, Generator};

fn suite(list: &str, seed: u64, events: u64, density: u64, disorder: Disorder) -> Suite {
    let directory = tempfile::tempdir().expect("a directory for q10").keep();
    Suite {
        queries: queries(list).expect("known queries"),
        events,
        runs: 1,
        generator: Generator::new(seed, density).disorder(disorder),
        rate: None,
        verify: true,
        output: None,
        directory,
    }
}

/// Out of order, with copies, sparse and dense in event time, on one, two and five workers.
#[test]
fn every_query_is_right_on_any_number_of_workers() {
    let bound = |millis: u64| Disorder {
        bound: Duration::from_millis(millis).into(),
        ..Disorder::default()
    };
    let cases = [
        (1, 12_000, 100, bound(3_000)),
        (2, 20_000, 1_000, Disorder { copies: 20_000, ..bound(500) }),
        (3, 8_000, 7, bound(60_000)),
    ];
    for (seed, events, density, disorder) in cases {
        for workers in [1, 2, 5] {
            let suite = suite("all", seed, events, density, disorder);
            let directory = suite.directory.clone();
            let args = LaunchArgs { workers, ..LaunchArgs::default() };
            let report = suite.run(args).expect("it runs").expect("this is process 0");
            let table = report.table();
            assert!(report.is_right(), "seed {seed} on {workers} workers:\n{table}");
            assert!(
                report.queries.iter().all(|line| line.rows > 0),
                "nothing to compare:\n{table}"
            );
            std::fs::remove_dir_all(directory).expect("q10 has written files");
        }
    }
}

#[test]
fn two_processes_give_the_same() {
    let args =
        ["bench", "nexmark", "-q", "all", "--events", "20000", "--density", "500", "--verify"];
    let run = Command::new(env!("CARGO_BIN_EXE_tiderace")).args(args).args(["-n", "2"]).output();
    let run = run.expect("the program starts");
    let table = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{table}\n{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(table.lines().filter(|line| line.ends_with(" right")).count(), 23, "{table}");
}

#[test]
fn rows_are_written_for_other_engines_to_be_compared_with() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = Command::new(env!("CARGO_BIN_EXE_tiderace"))
        .args(["bench", "nexmark", "-q", "q2,q11", "--events", "5000", "--json", "--output"])
        .arg(directory.path())
        .output()
        .expect("the program starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let report: serde_json::Value = serde_json::from_slice(&run.stdout).expect("it prints JSON");
    assert_eq!(report["queries"][0]["query"], "q2");
    assert!(report["making"].as_f64().is_some_and(|nanos| nanos > 0.0));
    let bids = std::fs::read_to_string(directory.path().join("q2.ndjson")).expect("q2 is there");
    let bids: Vec<(u64, u64)> =
        bids.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    assert!(!bids.is_empty() && bids.iter().all(|(auction, _)| auction % 123 == 0));
    assert!(directory.path().join("q11.ndjson").exists());
}

#[test]
fn a_query_that_does_not_exist_is_named() {
    let run = Command::new(env!("CARGO_BIN_EXE_tiderace"))
        .args(["bench", "nexmark", "-q", "q5,q99"])
        .output()
        .expect("the program starts");
    assert_eq!(run.status.code(), Some(2));
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(told.contains("q99") && told.contains("q22"), "{told}");
}
