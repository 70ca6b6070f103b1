//! From checked parts to the resolved pipeline: names become slots.

use std::collections::HashMap;
use std::time::Duration;

use super::check::{Checker, Kind};
use super::fields::{Asked, Fields};
use super::graph::{Edge, Graph};
use super::pipeline::{self, Hidden, Named, Policy, Spanned, Start, Unit};
use super::plan::{
    Checked, Component, Door, EventTimes, FileSource, Generate, Input, KafkaSink, KafkaSource,
    Operator, Sink, SinkConnector, Source, SourceConnector, Step, Window, rejects_schema,
};
use super::quantity::{OrOff, Time};
use super::report::Report;
use super::{delivery, tree::Place};
use crate::record::Schema;
use crate::record::expr::compile;
use crate::source::{OnFuture, OnMissing};

/// The default length of a tick.
const TICK: Duration = Duration::from_millis(20);
/// The default interval between lines with the counters.
const STATS_EVERY: Duration = Duration::from_secs(10);
/// How far ahead of the clock a record may move the watermark by default.
const MAX_FUTURE_SKEW: Duration = Duration::from_secs(300);
/// After how long a silent partition is idle, if the file does not say.
const IDLE_AFTER: Duration = Duration::from_secs(30);
/// How far a generator is out of order, and how long it is waited for, by default.
const GENERATED_BEHIND: Duration = Duration::from_secs(5);

fn time(value: Option<&Spanned<Time>>, default: Duration) -> Duration {
    value.map_or(default, |value| value.value.0)
}

fn switch(value: Option<&Spanned<OrOff<Time>>>, default: Option<Duration>) -> Option<Duration> {
    value.map_or(default, |value| value.value.set().map(|time| time.0))
}

/// Builds the resolved pipeline; `None` if something in it was found wrong before.
pub(super) fn build(
    checker: &Checker<'_>,
    kinds: &[Kind],
    graph: &Graph,
    fields: &Fields,
) -> Option<Checked> {
    let file = checker.pipeline;
    let name = file.name.as_ref().map_or_else(|| "tiderace".to_owned(), |name| name.value.clone());
    let mut schemas: HashMap<(Component, Door), Schema> = HashMap::new();
    let mut sources = Vec::new();
    for (at, (source_name, source)) in file.sources.0.iter().enumerate() {
        let asked = fields.asked.get(&(Component::Source(at), Door::Rows));
        let asked = asked.cloned().unwrap_or_default();
        let built = build_source(&name, source_name, source, &asked)?;
        schemas.insert((Component::Source(at), Door::Rows), built.schema.clone());
        schemas.insert((Component::Source(at), Door::Rejects), rejects_schema());
        sources.push(built);
    }
    // Steps refer to each other by their index in the order they are built in.
    let mut index = vec![0; kinds.len()];
    graph.order.iter().enumerate().for_each(|(new, &old)| index[old] = new);
    let renumber = |component: Component| match component {
        Component::Step(old) => Component::Step(index[old]),
        source => source,
    };
    let mut steps = Vec::new();
    for &at in &graph.order {
        let (step_name, step) = &file.steps.0[at];
        let (inputs, input) = connect(&graph.steps[at], &fields.step_asks[at], &schemas, renumber)?;
        let unit = fields.step_inputs[at].unit.unwrap_or_default();
        let asked = fields.asked.get(&(Component::Step(at), Door::Rows));
        let (operator, output) = operator(step, &kinds[at], &input, asked, unit)?;
        for (door, schema) in [
            (Door::Rows, &output),
            (Door::Late, &input),
            (Door::Duplicates, &input),
            (Door::Rejects, &rejects_schema()),
        ] {
            schemas.insert((Component::Step(at), door), schema.clone());
        }
        steps.push(Step { name: step_name.value.clone(), inputs, input, operator, output });
    }
    let mut sinks = Vec::new();
    for (at, (sink_name, sink)) in file.sinks.0.iter().enumerate() {
        let edges = &graph.sinks[at];
        let (inputs, schema) = connect(edges, &fields.sink_asks[at], &schemas, renumber)?;
        let has = &fields.sink_inputs[at];
        let overlay = || has.computed.iter().filter_map(|name| schema.slot(name)).collect();
        let whole = has.raw.then(overlay);
        let connector = if let Some(kafka) = &sink.kafka {
            let key = kafka.key.iter().flat_map(|key| &key.0);
            SinkConnector::Kafka(KafkaSink {
                brokers: kafka.brokers.value.clone(),
                topic: kafka.topic.value.clone(),
                key: key.map(|field| schema.slot(&field.value)).collect::<Option<_>>()?,
                settings: settings(&kafka.settings),
            })
        } else if let Some(file) = &sink.file {
            SinkConnector::File((&file.path.value).into())
        } else if let Some(log) = sink.log {
            SinkConnector::Log(log.level.unwrap_or_default())
        } else {
            sink.stdout.map(|_| SinkConnector::Stdout)?
        };
        sinks.push(Sink {
            name: sink_name.value.clone(),
            inputs,
            schema,
            connector,
            encode: sink.encode.unwrap_or_default(),
            delivery: delivery::statement(checker, kinds, graph, edges),
            whole,
        });
    }
    let bounds = file.in_flight.as_ref();
    Some(Checked {
        name,
        workers: file.workers.as_ref().map(|workers| workers.value),
        tick: time(file.tick.as_ref(), TICK),
        stats_every: switch(file.stats_every.as_ref(), Some(STATS_EVERY)),
        in_flight_rows: bounds.and_then(|b| b.rows.as_ref()).map_or(500_000, |rows| rows.value),
        in_flight_bytes: bounds
            .and_then(|b| b.bytes.as_ref())
            .map_or(64_000_000, |bytes| bytes.value.0),
        sources,
        steps,
        sinks,
        warnings: Report::default(),
    })
}

