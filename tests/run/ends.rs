//! How a run ends when something is wrong: with one clear message and the exit code of the table.

use std::io::Read;
use std::process::Stdio;

use crate::command::{Folder, Running};

const COPY: &str = "
sources:
  in: { file: { path: in.jsonl } }
sinks:
  out: { from: in, file: { path: out.jsonl } }
";

const ENDLESS: &str = "
name: endless
sources:
  made: { generate: { rate: 2000, partitions: 2 } }
steps:
  counts: { from: made, key: sensor, window: { tumbling: 1h }, aggregate: { n: count() } }
sinks:
  out: { from: counts, stdout: {} }
";

#[test]
fn a_mistake_in_the_file_is_78() {
    let folder = Folder::with(&COPY.replace("path: out.jsonl", "pth: out.jsonl"));
    folder.run(&[]).expect(78, &["`pth`", "did you mean `path`", "mistake"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = Folder::with(COPY);
    folder.run(&[]).expect(78, &["in.jsonl"]);
    folder.tiderace(&["run", "nowhere.yaml"]).expect(78, &["nowhere.yaml"]);
}

#[test]
fn wrong_words_are_2() {
    let folder = Folder::with(COPY);
    folder.write("in.jsonl", "{}\n");
    folder.run(&["-n", "2", "-p", "2", "--hosts", "127.0.0.1:1,127.0.0.1:2"]).expect(2, &["2"]);
    folder.run(&["--frob"]).expect(2, &["--frob"]);
    folder.run(&["--stats-every", "10"]).expect(2, &["10s"]);
    folder.tiderace(&["rum"]).expect(2, &["rum"]);
}

#[test]
fn a_taken_port_is_69_if_it_was_asked_for() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::with(COPY);
    folder.write("in.jsonl", "{}\n");
    let ended = folder.tiderace(&["run", "p.yaml", "--http", &address]);
    ended.expect(69, &[&address, "--http"]);
}

#[test]
fn a_full_disk_is_74() {
    let folder = Folder::with(&COPY.replace("out.jsonl", "/dev/full"));
    folder.write("in.jsonl", &"{\"a\":1}\n".repeat(1_000));
    folder.run(&[]).expect(74, &["/dev/full", "sink `out`"]);
}

#[test]
fn a_stop_ends_with_the_ledger_and_says_what_is_lost() {
    let folder = Folder::with(ENDLESS);
    for args in [&["-w", "2"][..], &["-n", "2"]] {
        let all = [&["run", "p.yaml", "--http", "off", "--stats-every", "100ms"], args].concat();
        let mut job = Running::start(folder.command(&all));
        let line = job.line_with("running");
        assert!(line.contains("\"read\""), "{line}");
        job.line_with("running");
        let (code, said) = job.stop();
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("endless: stopped as asked"), "{said}");
        assert!(said.contains("open windows are lost"), "{said}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = Folder::with(
        "
sources: { made: { generate: { events: 2000000 } } }
sinks: { out: { from: made, stdout: {} } }
",
    );
    let mut command = folder.command(&["run", "p.yaml", "--http", "off"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut few = [0; 64];
    child.stdout.take().unwrap().read_exact(&mut few).unwrap();
    assert!(few.starts_with(b"{\"id\":"), "{}", String::from_utf8_lossy(&few));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert!(!said.contains("error"), "{said}");
}

#[test]
fn the_file_says_how_many_workers_and_the_flag_wins() {
    let folder = Folder::with(&format!("workers: 3\ntick: 5ms\n{COPY}"));
    folder.write("in.jsonl", "{}\n");
    folder.run(&[]).expect(0, &["3 workers, tick 5ms", "first row after"]);
    folder.run(&["-w", "1", "--tick", "7ms"]).expect(0, &["1 worker, tick 7ms"]);
}

#[test]
fn the_endpoint_takes_a_free_port_if_the_usual_one_is_taken() {
    // Whoever has the usual port: from now on it is taken.
    let _usual = std::net::TcpListener::bind("127.0.0.1:7070");
    let folder = Folder::with(ENDLESS);
    let mut job = Running::start(folder.command(&["run", "p.yaml"]));
    let line = job.line_with("endpoint http://");
    assert!(
        !line.contains("http://127.0.0.1:7070") && line.contains("127.0.0.1:7070 is taken"),
        "{line}"
    );
    let (code, said) = job.stop();
    assert_eq!(code, 0, "{said}");
}

/// It is a few milliseconds; half a second is promised, and a noisy machine may take longer.
#[test]
fn the_first_row_is_read_soon_after_the_start() {
    for pipeline in [
        COPY,
        "sources: { in: { generate: { events: 10 } } }\nsinks: { out: { from: in, stdout: {} } }\n",
    ] {
        let folder = Folder::with(pipeline);
        folder.write("in.jsonl", "{}\n");
        let ended = folder.run(&["--log", "json"]);
        ended.expect(0, &[]);
        let line = ended.talk.lines().find(|line| line.contains("first row after")).unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let millis = line["fields"]["millis"].as_u64().unwrap();
        assert!(millis < 2_000, "{millis} ms");
    }
}
