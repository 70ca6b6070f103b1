//! The latency benchmark: it takes the time of results, and its figures are in order.

use std::process::Command;

fn bench(args: &[&str]) -> (bool, String, String) {
    let run =
        Command::new(env!("CARGO_BIN_EXE_tiderace")).args(["bench", "latency"]).args(args).output();
    let run = run.expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (run.status.success(), text(&run.stdout), text(&run.stderr))
}

#[test]
fn results_have_a_time_from_reading_and_a_longer_one_from_due() {
    let args = ["--keys", "50", "--rate", "20000", "--lasting", "2s", "--json", "-w", "2"];
    let (ok, report, told) = bench(&args);
    assert!(ok, "{told}");
    let report: serde_json::Value = serde_json::from_str(&report).expect("it prints JSON");
    let at = &report["rates"][0];
    // Ten windows close in a second, with fifty results each; the last ones end with the input.
    let results = at["results"].as_u64().expect("a number");
    assert!((700..=1_000).contains(&results), "{results} of about 950 results");
    let times = |name: &str| -> Vec<u64> {
        let times = at[name].as_array().expect("percentiles");
        times.iter().map(|time| time.as_u64().expect("microseconds")).collect()
    };
    let (read, due) = (times("read"), times("due"));
    assert!(read.is_sorted() && due.is_sorted(), "{read:?} {due:?}");
    assert!(read.iter().zip(&due).all(|(read, due)| read <= due), "{read:?} {due:?}");
    assert!(read[0] > 0);
    let memory = at["memory"].as_array().expect("memory after each quarter");
    assert_eq!(memory.len(), 4);
    assert!(memory.iter().all(|mib| mib.as_f64().is_some_and(|mib| mib > 1.0)), "{memory:?}");
}

#[test]
fn latency_over_rate_is_drawn() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("latency.svg");
    let file = path.to_str().expect("a plain name");
    let (ok, table, told) = bench(&["--keys", "10", "--lasting", "300ms", "--plot", file]);
    assert!(ok, "{told}");
    assert!(table.contains("MiB after each quarter"), "{table}");
    let svg = std::fs::read_to_string(path).expect("it is drawn");
    assert_eq!(svg.matches("<polyline").count(), 4, "{svg}");
    assert!(svg.contains("p99 from due") && svg.trim_end().ends_with("</svg>"), "{svg}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for args in [
        &["--rate", "0"][..],
        &["--keys", "0"],
        &["-n", "2", "--rate", "9"],
        &["--plot", "x.svg", "--rate", "9"],
    ] {
        let (ok, _, told) = bench(args);
        assert!(!ok && !told.is_empty(), "{args:?}");
    }
}
