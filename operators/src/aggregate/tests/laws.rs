//! What holds of every aggregate: any order of rows, any split, any merging and any number of saves
//! in between give the same result, and a row that was taken out was never there.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::*;

/// A row at a time that others share, with values that others share.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub time: EventTime,
    pub offset: u32,
    pub float: f64,
    pub whole: i64,
    pub name: String,
}

pub(super) fn rows(most: usize) -> impl Strategy<Value = Vec<Row>> {
    let float = prop_oneof![
        6 => (-40..40_i32).prop_map(|x| f64::from(x) / 4.0),
        2 => any::<f64>(),
        1 => prop::sample::select(vec![0.0, -0.0, 1e300, f64::INFINITY, f64::NEG_INFINITY]),
    ];
    let float = prop_oneof![30 => float, 1 => Just(f64::NAN)];
    let row = (0..6_i64, 0..4_u32, float, -5..5_i64, "[a-c]{0,2}").prop_map(
        |(second, offset, float, whole, name)| Row {
            time: EventTime::from_secs(second),
            offset,
            float,
            whole,
            name,
        },
    );
    prop::collection::vec(row, 0..most)
}

/// What is done with each aggregate of a list.
trait Visit {
    fn of<A: Aggregate<Row, Output: Debug>>(&mut self, name: &str, aggregate: A);
}

/// All aggregates whose results must not depend on order.
fn every(visit: &mut impl Visit) {
    let of = Of::<Row>::rows();
    visit.of("first", of.first(|r| r.float));
    visit.of("first by", of.first_by(|r| r.offset, |r| r.name.clone()));
    visit.of("last", of.last(|r| r.float));
    visit.of("last by", of.last_by(|r| r.offset, |r| r.name.clone()));
    visit.of("min by", of.min_by(|r| r.float, |r| r.name.clone()));
    visit.of("max by", of.max_by(|r| r.float, |r| r.name.clone()));
    visit.of("percentile up to", of.percentile(50.0, |r| r.float).exact_up_to(6).ignore_nan());
    visit.of("percentiles up to", of.percentiles([1.0, 90.0], |r| r.float).exact_up_to(4));
    visit.of("approx distinct", of.approx_distinct(|r| r.name.clone()).within(0.26));
    visit.of("top", of.top_k(3, |r| r.float, |r| r.name.clone()));
    visit.of("bottom", of.bottom_k(3, |r| r.float, |r| r.name.clone()));
    visit.of("collect", of.collect(8, |r| r.float));
    visit.of("collect set", of.collect_set(5, |r| r.name.clone()));
    visit.of("last n", of.last_n(4, |r| r.float));
    visit.of("median of last n", of.last_n(4, |r: &Row| r.float).median());
    visit.of("p90 of last n", of.last_n(4, |r: &Row| r.float).percentile(90.0));
    visit.of("ema of last n", of.last_n(4, |r: &Row| r.float).ema(3.0));
    visit.of("composite", everything_of(|r: &Row| r.float));
    visit.of("when it is first", of.when(|r| r.whole > 0, of.first(|r| r.float)));
    visit.of("mapped last", of.mapped(of.last(|r| r.float), |last: Option<f64>| last.is_some()));
    visit.of("choose a last", of.choose(|r| r.name.len(), [of.last(|r: &Row| r.float); 3]));
    visit.of("a tuple", (Count, of.last(|r| r.float), (of.first(|r| r.whole), of.ema(2.0, value))));
    let mut retractable = Retractable(visit);
    every_retractable(&mut retractable);
}

fn value(row: &Row) -> f64 {
    row.float
}

pub(super) fn everything_of<F: Fn(&Row) -> f64>(value: F) -> Composite<F> {
    Composite::of(value)
        .count("count")
        .sum("sum")
        .mean("mean")
        .min("min")
        .max("max")
        .var_pop("var_pop")
        .var_sample("var_sample")
        .std_pop("std_pop")
        .std_sample("std_sample")
        .percentile("p95", 95.0)
        .percentile_cont("p95 between", 95.0)
        .median("median")
}

/// What is done with each aggregate that rows can be taken out of.
trait VisitRetractable {
    fn of<A: Retract<Row, Output: Debug>>(&mut self, name: &str, aggregate: A);
}

struct Retractable<'a, V>(&'a mut V);

impl<V: Visit> VisitRetractable for Retractable<'_, V> {
    fn of<A: Retract<Row, Output: Debug>>(&mut self, name: &str, aggregate: A) {
        self.0.of(name, aggregate);
    }
}

