//! The rules of a pipeline file, beyond its shape: one connector each, one thing a step, names
//! that exist, numbers that make sense. Everything is looked at, whatever was wrong before.

use super::graph;
use super::pipeline::{
    EventTimes, Generate, KafkaSource, Pipeline, Policy, Sink, Source, Spanned, Start, Step,
};
use super::plan::Checked;
use super::quantity::{OrOff, Time};
use super::report::{Mistake, Report, Severity};
use super::tree::{NOWHERE, Place};
use super::{delivery, fields};
use crate::record::expr::{self, AggregateKind, Ast, Shape};

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

/// What a step does, with its expressions parsed.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Something is wrong with it, and it has been said.
    Broken,
    Union,
    Keep(Ast, Spanned<String>),
    Set(Vec<(Spanned<String>, Ast, Spanned<String>)>),
    Select(Vec<Spanned<String>>),
    Dedup,
    Window(Vec<Aggregate>),
}

/// A result of a window step.
#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    pub(super) name: Spanned<String>,
    pub(super) kind: AggregateKind,
    pub(super) field: Option<Spanned<String>>,
}

/// What the checks share.
pub(super) struct Checker<'a> {
    pub(super) text: &'a str,
    pub(super) pipeline: &'a Pipeline,
    pub(super) declared: &'a [Declared],
    pub(super) mistakes: Vec<Mistake>,
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
    pub(super) fn wrong(&mut self, mistake: Mistake) {
        if mistake.place != NOWHERE {
            self.mistakes.push(mistake);
        }
    }

    pub(super) fn damaged(&self, section: &str, name: &str) -> bool {
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

    /// Complains unless exactly one of the connectors is there.
    fn one_connector(&mut self, kind: &str, name: &Spanned<String>, set: &[(&'static str, bool)]) {
        let there: Vec<_> = set.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
        let all: Vec<_> = set.iter().map(|(name, _)| format!("`{name}`")).collect();
        let damaged = self.damaged(&format!("{kind}s"), &name.value);
        let message = match there.as_slice() {
            [] if damaged => return,
            [] => format!("{kind} `{}` has no connector", name.value),
            [_] => return,
            _ => format!("{kind} `{}` has several connectors: {}", name.value, there.join(", ")),
        };
        let mistake = Mistake::new(name.place, message);
        self.wrong(mistake.help(format!("give it exactly one of {}", all.join(", "))));
    }

    fn source(&mut self, name: &Spanned<String>, source: &Source) {
        self.one_connector(
            "source",
            name,
            &[
                ("kafka", source.kafka.is_some()),
                ("file", source.file.is_some()),
                ("generate", source.generate.is_some()),
            ],
        );
        self.at_least_one(source.max_failures.as_ref().map(|n| (n.value, n.place)), "max_failures");
        if let Some(kafka) = &source.kafka {
            self.kafka_source(kafka);
        }
        if let Some(file) = &source.file
            && file.path.0.is_empty()
        {
            let message = format!("source `{}` reads no file", name.value);
            self.wrong(Mistake::new(name.place, message).help("give `path` at least one path"));
        }
        if let Some(generate) = &source.generate {
            self.generate(generate);
        }
        if let Some(time) = &source.time {
            self.times(source, time);
        }
    }

    fn kafka_source(&mut self, kafka: &KafkaSource) {
        self.not_empty(&kafka.brokers, "brokers");
        self.not_empty(&kafka.topic, "topic");
        if let Some(Spanned { value: Start::Timestamp(at), .. }) = &kafka.start
            && chrono::DateTime::parse_from_rfc3339(&at.value).is_err()
        {
            let message = format!("`{}` is not an instant", at.value);
            let help = "write it like `2026-01-31T12:00:00Z`";
            self.wrong(Mistake::new(at.place, message).help(help));
        }
        for (key, _) in &kafka.settings.0 {
            let instead = match key.value.as_str() {
                "bootstrap.servers" | "metadata.broker.list" => "brokers",
                "group.id" => "group",
                "enable.auto.commit" => "commit",
                "auto.offset.reset" => "start",
                _ => continue,
            };
            let message = format!("`{}` is set by the source itself", key.value);
            self.wrong(Mistake::new(key.place, message).label(format!("use `{instead}`")));
        }
    }

    fn not_empty(&mut self, value: &Spanned<String>, name: &str) {
        if value.value.trim().is_empty() {
            self.wrong(Mistake::new(value.place, format!("`{name}` is empty")));
        }
    }

    fn generate(&mut self, generate: &Generate) {
        for (share, name) in
            [(&generate.late_share, "late_share"), (&generate.duplicate_share, "duplicate_share")]
        {
            if let Some(share) = share.as_ref().filter(|s| !(0.0..=1.0).contains(&s.value)) {
                let message = format!("`{name}` is a share between 0 and 1");
                self.wrong(Mistake::new(share.place, message));
            }
        }
        if let Some(rate) =
            generate.rate.as_ref().filter(|r| !(r.value > 0.0 && r.value.is_finite()))
        {
            self.wrong(Mistake::new(rate.place, "`rate` must be more than zero"));
        }
        self.at_least_one(generate.keys.as_ref().map(|n| (n.value, n.place)), "keys");
        let partitions = generate.partitions.as_ref().map(|n| (u64::from(n.value), n.place));
        self.at_least_one(partitions, "partitions");
    }

    fn times(&mut self, source: &Source, time: &EventTimes) {
        self.not_empty(&time.field, "field");
        if let (Some(policy), Some(behind)) = (&time.policy, &time.behind)
            && policy.value == Policy::Ascending
            && !behind.value.0.is_zero()
        {
            self.wrong(
                Mistake::new(behind.place, "`behind` has no meaning for ascending records")
                    .label("leave it out")
                    .also(policy.place, "ascending means that nothing is waited for"),
            );
        }
        for (value, name) in
            [(&time.idle_after, "idle_after"), (&time.max_future_skew, "max_future_skew")]
        {
            if let Some(Spanned { value: OrOff::Set(value), place }) = *value {
                self.above_zero(Some(&Spanned { value, place }), name);
            }
        }
        if let (Some(idle), Some(_)) = (&time.idle_after, &source.file) {
            let message = "`idle_after` has no effect on files: they end, and are finished then";
            self.wrong(Mistake::warning(idle.place, message));
        }
    }

    fn step(&mut self, name: &Spanned<String>, step: &Step) -> Kind {
        let damaged = self.damaged("steps", &name.value);
        let windowed = [
            ("key", step.key.is_some()),
            ("window", step.window.is_some()),
            ("aggregate", step.aggregate.is_some()),
        ];
        let any_window = windowed.iter().any(|(_, set)| *set);
        let all = [
            ("keep", step.keep.is_some()),
            ("set", step.set.is_some()),
            ("select", step.select.is_some()),
            ("dedup", step.dedup.is_some()),
            ("window", any_window),
        ];
        let there: Vec<_> = all.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
        if let Some(lateness) = &step.lateness
            && !any_window
            && step.dedup.is_none()
            && !damaged
        {
            let message = "`lateness` needs a window or dedup, which it is about";
            self.wrong(Mistake::new(lateness.place, message));
        }
        // Expressions are looked at even where the step is wrong as a whole.
        let keep = step.keep.as_ref().map(|keep| (self.expression(keep), keep.clone()));
        let set: Option<Vec<_>> = step.set.as_ref().map(|set| {
            set.0.iter().map(|(f, e)| (f.clone(), self.expression(e), e.clone())).collect()
        });
        let aggregates: Option<Vec<_>> = step
            .aggregate
            .as_ref()
            .map(|all| all.0.iter().map(|(name, call)| self.aggregate(name, call)).collect());
        if let Some(dedup) = &step.dedup {
            self.above_zero(Some(&dedup.within), "within");
        }
        if let Some(window) = &step.window {
            self.above_zero(Some(&window.tumbling), "tumbling");
        }
        match there.as_slice() {
            [] if damaged => Kind::Broken,
            [] if step.from.as_ref().is_some_and(|from| from.0.len() > 1) => Kind::Union,
            [] => {
                let message = format!("step `{}` does nothing", name.value);
                let help = "give it one of `keep`, `set`, `select`, `dedup`, or `key` with `window` \
                            and `aggregate`; or several names in `from` to unite them";
                self.wrong(Mistake::new(name.place, message).help(help));
                Kind::Broken
            }
            ["keep"] => keep.map_or(Kind::Broken, |(ast, text)| Kind::Keep(ast, text)),
            ["set"] => set.map_or(Kind::Broken, Kind::Set),
            ["select"] => match &step.select {
                Some(select) if !select.0.is_empty() => Kind::Select(select.0.clone()),
                _ => {
                    let message = format!("step `{}` selects no field", name.value);
                    self.wrong(Mistake::new(name.place, message));
                    Kind::Broken
                }
            },
            ["dedup"] => Kind::Dedup,
            ["window"] => {
                let missing: Vec<_> = windowed.iter().filter(|(_, set)| !set).collect();
                for (part, _) in missing.iter().filter(|_| !damaged) {
                    let example = match *part {
                        "key" => "key: sensor",
                        "window" => "window: { tumbling: 1m }",
                        _ => "aggregate: { n: count() }",
                    };
                    self.wrong(
                        Mistake::new(name.place, format!("step `{}` has no `{part}`", name.value))
                            .label(format!("add `{example}`"))
                            .help("a window step needs `key`, `window` and `aggregate`"),
                    );
                }
                aggregates.map_or(Kind::Broken, Kind::Window)
            }
            several => {
                let message =
                    format!("step `{}` does several things: {}", name.value, several.join(", "));
                let help = "make a step of each, and let one read the other by `from`";
                self.wrong(Mistake::new(name.place, message).help(help));
                Kind::Broken
            }
        }
    }

    fn sink(&mut self, name: &Spanned<String>, sink: &Sink) {
        self.one_connector(
            "sink",
            name,
            &[
                ("kafka", sink.kafka.is_some()),
                ("file", sink.file.is_some()),
                ("stdout", sink.stdout.is_some()),
                ("log", sink.log.is_some()),
            ],
        );
        if let Some(kafka) = &sink.kafka {
            self.not_empty(&kafka.brokers, "brokers");
            self.not_empty(&kafka.topic, "topic");
        }
        if let Some(file) = &sink.file {
            self.not_empty(&file.path, "path");
        }
    }

    /// Parses an expression and checks what can be checked without knowing the fields.
    /// `null` stands in for what cannot be parsed.
    fn expression(&mut self, text: &Spanned<String>) -> Ast {
        let mut found = Vec::new();
        let ast = match expr::parse(&text.value) {
            Ok(ast) => {
                ast.check(&mut found);
                ast
            }
            Err(mistake) => {
                found.push(mistake);
                Ast { at: 0, len: 0, shape: Shape::Null }
            }
        };
        for mistake in found {
            self.expression_mistake(text, mistake);
        }
        ast
    }

    /// Parses a call in the `aggregate` block. A count stands in for what cannot be parsed.
    fn aggregate(&mut self, name: &Spanned<String>, call: &Spanned<String>) -> Aggregate {
        let name = name.clone();
        match expr::aggregate(&call.value) {
            Ok((kind, argument)) => {
                let field = argument.map(|ast| Spanned {
                    value: call.value[ast.at..ast.at + ast.len].to_owned(),
                    place: self.inside(call, ast.at, ast.len),
                });
                Aggregate { name, kind, field }
            }
            Err(mistake) => {
                self.expression_mistake(call, mistake);
                Aggregate { name, kind: AggregateKind::Count, field: None }
            }
        }
    }

    fn expression_mistake(&mut self, text: &Spanned<String>, found: expr::Mistake) {
        let place = self.inside(text, found.at, found.len);
        let mut mistake = Mistake::new(place, found.message);
        if let Some(word) = &found.word {
            mistake = mistake.suggest(word, found.names.iter().map(String::as_str));
        }
        self.wrong(mistake);
    }

    /// The place of a part of a text, if the file spells the text as it is; else all of it.
    pub(super) fn inside(&self, text: &Spanned<String>, at: usize, len: usize) -> Place {
        let Place { start, len: written } = text.place;
        let source = self.text.get(start..start + written).unwrap_or_default();
        let quotes = usize::from(source.starts_with(['"', '\'']));
        match source.get(quotes..).is_some_and(|source| source.starts_with(&text.value)) {
            true => text.place.part(quotes + at, len),
            false => text.place,
        }
    }
}
