//! Which fields each component has and which it must hand on.
//!
//! Forwards: what a component's rows can have, so that a misspelt field is found. Backwards: what
//! is asked of them, so that a source extracts that and no more. Forwards again: slots.

use std::collections::HashMap;

use super::build;
use super::check::{Checker, Kind};
use super::graph::{Edge, Graph};
use super::pipeline::{Spanned, Unit};
use super::plan::{Checked, Component, Door, rejects_schema};
use super::report::Mistake;
use crate::record::Schema;

/// What the rows of a stream can have.
#[derive(Clone, Debug, Default)]
pub(super) struct Has {
    /// The fields that are known.
    pub(super) names: Vec<String>,
    /// Whether there may be others.
    pub(super) others: bool,
    /// Whether rows are whole records, as they came.
    pub(super) raw: bool,
    /// The fields that steps have set since the record came.
    pub(super) computed: Vec<String>,
    /// The unit of the sources' times; `None` for no event time at all.
    pub(super) unit: Option<Unit>,
}

/// What is asked of the rows of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// These fields, in the order of asking.
    pub(super) names: Schema,
    /// The record as a whole.
    pub(super) whole: bool,
}

impl Asked {
    fn add(&mut self, names: impl IntoIterator<Item = impl Into<String>>) {
        names.into_iter().for_each(|name| _ = self.names.add(name));
    }

    fn join(&mut self, other: &Asked) {
        self.add(other.names.fields().iter().cloned());
        self.whole |= other.whole;
    }
}

/// What the two passes found out, for the builder of the plan.
pub(super) struct Fields {
    /// For each step what its input has.
    pub(super) step_inputs: Vec<Has>,
    /// For each sink what its input has.
    pub(super) sink_inputs: Vec<Has>,
    /// For each component and door what is asked.
    pub(super) asked: HashMap<(Component, Door), Asked>,
    /// For each sink what it asks.
    pub(super) sink_asks: Vec<Asked>,
    /// For each step what it asks of its input.
    pub(super) step_asks: Vec<Asked>,
}

/// Checks every field that is named, and resolves the pipeline if the graph is whole.
pub(super) fn resolve(checker: &mut Checker<'_>, kinds: &[Kind], graph: &Graph) -> Option<Checked> {
    let mut given: HashMap<(Component, Door), Has> = HashMap::new();
    let pipeline = checker.pipeline;
    for (at, (_, source)) in pipeline.sources.0.iter().enumerate() {
        let declared = source.fields.as_ref();
        let mut names: Vec<String> = declared.map_or(Vec::new(), |fields| {
            fields.0.iter().map(|field| field.value.clone()).collect()
        });
        if let (Some(generate), None) = (&source.generate, declared) {
            let made = generate.kind.unwrap_or_default().fields();
            names = made.iter().map(|field| (*field).to_owned()).collect();
        }
        let unit = match &source.time {
            Some(time) => Some(time.unit.unwrap_or_default()),
            None if source.generate.is_some() => Some(Unit::Ms),
            None => None,
        };
        let has = Has { others: names.is_empty(), names, raw: true, computed: Vec::new(), unit };
        if let Some(time) = &source.time {
            check_field(checker, &has, &time.field);
        }
        given.insert((Component::Source(at), Door::Rows), has);
        given.insert((Component::Source(at), Door::Rejects), rejects());
    }
    let mut step_inputs = vec![Has::default(); kinds.len()];
    let broken = Has { others: true, raw: true, unit: Some(Unit::Ms), ..Has::default() };
    for &at in &graph.order {
        let input = unite(Some(checker), &graph.steps[at], &given);
        let output = step_output(checker, at, &kinds[at], &input);
        let step = Component::Step(at);
        given.insert((step, Door::Rows), output);
        given.insert((step, Door::Late), input.clone());
        given.insert((step, Door::Duplicates), input.clone());
        given.insert((step, Door::Rejects), rejects());
        step_inputs[at] = input;
    }
    // Steps in a circle: nothing is known of their rows, and nothing is complained about.
    for at in 0..kinds.len() {
        given.entry((Component::Step(at), Door::Rows)).or_insert_with(|| broken.clone());
    }
    let mut sink_inputs = Vec::new();
    let mut sink_asks = Vec::new();
    for (edges, (name, sink)) in graph.sinks.iter().zip(&pipeline.sinks.0) {
        let input = unite(None, edges, &given);
        let mut asks = Asked { whole: input.raw, ..Asked::default() };
        // A record is written out as a whole, with the fields that were set put over it.
        asks.add(if input.raw { &input.computed } else { &input.names }.iter().cloned());
        if let Some(key) = sink.kafka.as_ref().and_then(|kafka| kafka.key.as_ref()) {
            for field in &key.0 {
                check_field(checker, &input, field);
                asks.add([field.value.clone()]);
            }
        }
        if input.others && !input.raw && !edges.is_empty() {
            let message = format!("sink `{}` cannot know which fields to write", name.value);
            let help = "some of its rows are whole records, others were made by a step: \
                        `select` the fields of the whole ones first";
            checker.wrong(Mistake::new(name.place, message).help(help));
        }
        sink_inputs.push(input);
        sink_asks.push(asks);
    }
    if !graph.whole || kinds.iter().any(|kind| matches!(kind, Kind::Broken)) {
        return None;
    }
    let (asked, step_asks) = ask(checker, kinds, graph, &sink_asks, &step_inputs);
    let fields = Fields { step_inputs, sink_inputs, asked, sink_asks, step_asks };
    build::build(checker, kinds, graph, &fields)
}

