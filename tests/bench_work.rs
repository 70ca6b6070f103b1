//! The verbs that measure work: every row gives what its floor gives, wherever it is run.

use std::process::Command;

use serde_json::Value;

/// The rows of `bench exchange`: the floor, none, timely's codec and ours.
const EXCHANGE: usize = if cfg!(feature = "abomonation") { 6 } else { 5 };

fn bench(args: &[&str]) -> (Option<i32>, String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_tiderace")).arg("bench").args(args).output();
    let run = run.expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (run.status.code(), text(&run.stdout), text(&run.stderr))
}

fn json(args: &[&str]) -> Value {
    let (code, report, told) = bench(args);
    assert_eq!(code, Some(0), "{args:?}: {report}\n{told}");
    assert_eq!(told, "", "{args:?}: nothing is said beside JSON");
    serde_json::from_str(&report).unwrap_or_else(|error| panic!("{args:?}: {error}: {report}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// Every row has its figures, and none is wrong.
fn check(report: &Value, keys: &[u64], rows: usize) {
    let all = list(&report["keys"]);
    assert!(all.iter().map(|of| of["keys"].as_u64()).eq(keys.iter().map(|&n| Some(n))), "{report}");
    for of_keys in all {
        assert!(of_keys["making"].as_f64().is_some_and(|nanos| nanos >= 0.0), "{of_keys}");
        assert_eq!(list(&of_keys["rows"]).len(), rows, "{of_keys}");
        for row in list(&of_keys["rows"]) {
            for figure in ["per_second", "nanos"] {
                assert!(row[figure].as_f64().is_some_and(|n| n > 0.0), "{figure} of {row}");
            }
            assert!(row["memory"].as_f64().is_some() && row["events"].as_u64().is_some(), "{row}");
            assert!(row["results"].as_u64().is_some_and(|n| n > 0), "nothing came out: {row}");
            assert_ne!(row["right"], Value::Bool(false), "{row}");
            assert_eq!(row["right"].is_null(), row["floor"].is_null(), "{row}");
        }
    }
}

#[test]
fn every_verb_is_right_on_one_and_on_two_workers() {
    let others = [("window", 6), ("dedup", 3), ("join", 6), ("session", 4), ("view", 3)];
    let verbs = others.into_iter().chain([("exchange", EXCHANGE)]);
    for (verb, rows) in verbs {
        for workers in ["1", "2"] {
            let args = [verb, "--events", "40000", "--keys", "50,5000", "--runs", "2", "--json"];
            let report = json(&[&args[..], &["-w", workers, "--tick", "3ms"]].concat());
            check(&report, &[50, 5_000], rows);
            assert_eq!((&report["work"], &report["runs"]), (&verb.into(), &2.into()));
            assert_eq!(report["workers"].to_string(), workers);
        }
    }
}

#[test]
fn two_processes_give_the_same() {
    for verb in ["window", "exchange"] {
        let args = [verb, "--events", "60000", "--keys", "100", "--runs", "2", "-n", "2", "--json"];
        let (code, report, told) = bench(&args);
        assert_eq!(code, Some(0), "{report}\n{told}");
        let report: Value = serde_json::from_str(&report).expect("it prints JSON, once");
        assert_eq!(report["processes"], 2);
        check(&report, &[100], if verb == "window" { 6 } else { EXCHANGE });
    }
}

#[test]
fn uneven_keys_give_the_same() {
    for verb in ["window", "join"] {
        let args =
            [verb, "--events", "40000", "--keys", "500", "--skew", "40", "--runs", "1", "--json"];
        let report = json(&args);
        assert_eq!(report["skew"], 40);
        check(&report, &[500], 6);
    }
}

#[test]
fn tables_and_charts_are_for_people() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bars.svg");
    let name = file.to_str().expect("a path of letters");
    let args = ["dedup", "--events", "20000", "--keys", "1000", "--runs", "1", "--scale", "1,2"];
    let (code, table, told) = bench(&[&args[..], &["--plot", name]].concat());
    assert_eq!((code, told.as_str()), (Some(0), ""), "{table}");
    for text in ["load ", "best of 1", "bare set", "the floor", "right", "2 workers", "MiB"] {
        assert!(table.contains(text), "{text} in {table}");
    }
    assert!(!table.contains("WRONG"), "{table}");
    let chart = std::fs::read_to_string(file).expect("the chart is there");
    assert!(chart.starts_with("<svg") && chart.contains("dedup, exact"), "{chart}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let wrong = [
        &["window", "--keys", "0"][..],
        &["window", "--runs", "0"],
        &["join", "--events", "0"],
        &["view", "--skew", "101"],
        &["session", "--scale", "1,2", "-w", "2"],
    ];
    for args in wrong {
        let (code, _, told) = bench(args);
        assert_eq!(code, Some(2), "{args:?}: {told}");
    }
}
