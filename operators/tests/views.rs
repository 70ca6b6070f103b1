//! Views against a slow model: at every tick, the changes that came out so far add up to what the
//! view's definition makes, in one go, of the rows that went in so far.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use differential_dataflow::operators::Iterate;
use proptest::prelude::*;
use tiderace_operators::events::Data;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{
    Feed, Out, Row, Step, Workers, cuts, feeds, feeds_of, run, run_cut,
};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

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

fn aggregates(inputs: &[Events<'_, u64, Row>], out: &Gathered) {
    take_in(&inputs[0], out);
    let pairs = inputs[0].view("rows", Retain::forever()).map(|row| (row.key, row.value));
    let number = |&(key, value): &(u8, i64)| vec![key.into(), value];
    let changes = pairs.count().changelog("count");
    take_out(0, &changes, out, number);
    let sums = pairs.sum(|&value| value.into()).map(|(key, sum)| (key, sum as i64));
    take_out(1, &sums.changelog("sum"), out, number);
    let plain = |&(key, value): &(u8, i32)| vec![key.into(), value.into()];
    take_out(2, &pairs.min().changelog("min"), out, plain);
    take_out(3, &pairs.max().changelog("max"), out, plain);
    take_out(4, &pairs.top_k(2).changelog("top"), out, plain);
    take_out(
        5,
        &pairs.map(|(key, value)| (key, value / 20)).distinct().changelog("distinct"),
        out,
        plain,
    );
    let odd = pairs.filter(|row| row.1 % 2 != 0);
    let even_keys = pairs.filter(|row| row.1 % 2 == 0).map(|row| row.0);
    take_out(6, &odd.semijoin(&even_keys).changelog("semijoin"), out, plain);
    take_out(7, &odd.antijoin(&even_keys).changelog("antijoin"), out, plain);
    let twice = pairs.concat(&odd.negate()).flat_map(|row| [row, row]);
    take_out(8, &twice.changelog("twice"), out, plain);
}

#[allow(clippy::type_complexity)]
fn aggregate_models() -> Vec<(u8, &'static dyn Fn(&[Row]) -> Contents)> {
    fn each(rows: &[Row], f: impl Fn(&[i64]) -> Vec<i64>) -> Contents {
        let of_key = |(key, values): (i64, Vec<i64>)| {
            f(&values).into_iter().map(move |value| vec![key, value])
        };
        counted(by_key(rows).into_iter().flat_map(of_key))
    }
    vec![
        (0, &|rows| each(rows, |values| vec![values.len() as i64])),
        (1, &|rows| each(rows, |values| vec![values.iter().sum()])),
        (2, &|rows| each(rows, |values| vec![values[0]])),
        (3, &|rows| each(rows, |values| vec![values[values.len() - 1]])),
        (4, &|rows| each(rows, |values| values.iter().rev().take(2).copied().collect())),
        (5, &|rows| {
            each(rows, |values| {
                let tens: BTreeSet<i64> = values.iter().map(|value| value / 20).collect();
                tens.into_iter().collect()
            })
        }),
        (6, &|rows| {
            each(rows, |values| {
                let any = values.iter().any(|value| value % 2 == 0);
                values.iter().copied().filter(|value| any && value % 2 != 0).collect()
            })
        }),
        (7, &|rows| {
            each(rows, |values| {
                let any = values.iter().any(|value| value % 2 == 0);
                values.iter().copied().filter(|value| !any && value % 2 != 0).collect()
            })
        }),
        (8, &|rows| {
            each(rows, |values| {
                values.iter().filter(|&value| value % 2 == 0).flat_map(|&v| [v, v]).collect()
            })
        }),
    ]
}

/// Late rows correct a table of the newest region of each key, counts by window, the join of both
/// and the two windows of each region with the most rows.
fn corrected(inputs: &[Events<'_, u64, Row>], out: &Gathered) {
    take_in(&inputs[0], out);
    take_in(&inputs[1], out);
    let counts = inputs[0]
        .view("readings", Retain::forever())
        .map(|row| ((row.key, row.time.div_euclid(40)), ()))
        .count()
        .map(|((key, window), count)| (key, (count, window)));
    let regions = inputs[1].upsert(
        "regions",
        |row| row.key,
        |row| (row.value % 3 != 0).then_some(row.value % 5),
    );
    take_out(1, &regions.changelog("regions out"), out, |&(key, region)| {
        vec![key.into(), region.into()]
    });
    let busiest = counts.join(&regions).map(|(_, (count, region))| (region, count)).top_k(2);
    take_out(0, &busiest.changelog("busiest"), out, |&(region, (count, window))| {
        vec![region.into(), count, window]
    });
}

fn regions(rows: &[Row]) -> BTreeMap<u8, i32> {
    let mut newest: BTreeMap<u8, (i64, Option<i32>)> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.source == 1) {
        let said = (row.time, (row.value % 3 != 0).then_some(row.value % 5));
        let last = newest.entry(row.key).or_insert(said);
        *last = (*last).max(said);
    }
    newest.into_iter().filter_map(|(key, (_, region))| Some((key, region?))).collect()
}

fn busiest(rows: &[Row]) -> Contents {
    let mut windows: BTreeMap<(u8, i64), i64> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.source == 0) {
        *windows.entry((row.key, row.time.div_euclid(40))).or_default() += 1;
    }
    let regions = regions(rows);
    let mut of_region: BTreeMap<i32, Vec<(i64, i64)>> = BTreeMap::new();
    for ((key, window), count) in windows {
        if let Some(region) = regions.get(&key) {
            of_region.entry(*region).or_default().push((count, window));
        }
    }
    counted(of_region.into_iter().flat_map(|(region, mut windows)| {
        windows.sort_by_key(|&window| Reverse(window));
        windows.truncate(2);
        windows.into_iter().map(move |(count, window)| vec![region.into(), count, window])
    }))
}