fn rejects() -> Has {
    Has { names: rejects_schema().fields().to_vec(), ..Has::default() }
}

/// What several inputs have together. With a checker, all or none must have an event time.
fn unite(
    mut checker: Option<&mut Checker<'_>>,
    edges: &[Edge],
    given: &HashMap<(Component, Door), Has>,
) -> Has {
    let mut all = edges.iter().filter_map(|edge| Some((edge, given.get(&(edge.from, edge.door))?)));
    // An input that could not be resolved may have any field.
    let Some((first_edge, first)) = all.next() else {
        return Has { others: true, raw: true, unit: Some(Unit::Ms), ..Has::default() };
    };
    let mut has = first.clone();
    for (edge, other) in all {
        for name in &other.names {
            if !has.names.contains(name) {
                has.names.push(name.clone());
            }
        }
        for name in &other.computed {
            if !has.computed.contains(name) {
                has.computed.push(name.clone());
            }
        }
        has.others |= other.others;
        has.raw &= other.raw;
        if let Some(checker) = checker.as_mut()
            && has.unit.is_some() != other.unit.is_some()
        {
            checker.wrong(
                Mistake::new(edge.place, "rows with and without an event time cannot be united")
                    .also(first_edge.place, "the other kind"),
            );
        }
        // Sources with different units: what a window writes is in milliseconds then.
        if has.unit != other.unit {
            has.unit = Some(Unit::Ms);
        }
    }
    has
}

pub(super) fn check_field(checker: &mut Checker<'_>, has: &Has, field: &Spanned<String>) {
    if has.others || has.names.contains(&field.value) {
        return;
    }
    let message = format!("no field `{}` here", field.value);
    let mistake = Mistake::new(field.place, message)
        .suggest(&field.value, has.names.iter().map(String::as_str));
    checker.wrong(mistake);
}

fn check_expression(
    checker: &mut Checker<'_>,
    has: &Has,
    ast: &crate::record::expr::Ast,
    text: &Spanned<String>,
) {
    let mut read = Vec::new();
    ast.fields(&mut |name, part| {
        let place = checker.inside(text, part.at, part.len);
        read.push(Spanned { value: name.to_owned(), place });
    });
    read.iter().for_each(|field| check_field(checker, has, field));
}

