//! What a checked pipeline holds, what it promises, and that nothing in a file makes it panic.

use proptest::prelude::*;

use super::plan::{Component, Door, Operator, SourceConnector};
use super::{Checked, Report, Severity, load_text};
use crate::record::Value;
use crate::record::json::{JsonDecoder, JsonEncoder};

const GOOD: &str = include_str!("../../tests/sessions/good.yaml");

fn load(text: &str) -> Result<Checked, Report> {
    load_text("test.yaml", text.to_owned(), &|_| None)
}

fn checked(text: &str) -> Checked {
    load(text).unwrap_or_else(|report| panic!("{}", report.render(false)))
}

fn delivery(source: &str, steps: &str) -> String {
    let text = format!(
        "sources: {{ in: {source} }}\nsteps: {{ s: {{ from: in, {steps} }} }}\n\
         sinks: {{ out: {{ from: s, stdout: {{}} }} }}\n"
    );
    checked(&text).sinks[0].delivery.clone()
}

#[test]
fn a_source_extracts_what_is_used_and_no_more() {
    let plan = checked(GOOD);
    let source = &plan.sources[0];
    assert_eq!(source.schema.fields(), ["sensor", "celsius", "at"]);
    let time = source.time.as_ref().unwrap();
    assert_eq!((time.slot, time.behind.as_secs()), (2, 5));
    let names: Vec<_> = plan.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["plausible", "once", "per_minute"]);
    let Operator::Window(window) = &plan.steps[2].operator else { panic!("a window") };
    assert_eq!(window.key, [0]);
    assert_eq!(window.aggregates[1].1, Some(1));
    assert_eq!(
        plan.steps[2].output.fields(),
        ["sensor", "window_start", "window_end", "n", "mean"]
    );
    // The late rows of both steps are written as they came.
    assert!(source.keep_raw);
    let late = &plan.sinks[1];
    assert_eq!(late.whole, Some(vec![]));
    let doors: Vec<_> = late.inputs.iter().map(|input| (input.from, input.door)).collect();
    assert_eq!(doors, [(Component::Step(2), Door::Late), (Component::Step(1), Door::Late)]);
}

#[test]
fn without_a_sink_for_whole_records_none_are_kept() {
    let text = GOOD.split("  late:").next().unwrap();
    assert!(!checked(text).sources[0].keep_raw);
}

#[test]
fn steps_come_after_what_they_read_in_any_order_of_the_file() {
    let plan = checked(
        "sources: { in: { generate: {} } }\n\
         steps:\n  c: { from: [a, b] }\n  b: { from: a, keep: celsius > 1 }\n  a: { from: in, keep: at > 0 }\n\
         sinks: { out: { from: c, stdout: {} } }\n",
    );
    let names: Vec<_> = plan.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(plan.steps[1].inputs[0].from, Component::Step(0));
    let from: Vec<_> = plan.steps[2].inputs.iter().map(|input| input.from).collect();
    assert_eq!(from, [Component::Step(0), Component::Step(1)]);
    assert!(matches!(plan.sources[0].connector, SourceConnector::Generate(_)));
}

#[test]
fn united_rows_are_brought_into_one_order() {
    let plan = checked(
        "sources:\n  a: { file: { path: a } }\n  b: { file: { path: b } }\n\
         steps:\n  x: { from: a, select: [k, v] }\n  y: { from: b, select: [v, w, k] }\n\
         sinks: { out: { from: [x, y], stdout: {} } }\n",
    );
    let sink = &plan.sinks[0];
    assert_eq!(sink.schema.fields(), ["k", "v", "w"]);
    assert_eq!(sink.inputs[0].slots, Some(vec![Some(0), Some(1), None]));
    assert_eq!(sink.inputs[1].slots, Some(vec![Some(2), Some(0), Some(1)]));
    assert_eq!(sink.whole, None);
}

