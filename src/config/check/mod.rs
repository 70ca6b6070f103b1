//! The rules of a pipeline file, beyond its shape: one connector each, one thing a step, names
//! that exist, numbers that make sense. Everything is looked at, whatever was wrong before.

mod components;
mod steps;

use super::graph;
use super::pipeline::{Pipeline, Spanned};
use super::plan::Checked;
use super::quantity::{OrOff, Time};
use super::report::{Mistake, Report, Severity};
use super::tree::{NOWHERE, Place};
use super::{delivery, fields};
pub(in crate::config) use steps::Kind;

/// A component as the file names it, also when its settings could not be read.
#[derive(Clone, Debug)]
pub struct Declared {
    /// `sources`, `steps` or `sinks`.
    pub section: &'static str,
    /// Its name.
    pub name: String,
    /// Where the name is written.
    pub place: Place,
    /// Whether something in it could not be read. What it lacks is not complained about then.
    pub damaged: bool,
}

/// As many as there are groups of keys.
const MOST_WORKERS: u32 = 4_096;

/// What the checks share.
pub(in crate::config) struct Checker<'a> {
    pub(in crate::config) text: &'a str,
    pub(in crate::config) pipeline: &'a Pipeline,
    pub(in crate::config) declared: &'a [Declared],
    pub(in crate::config) mistakes: Vec<Mistake>,
}

/// Checks a pipeline whose shape has been read, and resolves it. `report` holds the mistakes found
/// so far; if there is any error in the end, it comes back with all of them.
pub fn check(
    pipeline: &Pipeline,
    declared: &[Declared],
    mut report: Report,
) -> Result<Checked, Report> {
    let text = std::mem::take(&mut report.text);
    let mut checker =
        Checker { text: &text, pipeline, declared, mistakes: std::mem::take(&mut report.mistakes) };
    checker.top();
    for (name, source) in &pipeline.sources.0 {
        checker.source(name, source);
    }
    let kinds: Vec<Kind> =
        pipeline.steps.0.iter().map(|(name, step)| checker.step(name, step)).collect();
    for (name, sink) in &pipeline.sinks.0 {
        checker.sink(name, sink);
    }
    checker.shared_files();
    let graph = graph::resolve(&mut checker, &kinds);
    let resolved = fields::resolve(&mut checker, &kinds, &graph);
    delivery::notes(&mut checker, &kinds, &graph);
    report.mistakes = checker.mistakes;
    report.text = text;
    report.sort();
    match resolved {
        Some(mut checked) if report.count(Severity::Error) == 0 => {
            checked.warnings = report;
            Ok(checked)
        }
        _ => {
            // Without this a mistake of ours would look like a file without mistakes.
            if report.count(Severity::Error) == 0 {
                let message = "the pipeline could not be resolved (this is a bug of tiderace)";
                report.mistakes.push(Mistake::new(Place::default(), message));
            }
            Err(report)
        }
    }
}

impl Checker<'_> {
    pub(in crate::config) fn wrong(&mut self, mistake: Mistake) {
        if mistake.place != NOWHERE {
            self.mistakes.push(mistake);
        }
    }

    pub(in crate::config) fn damaged(&self, section: &str, name: &str) -> bool {
        self.declared.iter().any(|d| d.section == section && d.name == name && d.damaged)
    }

    fn top(&mut self) {
        let pipeline = self.pipeline;
        for section in ["sources", "sinks"] {
            if !self.declared.iter().any(|d| d.section == section) {
                let one = section.trim_end_matches('s');
                let start = self.text.len() - self.text.trim_start().len();
                let place = Place { start, len: self.text[start..].find('\n').unwrap_or(0) };
                self.wrong(
                    Mistake::new(place, format!("the pipeline has no {one}"))
                        .label(format!("nothing under `{section}:`")),
                );
            }
        }
        for (at, one) in self.declared.iter().enumerate() {
            let plain = one.name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
            if !plain || one.name.is_empty() {
                let message = format!("`{}` cannot be a name", one.name);
                let help = "names are made of letters, digits, `_` and `-`; dots name side outputs";
                self.wrong(Mistake::new(one.place, message).help(help));
            }
            let earlier = self.declared[..at].iter().find(|other| {
                other.name == one.name && (other.section == "sinks") == (one.section == "sinks")
            });
            if let Some(other) = earlier {
                let (a, b) =
                    (one.section.trim_end_matches('s'), other.section.trim_end_matches('s'));
                self.wrong(
                    Mistake::new(one.place, format!("`{}` names two things", one.name))
                        .label(format!("this {a}"))
                        .also(other.place, format!("and this {b}"))
                        .help("`from` could mean either of them: rename one"),
                );
            }
        }
        self.at_least_one(
            pipeline.workers.as_ref().map(|n| (u64::from(n.value), n.place)),
            "workers",
        );
        if let Some(workers) = pipeline.workers.as_ref().filter(|n| n.value > MOST_WORKERS) {
            let message = format!("more than {MOST_WORKERS} workers are not supported");
            self.wrong(Mistake::new(workers.place, message));
        }
        self.above_zero(pipeline.tick.as_ref(), "tick");
        if let Some(Spanned { value: OrOff::Set(value), place }) = pipeline.stats_every {
            self.above_zero(Some(&Spanned { value, place }), "stats_every");
        }
        if let Some(bounds) = &pipeline.in_flight {
            self.at_least_one(bounds.rows.as_ref().map(|n| (n.value, n.place)), "in_flight.rows");
            let bytes = bounds.bytes.as_ref().map(|n| (n.value.0, n.place));
            self.at_least_one(bytes, "in_flight.bytes");
        }
    }

    fn at_least_one(&mut self, value: Option<(u64, Place)>, name: &str) {
        if let Some((0, place)) = value {
            self.wrong(Mistake::new(place, format!("`{name}` must be at least 1")));
        }
    }

    fn above_zero(&mut self, value: Option<&Spanned<Time>>, name: &str) {
        if let Some(value) = value.filter(|value| value.value.0.is_zero()) {
            self.wrong(Mistake::new(value.place, format!("`{name}` must be longer than zero")));
        }
    }

    /// The place of a part of a text, if the file spells the text as it is; else all of it.
    pub(in crate::config) fn inside(&self, text: &Spanned<String>, at: usize, len: usize) -> Place {
        let Place { start, len: written } = text.place;
        let source = self.text.get(start..start + written).unwrap_or_default();
        let quotes = usize::from(source.starts_with(['"', '\'']));
        match source.get(quotes..).is_some_and(|source| source.starts_with(&text.value)) {
            true => text.place.part(quotes + at, len),
            false => text.place,
        }
    }
}