fn region_contents(rows: &[Row]) -> Contents {
    counted(regions(rows).into_iter().map(|(key, region)| vec![key.into(), region.into()]))
}

const CORRECTED: [(u8, &dyn Fn(&[Row]) -> Contents); 2] = [(0, &busiest), (1, &region_contents)];

/// Edges by window of 60, and who reaches whom in each.
fn reachability(inputs: &[Events<'_, u64, Row>], out: &Gathered) {
    take_in(&inputs[0], out);
    let edges = inputs[0].view("edges", Retain::forever()).map(edge);
    let reached = edges.via(|edges| {
        edges.clone().iterate(|scope, reached| {
            let edges = edges.enter(scope).map(|(window, from, to)| ((window, from), to));
            let by_end = reached.clone().map(|(window, from, to)| ((window, to), from));
            let further = by_end.join_map(edges, |&(window, _), &from, &to| (window, from, to));
            further.concat(reached).distinct()
        })
    });
    take_out(0, &reached.changelog("reached"), out, |&(window, from, to)| vec![window, from, to]);
}

fn edge(row: Row) -> (i64, i64, i64) {
    (row.time.div_euclid(60), row.key.into(), i64::from(row.value.rem_euclid(7)))
}

fn reachable(rows: &[Row]) -> Contents {
    let edges: BTreeSet<_> = rows.iter().map(|&row| edge(row)).collect();
    let mut reached = edges.clone();
    loop {
        let mut more = reached.clone();
        for &(window, from, by) in &reached {
            let next = edges.iter().filter(|edge| (edge.0, edge.1) == (window, by));
            more.extend(next.map(|edge| (window, from, edge.2)));
        }
        if more == reached {
            return counted(reached.into_iter().map(|(window, from, to)| vec![window, from, to]));
        }
        reached = more;
    }
}

fn change(row: Row) -> Change<(u8, i32)> {
    Change { data: (row.key, row.value / 20), diff: if row.value % 3 == 0 { -1 } else { 2 } }
}

fn signed(inputs: &[Events<'_, u64, Row>], out: &Gathered) {
    take_in(&inputs[0], out);
    let rows = Changes::from_events(inputs[0].map(change)).view("rows", Retain::forever());
    let plain = |&(key, value): &(u8, i32)| vec![key.into(), value.into()];
    take_out(0, &rows.changelog("rows out"), out, plain);
    take_out(1, &rows.distinct().changelog("distinct"), out, plain);
    take_out(2, &rows.top_k(3).changelog("top"), out, plain);
    take_out(3, &rows.min().changelog("min"), out, plain);
    take_out(4, &rows.max().changelog("max"), out, plain);
    let number = |&(key, sum): &(u8, i128)| vec![key.into(), sum as i64];
    take_out(5, &rows.distinct().sum(|&value| value.into()).changelog("sum"), out, number);
}

fn sums(rows: &[Row]) -> Contents {
    let mut contents = Contents::new();
    for Change { data: (key, value), diff } in rows.iter().map(|&row| change(row)) {
        add(&mut contents, vec![key.into(), value.into()], diff);
    }
    contents
}

/// Up to `k` rows of each key that are there, from one end.
fn first(rows: &[Row], k: usize, greatest: bool) -> Contents {
    let mut keys: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (row, count) in sums(rows) {
        let copies = usize::try_from(count).unwrap_or(0);
        keys.entry(row[0]).or_default().extend(std::iter::repeat_n(row[1], copies));
    }
    counted(keys.into_iter().flat_map(|(key, mut values)| {
        values.sort();
        if greatest {
            values.reverse();
        }
        values.truncate(k);
        values.into_iter().map(move |value| vec![key, value])
    }))
}

/// The sum of the values of each key that are there.
fn distinct_sums(rows: &[Row]) -> Contents {
    let mut keys: BTreeMap<i64, i64> = BTreeMap::new();
    for (row, _) in sums(rows).into_iter().filter(|row| row.1 > 0) {
        *keys.entry(row[0]).or_default() += row[1];
    }
    counted(keys.into_iter().map(|(key, sum)| vec![key, sum]))
}

const SIGNED: [(u8, &dyn Fn(&[Row]) -> Contents); 6] = [
    (0, &sums),
    (1, &|rows| counted(sums(rows).into_iter().filter(|row| row.1 > 0).map(|row| row.0))),
    (2, &|rows| first(rows, 3, true)),
    (3, &|rows| first(rows, 1, false)),
    (4, &|rows| first(rows, 1, true)),
    (5, &distinct_sums),
];

/// The sums of the values of each key above −20 that are not zero, as upserts.
fn upserted(inputs: &[Events<'_, u64, Row>], out: &Gathered) {
    take_in(&inputs[0], out);
    let rows = inputs[0].view("rows", Retain::forever()).map(|row| (row.key, row.value));
    let sums = rows.sum(|&value| i64::from(value / 20)).filter(|&(_, sum)| sum != 0);
    out.gather(&with_ticks(&sums.upserts("sums")), |row| {
        let (tick, (key, sum)) = row.data;
        let sum = sum.map(|sum| sum as i64);
        (tick, Seen::Out(u8::from(sum.is_none()), vec![key.into()], sum.unwrap_or(0)))
    });
}

/// One row per key and tick, only where something has changed, and always the last value.
fn last_values(mut seen: Vec<(u64, Seen)>) -> Result<(), TestCaseError> {
    seen.sort();
    let (mut rows, mut table) = (Vec::new(), BTreeMap::new());
    for tick in seen.chunk_by(|a, b| a.0 == b.0) {
        let mut keys = BTreeSet::new();
        for (_, seen) in tick {
            match seen {
                Seen::In(row) => rows.push(*row),
                Seen::Out(none, key, sum) => {
                    prop_assert!(keys.insert(key));
                    let new = (*none == 0).then_some(*sum);
                    let old = match new {
                        Some(new) => table.insert(key[0], new),
                        None => table.remove(&key[0]),
                    };
                    prop_assert!(old != new, "nothing has changed");
                }
            }
        }
        let sums = by_key(&rows)
            .into_iter()
            .map(|(key, values)| (key, values.iter().map(|value| value / 20).sum::<i64>()));
        let model: BTreeMap<_, _> = sums.filter(|&(_, sum)| sum != 0).collect();
        prop_assert_eq!(&table, &model);
    }
    Ok(())
}

fn fields(row: &Row) -> Vec<i64> {
    vec![row.source.into(), row.partition.into(), row.time, row.key.into(), row.value.into()]
}

/// A view of a span beside windows with the same buckets and lateness: those fire in the tick in
/// which the view lets go, and refuse the same rows.
fn held(inputs: &[Events<'_, u64, Row>], out: &Gathered, span: u64, width: u64) {
    take_in(&inputs[0], out);
    let (span, width) = (Duration::from_micros(span), Duration::from_micros(width));
    let view = inputs[0].view("rows", Retain::for_span(span).in_buckets_of(width));
    take_out(0, &view.changelog("rows out"), out, fields);
    let late = |row: &Timed<(u64, Row)>| (row.data.0, fields(&row.data.1), row.behind.micros());
    take_out(1, &view.expired(), out, fields);
    out.gather(&with_ticks(&view.late()), move |row| {
        let (tick, row, behind) = late(row);
        (tick, Seen::Out(2, row, behind))
    });
    let counts = view.map(|row| (row.key, ())).count();
    take_out(3, &counts.changelog("counts"), out, |&(key, count)| vec![key.into(), count]);
    let windows = inputs[0].key_by(|_| ()).window(Tumbling::every(width)).allow_late(span);
    let windows = windows.aggregate("windows", Count);
    out.gather(&with_ticks(&windows), |row| {
        let (tick, result) = &row.data;
        (*tick, Seen::Out(4, vec![result.window.start.micros()], 0))
    });
    out.gather(&with_ticks(&windows.late()), move |row| {
        let (tick, row, behind) = late(row);
        (tick, Seen::Out(5, row, behind))
    });
}

/// Checks every tick, and returns the rows that were late.
fn let_go(mut seen: Vec<(u64, Seen)>, width: u64) -> Result<Contents, TestCaseError> {
    seen.sort();
    let (mut rows, mut all_late) = (Contents::new(), Contents::new());
    let (mut contents, mut counts) = (Contents::new(), Contents::new());
    for tick in seen.chunk_by(|a, b| a.0 == b.0) {
        let (mut fired, mut expired) = (BTreeSet::new(), Contents::new());
        let mut late = [Contents::new(), Contents::new()];
        for (_, seen) in tick {
            match seen {
                Seen::In(row) => add(&mut rows, fields(row), 1),
                Seen::Out(0, row, diff) => add(&mut contents, row.clone(), *diff),
                Seen::Out(1, row, diff) => add(&mut expired, row.clone(), -diff),
                Seen::Out(3, row, diff) => add(&mut counts, row.clone(), *diff),
                Seen::Out(4, start, _) => _ = fired.insert(start[0]),
                Seen::Out(n, row, behind) => {
                    let row = [&row[..], &[*behind]].concat();
                    add(&mut late[usize::from(*n == 5)], row, 1);
                }
            }
        }
        let [late, by_windows] = late;
        prop_assert_eq!(&late, &by_windows);
        for (mut row, count) in late {
            row.pop();
            add(&mut rows, row.clone(), -count);
            add(&mut all_late, row, count);
        }
        let start = |row: &[i64]| row[2].div_euclid(width as i64) * width as i64;
        let over = |row: &Vec<i64>| fired.contains(&start(row));
        let (gone, still): (Contents, Contents) = rows.into_iter().partition(|row| over(&row.0));
        rows = still;
        prop_assert_eq!(&contents, &rows, "as of tick {}", tick[0].0);
        prop_assert_eq!(&expired, &gone, "in tick {}", tick[0].0);
        let mut of_key: BTreeMap<i64, i64> = BTreeMap::new();
        rows.iter().for_each(|(row, count)| *of_key.entry(row[3]).or_default() += count);
        prop_assert_eq!(&counts, &counted(of_key.into_iter().map(|(k, n)| vec![k, n])));
    }
    prop_assert!(contents.is_empty(), "the input has ended");
    Ok(all_late)
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn operators_are_right_at_every_tick(feed in feeds(), workers in prop::sample::select(vec![1usize, 2, 5])) {
        for feed in variants(&feed) {
            let ran = run(&feed, Workers::threads(workers), aggregates);
            consistent(ran.rows, &aggregate_models())?;
        }
    }

    /// Window counts, an upserted table, join and top-k change together.
    #[test]
    fn corrections_are_consistent_at_every_tick(feed in feeds_of(2), workers in prop::sample::select(vec![1usize, 2, 5])) {
        let mut last = None;
        for feed in variants(&feed) {
            let ran = run(&feed, Workers::threads(workers), corrected);
            let contents = consistent(ran.rows, &CORRECTED)?;
            prop_assert_eq!(last.get_or_insert_with(|| contents.clone()), &contents);
        }
    }

    #[test]
    fn views_go_on_after_cuts(feed in feeds_of(2), cuts in cuts(), last in 1usize..6) {
        let whole = run(&feed, Workers::threads(1), corrected);
        let cut = run_cut(&feed, &cuts, Workers::threads(last), corrected);
        prop_assert_eq!(consistent(cut.rows, &CORRECTED)?, consistent(whole.rows, &CORRECTED)?);
    }

    #[test]
    fn a_loop_is_consistent_and_goes_on_after_cuts(feed in feeds(), cuts in cuts(), last in 1usize..6) {
        for ran in [
            run(&feed, Workers::threads(2), reachability),
            run_cut(&feed, &cuts, Workers::threads(last), reachability),
        ] {
            consistent(ran.rows, &[(0, &reachable)])?;
        }
    }

    /// Rows that are taken away, also before they were there.
    #[test]
    fn changes_that_take_away(feed in feeds(), cuts in cuts(), last in 1usize..6) {
        for feed in variants(&feed) {
            consistent(run(&feed, Workers::threads(last), signed).rows, &SIGNED)?;
        }
        consistent(run_cut(&feed, &cuts, Workers::threads(last), signed).rows, &SIGNED)?;
    }

    #[test]
    fn upserts_say_the_last_value(feed in feeds(), cuts in cuts(), last in 1usize..6) {
        for feed in variants(&feed) {
            last_values(run(&feed, Workers::threads(last), upserted).rows)?;
        }
        last_values(run_cut(&feed, &cuts, Workers::threads(last), upserted).rows)?;
    }

    #[test]
    fn rows_are_held_for_a_span(
        feed in feeds(), cuts in cuts(), last in 1usize..6,
        span in 0u64..80, width in 1u64..30,
    ) {
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Gathered| {
            held(inputs, out, span, width);
        };
        let mut late = None;
        for feed in variants(&feed) {
            let found = let_go(run(&feed, Workers::threads(last), program).rows, width)?;
            prop_assert_eq!(late.get_or_insert_with(|| found.clone()), &found);
        }
        let found = let_go(run_cut(&feed, &cuts, Workers::threads(last), program).rows, width)?;
        prop_assert_eq!(late, Some(found));
    }

    /// A view holds what it is made of for at least as long as that may be corrected.
    #[test]
    fn corrections_are_not_refused(feed in feeds(), last in 1usize..6, lateness in 0u64..80) {
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Gathered| {
            let micros = Duration::from_micros;
            let windows = inputs[0].key_by(|row| row.key).window(Tumbling::every(micros(20)));
            let counts = windows.allow_late(micros(lateness)).retracting("windows", Count);
            let counts = counts.map(|row| (row.key, row.value as i64));
            let retain = Retain::for_span(Duration::ZERO).in_buckets_of(micros(1));
            let view = counts.view("held", retain);
            take_out(0, &view.expired(), out, |&(key, count)| vec![key.into(), count]);
        };
        let ran = run(&feed, Workers::threads(last), program);
        let counts = ran.observer.counts("held");
        prop_assert_eq!((counts.late, counts.held), (0, 0));
    }

    #[test]
    fn aggregates_go_on_after_cuts(feed in feeds(), cuts in cuts(), last in 1usize..6) {
        let cut = run_cut(&feed, &cuts, Workers::threads(last), aggregates);
        consistent(cut.rows, &aggregate_models())?;
    }
}

/// What comes out of a view of two inputs has the lesser of their frontiers as its event time, as of
/// the tick before.
#[test]
fn views_of_two_inputs_go_by_the_lesser_frontier() {
    let mut feed = Feed::new(Duration::ZERO);
    let rows = [(1, 10)].into_iter().chain((1..20).map(|n| (0, n * 100)));
    for (source, time) in rows {
        let row = Row { source, partition: 0, time, key: 1, value: time as i32 };
        feed.row(source, 0, EventTime::from_micros(time), row);
        // Both are in the same tick throughout.
        let ends = [0, 1].map(|source| Step::EndTick { source, partition: 0 });
        feed.steps.extend(ends);
    }
    let program = |inputs: &[Events<'_, u64, Row>], out: &Out<(u8, i64)>| {
        let [ahead, behind] = [0, 1].map(|input: usize| {
            let rows = inputs[input].view(&format!("rows {input}"), Retain::forever());
            rows.map(|row| (row.key, row.value))
        });
        let keys = behind.map(|row| row.0);
        let none = keys.map(|key| key + 1);
        let joined = ahead.join(&behind).map(|(key, (value, _))| (key, value));
        let views = [joined, ahead.semijoin(&keys), ahead.antijoin(&none), ahead.concat(&behind)];
        for (number, view) in (0..).zip(views) {
            let changes = view.changelog(&format!("changes {number}"));
            out.changes(&changes, move |row| (number, row.time.micros()));
        }
    };
    let ran = run(&feed, Workers::threads(1), program);
    for number in 0..4 {
        let times = ran.rows.iter().filter(|row| row.0 == number).map(|row| row.1);
        let seen: Vec<i64> = times.collect();
        assert!(seen.len() >= 19 && seen.iter().all(|time| *time <= 10), "{number}: {seen:?}");
    }
}

/// Changes have the frontier as of the tick before, not that of their own tick.
#[test]
fn changes_are_as_old_as_the_tick_before() {
    let mut feed = Feed::new(Duration::ZERO);
    for time in [100, 200, 300] {
        let row = Row { source: 0, partition: 0, time, key: 1, value: time as i32 };
        feed.row(0, 0, EventTime::from_micros(time), row);
        feed.end_tick_after(true);
    }
    let ran = run(&feed, Workers::threads(1), |inputs, out| {
        let changes = inputs[0].view("rows", Retain::forever()).changelog("changes");
        out.changes(&changes, |row| (row.data.data.time, row.time.micros()));
    });
    let mut rows = ran.rows;
    rows.sort();
    assert_eq!(rows, [(100, i64::MIN), (200, 100), (300, 200)]);
}

/// Two values of a key, in one tick or taken away in one tick, are no upserts.
fn several_values(taken_away: bool) {
    timely::execute_directly(move |worker| {
        let mut input = worker.dataflow::<u64, _, _>(|scope| {
            let observer = Observer::default();
            let (input, rows) =
                EventInput::<Change<(u8, i64)>>::new(scope, 0, Policy::ascending(), &observer);
            let view = Changes::from_events(rows).view("rows", Retain::forever());
            view.upserts("values");
            input
        });
        for value in [1, 2] {
            let data = (7, value);
            let change = if taken_away { Change::remove(data) } else { Change::add(data) };
            input.send(0, EventTime::from_secs(1), change);
        }
        input.finish();
    });
}

#[test]
#[should_panic(expected = "upserts `values`: the view has several rows for one key")]
fn a_key_with_two_values_is_no_upsert() {
    several_values(false);
}

#[test]
#[should_panic(expected = "upserts `values`: the view has several rows for one key")]
fn a_key_that_loses_two_values_is_no_upsert() {
    several_values(true);
}
