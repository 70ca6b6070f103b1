//! NEXMark: what the dataflows give is what loops over all events give.

use std::process::Command;
use std::time::Duration;

use tiderace::bench::nexmark::{Format, Suite, Via, queries, write_events};
use tiderace::runtime::LaunchArgs;
use tiderace_nexmark::{Disorder, Event, Generator, Read, Text};

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
        via: Via::Memory,
        brokers: None,
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

fn generator(seed: u64) -> Generator {
    let disorder = Disorder { copies: 20_000, ..Disorder::default() };
    Generator::new(seed, 1_000).disorder(disorder)
}

/// Every event comes back from its words as it was.
#[test]
fn what_is_written_as_json_is_read_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let written = write_events(directory.path(), Format::Ndjson, &generator(3), 20_000);
    let written = written.expect("it is written");
    assert_eq!(written.persons + written.auctions + written.bids, 20_000);
    let lines = std::fs::read_to_string(&written.files[0]).expect("it is there");
    let mut counts = [0; 3];
    for (number, line) in lines.lines().enumerate() {
        let Read(event) = serde_json::from_str(line).expect("an event");
        assert_eq!(event, generator(3).event(number as u64));
        counts[match event {
            Event::Person(_) => 0,
            Event::Auction(_) => 1,
            Event::Bid(_) => 2,
        }] += 1;
    }
    assert_eq!(counts, [written.persons, written.auctions, written.bids]);
}

#[test]
fn words_that_are_no_event_are_refused_with_the_reason() {
    let line = serde_json::to_string(&Text(&generator(1).event(7))).expect("JSON");
    assert!(line.contains(r#""type":"bid""#) && line.contains("https://"), "{line}");
    for (from, to, says) in [
        (r#""type":"bid""#, r#""type":"offer""#, "unknown variant"),
        (r#""price""#, r#""prize""#, "missing field `price`"),
        (r#""extra":""#, r#""extra":"x"#, "sixteen digits"),
        (r#""channel":""#, r#""channel":"the "#, "is not a channel"),
    ] {
        let damaged = line.replace(from, to);
        let error = serde_json::from_str::<Read>(&damaged).expect_err("it is damaged");
        assert!(error.to_string().contains(says), "{damaged}: {error}");
    }
}

/// The same seed gives the same bytes, another one others; in CSV each kind has a file.
#[test]
fn csv_has_a_file_for_each_kind_and_the_same_bytes_each_time() {
    let write = |seed: &str| {
        let directory = tempfile::tempdir().expect("a directory");
        let run = Command::new(env!("CARGO_BIN_EXE_tiderace"))
            .args(["bench", "nexmark", "--events", "5000", "--format", "csv", "--seed", seed])
            .arg("--write")
            .arg(directory.path())
            .arg("--json")
            .output()
            .expect("the program starts");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let told: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
        let files = ["persons", "auctions", "bids"].map(|kind| {
            let path = directory.path().join(format!("{kind}.csv"));
            let text = std::fs::read_to_string(path).expect("it is there");
            assert_eq!(told[kind], text.lines().count() - 1, "{kind}: lines but for the header");
            let columns = text.lines().next().expect("a header").split(',').count();
            assert!(text.lines().all(|line| line.split(',').count() == columns));
            text
        });
        assert_eq!(std::fs::read_dir(directory.path()).expect("it is there").count(), 3);
        files
    };
    let [persons, auctions, bids] = write("7");
    assert!(persons.starts_with("id,name,email_address,credit_card,city,state,time,extra\n"));
    assert!(
        auctions.starts_with("id,item_name,description,initial_bid,reserve,time,expires,seller")
    );
    assert!(bids.starts_with("auction,bidder,price,channel,url,time,extra\n"));
    assert_eq!((persons.lines().count(), auctions.lines().count()), (101, 301));
    assert_eq!(write("7"), [persons.clone(), auctions, bids]);
    assert_ne!(write("8")[0], persons);
}

/// The answers are the same, whatever the events come through.
#[test]
fn through_files_and_through_kafka_every_query_is_right() {
    let disorder = Disorder {
        bound: Duration::from_millis(500).into(),
        copies: 20_000,
        ..Disorder::default()
    };
    let kafka = cfg!(feature = "kafka");
    let brokers = std::env::var("KAFKA_BOOTSTRAP").ok().filter(|address| !address.is_empty());
    let ways = [
        (Via::File, None, true),
        (Via::Kafka, None, kafka),
        (Via::Kafka, brokers.clone(), kafka && brokers.is_some()),
    ];
    for (via, brokers, _) in ways.into_iter().filter(|(.., possible)| *possible) {
        for workers in [1, 3] {
            let suite = suite("all", 2, 8_000, 500, disorder);
            let directory = suite.directory.clone();
            let suite = Suite { via, brokers: brokers.clone(), ..suite };
            let args = LaunchArgs { workers, ..LaunchArgs::default() };
            let report = suite.run(args).expect("it runs").expect("this is process 0");
            let table = report.table();
            assert!(report.is_right(), "{via:?} on {workers} workers:\n{table}");
            assert!(table.contains("decoding its JSON"), "{table}");
            std::fs::remove_dir_all(directory).expect("q10 has written files");
        }
    }
}

#[test]
fn two_processes_read_files_of_their_own() {
    let run = Command::new(env!("CARGO_BIN_EXE_tiderace"))
        .args(["bench", "nexmark", "-q", "q0,q5,q9", "--events", "6000", "--verify"])
        .args(["--via", "file", "-n", "2", "-w", "2"])
        .output()
        .expect("the program starts");
    let table = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{table}\n{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(table.lines().filter(|line| line.ends_with(" right")).count(), 3, "{table}");
}

#[test]
fn what_makes_no_sense_of_ways_and_files_is_refused() {
    for args in [
        &["--via", "file", "--rate", "100"][..],
        &["--via", "kafka", "-n", "2"],
        &["--via", "pigeon"],
        &["--format", "csv"],
        &["--write", "there", "--verify"],
    ] {
        let run = Command::new(env!("CARGO_BIN_EXE_tiderace"))
            .args(["bench", "nexmark", "-q", "q0", "--events", "10"])
            .args(args)
            .output()
            .expect("the program starts");
        assert_eq!(run.status.code(), Some(2), "{args:?}");
    }
}
