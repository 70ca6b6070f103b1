//! The benchmarks through Kafka: their results are right, and their figures are in order. Against the
//! embedded cluster always, and against a real broker where `KAFKA_BOOTSTRAP` names one.
#![cfg(feature = "kafka")]

use std::process::Command;

use serde_json::Value;

/// Runs the verb on each cluster there is.
fn on_each(args: &[&str], check: impl Fn(&Value)) {
    for real in [false, true] {
        let brokers = std::env::var("KAFKA_BOOTSTRAP").unwrap_or_default();
        if real && brokers.is_empty() {
            eprintln!("SKIPPED: a real broker: KAFKA_BOOTSTRAP is not set");
            continue;
        }
        let mut verb = Command::new(env!("CARGO_BIN_EXE_tiderace"));
        verb.args(["bench", "kafka", "--json", "-qq"]).args(args).env_remove("KAFKA_BOOTSTRAP");
        if real {
            verb.args(["--brokers", &brokers]);
        }
        let run = verb.output().expect("the program starts");
        let told = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{args:?}, {brokers}: {told}");
        let report: Value = serde_json::from_slice(&run.stdout).expect("it prints JSON");
        assert_eq!(report["embedded"], !real);
        check(&report);
    }
}

fn number(of: &Value) -> f64 {
    of.as_f64().unwrap_or_else(|| panic!("{of} is no number"))
}

#[test]
fn windows_through_kafka_are_right_and_cost_more_than_the_client() {
    for (keys, workers) in [("1000", "1"), ("1000000", "2"), ("1", "2")] {
        on_each(&["--events", "40000", "--keys", keys, "-w", workers], |report| {
            assert_eq!(report["right"], true, "{report}");
            assert_eq!(report["events"], 40_000);
            assert!((120.0..150.0).contains(&number(&report["bytes"])), "{report}");
            for part in ["producer", "client", "parser", "floor", "engine"] {
                assert!(number(&report[part]["per_second"]) > 0.0, "{report}");
                assert!(number(&report[part]["nanos"]) > 0.0, "{report}");
                assert!(number(&report[part]["memory"]) > 1.0, "{report}");
            }
            let floor = number(&report["client"]["nanos"]) + number(&report["parser"]["nanos"]);
            let share = floor / number(&report["engine"]["nanos"]);
            assert!((share - number(&report["share"])).abs() < 1e-6, "{report}");
        });
    }
}

/// As many windows as there are keys: each event has a result of its own but for a few.
#[test]
fn more_workers_than_partitions_give_the_same() {
    on_each(&["--events", "9000", "--partitions", "2", "-w", "3"], |report| {
        assert_eq!(report["right"], true, "{report}");
        assert!(number(&report["results"]) > 8_900.0, "{report}");
    });
}

#[test]
fn every_event_at_a_rate_has_its_time() {
    let args = ["--rate", "2000", "--lasting", "2s", "--partitions", "3", "-w", "2"];
    on_each(&args, |report| {
        assert_eq!(report["events"], 4_000);
        let results = number(&report["results"]);
        assert!((3_400.0..3_800.0).contains(&results), "nine in ten: {report}");
        let times = |name: &str| -> Vec<f64> {
            report[name].as_array().expect("percentiles").iter().map(number).collect()
        };
        for times in [times("due"), times("direct")] {
            assert!(times.is_sorted() && times[0] > 0.0, "{report}");
        }
        let memory = [&report["idle"], &report["peak"], &report["quarters"][3]].map(number);
        assert!(memory.iter().all(|mib| (1.0..2_000.0).contains(mib)), "{report}");
    });
}

fn refused(args: &[&str]) -> (Option<i32>, String) {
    let mut verb = Command::new(env!("CARGO_BIN_EXE_tiderace"));
    verb.args(["bench", "kafka"]).args(args).env_remove("KAFKA_BOOTSTRAP");
    let run = verb.output().expect("the program starts");
    (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
}

/// What embedded brokers have thrown away is not measured as if it were there.
#[test]
fn more_than_embedded_brokers_keep_is_refused() {
    let (code, told) = refused(&["--events", "200000", "--partitions", "1"]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("5 MiB") && told.contains("--brokers"), "{told}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let cases = [
        &["--rate", "0"][..],
        &["--keys", "0"],
        &["--events", "0"],
        &["--partitions", "0"],
        &["--lasting", "3s"],
        &["--rate", "5", "--events", "7"],
        &["-n", "2"],
    ];
    for args in cases {
        let (code, told) = refused(args);
        assert!(code == Some(2) && !told.is_empty(), "{args:?}: {code:?} {told}");
    }
}

#[test]
fn brokers_that_do_not_answer_are_named() {
    let (code, told) = refused(&["--brokers", "127.0.0.1:1", "--events", "10"]);
    assert!(code.is_some_and(|code| code != 0), "{told}");
    assert!(told.contains("127.0.0.1:1"), "{told}");
}
