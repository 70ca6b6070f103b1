//! Ways, samples and limits: every row is somewhere, and it is the same one in every run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::flow::rate::Rate;
use tiderace_operators::flow::sample::Reservoir;
use tiderace_operators::order::Sort;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{
    Feed, Out, Row, Workers, cuts, feeds, judged, run, run_cut, sorted,
};

fn micros(n: i64) -> Duration {
    Duration::from_micros(n as u64)
}

fn by_time(rows: &mut [Row]) {
    rows.sort_by_key(|row| (row.time, postcard::to_allocvec(row).unwrap()));
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn each_row_goes_one_way(feed in feeds(), workers in 1usize..6, ways in 0usize..5) {
        let ran = run(&feed, Workers::threads(workers), move |inputs, out: &Out<_>| {
            let split = inputs[0].split("split", ways, |row| row.value.unsigned_abs() as usize % 6);
            assert_eq!(split.ways().len(), ways);
            for (number, way) in split.ways().iter().enumerate() {
                out.gather(way, move |row| (number, row.time.micros(), row.behind.micros(), row.data));
            }
            out.gather(&split.rest(), |row| (9, row.time.micros(), row.behind.micros(), row.data));
        });
        let wanted = judged(&feed).into_iter().map(|(row, frontier)| {
            let number = row.value.unsigned_abs() as usize % 6;
            let behind = if frontier == i64::MIN { 0 } else { (frontier - row.time).max(0) };
            (if number < ways { number } else { 9 }, row.time, behind, row)
        });
        prop_assert_eq!(sorted(ran.rows.clone()), sorted(wanted.collect()));
        let counts = ran.observer.counts("split");
        prop_assert!(counts.balanced() && counts.output == counts.input);
        let rest = ran.rows.iter().filter(|row| row.0 == 9).count() as u64;
        prop_assert_eq!(ran.observer.counts("split.rest").kept, rest);
    }

    #[test]
    fn the_first_predicate_decides(feed in feeds(), workers in 1usize..6) {
        let ran = run(&feed, Workers::threads(workers), |inputs, out: &Out<_>| {
            let route = inputs[0].route("route").to("even", |row| row.value % 2 == 0);
            let split = route.to("high", |row| row.value > 10).split();
            for way in ["high", "even"] {
                out.gather(&split.way(way), move |row| (way, row.data));
            }
            out.gather(&split.rest(), |row| ("rest", row.data));
        });
        let wanted = feed.rows().map(|(.., row)| match row.value {
            value if value % 2 == 0 => ("even", *row),
            value if value > 10 => ("high", *row),
            _ => ("rest", *row),
        });
        prop_assert_eq!(sorted(ran.rows), sorted(wanted.collect()));
    }

    /// The same rows of the same keys in every run, fewer of them in a smaller sample.
    #[test]
    fn samples_are_the_same_everywhere(
        feed in feeds(), a in 0.0f64..=1.0, b in 0.0f64..=1.0, seed in 0u64..9,
    ) {
        let (less, more) = (a.min(b), a.max(b));
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Out<_>| {
            for (at, fraction) in [less, more, 0.0, 1.0].into_iter().enumerate() {
                let rows = inputs[0].sample(&format!("rows{at}"), fraction, seed);
                out.gather(&rows, move |row| (0, at, row.data));
                let keys = inputs[0].sample_keys(&format!("keys{at}"), fraction, |row| row.value);
                out.gather(&keys, move |row| (1, at, row.data));
            }
        };
        let one = run(&feed, Workers::threads(1), program);
        let five = run(&feed.ticks(true), Workers::threads(5), program);
        prop_assert_eq!(sorted(one.rows.clone()), sorted(five.rows));
        for kind in 0..2 {
            let of = |at| one.rows.iter().filter(move |row| (row.0, row.1) == (kind, at)).map(|row| row.2);
            let more: BTreeSet<_> = of(1).collect();
            prop_assert!(of(0).all(|row| more.contains(&row)));
            prop_assert_eq!(of(2).count(), 0);
            prop_assert_eq!(of(3).count(), feed.rows().count());
            let values: BTreeSet<_> = of(0).map(|row| row.value).collect();
            let whole = feed.rows().filter(|(.., row)| values.contains(&row.value)).count();
            prop_assert!(kind == 0 || of(0).count() == whole, "keys stay whole");
        }
        for at in 0..4 {
            for name in [format!("rows{at}"), format!("keys{at}")] {
                prop_assert!(one.observer.counts(&name).balanced());
            }
        }
    }

    #[test]
    fn reservoirs(
        feed in feeds(), cuts in cuts(), last in 1usize..6, most in 1usize..6, size in 1i64..100,
        seed in 0u64..9,
    ) {
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Out<_>| {
            for most in [most, most + 1] {
                let windows = inputs[0].key_by(|row| row.key).window(Tumbling::every(micros(size)));
                let some = windows.reservoir(&format!("some{most}"), most, seed);
                out.gather(&some, move |row| {
                    let rows: Vec<_> = row.data.value.iter().map(|row| row.data).collect();
                    assert!(row.data.value.iter().all(|row| row.time.micros() == row.data.time));
                    (most, row.data.key, row.data.window.start.micros(), rows)
                });
            }
        };
        let mut groups = BTreeMap::<(u8, i64), BTreeSet<Row>>::new();
        for (row, frontier) in judged(&feed) {
            let start = row.time.div_euclid(size) * size;
            if frontier < start + size {
                groups.entry((row.key, start)).or_default().insert(row);
            }
        }
        let ran = run(&feed, Workers::threads(1), program);
        let cut = run_cut(&feed, &cuts, Workers::threads(last), program);
        prop_assert_eq!(sorted(ran.rows.clone()), sorted(cut.rows));
        prop_assert_eq!(ran.rows.len(), 2 * groups.len());
        let find = |most, key, start| {
            let found = ran.rows.iter().find(|row| (row.0, row.1, row.2) == (most, key, start));
            found.map(|row| row.3.clone()).unwrap()
        };
        for ((key, start), all) in groups {
            let (some, more) = (find(most, key, start), find(most + 1, key, start));
            prop_assert_eq!(some.len(), most.min(all.len()));
            let different: BTreeSet<_> = some.iter().copied().collect();
            prop_assert!(different.len() == some.len() && different.is_subset(&all));
            prop_assert!(some.iter().all(|row| more.contains(row)));
            let mut in_order = some.clone();
            by_time(&mut in_order);
            prop_assert_eq!(some, in_order);
        }
    }

    /// Behind a sort the first rows of each period pass; otherwise as many do.
    #[test]
    fn limits(
        feed in feeds(), cuts in cuts(), last in 1usize..6, n in 1u64..5, size in 1i64..100,
        lateness in 0i64..30, in_order in any::<bool>(),
    ) {
        let rate = Rate::of(n, micros(size)).late_by(micros(lateness));
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Out<_>| {
            let sorted = inputs[0].sort("sorted", Sort::by_time());
            out.gather(&sorted.late(), |row| (3, row.data));
            let rows = if in_order { sorted.results() } else { inputs[0].clone() };
            let some = rows.key_by(|row| row.key).rate_limit("some", rate);
            out.gather(&some, |row| (0, row.data));
            out.gather(&some.over(), |row| (1, row.data));
            out.gather(&some.late(), |row| (2, row.data));
        };
        let mut periods = BTreeMap::<(u8, i64), Vec<Row>>::new();
        let mut late = Vec::new();
        for (row, frontier) in judged(&feed) {
            let start = row.time.div_euclid(size) * size;
            if in_order && row.time < frontier {
                continue;
            }
            if frontier >= start + size + lateness {
                late.push(row);
            } else {
                periods.entry((row.key, start)).or_default().push(row);
            }
        }
        let whole = run(&feed, Workers::threads(1), program);
        let counts = whole.observer.counts("some");
        prop_assert!(counts.balanced() && counts.held == 0 && counts.open == 0, "{counts:?}");
        let cut = run_cut(&feed, &cuts, Workers::threads(last), program);
        for ran in [whole, cut] {
            let of = |door| ran.rows.iter().filter(|row| row.0 == door).map(|row| row.1).collect::<Vec<_>>();
            prop_assert_eq!(sorted(of(2)), sorted(late.clone()));
            let (mut passed, over) = (of(0), of(1));
            let accepted = periods.values().flatten().copied().collect();
            prop_assert_eq!(sorted([&passed[..], &over].concat()), sorted(accepted));
            by_time(&mut passed);
            for ((key, start), rows) in &mut periods {
                let of_period = |row: &&Row| row.key == *key && row.time.div_euclid(size) * size == *start;
                let got: Vec<_> = passed.iter().filter(of_period).copied().collect();
                by_time(rows);
                let first = &rows[..rows.len().min(n as usize)];
                prop_assert_eq!(got.len(), first.len());
                prop_assert!(!in_order || got == first);
            }
        }
    }
}

