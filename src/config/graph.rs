//! Who reads whom: names in `from` resolved, cycles refused, steps put in order.

use super::check::{Checker, Kind};
use super::pipeline::{Many, Spanned};
use super::plan::{Component, Door};
use super::report::{Mistake, similar};
use super::tree::Place;

/// One name in a `from`, resolved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: Component,
    pub(super) door: Door,
    pub(super) place: Place,
}

/// The resolved graph. Edges that could not be resolved are left out; then `whole` is false.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    pub(super) steps: Vec<Vec<Edge>>,
    pub(super) sinks: Vec<Vec<Edge>>,
    /// The steps in an order in which each comes after what it reads.
    pub(super) order: Vec<usize>,
    pub(super) whole: bool,
}

impl Graph {
    /// Every step upstream of some edges, the edges' own included, and every source.
    pub(super) fn upstream(&self, edges: &[Edge]) -> Vec<Component> {
        let mut seen = Vec::new();
        let mut todo: Vec<Component> = edges.iter().map(|edge| edge.from).collect();
        while let Some(next) = todo.pop() {
            if seen.contains(&next) {
                continue;
            }
            seen.push(next);
            if let Component::Step(step) = next {
                todo.extend(self.steps[step].iter().map(|edge| edge.from));
            }
        }
        seen.sort_unstable();
        seen
    }
}

/// Resolves every `from` of the file.
pub(super) fn resolve(checker: &mut Checker<'_>, kinds: &[Kind]) -> Graph {
    let pipeline = checker.pipeline;
    let mut whole = true;
    let mut all = |section: &'static str, name: &Spanned<String>, from: &Option<Many<_>>| {
        let mut edges = Vec::new();
        let names: &[Spanned<String>] = from.as_ref().map_or(&[], |from| &from.0);
        if names.is_empty() && !checker.damaged(section, &name.value) {
            let one = section.trim_end_matches('s');
            let mistake = Mistake::new(name.place, format!("{one} `{}` reads nothing", name.value));
            checker.wrong(mistake.label("add `from: …`"));
        }
        whole &= !names.is_empty();
        for (at, word) in names.iter().enumerate() {
            if names[..at].iter().any(|other| other.value == word.value) {
                checker.wrong(Mistake::new(word.place, format!("`{}` is read twice", word.value)));
            }
            match edge(checker, kinds, section, name, word) {
                Some(edge) => edges.push(edge),
                None => whole = false,
            }
        }
        edges
    };
    let steps: Vec<_> =
        pipeline.steps.0.iter().map(|(name, step)| all("steps", name, &step.from)).collect();
    let sinks: Vec<_> =
        pipeline.sinks.0.iter().map(|(name, sink)| all("sinks", name, &sink.from)).collect();
    let mut graph = Graph { steps, sinks, order: Vec::new(), whole };
    order(checker, &mut graph);
    unread(checker, &graph);
    graph
}

fn edge(
    checker: &mut Checker<'_>,
    kinds: &[Kind],
    section: &str,
    reader: &Spanned<String>,
    word: &Spanned<String>,
) -> Option<Edge> {
    let pipeline = checker.pipeline;
    let (name, door) = match word.value.split_once('.') {
        Some((name, door)) => (name, Some(door)),
        None => (word.value.as_str(), None),
    };
    let source = pipeline.sources.0.iter().position(|(known, _)| known.value == name);
    let step = pipeline.steps.0.iter().position(|(known, _)| known.value == name);
    let from = match (source, step) {
        (Some(source), _) => Component::Source(source),
        (_, Some(step)) => Component::Step(step),
        // It is there, but its settings could not be read at all.
        _ if checker.declared.iter().any(|d| d.section != "sinks" && d.name == name) => {
            return None;
        }
        _ => {
            unknown(checker, section, reader, word, name);
            return None;
        }
    };
    let doors: &[&str] = match from {
        Component::Source(_) => &["rejects"],
        Component::Step(step) => match kinds[step] {
            Kind::Window(_) => &["late", "rejects"],
            Kind::Dedup => &["late", "duplicates"],
            Kind::Keep(..) | Kind::Set(_) => &["rejects"],
            Kind::Union | Kind::Select(_) => &[],
            Kind::Broken => &["late", "duplicates", "rejects"],
        },
    };
    let door = match door {
        None => Door::Rows,
        Some(door) if !doors.contains(&door) => {
            let message = format!("`{name}` has no side output `{door}`");
            let at = checker.inside(word, name.len() + 1, door.len());
            let mut mistake = Mistake::new(at, message).suggest(door, doors.iter().copied());
            if door == "late" && matches!(from, Component::Source(_)) {
                let refusing = pipeline
                    .steps
                    .0
                    .iter()
                    .zip(kinds)
                    .find(|(_, kind)| matches!(kind, Kind::Window(_) | Kind::Dedup));
                mistake.help = Some(
                    "a source refuses no row for being late: a step with a window or dedup does, \
                     and late rows leave there"
                        .into(),
                );
                if let Some(((step, _), _)) = refusing {
                    mistake.label = format!("did you mean `{}.late`?", step.value);
                }
            } else if doors.is_empty() {
                mistake.label = "it has no side outputs".into();
            }
            checker.wrong(mistake);
            return None;
        }
        Some("late") => Door::Late,
        Some("duplicates") => Door::Duplicates,
        Some(_) => Door::Rejects,
    };
    Some(Edge { from, door, place: word.place })
}

