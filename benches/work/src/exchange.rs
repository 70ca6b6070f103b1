//! What it costs to bring rows to the worker of their key: 24 bytes each, a time, a key and a value.
//!
//! The rows are counted where they come to. Between threads they are moved, between processes (`-n 2`)
//! written and read by a codec: those of the engine carry two words more for each row, its time and
//! how far it is behind.

use tiderace_operators::key::{StableHash, route};
use tiderace_operators::time::Timed;
use tiderace_operators::wire::{Codec, Columns, Serial};
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
        Row::flow("serial codec", |feed, tally| coded(feed, tally, Serial, PAIR))
            .gives("where they are", Agrees::Wholly),
        Row::flow("columns", |feed, tally| coded(feed, tally, Columns, PAIR))
            .gives("where they are", Agrees::Wholly),
        #[cfg(feature = "abomonation")]
        Row::flow("abomonated", |feed, tally| {
            coded(feed, tally, tiderace_operators::wire::Abomonated, WORDS);
        })
        .gives("where they are", Agrees::Wholly),
    ]
}

/// How a key and a value are sent.
struct As<D> {
    make: fn(u64, f64) -> D,
    read: fn(&D) -> (u64, f64),
}

const PAIR: As<(u64, f64)> = As { make: |key, value| (key, value), read: |&pair| pair };

#[cfg(feature = "abomonation")]
const WORDS: As<[u64; 2]> = As {
    make: |key, value| [key, value.to_bits()],
    read: |&[key, bits]| (key, f64::from_bits(bits)),
};

fn coded<D, C>(feed: &Feed<'_>, tally: Tally, codec: C, As { make, read }: As<D>)
where
    D: Clone + Send + 'static,
    C: Codec<D>,
{
    let rows = feed.events().map(move |(key, value)| make(key, value));
    let keyed = rows.key_by(move |data| read(data).0).exchange_as("exchange", codec);
    let (rows, clock) = keyed.events().parts();
    let counted = rows.unary(Pipeline, "Counted", |_, _| {
        move |input, output| {
            input.for_each(|tick, rows| {
                for Timed { time, data, .. } in rows.drain(..) {
                    let (key, value) = read(&data);
                    tally.add(result((time.micros(), key, value)));
                }
                output.session(&tick).give_iterator(std::iter::empty::<()>());
            });
        }
    });
    clock.watch(counted);
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
