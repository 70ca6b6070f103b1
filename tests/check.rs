//! The sessions of `tiderace check`: each pipeline file under `tests/sessions` with what is said
//! about it. `UPDATE=1 cargo test --test check` writes what is said now.

use std::path::Path;

use tiderace::config::{Severity, load_text};

/// The variables a session may use.
fn variable(name: &str) -> Option<String> {
    (name == "SESSION_TOPIC").then(|| "from-the-environment".to_owned())
}

#[test]
fn sessions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sessions");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() >= 10, "the sessions are missing");
    let mut different = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let said = session(name, std::fs::read_to_string(&file).unwrap());
        let golden = file.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&golden, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if said != expected {
            different.push(format!("--- {name}: expected\n{expected}\n--- said\n{said}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

fn session(name: &str, text: String) -> String {
    let mut said = String::new();
    let report = match load_text(name, text, &variable) {
        Ok(checked) => {
            for sink in &checked.sinks {
                said += &format!("sink {}: {}\n", sink.name, sink.delivery);
            }
            checked.warnings
        }
        Err(report) => report,
    };
    said += &report.render(false);
    for note in report.mistakes.iter().filter(|m| m.severity == Severity::Note) {
        said += &format!("note: {}\n", note.message);
    }
    let [errors, warnings] = [Severity::Error, Severity::Warning].map(|s| report.count(s));
    said + &format!("{errors} mistakes, {warnings} warnings\n")
}
