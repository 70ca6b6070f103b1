//! Neither nulls, nor kinds, nor order, nor splits change what they must not.

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
        prop_oneof![Just(0.0), Just(-0.0), Just(1.0), Just(1e300), Just(-1e300), Just(f64::NAN)]
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
