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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [(AggregateKind, Option<usize>); 5] = [
        (AggregateKind::Count, None),
        (AggregateKind::Sum, Some(0)),
        (AggregateKind::Mean, Some(0)),
        (AggregateKind::Min, Some(0)),
        (AggregateKind::Max, Some(0)),
    ];

    fn summary(values: &[Value]) -> Vec<Value> {
        let all = Aggregates::new(&ALL);
        let mut state = all.create();
        for value in values {
            all.add(&mut state, &Row::new([value.clone()]));
        }
        all.finish(&state).into_vec()
    }

    #[test]
    fn null_counts_nowhere() {
        let null = Value::Null;
        assert_eq!(
            summary(&[null.clone(), null.clone()]),
            [Value::Int(2), null.clone(), null.clone(), null.clone(), null.clone()]
        );
        assert_eq!(
            summary(&[Value::Int(4), null, Value::Int(-2)]),
            [Value::Int(3), Value::Int(2), Value::Float(1.0), Value::Int(-2), Value::Int(4)]
        );
    }

    #[test]
    fn integers_do_not_wrap_and_are_not_rounded_before_the_end() {
        let max = Value::Int(i64::MAX);
        assert_eq!(summary(&[max.clone(), max.clone()])[1], Value::Float(2.0 * i64::MAX as f64));
        assert_eq!(summary(&[max.clone(), max, Value::Int(-i64::MAX)])[1], Value::Int(i64::MAX));
        // 2^53 + 1 is no float; beside a float it is still exact until the end.
        let odd = Value::Int(9_007_199_254_740_993);
        let sum = summary(&[odd, Value::Float(-9_007_199_254_740_992.0)]);
        assert_eq!(sum[1], Value::Float(1.0));
        assert_eq!(
            summary(&[Value::Int(i64::MIN), Value::Float(0.0)])[1],
            Value::Float(i64::MIN as f64)
        );
    }

    #[test]
    fn nan_is_neither_least_nor_greatest() {
        let nan = Value::Float(f64::NAN);
        let all = summary(&[nan.clone(), Value::Float(1.5), Value::Int(3), nan]);
        assert_eq!(all[3..], [Value::Float(1.5), Value::Int(3)]);
        assert_eq!(
            summary(&[Value::from("b"), Value::from("a")])[3..],
            [Value::from("a"), Value::from("b")]
        );
    }

    fn number() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Int),
            (-3i64..4).prop_map(Value::Int),
            (-1e12..1e12f64).prop_map(Value::Float),
            prop_oneof![
                Just(0.0),
                Just(-0.0),
                Just(1.0),
                Just(1e300),
                Just(-1e300),
                Just(f64::NAN)
            ]
            .prop_map(Value::Float),
        ]
    }

    proptest! {
        #[test]
        fn neither_order_nor_split_matters(
            values in proptest::collection::vec(number(), 0..20), cut in 0usize..20,
        ) {
            let all = Aggregates::new(&ALL);
            let bits = |values: Box<[Value]>| format!("{values:?}");
            let whole = bits(summary(&values).into());
            let mut reversed = values.clone();
            reversed.reverse();
            prop_assert_eq!(bits(summary(&reversed).into()), whole.clone());
            let (mut a, mut b) = (all.create(), all.create());
            for (at, value) in values.iter().enumerate() {
                let state = if at < cut { &mut a } else { &mut b };
                all.add(state, &Row::new([value.clone()]));
            }
            all.merge(&mut b, &a);
            prop_assert_eq!(bits(all.finish(&b)), whole);
        }
    }
}