fn every_retractable(visit: &mut impl VisitRetractable) {
    let of = Of::<Row>::rows();
    visit.of("count", Count);
    visit.of("count if", of.count_if(|r| r.whole > 0));
    visit.of("sums", (of.sum(|r| r.whole), of.sum(|r| r.float)));
    visit.of("means", (of.mean(|r| r.whole), of.mean(|r| r.float)));
    visit.of("variances", (of.var_pop(|r| r.float), of.var_sample(|r| r.float)));
    visit.of("deviations", (of.std_pop(|r| r.float), of.std_sample(|r| r.float)));
    visit.of("least", of.min(|r| r.float).retractable());
    visit.of("greatest", of.max(|r| r.float).retractable());
    visit.of("percentile", of.percentile(37.5, |r| r.float));
    visit.of("percentile of some", of.percentile(37.5, |r| r.float).ignore_nan());
    visit.of("percentiles", of.percentiles([0.1, 50.0, 100.0], |r| r.whole));
    visit.of("percentile between", of.percentile_cont(90.0, |r| r.float));
    visit.of("median", of.median(|r| r.float).ignore_nan());
    visit.of("approx percentile", of.approx_percentile(50.0, |r| r.float).within(0.1));
    visit.of("approx percentiles", of.approx_percentiles([10.0, 99.0], |r| r.float).ignore_nan());
    visit.of("distinct", (of.distinct(|r| r.name.clone()), of.distinct(|r| r.float)));
    visit.of("mode", (of.mode(|r| r.name.clone()), of.mode(|r| r.float)));
    visit.of("frequent", of.frequent(2, |r| r.whole));
    visit.of("top", of.top_k(3, |r| r.float, |r| r.name.clone()).retractable());
    visit.of("bottom", of.bottom_k(3, |r| r.float, |r| r.name.clone()).retractable());
    visit.of("ema", of.ema(3.0, |r| r.float));
    visit.of("when", of.when(|r| r.whole > 0, of.mean(|r| r.float)));
    visit.of("when by time", of.when(|r| r.whole > 0, of.ema(3.0, |r| r.float)));
    visit.of("mapped", of.mapped(of.ema(3.0, |r| r.float), |ema: Option<f64>| ema.is_some()));
    visit.of("choose", of.choose(|r| r.name.len(), [of.sum(|r: &Row| r.float); 3]));
    visit.of("choose by time", of.choose(|r| r.name.len(), [of.ema(4.0, |r: &Row| r.float); 3]));
}

fn add_all<A: Aggregate<Row>>(aggregate: &A, state: &mut A::State, rows: &[Row]) {
    rows.iter().for_each(|row| aggregate.add_at(state, row.time, row));
}

/// The result of all rows in one state.
pub(super) fn straight<A: Aggregate<Row>>(aggregate: &A, rows: &[Row]) -> A::Output {
    let mut state = aggregate.create();
    add_all(aggregate, &mut state, rows);
    aggregate.finish(&state)
}

/// A state as it comes back from a save.
fn saved<A: Aggregate<Row>>(state: &A::State) -> A::State {
    let bytes = postcard::to_allocvec(state).expect("a state can be written");
    postcard::from_bytes(&bytes).expect("and read")
}

/// Spreads rows over states, merges them, and compares with one state of the rows as they were.
struct SplitAndMerge<'a> {
    rows: &'a [Row],
    parts: &'a [Vec<Row>],
    merges: &'a [(Index, Index)],
}

impl Visit for SplitAndMerge<'_> {
    fn of<A: Aggregate<Row, Output: Debug>>(&mut self, name: &str, aggregate: A) {
        let each = self.parts.iter().map(|rows| {
            let mut state = aggregate.create();
            let (before, after) = rows.split_at(rows.len() / 2);
            add_all(&aggregate, &mut state, before);
            state = saved::<A>(&state);
            add_all(&aggregate, &mut state, after);
            state
        });
        let mut states: Vec<A::State> = each.collect();
        for (one, other) in self.merges {
            let state = states.swap_remove(one.index(states.len()));
            let into = other.index(states.len());
            aggregate.merge(&mut states[into], &state);
            states[into] = saved::<A>(&states[into]);
        }
        assert_eq!(states.len(), 1);
        let found = format!("{:?}", aggregate.finish(&states[0]));
        let expected = format!("{:?}", straight(&aggregate, self.rows));
        assert_eq!(found, expected, "{name}");
    }
}

/// Takes rows in and some of them out again, and compares with a state of the others alone.
struct TakeOut<'a> {
    kept: &'a [Row],
    removed: &'a [Row],
    order: &'a [Index],
}

impl VisitRetractable for TakeOut<'_> {
    fn of<A: Retract<Row, Output: Debug>>(&mut self, name: &str, aggregate: A) {
        // Everything comes in some order, and each row goes some time after it came.
        let mut state = aggregate.create();
        let mut other = aggregate.create();
        let mut waiting: Vec<&Row> = Vec::new();
        let half = self.removed.len() / 2;
        for row in &self.removed[..half] {
            aggregate.add_at(&mut state, row.time, row);
            waiting.push(row);
        }
        add_all(&aggregate, &mut state, self.kept);
        for row in &self.removed[half..] {
            aggregate.add_at(&mut other, row.time, row);
            waiting.push(row);
        }
        aggregate.merge(&mut state, &other);
        let mut state = saved::<A>(&state);
        for at in self.order.iter().cycle().take(waiting.len()) {
            let row = waiting.swap_remove(at.index(waiting.len()));
            aggregate.retract(&mut state, row.time, row);
        }
        let found = format!("{:?}", aggregate.finish(&saved::<A>(&state)));
        let expected = format!("{:?}", straight(&aggregate, self.kept));
        assert_eq!(found, expected, "{name}");
    }
}

proptest! {
    #[test]
    fn orders_splits_merges_and_saves_do_not_matter(
        (rows, shuffled) in
            rows(24).prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        owners in prop::collection::vec(0..4_usize, 24),
        merges in prop::collection::vec((any::<Index>(), any::<Index>()), 3),
    ) {
        let mut parts = vec![Vec::new(); 4];
        for (row, owner) in shuffled.into_iter().zip(owners) {
            parts[owner].push(row);
        }
        every(&mut SplitAndMerge { rows: &rows, parts: &parts, merges: &merges });
    }

    #[test]
    fn what_is_taken_out_was_never_there(
        kept in rows(12),
        removed in rows(12),
        order in prop::collection::vec(any::<Index>(), 5),
    ) {
        every_retractable(&mut TakeOut { kept: &kept, removed: &removed, order: &order });
    }
}