/// All rows have the same chance, whatever is in them and whenever they come.
#[test]
fn a_reservoir_has_no_favourites() {
    let (n, most, runs) = (40u64, 10, 2_000);
    let mut chosen = vec![0u64; n as usize];
    for seed in 0..runs {
        let aggregate = Reservoir { most, seed };
        let mut parts = [(); 3].map(|()| Aggregate::<u64>::create(&aggregate));
        for row in 0..n {
            let time = EventTime::from_micros(row as i64 / 7);
            aggregate.add_at(&mut parts[row as usize % 3], time, &row);
            aggregate.add_at(&mut parts[row as usize % 2], time, &row);
        }
        let [mut all, second, third] = parts;
        aggregate.merge(&mut all, &second);
        aggregate.merge(&mut all, &third);
        let sample: Vec<Timed<u64>> = aggregate.finish(&all);
        assert_eq!(sample.len(), most);
        sample.iter().for_each(|row| chosen[row.data as usize] += 1);
    }
    // 500 of 2,000 expected, σ = 19: all 40 within 4.5 σ.
    assert!(chosen.iter().all(|&times| (413..=587).contains(&times)), "{chosen:?}");
}

#[test]
fn a_sample_has_about_the_size_asked_for() {
    let mut feed = Feed::new(Duration::ZERO);
    for n in 0..4_000u32 {
        feed.row(0, 0, EventTime::from_micros(i64::from(n / 50)), n);
    }
    for fraction in [0.01, 0.3, 0.9] {
        let ran = run(&feed, Workers::threads(1), move |inputs, out: &Out<_>| {
            out.gather(&inputs[0].sample("rows", fraction, 1), |_| 0);
            out.gather(&inputs[0].sample("other rows", fraction, 2), |_| 0);
            out.gather(&inputs[0].sample_keys("keys", fraction, |&row| row), |_| 0);
        });
        for name in ["rows", "other rows", "keys"] {
            let counts = ran.observer.counts(name);
            let off = counts.kept as f64 - 4_000.0 * fraction;
            assert!(off.abs() < 4.0 * (4_000.0 * fraction * (1.0 - fraction)).sqrt(), "{counts:?}");
        }
    }
}

