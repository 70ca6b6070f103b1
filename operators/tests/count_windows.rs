//! Windows of rows against plain lists of rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::count_window::{CountResult, CountWindow, CountWindows};
use tiderace_operators::observe::Counters;
use tiderace_operators::order::Sort;
use tiderace_operators::prelude::*;
use tiderace_operators::state::{Saver, Snapshot, State};
use tiderace_operators::testing::{
    Feed, Out, Row, Workers, cuts, feeds, judged, run, run_cut, sorted,
};
use tiderace_operators::tick::{Emit, Fuel, Now, TickLogic};
use tiderace_operators::time::Span;

/// All values in ascending order: two windows with other rows have other results.
#[derive(Clone)]
struct Values;

impl Aggregate<Row> for Values {
    type State = Vec<(i64, i32)>;
    type Output = Vec<(i64, i32)>;

    fn create(&self) -> Self::State {
        Vec::new()
    }

    fn add(&self, state: &mut Self::State, row: &Row) {
        state.push((row.time, row.value));
    }

    fn merge(&self, state: &mut Self::State, other: &Self::State) {
        state.extend(other);
    }

    fn finish(&self, state: &Self::State) -> Self::Output {
        sorted(state.clone())
    }
}

/// Which windows.
#[derive(Clone, Copy, Debug)]
enum By {
    Every(u64),
    Sliding(u64, u64),
    Last(u64),
}

impl By {
    fn window(self) -> CountWindow {
        match self {
            By::Every(n) => CountWindow::every(n),
            By::Sliding(n, step) => CountWindow::sliding(n, step),
            By::Last(n) => CountWindow::last(n),
        }
    }

    /// The rows of the window that the row with this number completes.
    fn completes(self, number: usize) -> Option<std::ops::RangeInclusive<usize>> {
        let (size, step) = match self {
            By::Last(n) => return Some((number + 1).saturating_sub(n as usize)..=number),
            By::Every(n) => (n as usize, n as usize),
            By::Sliding(n, step) => (n as usize, step as usize),
        };
        let start = (number + 1).checked_sub(size)?;
        start.is_multiple_of(step).then_some(start..=number)
    }
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![
        (1u64..7).prop_map(By::Every),
        (2u64..7).prop_flat_map(|n| (Just(n), 1..n)).prop_map(|(n, step)| By::Sliding(n, step)),
        (1u64..7).prop_map(By::Last),
    ]
}

type Summary = (u8, u64, i64, i64, Vec<(i64, i32)>);

fn summary(key: u8, rows: &[Row]) -> Summary {
    let times: Vec<_> = rows.iter().map(|row| row.time).collect();
    let values = sorted(rows.iter().map(|row| (row.time, row.value)).collect());
    (key, rows.len() as u64, *times.iter().min().unwrap(), *times.iter().max().unwrap(), values)
}

fn of_result(result: &CountResult<u8, Vec<(i64, i32)>>) -> Summary {
    let CountResult { key, rows, first, last, value } = result.clone();
    (key, rows, first.micros(), last.micros(), value)
}

fn in_order(rows: &mut [Row]) {
    rows.sort_by_key(|row| (row.time, postcard::to_allocvec(row).unwrap()));
}

/// All accepted rows in order of time.
fn model(feed: &Feed<Row>, by: By, lateness: i64) -> Vec<Summary> {
    let mut keys: BTreeMap<u8, Vec<Row>> = BTreeMap::new();
    for (row, frontier) in judged(feed) {
        if row.time >= frontier.saturating_sub(lateness) {
            keys.entry(row.key).or_default().push(row);
        }
    }
    let mut out = Vec::new();
    for (key, mut rows) in keys {
        in_order(&mut rows);
        let windows = (0..rows.len()).filter_map(|at| by.completes(at));
        out.extend(windows.map(|window| summary(key, &rows[window])));
        if let By::Every(n) = by
            && let rest @ [_, ..] = rows.chunks_exact(n as usize).remainder()
        {
            out.push(summary(key, rest));
        }
    }
    out
}

