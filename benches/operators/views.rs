//! Views, beside hash maps and beside the operators of differential itself.

mod floor;

use differential_dataflow::AsCollection;
use differential_dataflow::operators::CountTotal;
use tiderace_operators::prelude::*;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Inspect;
use timely::dataflow::operators::generic::Operator;

use crate::support::{Event, Load, Row, Tally, program, program_2};

/// A view of keys and levels.
type Levels<'scope> = View<'scope, u64, (u64, u64)>;

/// One of a thousand values.
fn level(event: &Event) -> u64 {
    event.1 as u64
}

/// Adds up by how much counts change, and how many changes there are.
fn add_up<D: tiderace_operators::view::Element>(
    input: &Events<'_, u64, Event>,
    view: &View<'_, u64, D>,
    tally: Tally,
) {
    view.collection().inner.inspect(move |(_, _, diff)| tally.add_signed(*diff as i64));
    input.watch();
}

/// The newest level of each key.
fn newest<'scope>(events: &Events<'scope, u64, Event>, name: &str) -> Levels<'scope> {
    events.upsert(name, |event| event.0, |event| Some(level(event)))
}

/// Differential's own count per key, of the same events at the same ticks.
fn raw_count(load: Load) -> (u64, u64) {
    program(load, |input, tally| {
        let (rows, _) = input.parts();
        let updates = rows.unary(Pipeline, "Updates", |_, _| {
            move |input, output| {
                input.for_each(|tick, rows| {
                    let time = *tick.time();
                    let mut session = output.session(&tick);
                    session.give_iterator(rows.drain(..).map(|row| (row.data.0, time, 1isize)));
                });
            }
        });
        let counts = updates.as_collection().count_total();
        counts
            .inner
            .inspect(move |((_, count), _, diff)| tally.add_signed(*count as i64 * *diff as i64));
        input.watch();
    })
}

/// The same as a view.
fn view_count(load: Load, retain: Retain) -> (u64, u64) {
    program(load, move |input, tally| {
        let keyed = input.map(|(key, _)| (key, ()));
        let counts = keyed.view("events", retain).count();
        counts
            .collection()
            .inner
            .inspect(move |((_, count), _, diff)| tally.add_signed(*count * *diff as i64));
        input.watch();
    })
}

/// A row for a view that is made of one of keys and levels.
fn of_levels<D: tiderace_operators::view::Element>(
    name: &'static str,
    load: Load,
    build: for<'a> fn(&Levels<'a>) -> View<'a, u64, D>,
) -> Row {
    Row::new(name, load, move |load| {
        program(load, move |input, tally| {
            let rows = input.map(|event| (event.0, level(&event)));
            let rows = rows.view("rows", Retain::forever());
            add_up(input, &build(&rows), tally);
        })
    })
}

pub fn rows(load: Load) -> Vec<Row> {
    let less = load.part(8);
    vec![
        Row::new("count_total", load, raw_count),
        Row::new("view count", load, |load| view_count(load, Retain::forever()))
            .adds_up("count_total"),
        Row::new("view count, of 5 s", load.part(2), |load| {
            view_count(load, Retain::for_span(secs(5)))
        })
        .beside("count_total"),
        Row::new("bare view rows", less, floor::rows),
        of_levels("view sum", less, |rows| rows.sum(|&level| level as i64).map(|(key, _)| key))
            .beside("bare view rows"),
        of_levels("view min", less, |rows| rows.min()).beside("bare view rows"),
        of_levels("view max", less, |rows| rows.max()).beside("bare view rows"),
        of_levels("view top_k 3", less, |rows| rows.top_k(3)).beside("bare view rows"),
        of_levels("view reduce", less, |rows| {
            rows.reduce("Rows", |_, levels, out| out.push((levels.len() as u64, 1)))
        })
        .beside("bare view rows"),
        Row::new("bare view distinct", less, floor::distinct),
        of_levels("view distinct", less, |rows| rows.distinct()).adds_up("bare view distinct"),
        Row::new("view changelog", less, |load| {
            program(load, |input, tally| {
                let rows = input.map(|event| (event.0, level(&event)));
                let changes = rows.view("rows", Retain::forever()).distinct().changelog("changes");
                changes.inspect(move |row| tally.add_signed(row.data.diff));
            })
        })
        .adds_up("bare view distinct"),
        Row::new("bare upsert", less, floor::upsert),
        Row::new("upsert", less, |load| {
            program(load, |input, tally| {
                add_up(input, &newest(input, "newest"), tally);
            })
        })
        .adds_up("bare upsert"),
        Row::new("bare view join", less, floor::join),
        Row::new("view join", less, |load| {
            program_2(load, |left, right, tally| {
                let left_view = newest(left, "left");
                let right_view = newest(right, "right");
                right.watch();
                add_up(left, &left_view.join(&right_view), tally);
            })
        })
        .adds_up("bare view join"),
        Row::new("view antijoin", less, |load| {
            program_2(load, |left, right, tally| {
                let newest = newest(left, "left");
                let keys = right.map(|event| event.0).view("right", Retain::forever());
                right.watch();
                add_up(left, &newest.antijoin(&keys), tally);
            })
        })
        .beside("bare view join"),
    ]
}
