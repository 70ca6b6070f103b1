//! Steps that look at one row at a time: keep, set, select.

use tiderace_operators::time::Timed;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::build::Rows;
use crate::record::{Expr, Row, Schema, Value, reject, reject_row};

/// What becomes of a row.
pub(super) enum Fate {
    /// It goes on.
    Keep,
    /// It is dropped on purpose.
    Drop,
    /// It could not be used.
    Reject(&'static str, String),
}

/// The rows that go on, and the rejects.
pub(super) struct Judged<'scope> {
    pub(super) rows: Rows<'scope>,
    pub(super) rejects: Rows<'scope>,
}

/// Passes every row through a function that may change it, and counts what becomes of it.
pub(super) fn judge<'scope>(
    input: &Rows<'scope>,
    name: &str,
    kind: &'static str,
    schema: &Schema,
    mut fate: impl FnMut(&mut Row) -> Fate + 'static,
) -> Judged<'scope> {
    let (stream, clock) = input.parts();
    let scope = input.scope();
    let mut builder = OperatorBuilder::new(name.to_owned(), scope);
    let mut input = builder.new_input(stream, Pipeline);
    let (rows, row_stream) = builder.new_output::<Vec<Timed<Row>>>();
    let (rejects, reject_stream) = builder.new_output::<Vec<Timed<Row>>>();
    let mut rows = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(rows);
    let mut rejects = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(rejects);
    let counters = clock.observer().register(name, kind, scope.index());
    let schema = schema.clone();
    builder.build(move |_| {
        let mut refused = Vec::new();
        move |_| {
            let (mut rows, mut rejects) = (rows.activate(), rejects.activate());
            input.for_each(|tick, batch| {
                let before = batch.len() as u64;
                batch.retain_mut(|row| match fate(&mut row.data) {
                    Fate::Keep => true,
                    Fate::Drop => false,
                    Fate::Reject(class, why) => {
                        let data = reject_row(&reject(class, why, &row.data, &schema));
                        refused.push(Timed { time: row.time, behind: row.behind, data });
                        false
                    }
                });
                let (kept, rejected) = (batch.len() as u64, refused.len() as u64);
                counters.input.add(before);
                counters.kept.add(kept);
                counters.output.add(kept);
                counters.rejected.add(rejected);
                counters.filtered.add(before - kept - rejected);
                rows.session(&tick).give_container(batch);
                if !refused.is_empty() {
                    rejects.session(&tick).give_container(&mut refused);
                    refused.clear();
                }
            });
        }
    });
    Judged {
        rows: Rows::from_parts(row_stream, clock.clone()),
        rejects: Rows::from_parts(reject_stream, clock),
    }
}

/// Keeps the rows an expression is true for.
pub(super) fn keep(expr: Expr) -> impl FnMut(&mut Row) -> Fate {
    move |row| match expr.holds(row) {
        Ok(true) => Fate::Keep,
        Ok(false) => Fate::Drop,
        Err(failure) => Fate::Reject("expression", failure.to_string()),
    }
}

/// Sets slots, each to the value of an expression over the row as it came.
pub(super) fn set(fields: Vec<(usize, Expr)>, slots: usize) -> impl FnMut(&mut Row) -> Fate {
    let mut values: Vec<Value> = Vec::with_capacity(fields.len());
    move |row| {
        values.clear();
        for (_, expr) in &fields {
            match expr.eval(row) {
                Ok(value) => values.push(value.into()),
                Err(failure) => return Fate::Reject("expression", failure.to_string()),
            }
        }
        if row.values.len() < slots {
            let mut grown = Vec::with_capacity(slots);
            grown.append(&mut std::mem::take(&mut row.values).into_vec());
            grown.resize(slots, Value::Null);
            row.values = grown.into();
        }
        for ((slot, _), value) in fields.iter().zip(values.drain(..)) {
            row.values[*slot] = value;
        }
        Fate::Keep
    }
}

/// Keeps these slots, in this order. What is left is a row of its own: the record as it came is gone.
pub(super) fn select(slots: Vec<usize>) -> impl FnMut(&mut Row) -> Fate {
    let slots: Vec<_> = slots.into_iter().map(Some).collect();
    move |row| {
        // Values are moved, not copied.
        *row = std::mem::take(row).project(&slots);
        row.raw = None;
        Fate::Keep
    }
}
