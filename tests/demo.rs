//! The demo as a person runs it: the answer verified on threads and processes, the books balanced,
//! the pipeline written to a file that checks and runs.
#![cfg(feature = "kafka")]

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn tiderace(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiderace"));
    command.args(args).stdin(Stdio::null()).output().expect("the binary starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_window_is_what_a_batch_makes_of_it() {
    for layout in [&["-w", "1"][..], &["-w", "2"], &["-n", "2", "-w", "1"]] {
        let args = ["demo", "--events", "60000", "--verify"];
        let output = tiderace(&args.iter().chain(layout).copied().collect::<Vec<_>>());
        let text = said(&output);
        assert_eq!(output.status.code(), Some(0), "{layout:?}: {text}");
        assert!(text.contains("verified  400 of 400 windows match"), "{layout:?}: {text}");
        assert!(text.contains("ledger    60,000 read = "), "{layout:?}: {text}");
        assert!(text.contains("0 still open and lost with this run; lag 0"), "{layout:?}: {text}");
    }
}

#[test]
fn so_many_seconds_at_a_rate_of_its_own() {
    let begun = Instant::now();
    let output = tiderace(&["demo", "--seconds", "2", "--rate", "5000", "--verify"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("ledger    10,000 read = "), "{text}");
    assert!(begun.elapsed() > Duration::from_millis(1_500), "it keeps to the rate");
}

#[test]
fn without_an_end_it_shows_results_and_stops_when_asked() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiderace"));
    let child = command.args(["demo", "-w", "2"]).stderr(Stdio::piped()).spawn().unwrap();
    // Windows of a second, two seconds late, and a line every two seconds.
    std::thread::sleep(Duration::from_secs(7));
    let stop = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(stop.success());
    let output = child.wait_with_output().unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let live = text.lines().rfind(|line| line.starts_with("read ")).unwrap_or("");
    assert!(live.contains("watermark 20") && !live.contains("windows 0 "), "{text}");
    assert!(text.contains("ledger    ") && !text.contains(" 0 still open"), "{text}");
}

#[test]
fn its_pipeline_can_be_written_checked_and_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo.yaml");
    let path = file.to_str().unwrap();
    assert_eq!(tiderace(&["demo", "--write", path]).status.code(), Some(0));
    let again = tiderace(&["demo", "--write", path]);
    assert_eq!(again.status.code(), Some(74));
    assert!(said(&again).contains("never overwritten"), "{}", said(&again));
    let checked = tiderace(&["check", path]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    let run = tiderace(&["run", path, "-w", "2", "--http", "off"]);
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let rows = String::from_utf8(run.stdout).unwrap();
    assert!(rows.lines().count() > 1_000, "{} rows", rows.lines().count());
    assert!(rows.lines().all(|row| row.starts_with('{') && row.contains("\"n\":")), "{rows}");
}

#[test]
fn wrong_words_are_2() {
    for (args, why) in [
        (&["demo", "--verify"][..], "--events"),
        (&["demo", "--rate", "0"], "--rate"),
        (&["demo", "--events", "many"], "many"),
        (&["demo", "--events", "5", "--seconds", "5"], "--seconds"),
        (&["demo", "-w", "0"], "--workers"),
    ] {
        let output = tiderace(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(why), "{args:?}: {}", said(&output));
    }
}