/// The inputs of a reader and the schema it reads.
fn connect(
    edges: &[Edge],
    asks: &Asked,
    schemas: &HashMap<(Component, Door), Schema>,
    renumber: impl Fn(Component) -> Component,
) -> Option<(Vec<Input>, Schema)> {
    if let [edge] = edges {
        let schema = schemas.get(&(edge.from, edge.door))?.clone();
        let input = Input { from: renumber(edge.from), door: edge.door, slots: None };
        return Some((vec![input], schema));
    }
    let schema = asks.names.clone();
    let inputs = edges.iter().map(|edge| {
        let theirs = schemas.get(&(edge.from, edge.door))?;
        let slots: Vec<_> = schema.fields().iter().map(|field| theirs.slot(field)).collect();
        let slots = (*theirs != schema).then_some(slots);
        Some(Input { from: renumber(edge.from), door: edge.door, slots })
    });
    Some((inputs.collect::<Option<_>>()?, schema))
}

fn build_source(
    pipeline: &str,
    name: &Spanned<String>,
    source: &pipeline::Source,
    asked: &Asked,
) -> Option<Source> {
    let mut schema = asked.names.clone();
    let generated = pipeline::EventTimes {
        field: Spanned { value: "at".into(), place: Place::default() },
        unit: Some(Unit::Ms),
        behind: Some(Spanned { value: Time(GENERATED_BEHIND), place: Place::default() }),
        policy: None,
        idle_after: None,
        max_future_skew: None,
        on_missing: None,
        on_future: None,
    };
    let times = source.time.as_ref().or(source.generate.as_ref().map(|_| &generated));
    let times = times.map(|times| EventTimes {
        slot: schema.add(times.field.value.clone()),
        field: times.field.value.clone(),
        unit: times.unit.unwrap_or_default(),
        behind: match &times.policy {
            Some(policy) if policy.value == Policy::Ascending => Duration::ZERO,
            _ => time(times.behind.as_ref(), Duration::ZERO),
        },
        idle_after: switch(times.idle_after.as_ref(), Some(IDLE_AFTER)),
        max_future_skew: switch(times.max_future_skew.as_ref(), Some(MAX_FUTURE_SKEW)),
        on_missing: match times.on_missing.as_ref().map(|value| value.value) {
            None | Some(pipeline::OnMissing::Reject) => OnMissing::Reject,
            Some(pipeline::OnMissing::Ingestion) => OnMissing::Ingestion,
            Some(pipeline::OnMissing::Previous) => OnMissing::Previous,
        },
        on_future: match times.on_future.as_ref().map(|value| value.value) {
            None | Some(pipeline::OnFuture::Keep) => OnFuture::Keep,
            Some(pipeline::OnFuture::Reject) => OnFuture::Reject,
        },
    });
    let connector = if let Some(kafka) = &source.kafka {
        let start = kafka.start.as_ref().map_or(Start::Committed, |start| start.value.clone());
        let start_millis = match &start {
            Start::Timestamp(at) => {
                Some(chrono::DateTime::parse_from_rfc3339(&at.value).ok()?.timestamp_millis())
            }
            _ => None,
        };
        SourceConnector::Kafka(KafkaSource {
            brokers: kafka.brokers.value.clone(),
            topic: kafka.topic.value.clone(),
            start,
            start_millis,
            bounded: kafka.until.is_some(),
            group: kafka.group.as_ref().map_or(pipeline, |group| &group.value).to_owned(),
            commit: kafka.commit.as_ref().is_none_or(|commit| commit.value),
            settings: settings(&kafka.settings),
        })
    } else if let Some(file) = &source.file {
        SourceConnector::File(FileSource {
            paths: file.path.0.iter().map(|path| (&path.value).into()).collect(),
            follow: file.follow.unwrap_or(false),
        })
    } else {
        SourceConnector::Generate(generate(source.generate.as_ref()?))
    };
    Some(Source {
        name: name.value.clone(),
        connector,
        decode: source.decode.unwrap_or_default(),
        schema,
        keep_raw: asked.whole,
        time: times,
        max_failures: source.max_failures.as_ref().map(|most| most.value),
        max_poll_records: source.max_poll_records.as_ref().map(|most| most.value as usize),
    })
}

