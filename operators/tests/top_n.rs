//! The best of each window against sorting everything.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{
    Feed, Out, Row, Workers, cuts, feeds, judged, run, run_cut, sorted,
};

fn micros(n: i64) -> Duration {
    Duration::from_micros(n as u64)
}

/// NaN for one of the values; many rows have the same score.
fn score(row: &Row) -> f64 {
    if row.value == 13 { f64::NAN } else { f64::from(row.value.rem_euclid(4)) }
}

type Got = (u8, u8, i64, u32, Row);

fn model(feed: &Feed<Row>, n: usize, size: i64, lateness: i64) -> Vec<Got> {
    let (mut groups, mut got) = (BTreeMap::<(u8, i64), Vec<Row>>::new(), Vec::new());
    for (row, frontier) in judged(feed) {
        let start = row.time.div_euclid(size) * size;
        if frontier >= start + size + lateness {
            got.push((1, row.key, start, 0, row));
        } else {
            groups.entry((row.key, start)).or_default().push(row);
        }
    }
    for ((key, start), mut rows) in groups {
        rows.retain(|row| !score(row).is_nan());
        rows.sort_by_key(|row| (-score(row) as i64, row.time, postcard::to_allocvec(row).unwrap()));
        let best = rows.into_iter().take(n).zip(1..);
        got.extend(best.map(|(row, rank)| (0, key, start, rank, row)));
    }
    sorted(got)
}

fn program(inputs: &[Events<'_, u64, Row>], out: &Out<Got>, n: u32, size: i64, lateness: i64) {
    let windows = inputs[0].key_by(|row| row.key).window(Tumbling::every(micros(size)));
    let best = windows.allow_late(micros(lateness)).top_n("best", n, score);
    out.gather(&best, |row| {
        let best = row.data;
        assert_eq!((row.time, best.time.micros()), (best.window.last(), best.row.time));
        assert_eq!(best.score, score(&best.row));
        (0, best.key, best.window.start.micros(), best.rank, best.row)
    });
    out.gather(&best.late(), move |row| {
        (1, row.data.key, row.data.time.div_euclid(size) * size, 0, row.data)
    });
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn agrees_with_the_model(feed in feeds(), n in 1u32..20, size in 1i64..100, lateness in 0i64..30) {
        let wanted = model(&feed, n as usize, size, lateness);
        for workers in [1, 2, 5] {
            for feed in [&feed, &feed.ticks(true), &feed.ticks(false)] {
                let ran = run(feed, Workers::threads(workers), move |inputs, out: &Out<_>| {
                    program(inputs, out, n, size, lateness);
                });
                prop_assert_eq!(sorted(ran.rows), wanted.clone());
                prop_assert!(ran.observer.counts("best").balanced());
            }
        }
    }

    #[test]
    fn goes_on_after_a_cut(
        feed in feeds(), cuts in cuts(), last in 1usize..6, n in 1u32..20, size in 1i64..100,
    ) {
        let ran = run_cut(&feed, &cuts, Workers::threads(last), move |inputs, out: &Out<_>| {
            program(inputs, out, n, size, 5);
        });
        prop_assert_eq!(sorted(ran.rows), model(&feed, n as usize, size, 5));
    }

    /// The best sums of all keys of a window: results of windows are ranked in one group.
    #[test]
    fn the_best_of_window_results(feed in feeds(), n in 1u32..4, size in 1i64..100) {
        let mut sums = BTreeMap::<i64, BTreeMap<u8, i128>>::new();
        for (row, frontier) in judged(&feed) {
            let start = row.time.div_euclid(size) * size;
            if frontier < start + size {
                *sums.entry(start).or_default().entry(row.key).or_default() += i128::from(row.value);
            }
        }
        let wanted = sums.into_iter().flat_map(|(start, sums)| {
            let mut sums: Vec<_> = sums.into_iter().collect();
            sums.sort_by_key(|&(key, sum)| (-sum, key));
            (1..).zip(sums).take(n as usize).map(move |(rank, (key, sum))| (start, rank, key, sum))
        });
        let wanted: Vec<_> = wanted.collect();
        let ran = run(&feed, Workers::threads(2), move |inputs, out: &Out<_>| {
            let by = Tumbling::every(micros(size));
            let sums = inputs[0].key_by(|row| row.key).window(by);
            let sums = sums.aggregate("sums", Sum::of(|row: &Row| row.value));
            let best = sums.key_by(|_| ()).window(by).top_n("best", n, |sum| sum.value);
            out.gather(&best, |row| {
                let best = &row.data;
                (best.window.start.micros(), best.rank, best.row.key, best.row.value)
            });
        });
        prop_assert_eq!(sorted(ran.rows), sorted(wanted));
    }
}

#[test]
#[should_panic(expected = "`best`: at least 1 row must be asked for, and 0 are")]
fn the_best_of_nothing_is_refused() {
    timely::execute_directly(|worker| {
        worker.dataflow::<u64, _, _>(|scope| {
            let observer = Observer::default();
            let (input, rows) = EventInput::<Row>::new(scope, 0, Policy::ascending(), &observer);
            rows.key_by(|_| ()).window(Tumbling::every(secs(1))).top_n("best", 0, |row| row.value);
            input
        });
    });
}