#[test]
fn fields_that_steps_set_are_put_over_whole_records() {
    let plan = checked(
        "sources: { in: { file: { path: a } } }\n\
         steps: { s: { from: in, set: { f: c * 1.8 + 32, c: 0 } } }\n\
         sinks: { out: { from: s, stdout: {} } }\n",
    );
    let (source, step, sink) = (&plan.sources[0], &plan.steps[0], &plan.sinks[0]);
    assert_eq!(source.schema.fields(), ["c"]);
    let mut row = JsonDecoder::new(source.schema.clone(), source.keep_raw)
        .row(br#"{"id":1,"c":10.0,"x":[1]}"#)
        .unwrap();
    let Operator::Set(set) = &step.operator else { panic!("a set") };
    let set: Vec<_> =
        set.iter().map(|(slot, expr)| (*slot, Value::from(expr.eval(&row).unwrap()))).collect();
    let mut values = row.values.to_vec();
    values.resize(step.output.len(), Value::Null);
    set.into_iter().for_each(|(slot, value)| values[slot] = value);
    row.values = values.into();
    let mut out = Vec::new();
    JsonEncoder::new(sink.schema.clone(), sink.whole.clone()).write(&row, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), r#"{"id":1,"x":[1],"f":50.0,"c":0}"#);
}

#[test]
fn at_least_once_is_said_only_where_it_is_true() {
    let kafka = |rest: &str| {
        format!("{{ kafka: {{ brokers: b, topic: t{rest} }}, time: {{ field: at }} }}")
    };
    let keep = "keep: x > 1";
    assert_eq!(delivery(&kafka(""), keep), "at-least-once through committed offsets");
    assert_eq!(delivery(&kafka(", start: committed"), keep), delivery(&kafka(""), keep));
    let window = "key: k, window: { tumbling: 1m }, aggregate: { n: count() }";
    let dedup = "dedup: { key: k, within: 1m }";
    for (source, step, expected) in [
        (kafka(""), window, "open windows are lost in a crash or stop"),
        (kafka(""), dedup, "dedup memory is lost in a crash or stop"),
        (kafka(", commit: no"), keep, "rows come again"),
        (kafka(", start: earliest"), keep, "rows come again"),
        (kafka(", start: latest"), keep, "skipped"),
        ("{ file: { path: a } }".to_owned(), keep, "rows come again"),
        ("{ generate: {} }".to_owned(), "keep: celsius > 1", "anew"),
    ] {
        let said = delivery(&source, step);
        assert!(said.contains(expected), "{source} {step}: {said}");
        assert!(!said.contains("at-least-once"), "{source} {step}: {said}");
    }
}

#[test]
fn passwords_are_never_printed() {
    let text = "sources: { in: { kafka: { brokers: b, topic: t, settings: { sasl.password: hunter2 } } } }\n\
                sinks: { out: { from: in, kafka: { brokers: b, topic: t, settings: { sasl.password: hunter2 } } } }\n";
    let mut plan = checked(text);
    plan.warnings = Report::default();
    assert!(!format!("{plan:?}").contains("hunter2"));
    let held = |name: &str| (name == "SECRET").then(|| "hunter2".to_owned());
    for setting in ["behind", "unit", "idle_after"] {
        let text = format!(
            "sources: {{ in: {{ file: {{ path: a }}, time: {{ field: at, {setting}: '${{SECRET}}' }} }} }}\n\
             sinks: {{ out: {{ from: in, stdout: {{}} }} }}\nworkers: ${{SECRET}}\n"
        );
        let report = load_text("x", text, &held).unwrap_err();
        assert_eq!(report.count(Severity::Error), 2);
        assert!(!report.render(false).contains("hunter2"), "{}", report.render(false));
    }
}

#[test]
fn every_setting_may_be_wrong_at_once() {
    // Each value of the file becomes a list of a list, which nothing takes.
    for (at, line) in GOOD.lines().enumerate() {
        let Some((key, _)) = line.split_once(": ") else { continue };
        let mut lines: Vec<_> = GOOD.lines().map(str::to_owned).collect();
        lines[at] = format!("{key}: [[nonsense]]");
        let report = load(&lines.join("\n")).expect_err(line);
        assert!(report.count(Severity::Error) >= 1, "{line}");
        assert!(report.findings().iter().any(|found| found.line == at + 1), "{line}");
    }
}

#[test]
fn aliases_share_their_places_and_their_mistakes() {
    let report = load(
        "sources:\n  a: &x { kafka: { tpic: t, commit: [] }, time: { field: at, behind: 5 } }\n  b: *x\n  c:\n    <<: *x\n    max_failures: 0\n\
         sinks: { out: { from: [a, b, c], stdout: {} } }\n",
    )
    .unwrap_err();
    let mut messages: Vec<_> = report.mistakes.iter().map(|m| m.message.as_str()).collect();
    messages.sort_unstable();
    assert_eq!(
        messages,
        [
            "`brokers` is missing",
            "`max_failures` must be at least 1",
            "`topic` is missing",
            "a duration needs a unit",
            "expected yes or no, found a list",
            "unknown setting `tpic`",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_file_makes_the_check_panic(
        cuts in proptest::collection::vec((0usize..1_000, 0usize..40, "[ -~\n]{0,6}"), 1..6),
    ) {
        let mut text = GOOD.to_owned();
        for (at, len, with) in cuts {
            let start = at.min(text.len());
            let end = (start + len).min(text.len());
            if text.is_char_boundary(start) && text.is_char_boundary(end) {
                text.replace_range(start..end, &with);
            }
        }
        let report = match load(&text) {
            Ok(checked) => checked.warnings,
            Err(report) => {
                prop_assert!(report.count(Severity::Error) > 0);
                report
            }
        };
        report.render(true);
        report.findings();
    }
}
