//! What it costs to bring rows to the worker of their key: 24 bytes each, a time, a key and a value.
//!
//! The rows are counted where they come to. Between threads they are moved, between processes written
//! and read by a codec. There is one row for each: timely's own is the only one so far.

use tiderace_operators::key::{StableHash, route};
use tiderace_operators::time::Timed;
use timely::dataflow::channels::pact::{Exchange, ParallelizationContract, Pipeline};
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::Map;

use crate::floor::making;
use crate::{Agrees, Feed, Load, Row, Tally, Totals, Work, mix};

pub const WORK: Work = Work { name: "exchange", events: 60_000_000, keys: &[1_000], rows };

/// What is sent.
type Sent = (i64, u64, f64);

fn rows() -> Vec<Row> {
    vec![
        making(),
        Row::bare("bare loop", bare),
        Row::flow("where they are", |feed, tally| counted(feed, tally, Pipeline))
            .gives("bare loop", Agrees::Wholly),
        Row::flow("exchange, timely's codec", |feed, tally| {
            counted(feed, tally, Exchange::new(|row: &Sent| route(row.1.stable_hash())));
        })
        .gives("where they are", Agrees::Wholly),
    ]
}

/// A number for a row. It is cheap, as a row that comes is what it was or is not there.
#[inline]
fn result((time, key, value): Sent) -> u64 {
    mix(time as u64 ^ key.rotate_left(32) ^ value.to_bits())
}

fn bare(load: Load) -> Totals {
    let mut totals = Totals::default();
    for number in 0..load.events {
        let (time, (key, value)) = load.event(number);
        totals.add(result((time, key, value)));
    }
    totals
}

fn counted(feed: &Feed<'_>, tally: Tally, pact: impl ParallelizationContract<u64, Vec<Sent>>) {
    let (rows, clock) = feed.events().parts();
    let rows = rows.map(|Timed { time, data: (key, value), .. }| (time.micros(), key, value));
    let counted = rows.unary(pact, "Counted", |_, _| {
        move |input, output| {
            input.for_each(|tick, rows| {
                rows.drain(..).for_each(|row| tally.add(result(row)));
                output.session(&tick).give_iterator(std::iter::empty::<()>());
            });
        }
    });
    clock.watch(counted);
}