/// What a step's rows have; fields it names are checked against its input.
fn step_output(checker: &mut Checker<'_>, at: usize, kind: &Kind, input: &Has) -> Has {
    let (name, step) = &checker.pipeline.steps.0[at];
    let mut output = input.clone();
    let needs_time = matches!(kind, Kind::Window(_) | Kind::Dedup);
    if needs_time && input.unit.is_none() {
        let message = format!("step `{}` needs an event time, but its rows have none", name.value);
        let help = "give the source `time: { field: …, unit: ms, behind: 5s }`";
        checker.wrong(Mistake::new(name.place, message).help(help));
        output.unit = Some(Unit::Ms);
    }
    let unit = output.unit;
    match kind {
        Kind::Broken => output = Has { others: true, raw: true, ..output },
        Kind::Union => {}
        Kind::Keep(ast, text) => check_expression(checker, input, ast, text),
        Kind::Set(fields) => {
            for (field, ast, text) in fields {
                check_expression(checker, input, ast, text);
                if !input.others && !output.names.contains(&field.value) {
                    output.names.push(field.value.clone());
                }
                if !output.computed.contains(&field.value) {
                    output.computed.push(field.value.clone());
                }
            }
        }
        Kind::Select(fields) => {
            for field in fields {
                check_field(checker, input, field);
            }
            let names = Schema::new(fields.iter().map(|field| field.value.clone()));
            output = Has { names: names.fields().to_vec(), unit: input.unit, ..Has::default() };
        }
        Kind::Dedup => {
            for field in step.dedup.iter().flat_map(|dedup| &dedup.key.0) {
                check_field(checker, input, field);
            }
        }
        Kind::Window(aggregates) => {
            let mut names: Vec<(String, super::tree::Place)> = Vec::new();
            for field in step.key.iter().flat_map(|key| &key.0) {
                check_field(checker, input, field);
                names.push((field.value.clone(), field.place));
            }
            for aggregate in aggregates {
                if let Some(field) = &aggregate.field {
                    check_field(checker, input, field);
                }
                names.push((aggregate.name.value.clone(), aggregate.name.place));
            }
            for (at, (field, place)) in names.iter().enumerate() {
                let bounds = ["window_start", "window_end"].contains(&field.as_str());
                if bounds || names[..at].iter().any(|(other, _)| other == field) {
                    let message = format!("the result would have two fields `{field}`");
                    checker.wrong(Mistake::new(*place, message).label("call it something else"));
                }
            }
            let keys = step.key.as_ref().map_or(0, |key| key.0.len());
            let mut names: Vec<String> = names.into_iter().map(|(name, _)| name).collect();
            let rest = names.split_off(keys.min(names.len()));
            names.extend(["window_start".into(), "window_end".into()]);
            names.extend(rest);
            output = Has { names, unit, ..Has::default() };
        }
    }
    output
}

/// Walks from the sinks to the sources and gathers what is asked of each stream.
fn ask(
    checker: &Checker<'_>,
    kinds: &[Kind],
    graph: &Graph,
    sink_asks: &[Asked],
    step_inputs: &[Has],
) -> (HashMap<(Component, Door), Asked>, Vec<Asked>) {
    let mut asked: HashMap<(Component, Door), Asked> = HashMap::new();
    for (edges, asks) in graph.sinks.iter().zip(sink_asks) {
        for edge in edges {
            asked.entry((edge.from, edge.door)).or_default().join(asks);
        }
    }
    let mut step_asks = vec![Asked::default(); kinds.len()];
    for &at in graph.order.iter().rev() {
        let of = |door| asked.get(&(Component::Step(at), door)).cloned().unwrap_or_default();
        let rows = of(Door::Rows);
        let step = &checker.pipeline.steps.0[at].1;
        let mut asks = Asked::default();
        match &kinds[at] {
            Kind::Broken | Kind::Union => asks = rows,
            Kind::Keep(ast, _) => {
                asks = rows;
                ast.fields(&mut |name, _| asks.add([name]));
            }
            Kind::Set(fields) => {
                asks.whole = rows.whole;
                let kept = rows.names.fields().iter();
                asks.add(kept.filter(|n| fields.iter().all(|(f, ..)| f.value != **n)).cloned());
                for (_, ast, _) in fields {
                    ast.fields(&mut |name, _| asks.add([name]));
                }
            }
            Kind::Select(fields) => asks.add(fields.iter().map(|field| field.value.clone())),
            Kind::Dedup => {
                asks = rows;
                asks.add(step.dedup.iter().flat_map(|d| &d.key.0).map(|f| f.value.clone()));
            }
            Kind::Window(aggregates) => {
                asks.add(step.key.iter().flat_map(|key| &key.0).map(|f| f.value.clone()));
                asks.add(aggregates.iter().filter_map(|a| Some(a.field.as_ref()?.value.clone())));
            }
        }
        asks.join(&of(Door::Late));
        asks.join(&of(Door::Duplicates));
        // A record that is no whole one any more is asked for by all its fields.
        if !step_inputs[at].raw {
            asks.whole = false;
        }
        for edge in &graph.steps[at] {
            asked.entry((edge.from, edge.door)).or_default().join(&asks);
        }
        step_asks[at] = asks;
    }
    (asked, step_asks)
}