fn behind_a_sort(inputs: &[Events<'_, u64, Row>], out: &Out<Summary>, by: By, lateness: i64) {
    let sort = Sort::by_time().late_by(Duration::from_micros(lateness as u64));
    let rows = inputs[0].key_by(|row| row.key).sort("sorted", sort);
    let windows = rows.key_by(|row| row.key).count_window(by.window());
    out.gather(&windows.aggregate("windows", Values), |row| {
        assert!(row.time >= row.data.last && row.behind == Span::ZERO);
        of_result(&row.data)
    });
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn behind_a_sort_ticks_and_workers_change_nothing(
        feed in feeds(), by in by(), lateness in 0i64..30,
    ) {
        let wanted = sorted(model(&feed, by, lateness));
        for workers in [1, 2, 5] {
            for feed in [&feed, &feed.ticks(true), &feed.ticks(false)] {
                let ran = run(feed, Workers::threads(workers), move |inputs, out: &Out<_>| {
                    behind_a_sort(inputs, out, by, lateness);
                });
                prop_assert_eq!(sorted(ran.rows), wanted.clone());
                let counts = ran.observer.counts("windows");
                prop_assert!(counts.balanced() && counts.late == 0);
            }
        }
    }

    #[test]
    fn goes_on_after_a_cut(
        feed in feeds(), cuts in cuts(), last in 1usize..6, by in by(), lateness in 0i64..30,
    ) {
        let ran = run_cut(&feed, &cuts, Workers::threads(last), move |inputs, out: &Out<_>| {
            behind_a_sort(inputs, out, by, lateness);
        });
        prop_assert_eq!(sorted(ran.rows), sorted(model(&feed, by, lateness)));
    }

    /// Without a sort each row is in one window all the same, what is late is a function of the
    /// partitions, and no result is behind (the kit looks at that).
    #[test]
    fn unsorted_rows_are_all_counted(
        feed in feeds(), workers in 1usize..6, n in 1u64..7, lateness in 0i64..30,
    ) {
        let ran = run(&feed, Workers::threads(workers), move |inputs, out: &Out<_>| {
            let windows = inputs[0].key_by(|row| row.key).count_window(CountWindow::every(n));
            let windows = windows.allow_late(Duration::from_micros(lateness as u64));
            let windows = windows.aggregate("windows", Values);
            out.gather(&windows, move |row| {
                assert!((1..=n).contains(&row.data.rows));
                (false, row.data.value.clone())
            });
            out.gather(&windows.late(), |row| (true, vec![(row.data.time, row.data.value)]));
        });
        let (mut accepted, mut late) = (Vec::new(), Vec::new());
        for (row, frontier) in judged(&feed) {
            let is_late = row.time < frontier.saturating_sub(lateness);
            (if is_late { &mut late } else { &mut accepted }).push((row.time, row.value));
        }
        let of = |late| ran.rows.iter().filter(move |row| row.0 == late).flat_map(|row| row.1.clone());
        prop_assert_eq!(sorted(of(false).collect()), sorted(accepted));
        prop_assert_eq!(sorted(of(true).collect()), sorted(late));
        prop_assert!(ran.observer.counts("windows").balanced());
    }
}

type Plain = CountWindows<u8, Row, fn(&Row) -> u8, Values, Vec<(i64, i32)>>;

fn plain(by: By) -> Plain {
    CountWindows::new(by.window(), Span::ZERO, |row| row.key, Values, Arc::<Counters>::default())
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(2_000))]

    /// Tick by tick against lists of rows, with little fuel, saved and built again in between.
    #[test]
    fn plain_ticks_agree_with_lists(
        ticks in prop::collection::vec(
            (prop::collection::vec((0i64..20, 0u8..2, -20i32..20), 0..9), any::<bool>()),
            1..8,
        ),
        by in by(),
        fuel in 1usize..9,
    ) {
        let (mut state, mut keys) = (plain(by), BTreeMap::<u8, Vec<Row>>::new());
        let mut snapshot = Snapshot::default();
        let n = ticks.len();
        for (at, (rows, cut)) in ticks.into_iter().enumerate() {
            let ended = at + 1 == n;
            let frontier = if ended { EventTime::MAX } else { EventTime::MIN };
            let now = Now { before: EventTime::MIN, frontier, wall: EventTime::MIN };
            let rows = rows.into_iter().map(|(time, key, value)| Row { source: 0, partition: 0, time, key, value });
            let mut rows: Vec<_> = rows.collect();
            let mut emit = Emit::default();
            let mut timed: Vec<_> = rows.iter().map(|row| Timed::on_time(EventTime::from_micros(row.time), *row)).collect();
            state.apply(now.before, &mut timed, &mut emit);
            while !state.close(now, &mut Fuel::new(fuel), &mut emit) {}
            let mut wanted = Vec::new();
            in_order(&mut rows);
            for row in rows {
                let all = keys.entry(row.key).or_default();
                all.push(row);
                if let Some(window) = by.completes(all.len() - 1) {
                    wanted.push(summary(row.key, &all[window]));
                }
            }
            if let (By::Every(n), true) = (by, ended) {
                for (&key, rows) in &keys {
                    if let rest @ [_, ..] = rows.chunks_exact(n as usize).remainder() {
                        wanted.push(summary(key, rest));
                    }
                }
            }
            prop_assert_eq!(sorted(emit.rows.iter().map(|row| of_result(&row.data)).collect()), sorted(wanted));
            if cut || ended {
                let mut out = Saver::new("windows", state.shape(), 0, 1);
                while !state.save(&mut Fuel::new(fuel), &mut out) {}
                snapshot.apply(&out.take(true)).unwrap();
                state = plain(by);
                let mut left = 0;
                if let Some(saved) = snapshot.operator("windows") {
                    saved.each(|entry| { left += 1; state.load(entry) }).unwrap();
                }
                prop_assert!(!ended || !matches!(by, By::Every(_)) || left == 0);
            }
        }
    }
}

#[test]
#[should_panic(expected = "count window: it must have at least 1 row, and has 0")]
fn a_window_of_nothing_is_refused() {
    let _ = CountWindow::every(0);
}

#[test]
#[should_panic(expected = "the step must be from 1 to the 3 rows of the window, and is 0")]
fn a_step_of_nothing_is_refused() {
    let _ = CountWindow::sliding(3, 0);
}

#[test]
#[should_panic(expected = "the step must be from 1 to the 3 rows of the window, and is 4")]
fn a_step_over_rows_is_refused() {
    let _ = CountWindow::sliding(3, 4);
}