/// Late iff F ≥ the end of the period and the lateness: one unit either way.
#[test]
fn the_edges_of_a_period() {
    for (lateness, late_at) in [(0, 100), (7, 107)] {
        for newest in late_at - 1..=late_at + 1 {
            let mut feed = Feed::new(Duration::ZERO);
            for (time, data) in [(50, 1), (newest, 2), (99, 3)] {
                feed.row(0, 0, EventTime::from_micros(time), data);
                feed.end_tick_after(true);
            }
            let rate = Rate::of(1, micros(100)).late_by(micros(lateness));
            let ran = run(&feed, Workers::threads(1), move |inputs, out: &Out<_>| {
                let some = inputs[0].key_by(|_| ()).rate_limit("some", rate);
                out.gather(&some, |row| ("passed", row.data));
                out.gather(&some.over(), |row| ("over", row.data));
                out.gather(&some.late(), |row| ("late", row.data));
            });
            let last = if newest >= late_at { "late" } else { "over" };
            let second = if newest >= 100 { "passed" } else { "over" };
            assert_eq!(sorted(ran.rows), sorted(vec![("passed", 1), (second, 2), (last, 3)]));
        }
    }
}

fn build(program: impl Fn(&Events<'_, u64, u32>) + Send + Sync + 'static) {
    timely::execute_directly(move |worker| {
        worker.dataflow::<u64, _, _>(|scope| {
            let observer = Observer::default();
            let (input, rows) = EventInput::<u32>::new(scope, 0, Policy::ascending(), &observer);
            program(&rows);
            input
        });
    });
}

#[test]
#[should_panic(expected = "`part`: the fraction of a sample must be from 0 to 1, and is 1.5")]
fn more_than_all_is_refused() {
    build(|rows| _ = rows.sample("part", 1.5, 0));
}

#[test]
#[should_panic(expected = "`part`: the fraction of a sample must be from 0 to 1, and is NaN")]
fn no_number_is_refused() {
    build(|rows| _ = rows.sample_keys("part", f64::NAN, |&row| row));
}

#[test]
#[should_panic(expected = "`some`: a reservoir must have room for 1 row, and has for 0")]
fn a_reservoir_of_nothing_is_refused() {
    build(|rows| _ = rows.key_by(|_| ()).window(Tumbling::every(secs(1))).reservoir("some", 0, 0));
}

#[test]
#[should_panic(expected = "rate limit: at least 1 row must be allowed, and 0 are")]
fn a_rate_of_nothing_is_refused() {
    let _ = Rate::of(0, secs(1));
}

#[test]
#[should_panic(expected = "rate limit: the period must be at least 1 us, and is 0ns")]
fn a_period_of_nothing_is_refused() {
    let _ = Rate::of(1, Duration::ZERO);
}

#[test]
#[should_panic(expected = "`ways`: two ways are called `a`")]
fn a_way_that_is_there_twice_is_refused() {
    build(|rows| _ = rows.route("ways").to("a", |_| true).to("a", |_| true).split());
}

#[test]
#[should_panic(expected = "`ways`: there is no way `b`, but [\"a\"]")]
fn a_way_that_is_not_there_is_refused() {
    build(|rows| _ = rows.route("ways").to("a", |_| true).split().way("b"));
}
