//! A job that is asked how it is doing.

use std::time::{Duration, Instant};

use crate::command::{Folder, PATIENCE, Running};

const ENDLESS: &str = "
sources:
  made: { generate: { rate: 2000, partitions: 2 } }
steps:
  counts: { from: made, key: sensor, window: { tumbling: 1m }, aggregate: { n: count() } }
sinks:
  out: { from: counts, file: { path: out.jsonl } }
";

#[test]
fn why_asks_a_running_job() {
    let folder = Folder::with(ENDLESS);
    let mut job = Running::start(folder.command(&["run", "p.yaml", "--http", "127.0.0.1:0"]));
    let address = job.endpoint();
    let until = Instant::now() + PATIENCE;
    loop {
        let why = folder.tiderace(&["why", &address]);
        why.expect(0, &[]);
        if why.out.contains("of `made` is the furthest behind") {
            assert!(why.out.contains("made/0") && why.out.contains("made/1"), "{}", why.out);
            break;
        }
        assert!(Instant::now() < until, "{}", why.out);
        std::thread::sleep(Duration::from_millis(50));
    }
    let json = folder.tiderace(&["why", &address, "--format", "json"]);
    let status: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert!(status["ledger"]["read"].as_u64().unwrap() > 0, "{status}");
    let (code, said) = job.stop();
    assert_eq!(code, 0, "{said}");
    folder.tiderace(&["why", &address]).expect(69, &["no job answers"]);
}

#[test]
fn why_reads_the_status_file_of_several_processes() {
    let folder = Folder::with(ENDLESS);
    let args = ["run", "p.yaml", "--http", "off", "-n", "2", "--status", "status.json"];
    let job = Running::start(folder.command(&args));
    let until = Instant::now() + PATIENCE;
    loop {
        // Both processes have one of the partitions.
        if folder.path("status.json").exists() {
            let why = folder.tiderace(&["why", "--status", "status.json"]);
            why.expect(0, &[]);
            if why.out.contains("made/0") && why.out.contains("made/1") {
                break;
            }
        }
        assert!(Instant::now() < until, "no whole status");
        std::thread::sleep(Duration::from_millis(50));
    }
    let (code, said) = job.stop();
    assert_eq!(code, 0, "{said}");
    let text = std::fs::read_to_string(folder.path("status.json")).unwrap();
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    let read = status["ledger"]["read"].as_u64().unwrap();
    let line = said.lines().find(|line| line.starts_with("  read ")).unwrap();
    let told = line.split_whitespace().nth(1).unwrap().replace(',', "");
    assert_eq!(told, read.to_string());
}
