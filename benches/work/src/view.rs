//! A view of how many events there are of each key, corrected with every tick.
//!
//! Beside a hash map, which knows the last counts and none before, stands differential dataflow's own
//! operator without what a view adds to it.

use differential_dataflow::AsCollection;
use differential_dataflow::operators::CountTotal;
use hashbrown::HashMap;
use tiderace_operators::prelude::*;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Inspect;
use timely::dataflow::operators::generic::Operator;

use crate::floor::{keys, making};
use crate::tally::hash;
use crate::{Agrees, Feed, Load, Row, Tally, Totals, Work};

pub const WORK: Work = Work { name: "view", events: 4_000_000, keys: &[1_000, 1_000_000], rows };

fn rows() -> Vec<Row> {
    vec![
        making(),
        Row::bare("bare counts", bare),
        Row::flow("count_total of differential", differential).gives("bare counts", Agrees::InSum),
        Row::flow("view, count", view).gives("count_total of differential", Agrees::InSum),
    ]
}

/// A hash map with a count per key.
fn bare(load: Load) -> Totals {
    let mut counts = HashMap::<u64, u64>::new();
    keys(load, |key| *counts.entry(key).or_default() += 1);
    let mut totals = Totals::default();
    counts.into_iter().for_each(|(key, count)| totals.add(hash([key, count])));
    totals
}

fn differential(feed: &Feed<'_>, tally: Tally) {
    let (rows, clock) = feed.events().parts();
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
    clock.watch(counts.inner.inspect(move |((key, count), _, times)| {
        tally.add_times(hash([*key, *count as u64]), *times as i64);
    }));
}

fn view(feed: &Feed<'_>, tally: Tally) {
    let events = feed.events();
    let counts = events.map(|(key, _)| (key, ())).view("events", Retain::forever()).count();
    events.clock().watch(counts.collection().inner.inspect(move |((key, count), _, times)| {
        tally.add_times(hash([*key, *count as u64]), *times as i64);
    }));
}
