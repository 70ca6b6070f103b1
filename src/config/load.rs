//! Reads a pipeline file and checks it.

use std::io::Read;
use std::path::Path;

use super::check::{Declared, check};
use super::de;
use super::interpolate::{Lookup, interpolate};
use super::pipeline::Pipeline;
use super::plan::Checked;
use super::report::{Mistake, Report};
use super::tree::{Content, MAX_BYTES, Node, Place, parse};

/// Reads a pipeline file, or standard input for `-`, and checks it. Variables come from the
/// environment.
pub fn load(path: &Path) -> Result<Checked, Report> {
    let file =
        if path == Path::new("-") { "<stdin>".to_owned() } else { path.display().to_string() };
    match read(path) {
        Ok(text) => load_text(&file, text, &|name| std::env::var(name).ok()),
        Err(message) => {
            let mistakes = vec![Mistake::new(Place::default(), message)];
            Err(Report { file, text: String::new(), mistakes })
        }
    }
}

/// The text of a file that is not larger than a pipeline can be.
fn read(path: &Path) -> Result<String, String> {
    let wrong = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let reader: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(path).map_err(wrong)?)
    };
    let mut bytes = Vec::new();
    // One byte more than allowed, so that the parser sees that it is too much.
    reader.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(wrong)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{} is not UTF-8 text (line {line})", path.display())
    })
}

/// Checks the text of a pipeline file; `file` is its name for messages.
pub fn load_text(file: &str, text: String, lookup: Lookup<'_>) -> Result<Checked, Report> {
    let mut report = Report { file: file.to_owned(), text, mistakes: Vec::new() };
    let mistakes = &mut report.mistakes;
    let Some(mut root) = parse(&report.text, mistakes) else { return Err(report) };
    let mut damaged = Vec::new();
    let declared = declared(&root);
    interpolate(&mut root, lookup, mistakes, &mut Vec::new(), &mut damaged);
    let pipeline: Pipeline = de::typed(&report.text, root, mistakes, &mut damaged);
    let declared: Vec<_> = declared
        .into_iter()
        .map(|one| {
            let hit = |path: &Vec<String>| match path.as_slice() {
                [section, name, ..] => section == one.section && *name == one.name,
                _ => true,
            };
            Declared { damaged: damaged.iter().any(hit), ..one }
        })
        .collect();
    check(&pipeline, &declared, report)
}

/// The names of all components, as the text has them.
fn declared(root: &Node) -> Vec<Declared> {
    let mut all = Vec::new();
    for section in ["sources", "steps", "sinks"] {
        let Some(Node { value: Content::Map(entries), .. }) = root.get(section) else { continue };
        for entry in entries {
            let (name, place) = (entry.key.clone(), entry.key_place);
            all.push(Declared { section, name, place, damaged: false });
        }
    }
    all
}
