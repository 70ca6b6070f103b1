//! What a pipeline promises about each sink, and what its results depend on beside the input.

use super::check::{Checker, Kind};
use super::graph::{Edge, Graph};
use super::pipeline::{OnMissing, Start};
use super::plan::Component;
use super::quantity::OrOff;
use super::report::{Mistake, Severity};

/// What the whole way from the sources to a sink promises, weakest link named.
///
/// The words `at-least-once` are for ways on which nothing is lost, and for no others.
pub(super) fn statement(
    checker: &Checker<'_>,
    kinds: &[Kind],
    graph: &Graph,
    edges: &[Edge],
) -> String {
    let upstream = graph.upstream(edges);
    let windows = |step: usize| matches!(kinds[step], Kind::Window(_));
    let dedups = |step: usize| matches!(kinds[step], Kind::Dedup);
    let any = |test: &dyn Fn(usize) -> bool| {
        upstream.iter().any(|one| matches!(one, Component::Step(step) if test(*step)))
    };
    let state = match (any(&windows), any(&dedups)) {
        (true, true) => "open windows and dedup memory are lost in a crash or stop",
        (true, false) => "open windows are lost in a crash or stop",
        (false, true) => {
            "dedup memory is lost in a crash or stop: copies across a restart pass again"
        }
        (false, false) => return stateless(checker, &upstream),
    };
    format!("{state} (there are no checkpoints)")
}

fn stateless(checker: &Checker<'_>, upstream: &[Component]) -> String {
    for component in upstream {
        let Component::Source(at) = component else { continue };
        let (name, source) = &checker.pipeline.sources.0[*at];
        let name = &name.value;
        let weak = match (&source.kafka, &source.file) {
            (Some(kafka), _) => {
                let committed = kafka.start.as_ref().is_none_or(|s| s.value == Start::Committed);
                let commit = kafka.commit.as_ref().is_none_or(|commit| commit.value);
                match (commit, committed, kafka.start.as_ref().map(|s| &s.value)) {
                    (true, true, _) => continue,
                    (false, true, _) => format!(
                        "a restart begins at what `{name}` committed before, as nothing is \
                         committed now: rows come again"
                    ),
                    (_, _, Some(Start::Latest)) => {
                        format!("what arrives in `{name}` between two runs is skipped")
                    }
                    _ => format!("every start reads `{name}` anew: rows come again"),
                }
            }
            (_, Some(_)) => {
                format!("every start reads the files of `{name}` anew: rows come again")
            }
            _ => format!("`{name}` makes its records up anew at every start"),
        };
        return weak;
    }
    "at-least-once through committed offsets".into()
}

/// Adds notes about what results depend on beside the recorded input.
pub(super) fn notes(checker: &mut Checker<'_>, kinds: &[Kind], graph: &Graph) {
    let pipeline = checker.pipeline;
    let timed = |at: usize| {
        (0..kinds.len()).any(|step| {
            matches!(kinds[step], Kind::Window(_) | Kind::Dedup)
                && graph.upstream(&graph.steps[step]).contains(&Component::Source(at))
        })
    };
    let mut notes = Vec::new();
    for (at, (name, source)) in pipeline.sources.0.iter().enumerate() {
        let Some(time) = source.time.as_ref().filter(|_| timed(at)) else { continue };
        let name = &name.value;
        let mut note = |place, message: String| {
            notes.push(Mistake { severity: Severity::Note, ..Mistake::new(place, message) });
        };
        // A source that ends does not grow silent.
        let lasts = source.kafka.as_ref().is_some_and(|kafka| kafka.until.is_none())
            || source.file.as_ref().is_some_and(|file| file.follow.unwrap_or(false));
        let idles = time.idle_after.as_ref().is_none_or(|idle| idle.value != OrOff::Off);
        if lasts && idles {
            let place = time.idle_after.as_ref().map_or(time.field.place, |idle| idle.place);
            let message = format!(
                "results depend on timing when a partition of `{name}` is silent: idle partitions \
                 hold nobody back, and what they bring later may be late; `idle_after: off` waits \
                 for them"
            );
            note(place, message);
        }
        match &time.max_future_skew {
            Some(skew) if skew.value == OrOff::Off => {}
            skew => {
                let place = skew.as_ref().map_or(time.field.place, |skew| skew.place);
                let message = format!(
                    "records of `{name}` in the future are judged by the clock of the machine; \
                     `max_future_skew: off` makes results depend on the input alone"
                );
                note(place, message);
            }
        }
        if let Some(missing) = &time.on_missing
            && missing.value == OnMissing::Ingestion
        {
            let message = format!(
                "records of `{name}` without a time get the time they are read at: results differ \
                 from run to run"
            );
            note(missing.place, message);
        }
    }
    for (at, (_, step)) in pipeline.steps.0.iter().enumerate() {
        if let (Kind::Dedup, Some(dedup)) = (&kinds[at], &step.dedup) {
            let message = "copies that differ: the first to arrive is kept, which depends on \
                           timing; copies with equal content and time give equal results";
            let mistake = Mistake::new(dedup.within.place, message);
            notes.push(Mistake { severity: Severity::Note, ..mistake });
        }
    }
    checker.mistakes.extend(notes);
}
