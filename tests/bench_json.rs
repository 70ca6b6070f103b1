//! The benchmark of JSON in memory: its results are right, and its figures are in order.

use std::process::Command;

#[test]
fn results_are_right_on_any_number_of_workers() {
    for (keys, workers) in [("1", "1"), ("1000", "3"), ("1000000", "2")] {
        let run = Command::new(env!("CARGO_BIN_EXE_tiderace"))
            .args(["bench", "json", "--events", "30000", "--json", "--keys", keys, "-w", workers])
            .output()
            .expect("the program starts");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let report: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
        assert_eq!(report["right"], true);
        assert!(report["results"].as_u64().is_some_and(|results| results > 0));
        let nanos = |of: &str| report[of]["nanos"].as_f64().expect("a number");
        let share = nanos("parser") / nanos("engine");
        assert!((report["share"].as_f64().expect("a number") - share).abs() < 1e-6, "{report}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for args in [&["--events", "0"][..], &["--keys", "0"], &["-n", "2"]] {
        let run = Command::new(env!("CARGO_BIN_EXE_tiderace"))
            .args(["bench", "json"])
            .args(args)
            .output()
            .expect("the program starts");
        assert_eq!(run.status.code(), Some(2), "{args:?}");
    }
}
