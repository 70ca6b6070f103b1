//! Aggregates over values whose kind is known only when they come.
//!
//! As in SQL null counts nowhere: the sum, mean, least and greatest of nothing but nulls are null,
//! and `count()` counts rows. Everything is exact until the window fires, so the order of rows does
//! not matter:
//!
//! * **sum** of integers is an integer; where it needs more than 64 bits, or where a float was among
//!   the values, it is the float nearest to the exact sum.
//! * **mean** is the float nearest to the exact mean.
//! * **min** and **max** follow the order of [`Value`]: booleans, numbers, text. NaN does not count;
//!   `-0.0` is taken as `0.0`; of `1` and `1.0`, which are worth the same, `1` is the lesser.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use tiderace_operators::aggregate::{Aggregate, ExactSum, Number};

use crate::record::expr::AggregateKind;
use crate::record::{Row, Value};

/// The aggregates of a window: what, and of which slot.
#[derive(Clone, Debug)]
pub(super) struct Aggregates(Rc<[(AggregateKind, usize)]>);

/// The state of one aggregate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Cell {
    /// Rows.
    Count(u64),
    /// The numbers so far, for the sum.
    Sum(Total),
    /// The numbers so far, for the mean.
    Mean(Total),
    /// The least so far, null if there is none.
    Min(Value),
    /// The greatest so far, null if there is none.
    Max(Value),
}

/// An exact sum of numbers of both kinds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Total {
    ints: i128,
    floats: ExactSum,
    count: u64,
    /// Whether a float was among them.
    float: bool,
}

impl Aggregates {
    /// These aggregates; `count()` needs no slot.
    pub(super) fn new(aggregates: &[(AggregateKind, Option<usize>)]) -> Self {
        Aggregates(aggregates.iter().map(|(kind, slot)| (*kind, slot.unwrap_or(0))).collect())
    }
}

impl Aggregate<Row> for Aggregates {
    type State = Box<[Cell]>;
    type Output = Box<[Value]>;

    fn create(&self) -> Box<[Cell]> {
        let cell = |(kind, _): &(AggregateKind, usize)| match kind {
            AggregateKind::Count => Cell::Count(0),
            AggregateKind::Sum => Cell::Sum(Total::default()),
            AggregateKind::Mean => Cell::Mean(Total::default()),
            AggregateKind::Min => Cell::Min(Value::Null),
            AggregateKind::Max => Cell::Max(Value::Null),
        };
        self.0.iter().map(cell).collect()
    }

    #[inline]
    fn add(&self, state: &mut Box<[Cell]>, row: &Row) {
        for (cell, (_, slot)) in state.iter_mut().zip(self.0.iter()) {
            match cell {
                Cell::Count(count) => *count += 1,
                Cell::Sum(total) | Cell::Mean(total) => total.add(row.get(*slot)),
                Cell::Min(least) => lesser(least, row.get(*slot)),
                Cell::Max(greatest) => greater(greatest, row.get(*slot)),
            }
        }
    }

    fn merge(&self, state: &mut Box<[Cell]>, other: &Box<[Cell]>) {
        for (ours, theirs) in state.iter_mut().zip(other.iter()) {
            match (ours, theirs) {
                (Cell::Count(ours), Cell::Count(theirs)) => *ours += theirs,
                (Cell::Sum(ours), Cell::Sum(theirs)) | (Cell::Mean(ours), Cell::Mean(theirs)) => {
                    ours.merge(theirs);
                }
                (Cell::Min(ours), Cell::Min(theirs)) => lesser(ours, theirs),
                (Cell::Max(ours), Cell::Max(theirs)) => greater(ours, theirs),
                _ => unreachable!("both were created by the same aggregates"),
            }
        }
    }

    fn finish(&self, state: &Box<[Cell]>) -> Box<[Value]> {
        let value = |cell: &Cell| match cell {
            Cell::Count(count) => Value::Int(i64::try_from(*count).unwrap_or(i64::MAX)),
            Cell::Sum(total) => total.sum(),
            Cell::Mean(total) => total.mean(),
            Cell::Min(value) | Cell::Max(value) => value.clone(),
        };
        state.iter().map(value).collect()
    }
}

impl Total {
    #[inline]
    fn add(&mut self, value: &Value) {
        match value {
            Value::Int(int) => self.ints += i128::from(*int),
            Value::Float(float) => {
                self.floats.add(*float);
                self.float = true;
            }
            // Null counts nowhere, and other kinds have been rejected before.
            _ => return,
        }
        self.count += 1;
    }

    fn merge(&mut self, other: &Total) {
        self.ints += other.ints;
        self.floats.merge(&other.floats);
        self.count += other.count;
        self.float |= other.float;
    }

    /// Everything as one exact sum of floats.
    fn together(&self) -> ExactSum {
        let mut sum = self.floats.clone();
        let (magnitude, sign) = (self.ints.unsigned_abs(), self.ints.signum() as f64);
        // Pieces of 32 bits are exact as floats, wherever they stand.
        for piece in 0..4 {
            let bits = (magnitude >> (32 * piece)) as u32;
            sum.add(sign * f64::from(bits) * 2f64.powi(32 * piece));
        }
        sum
    }

    fn sum(&self) -> Value {
        match i64::try_from(self.ints) {
            _ if self.count == 0 => Value::Null,
            Ok(int) if !self.float => Value::Int(int),
            _ => Value::Float(self.together().total()),
        }
    }

    fn mean(&self) -> Value {
        match (self.count, self.float) {
            (0, _) => Value::Null,
            (count, false) => Value::Float(i64::mean(&self.ints, count)),
            (count, true) => Value::Float(self.together().mean(count)),
        }
    }
}

/// The value as `min` and `max` see it; `None` if it does not count.
fn ranked(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Float(float) if float.is_nan() => None,
        Value::Float(float) => Some(Value::Float(float + 0.0)),
        other => Some(other.clone()),
    }
}

#[inline]
fn lesser(least: &mut Value, value: &Value) {
    if (least.is_null() || value < least)
        && let Some(value) = ranked(value)
    {
        *least = value;
    }
}

#[inline]
fn greater(greatest: &mut Value, value: &Value) {
    // NaN comes after everything, so it must be sorted out first; null comes before everything.
    if (greatest.is_null() || value > greatest)
        && let Some(value) = ranked(value)
    {
        *greatest = value;
    }
}

#[cfg(test)]
mod tests;
