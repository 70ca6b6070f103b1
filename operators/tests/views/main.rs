//! Views against a slow model: at every tick, the changes that came out so far add up to what the
//! view's definition makes, in one go, of the rows that went in so far.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::events::Data;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{
    Feed, Out, Row, Step, Workers, cuts, feeds, feeds_of, run, run_cut,
};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

mod corrections;
mod held;
mod operators;
mod snapshots;
mod upserts;

/// The same rows, each with the tick it is in.
fn with_ticks<'scope, D: Data>(events: &Events<'scope, u64, D>) -> Events<'scope, u64, (u64, D)> {
    events.rows(|rows| {
        rows.unary(Pipeline, "Ticks", |_, _| {
            |input, output| {
                input.for_each(|cap, rows| {
                    let tick = *cap.time();
                    output
                        .session(&cap)
                        .give_iterator(rows.drain(..).map(|row| row.map(|data| (tick, data))));
                });
            }
        })
    })
}

/// What is gathered: a row of input `source`, or a change that came out under a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    In(Row),
    Out(u8, Vec<i64>, i64),
}

type Gathered = Out<(u64, Seen)>;

fn take_in(events: &Events<'_, u64, Row>, out: &Gathered) {
    out.gather(&with_ticks(events), |row| (row.data.0, Seen::In(row.data.1)));
}

fn take_out<D: Data>(
    number: u8,
    changes: &Changes<'_, u64, D>,
    out: &Gathered,
    of: impl Fn(&D) -> Vec<i64> + 'static,
) {
    out.gather(&with_ticks(&changes.events()), move |row| {
        let (tick, change) = &row.data;
        (*tick, Seen::Out(number, of(&change.data), change.diff))
    });
}

type Contents = BTreeMap<Vec<i64>, i64>;

fn add(contents: &mut Contents, row: Vec<i64>, diff: i64) {
    let count = contents.entry(row.clone()).or_default();
    *count += diff;
    if *count == 0 {
        contents.remove(&row);
    }
}

/// Checks every tick against a model of each numbered output, and returns the last contents.
fn consistent(
    mut seen: Vec<(u64, Seen)>,
    outputs: &[(u8, &dyn Fn(&[Row]) -> Contents)],
) -> Result<Vec<Contents>, TestCaseError> {
    seen.sort();
    let mut rows = Vec::new();
    let mut contents = vec![Contents::new(); outputs.len()];
    for tick in seen.chunk_by(|a, b| a.0 == b.0) {
        let mut sent = BTreeSet::new();
        for (_, seen) in tick {
            match seen {
                Seen::In(row) => rows.push(*row),
                Seen::Out(number, row, diff) => {
                    prop_assert!(*diff != 0 && sent.insert((number, row)), "not consolidated");
                    let at = outputs.iter().position(|output| output.0 == *number).unwrap();
                    add(&mut contents[at], row.clone(), *diff);
                }
            }
        }
        for ((number, model), contents) in outputs.iter().zip(&contents) {
            prop_assert_eq!(contents, &model(&rows), "output {} as of tick {}", number, tick[0].0);
        }
    }
    Ok(contents)
}

fn counted(rows: impl IntoIterator<Item = Vec<i64>>) -> Contents {
    let mut contents = Contents::new();
    rows.into_iter().for_each(|row| add(&mut contents, row, 1));
    contents
}

/// The values of each key, sorted.
fn by_key(rows: &[Row]) -> BTreeMap<i64, Vec<i64>> {
    let mut keys: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for row in rows {
        keys.entry(row.key.into()).or_default().push(row.value.into());
    }
    keys.values_mut().for_each(|values| values.sort());
    keys
}

/// The feed as it is, with a tick for each record, and with one tick.
fn variants<D: Clone + Debug>(feed: &Feed<D>) -> [Feed<D>; 3] {
    [feed.clone(), feed.ticks(true), feed.ticks(false)]
}

/// A change that takes a row away, or adds it twice.
fn change(row: Row) -> Change<(u8, i32)> {
    Change { data: (row.key, row.value / 20), diff: if row.value % 3 == 0 { -1 } else { 2 } }
}
