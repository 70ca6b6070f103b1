//! What each aggregate means, against the plainest way to find it in a list of rows.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::*;
use super::laws::{Row, everything_of, rows, straight};

/// The rows in the order of time and then of a float, all bits of which count.
fn in_order(rows: &[Row]) -> Vec<(EventTime, f64)> {
    let mut all: Vec<(EventTime, f64)> = rows.iter().map(|r| (r.time, r.float)).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    all
}

fn bits(value: Option<f64>) -> Option<u64> {
    value.map(f64::to_bits)
}

/// The floats that are numbers, in their order.
fn numbers(rows: &[Row]) -> Vec<f64> {
    let mut values: Vec<f64> = rows.iter().map(|r| r.float).filter(|x| !x.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    values
}

proptest! {
    #[test]
    fn first_and_last(rows in rows(20)) {
        let of = Of::<Row>::rows();
        let ordered = in_order(&rows);
        let found = straight(&(of.first(|r| r.float), of.last(|r| r.float)), &rows);
        prop_assert_eq!(bits(found.0), bits(ordered.first().map(|r| r.1)));
        prop_assert_eq!(bits(found.1), bits(ordered.last().map(|r| r.1)));

        let by = (
            of.first_by(|r| r.offset, |r| r.name.clone()),
            of.last_by(|r| r.offset, |r| r.name.clone()),
        );
        let mut all: Vec<_> = rows.iter().map(|r| (r.time, r.offset, r.name.clone())).collect();
        all.sort();
        let found = straight(&by, &rows);
        prop_assert_eq!(found.0, all.first().map(|r| r.2.clone()));
        prop_assert_eq!(found.1, all.last().map(|r| r.2.clone()));

        let by = (
            of.min_by(|r| r.whole, |r| r.name.clone()),
            of.max_by(|r| r.whole, |r| r.name.clone()),
        );
        let mut all: Vec<_> = rows.iter().map(|r| (r.whole, r.name.clone())).collect();
        all.sort();
        let found = straight(&by, &rows);
        prop_assert_eq!(found.0, all.first().map(|r| r.1.clone()));
        prop_assert_eq!(found.1, all.last().map(|r| r.1.clone()));
    }

    #[test]
    fn percentiles(rows in rows(30), tenths in 1..=1_000_u64) {
        let of = Of::<Row>::rows();
        let percent = tenths as f64 / 10.0;
        let values = numbers(&rows);
        let n = values.len() as u64;
        let nearest = (n > 0).then(|| values[(tenths * n).div_ceil(1_000) as usize - 1]);
        let continuous = (n > 0).then(|| {
            let along = tenths * (n - 1);
            let low = values[(along / 1_000) as usize];
            let high = values[along.div_ceil(1_000) as usize];
            percentile::between(low, high, (along % 1_000) as f64 / 1_000.0)
        });
        let all = (
            of.percentile(percent, |r| r.float).ignore_nan(),
            of.percentile_cont(percent, |r| r.float).ignore_nan(),
            of.percentile(percent, |r| r.float),
            of.percentile(percent, |r| r.float).exact_up_to(30).ignore_nan(),
            of.approx_percentile(percent, |r| r.float).ignore_nan(),
            of.percentile(percent, |r| r.float).exact_up_to(1).ignore_nan(),
        );
        let found = straight(&all, &rows);
        prop_assert_eq!(bits(found.0), bits(nearest));
        prop_assert_eq!(bits(found.1), bits(continuous));
        let has_nan = rows.iter().any(|r| r.float.is_nan());
        prop_assert_eq!(bits(found.2), bits(nearest.filter(|_| !has_nan)));
        prop_assert_eq!(bits(found.3.map(|q| q.value)), bits(nearest));
        prop_assert!(found.3.is_none_or(|q| q.error == 0.0));
        for near in [found.4, found.5] {
            prop_assert_eq!(near.is_some(), nearest.is_some());
            if let (Some(near), Some(nearest)) = (near, nearest) {
                let apart = if near.value == nearest { 0.0 } else { (near.value - nearest).abs() };
                prop_assert!(apart <= near.error);
                prop_assert!(near.error <= nearest.abs() * 0.004 || nearest.abs() < 1e-307);
            }
        }
    }

    #[test]
    fn different_values(rows in rows(30)) {
        let of = Of::<Row>::rows();
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        rows.iter().for_each(|r| *counts.entry(r.name.clone()).or_default() += 1);
        let mut frequent: Vec<(String, u64)> = counts.clone().into_iter().collect();
        frequent.sort_by_key(|(name, count)| (Reverse(*count), name.clone()));
        let all = (
            of.distinct(|r| r.name.clone()),
            of.mode(|r| r.name.clone()),
            of.frequent(3, |r| r.name.clone()),
            of.collect_set(4, |r| r.name.clone()),
            of.distinct(|r| r.float),
            of.fast_frequent(7, |r| r.name.clone()),
        );
        let found = straight(&all, &rows);
        prop_assert_eq!(found.0, counts.len() as u64);
        prop_assert_eq!(found.1, frequent.first().map(|(name, _)| name.clone()));
        prop_assert_eq!(&found.2[..], &frequent[..frequent.len().min(3)]);
        let names: Vec<String> = counts.into_keys().collect();
        let few = names.len() <= 4;
        prop_assert_eq!(found.3, if few { Ok(names) } else { Err(TooMany { limit: 4 }) });
        let mut floats: Vec<u64> = numbers(&rows).into_iter().map(f64::to_bits).collect();
        floats.dedup();
        prop_assert_eq!(found.4, floats.len() as u64);
        prop_assert_eq!(found.5, FrequentValues { values: frequent, error: 0 });
    }

    #[test]
    fn tops(rows in rows(20), count in 1..6_usize) {
        let of = Of::<Row>::rows();
        let mut top: Vec<_> = rows.iter().map(|r| (r.whole, r.name.clone())).collect();
        top.sort_by_key(|(score, name)| (Reverse(*score), name.clone()));
        top.truncate(count);
        let mut bottom: Vec<_> = rows.iter().map(|r| (r.whole, r.name.clone())).collect();
        bottom.sort();
        bottom.truncate(count);
        let all = (
            of.top_k(count, |r| r.whole, |r| r.name.clone()),
            of.bottom_k(count, |r| r.whole, |r| r.name.clone()),
            of.top_k(count, |r| r.whole, |r| r.name.clone()).retractable(),
            of.bottom_k(count, |r| r.whole, |r| r.name.clone()).retractable(),
            of.top_k(count, |r| r.float, |r| r.offset),
        );
        let found = straight(&all, &rows);
        prop_assert_eq!(&found.0, &top);
        prop_assert_eq!(&found.1, &bottom);
        prop_assert_eq!((&found.2, &found.3), (&top, &bottom));
        let scores: Vec<u64> = found.4.iter().map(|(score, _)| score.to_bits()).collect();
        let expected: Vec<u64> =
            numbers(&rows).into_iter().rev().take(count).map(f64::to_bits).collect();
        prop_assert_eq!(scores, expected);
    }

    #[test]
    fn in_the_order_of_time(rows in rows(20), count in 1..25_usize, span in 1.0..9.0_f64) {
        let of = Of::<Row>::rows();
        let values: Vec<f64> = in_order(&rows).into_iter().map(|r| r.1).collect();
        let last = &values[values.len().saturating_sub(count)..];
        let ema = |values: &[f64]| {
            let mut average = *values.first()?;
            for value in &values[1..] {
                average += 2.0 / (span + 1.0) * (value - average);
            }
            Some(average)
        };
        let recent = of.last_n(count, |r: &Row| r.float);
        let all = (of.collect(count, |r| r.float), recent, of.ema(span, |r| r.float));
        let found = straight(&all, &rows);
        match found.0 {
            Ok(all) => prop_assert_eq!(format!("{all:?}"), format!("{values:?}")),
            Err(TooMany { limit }) => prop_assert!(values.len() > limit && limit == count),
        }
        prop_assert_eq!(format!("{:?}", found.1), format!("{last:?}"));
        prop_assert_eq!(format!("{:?}", found.2), format!("{:?}", ema(&values)));
        prop_assert_eq!(
            format!("{:?}", straight(&recent.ema(span), &rows)),
            format!("{:?}", ema(last)),
        );
        let mut sorted = last.to_vec();
        sorted.sort_by(f64::total_cmp);
        let nan = last.iter().any(|value| value.is_nan());
        let p90 = sorted.get((9 * last.len()).div_ceil(10).saturating_sub(1)).filter(|_| !nan);
        prop_assert_eq!(bits(straight(&recent.percentile(90.0), &rows)), bits(p90.copied()));
    }

    /// Each part of a composite is what the aggregate of its name finds.
    #[test]
    fn a_composite_is_its_parts(rows in rows(20)) {
        let of = Of::<Row>::rows();
        let found = straight(&everything_of(|r: &Row| r.float), &rows);
        let some = Some(()).filter(|()| !rows.is_empty());
        let parts = [
            ("count", Some(rows.len() as f64)),
            ("sum", Some(straight(&of.sum(|r| r.float), &rows))),
            ("mean", some.map(|()| straight(&of.mean(|r| r.float), &rows))),
            ("min", straight(&of.min(|r| r.float), &rows)),
            ("max", straight(&of.max(|r| r.float), &rows)),
            ("var_pop", straight(&of.var_pop(|r| r.float), &rows)),
            ("var_sample", straight(&of.var_sample(|r| r.float), &rows)),
            ("std_pop", straight(&of.std_pop(|r| r.float), &rows)),
            ("std_sample", straight(&of.std_sample(|r| r.float), &rows)),
            ("p95", straight(&of.percentile(95.0, |r| r.float), &rows)),
            ("p95 between", straight(&of.percentile_cont(95.0, |r| r.float), &rows)),
            ("median", straight(&of.median(|r| r.float), &rows)),
        ];
        prop_assert_eq!(format!("{:?}", found.iter().collect::<Vec<_>>()), format!("{parts:?}"));

        let numbers: Vec<Row> = rows.iter().filter(|r| !r.float.is_nan()).cloned().collect();
        let without = straight(&everything_of(|r: &Row| r.float).ignore_nan(), &rows);
        let expected = straight(&everything_of(|r: &Row| r.float), &numbers);
        prop_assert_eq!(format!("{without:?}"), format!("{expected:?}"));
    }

    #[test]
    fn only_some_rows_and_other_results(rows in rows(20)) {
        let of = Of::<Row>::rows();
        let some: Vec<Row> = rows.iter().filter(|r| r.whole > 0).cloned().collect();
        let last = of.last(|r: &Row| r.name.clone());
        prop_assert_eq!(straight(&of.when(|r| r.whole > 0, last), &rows), straight(&last, &some));
        let length = of.mapped(last, |last: Option<String>| last.map(|name| name.len()));
        prop_assert_eq!(
            straight(&length, &rows),
            straight(&last, &rows).map(|name| name.len()),
        );
        let chosen = straight(&of.choose(|r| r.name.len(), [last; 3]), &rows);
        let expected: Vec<_> = (0..3_usize)
            .filter_map(|length| {
                let some: Vec<Row> = rows.iter().filter(|r| r.name.len() == length).cloned().collect();
                (!some.is_empty()).then(|| (length, straight(&last, &some)))
            })
            .collect();
        prop_assert_eq!(chosen, expected);
    }
}

#[test]
fn known_percentiles() {
    let all = (
        Percentiles::of([50.0, 95.0, 99.0], |x: &u32| *x),
        Median::of(|x: &u32| *x),
        PercentileCont::of(95.0, |x: &u32| *x),
        Percentile::of(20.0, |x: &u32| *x),
    );
    let mut state = all.create();
    [30, 10, 50, 20, 40].iter().for_each(|x| all.add(&mut state, x));
    let found = all.finish(&state);
    assert_eq!(found.0, [Some(30.0), Some(50.0), Some(50.0)]);
    assert_eq!((found.1, found.2, found.3), (Some(30.0), Some(48.0), Some(10.0)));
}

#[test]
fn names_as_given_and_only_those_listed() {
    let few = Composite::of(|x: &f64| *x).max("höchste").count("n");
    let mut state = few.create();
    [3.0, 5.0].iter().for_each(|x| few.add(&mut state, x));
    let found: Vec<_> = few.finish(&state).iter().map(|(n, v)| (n.to_string(), v)).collect();
    assert_eq!(found, [("höchste".to_string(), Some(5.0)), ("n".to_string(), Some(2.0))]);
    // Nothing is kept for what is not listed: two extremes, a count, and some zeros.
    assert!(postcard::to_allocvec(&state).expect("a state can be written").len() < 40);
}