fn unknown(
    checker: &mut Checker<'_>,
    section: &str,
    reader: &Spanned<String>,
    word: &Spanned<String>,
    name: &str,
) {
    let one = section.trim_end_matches('s');
    let known: Vec<_> = checker
        .declared
        .iter()
        .filter(|d| d.section != "sinks" && d.name != reader.value)
        .collect();
    let message =
        format!("`{name}` is read by {one} `{}`, but nothing is called that", reader.value);
    let place = checker.inside(word, 0, name.len());
    let mut mistake = Mistake::new(place, message);
    match similar(name, known.iter().map(|d| d.name.as_str())) {
        Some(found) => {
            let kind = known.iter().find(|d| d.name == found).map_or("step", |d| d.section);
            mistake.label = format!("there is a {} `{found}`", kind.trim_end_matches('s'));
        }
        None if checker.declared.iter().any(|d| d.section == "sinks" && d.name == name) => {
            mistake.label = "this is a sink, which gives no rows".into();
        }
        None => mistake = mistake.suggest(name, known.iter().map(|d| d.name.as_str())),
    }
    checker.wrong(mistake);
}

/// Puts the steps in order, or tells the steps that read each other in a circle.
fn order(checker: &mut Checker<'_>, graph: &mut Graph) {
    let count = graph.steps.len();
    let mut placed = vec![false; count];
    loop {
        let ready = (0..count).find(|&step| {
            !placed[step]
                && graph.steps[step].iter().all(|edge| match edge.from {
                    Component::Source(_) => true,
                    Component::Step(other) => placed[other],
                })
        });
        let Some(step) = ready else { break };
        placed[step] = true;
        graph.order.push(step);
    }
    // What is left is in a circle or behind one. Walking up from any of it ends in a circle.
    graph.whole &= graph.order.len() == count;
    let mut told = placed.clone();
    while let Some(start) = told.iter().position(|told| !told) {
        let mut path: Vec<(usize, Place)> = Vec::new();
        let mut at = start;
        while !told[at] {
            told[at] = true;
            let up = graph.steps[at].iter().find_map(|edge| match edge.from {
                Component::Step(other) if !placed[other] => Some((other, edge.place)),
                _ => None,
            });
            let Some((other, place)) = up else { break };
            path.push((at, place));
            at = other;
        }
        if let Some(start) = path.iter().position(|(step, _)| *step == at) {
            tell_circle(checker, &path[start..]);
        }
    }
}

/// Tells of steps that read each other; each comes with the place of its `from`.
fn tell_circle(checker: &mut Checker<'_>, circle: &[(usize, Place)]) {
    let name = |at: usize| &checker.pipeline.steps.0[circle[at % circle.len()].0].0.value;
    let message = if circle.len() == 1 {
        format!("step `{}` reads itself", name(0))
    } else {
        let reads: Vec<_> = (0..circle.len())
            .map(|at| format!("`{}` reads `{}`", name(at), name(at + 1)))
            .collect();
        format!("these steps are a circle: {}", reads.join(", "))
    };
    let mut mistake = Mistake::new(circle[0].1, message).label("the circle closes here");
    for (_, place) in &circle[1..] {
        mistake = mistake.also(*place, "and goes through here");
    }
    checker.wrong(mistake);
}

/// Warns of sources and steps nobody reads.
fn unread(checker: &mut Checker<'_>, graph: &Graph) {
    let pipeline = checker.pipeline;
    let read: Vec<Component> =
        graph.steps.iter().chain(&graph.sinks).flatten().map(|edge| edge.from).collect();
    // A reader whose `from` is wrong may have meant any of them.
    if !graph.whole {
        return;
    }
    let sources = pipeline.sources.0.iter().enumerate();
    let sources = sources.map(|(at, (name, _))| (Component::Source(at), "source", name));
    let steps = pipeline.steps.0.iter().enumerate();
    let steps = steps.map(|(at, (name, _))| (Component::Step(at), "step", name));
    for (component, kind, name) in sources.chain(steps) {
        if !read.contains(&component) {
            let message = format!("nothing reads {kind} `{}`", name.value);
            checker.wrong(Mistake::warning(name.place, message).label("it has no effect"));
        }
    }
}
