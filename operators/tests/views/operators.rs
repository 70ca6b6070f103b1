//! Every operator of views, changes that take away, and loops.

use differential_dataflow::operators::Iterate;

use super::*;

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

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn operators_are_right_at_every_tick(feed in feeds(), workers in prop::sample::select(vec![1usize, 2, 5])) {
        for feed in variants(&feed) {
            let ran = run(&feed, Workers::threads(workers), aggregates);
            consistent(ran.rows, &aggregate_models())?;
        }
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
    fn aggregates_go_on_after_cuts(feed in feeds(), cuts in cuts(), last in 1usize..6) {
        let cut = run_cut(&feed, &cuts, Workers::threads(last), aggregates);
        consistent(cut.rows, &aggregate_models())?;
    }
}
