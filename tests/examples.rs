//! Every program of `examples/` runs without services, ends by itself, checks its own result and
//! exits with 0, on one and on two workers; `hello` in two processes too.

use std::io::{Read, Seek};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Long enough for a busy machine, short enough for a hung program to be seen.
const PATIENCE: Duration = Duration::from_secs(120);

/// Cargo builds the examples beside the tests.
fn program(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples");
    let program = folder.join(format!("{example}{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "`cargo build --examples` first: {program:?} is missing");
    program
}

/// Runs an example and returns the lines that it prints, sorted.
fn run(example: &str, flags: &str) -> Vec<String> {
    finish(Command::new(program(example)).args(flags.split_whitespace()).arg("-q"))
}

/// Runs a command to its end, which must be a good one; the lines that it prints, sorted.
fn finish(command: &mut Command) -> Vec<String> {
    let mut output = tempfile::tempfile().unwrap();
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap());
    let mut child = command.spawn().unwrap();
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{command:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let mut text = String::new();
    output.rewind().unwrap();
    output.read_to_string(&mut text).unwrap();
    assert!(status.success(), "{command:?}: {status}\n{text}");
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Runs an example on one and on two workers; the lines are the same.
fn runs(example: &str) -> Vec<String> {
    let one = run(example, "-w 1");
    assert_eq!(run(example, "-w 2"), one, "{example} with -w 2");
    one
}

#[test]
fn hello() {
    let mut expected: Vec<_> = (0..30)
        .map(|n| (n % 3, n / 3))
        .map(|(sensor, minute)| {
            let mean = 20 + minute;
            format!("sensor {sensor}, minute {minute}: 60 readings, mean {mean}.0")
        })
        .collect();
    expected.sort();
    assert_eq!(runs("hello"), expected);
    if cfg!(target_os = "linux") {
        assert_eq!(run("hello", "-n 2"), expected);
    }
}

#[test]
fn late_data() {
    let lines = runs("late_data");
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0], "late: the record of 4 s, 31 s behind");
    assert_eq!(lines[1], "window from 0 s: 2");
}

#[test]
fn watermark_demo() {
    assert_eq!(runs("watermark_demo").len(), 15);
}

#[test]
fn aggregation_demo() {
    assert_eq!(runs("aggregation_demo").len(), 5);
}

#[test]
fn multi_key_sliding_window() {
    let lines = runs("multi_key_sliding_window");
    assert_eq!(lines.len(), 102);
    assert!(lines.contains(&"us cart until  90 s: 60 requests, 55.0 ms, 60 ms".to_owned()));
}

#[test]
fn stream_processor_demo() {
    let lines = runs("stream_processor_demo");
    let visit = "visit of user 1, minutes 0 to 29: purchases 20.0, average 109.5";
    assert!(lines.iter().any(|line| line.starts_with(visit)), "{lines:#?}");
}

#[test]
fn event_deduplication_demo() {
    let lines = runs("event_deduplication_demo");
    assert!(lines.contains(&"passed 60, together 31770 cents".to_owned()), "{lines:#?}");
    assert!(lines.contains(&"late 10: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]".to_owned()), "{lines:#?}");
}

#[test]
fn advanced_deduplication() {
    let lines = runs("advanced_deduplication");
    assert_eq!(lines.len(), 16);
    assert!(lines.contains(&"newest: parcel 1 delivered".to_owned()), "{lines:#?}");
}

#[test]
fn custom_operator() {
    let lines = runs("custom_operator");
    assert!(
        lines.iter().any(|l| l.starts_with("sensor 0 was silent from 29000000 us to 60000000"))
    );
    assert!(lines.iter().any(|l| l.starts_with("sensor 3 was silent")));
}

#[test]
fn reachability() {
    let lines = runs("reachability");
    assert_eq!(lines.len(), 5, "{lines:#?}");
}

#[test]
fn custom_source_sink() {
    assert_eq!(runs("custom_source_sink").len(), 1);
}

#[test]
fn end_to_end_stream() {
    let lines = runs("end_to_end_stream");
    assert_eq!(lines.last().unwrap(), "{\"minute\":4,\"sensor\":6,\"readings\":60,\"mean\":26.0}");
    assert!(lines.contains(&"read 2400, filtered 300, late 0".to_owned()), "{lines:#?}");
}

#[cfg(feature = "kafka")]
#[test]
fn kafka_pipeline() {
    assert!(runs("kafka_pipeline").len() >= 2);
}

/// The first block of this kind in the README.
fn readme(kind: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let start = format!("```{kind}\n");
    let (_, block) = readme.split_once(&start).expect("such a block");
    block.split_once("```").expect("its end").0.to_owned()
}

#[test]
fn the_program_in_the_readme_is_hello() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let hello = std::fs::read_to_string(root.join("examples/hello.rs")).unwrap();
    assert_eq!(readme("rust,no_run"), hello);
}

#[test]
fn the_pipeline_in_the_readme_has_no_mistake() {
    let checked = tiderace::config::load_text("README.yaml", readme("yaml"), &|_| None);
    let checked = checked.unwrap_or_else(|report| panic!("{}", report.render(false)));
    assert_eq!(checked.warnings.render(false), "");
    // What the README says of pipelines with windows is what `check` says of this one.
    let averages = checked.sinks.iter().find(|sink| sink.name == "averages").unwrap();
    assert!(averages.delivery.contains("lost in a crash or stop"), "{}", averages.delivery);
}

#[test]
fn the_pipeline_in_the_readme_runs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pipeline.yaml"), readme("yaml")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiderace"));
    let lines =
        finish(command.current_dir(folder.path()).args(["run", "pipeline.yaml", "-w", "2"]));
    assert!(lines.iter().any(|line| line.contains("hottest")), "{lines:#?}");
    let late = std::fs::read_to_string(folder.path().join("late.jsonl"));
    assert!(late.is_ok() || folder.path().join("late-00000.jsonl").exists());
}