fn settings(settings: &Named<Hidden>) -> Vec<(String, Hidden)> {
    settings.0.iter().map(|(name, value)| (name.value.clone(), value.clone())).collect()
}

fn generate(generate: &pipeline::Generate) -> Generate {
    let count = |value: &Option<Spanned<u32>>, default| value.as_ref().map_or(default, |v| v.value);
    let share = |value: &Option<Spanned<f64>>, default| value.as_ref().map_or(default, |v| v.value);
    Generate {
        kind: generate.kind.unwrap_or_default(),
        events: generate.events.as_ref().map(|events| events.value),
        rate: generate.rate.as_ref().map(|rate| rate.value),
        seed: generate.seed.as_ref().map_or(1, |seed| seed.value),
        keys: count(&generate.keys, 100),
        late_share: share(&generate.late_share, 0.01),
        duplicate_share: share(&generate.duplicate_share, 0.01),
        disorder: time(generate.disorder.as_ref(), GENERATED_BEHIND),
        partitions: count(&generate.partitions, 4),
    }
}

/// What a step does and the schema of what it gives.
fn operator(
    step: &pipeline::Step,
    kind: &Kind,
    input: &Schema,
    asked: Option<&Asked>,
    unit: Unit,
) -> Option<(Operator, Schema)> {
    let slots = |fields: &[Spanned<String>]| {
        fields.iter().map(|field| input.slot(&field.value)).collect::<Option<Vec<_>>>()
    };
    let lateness = time(step.lateness.as_ref(), Duration::ZERO);
    Some(match kind {
        Kind::Broken => return None,
        Kind::Union => (Operator::Union, input.clone()),
        Kind::Keep(ast, _) => (Operator::Keep(compile(ast, input)), input.clone()),
        Kind::Set(fields) => {
            let mut output = input.clone();
            // A field nobody reads is not computed.
            let wanted = |name: &str| asked.is_some_and(|asked| asked.names.slot(name).is_some());
            let fields = fields.iter().filter(|(field, ..)| wanted(&field.value));
            let set = fields
                .map(|(field, ast, _)| (output.add(field.value.clone()), compile(ast, input)));
            (Operator::Set(set.collect()), output)
        }
        Kind::Select(fields) => {
            let output = Schema::new(fields.iter().map(|field| field.value.clone()));
            let slots = output.fields().iter().map(|field| input.slot(field));
            (Operator::Select(slots.collect::<Option<_>>()?), output)
        }
        Kind::Dedup => {
            let dedup = step.dedup.as_ref()?;
            let key = slots(&dedup.key.0)?;
            (Operator::Dedup { key, within: dedup.within.value.0, lateness }, input.clone())
        }
        Kind::Window(aggregates) => {
            let (key, window) = (step.key.as_ref()?, step.window.as_ref()?);
            let mut output = Schema::new(key.0.iter().map(|field| field.value.clone()));
            output.add("window_start");
            output.add("window_end");
            let aggregates = aggregates.iter().map(|aggregate| {
                output.add(aggregate.name.value.clone());
                Some(match &aggregate.field {
                    Some(field) => (aggregate.kind, Some(input.slot(&field.value)?)),
                    None => (aggregate.kind, None),
                })
            });
            let aggregates = aggregates.collect::<Option<_>>()?;
            let window = Window {
                key: slots(&key.0)?,
                every: window.tumbling.value.0,
                offset: time(window.offset.as_ref(), Duration::ZERO),
                lateness,
                aggregates,
                unit,
            };
            (Operator::Window(window), output)
        }
    })
}
