//! Windows with early and late results as whole dataflows: at every tick the changes add up to the
//! batch result of what has come, and in the end to that of all that counts, on any workers and
//! however the input is cut into ticks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{
    Feed, Out, Row, Step, Workers, feeds, judged, run, run_cut, sorted,
};
use tiderace_operators::time::Span;
use tiderace_operators::window::{PaneSoFar, Trigger, TriggerLogic, Wake};
use timely::dataflow::operators::Inspect;

const WORKERS: [usize; 3] = [1, 2, 5];

fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros as u64)
}

fn triggers() -> impl Strategy<Value = Trigger> {
    let leaf = prop_oneof![
        Just(Trigger::on_time()),
        Just(Trigger::each_change()),
        (1u64..6).prop_map(Trigger::count),
        (1i64..60).prop_map(|period| Trigger::every(micros(period))),
        (1i64..30).prop_map(|period| Trigger::every_event_time(micros(period))),
        (2u64..6, 1i64..60).prop_map(|(n, period)| Trigger::count_or_time(n, micros(period))),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        let some = || prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            some().prop_map(Trigger::any),
            some().prop_map(Trigger::all),
            some().prop_map(Trigger::after_each),
        ]
    })
}

/// The same feed with a wall clock that goes on by some microseconds with every step, and with a
/// value of its own for each record.
fn with_wall(feed: &Feed<Row>, pace: i64) -> Feed<Row> {
    let mut timed = feed.clone();
    timed.steps.clear();
    for (at, step) in (0..).zip(&feed.steps) {
        timed.wall(EventTime::from_micros(at * pace));
        timed.steps.push(match step.clone() {
            Step::Row { source, partition, time, data } => {
                let value = at as i32 - 40;
                Step::Row { source, partition, time, data: Row { value, ..data } }
            }
            step => step,
        });
    }
    timed
}

/// The same records, all of one partition: its ticks are the same on any number of workers.
fn one_partition(feed: &Feed<Row>) -> Feed<Row> {
    let mut one = Feed::new(feed.bound);
    one.partition(0, 0);
    for step in &feed.steps {
        match step {
            Step::Row { time, data, .. } => {
                one.row(0, 0, *time, Row { partition: 0, ..*data });
            }
            Step::EndTick { .. } => one.steps.push(Step::EndTick { source: 0, partition: 0 }),
            step => one.steps.push(step.clone()),
        }
    }
    one
}

/// The window of size `size` that a time is in, found by walking.
fn window_of(time: i64, size: i64) -> (i64, i64) {
    let mut start = -300 * size;
    while start + size <= time {
        start += size;
    }
    (start, start + size)
}

type Content = BTreeMap<(u8, i64, i64), (u64, i128)>;

/// What windows hold in the end, and which records are late.
fn batch(feed: &Feed<Row>, size: i64, lateness: i64) -> (Content, Vec<Row>) {
    let (mut content, mut late) = (Content::new(), Vec::new());
    for (row, frontier) in judged(feed) {
        let (start, end) = window_of(row.time, size);
        if frontier >= end + lateness {
            late.push(row);
        } else {
            let (n, sum) = content.entry((row.key, start, end)).or_default();
            (*n, *sum) = (*n + 1, *sum + i128::from(row.value));
        }
    }
    (content, late)
}

type Result = WindowResult<u8, (u64, i128)>;

/// What is seen of a run: at which ticks which rows came in, were refused and which changes went out.
#[derive(Default)]
struct Seen {
    rows: Vec<(u64, Row)>,
    late: Vec<Row>,
    changes: Vec<(u64, Result, i64)>,
}

fn see<G: TriggerLogic + Send + Sync>(
    feed: &Feed<Row>,
    workers: usize,
    (size, lateness): (i64, i64),
    (trigger, fire_empty): (G, bool),
    discards: bool,
) -> Seen {
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let into = seen.clone();
    let ran = run(feed, Workers::threads(workers), move |inputs, out: &Out<()>| {
        let summary = (Count, Sum::of(|row: &Row| i64::from(row.value)));
        let windows = inputs[0].key_by(|row| row.key).window(Tumbling::every(micros(size)));
        let mut windows = windows.allow_late(micros(lateness)).trigger(trigger.clone());
        if fire_empty {
            windows = windows.fire_empty();
        }
        let (changes, late) = if discards {
            let panes = windows.discarding("sums", summary);
            let (rows, clock) = panes.parts();
            (Events::from_parts(rows, clock).map(Change::add), panes.late())
        } else {
            let changes = windows.retracting("sums", summary);
            (changes.events(), changes.late())
        };
        let (on_rows, on_late, on_changes) = (into.clone(), into.clone(), into.clone());
        inputs[0].parts().0.inspect_batch(move |tick, rows| {
            on_rows.lock().unwrap().rows.extend(rows.iter().map(|row| (*tick, row.data)));
        });
        late.parts().0.inspect_batch(move |_, rows| {
            on_late.lock().unwrap().late.extend(rows.iter().map(|row| row.data));
        });
        changes.parts().0.inspect_batch(move |tick, rows| {
            on_changes.lock().unwrap().changes.extend(rows.iter().map(|row| {
                assert_eq!(row.time, row.data.data.window.last());
                (*tick, row.data.data, row.data.diff)
            }));
        });
        out.gather(&changes, |_| ());
    });
    let counts = ran.observer.counts("sums");
    assert!(counts.balanced(), "{counts:?}");
    assert_eq!((counts.held, counts.open), (0, 0));
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(counts.late, seen.late.len() as u64);
    seen
}

/// Adds changes up.
fn sum(changes: impl Iterator<Item = (Result, i64)>) -> Vec<(Result, i64)> {
    let mut sums: BTreeMap<Result, i64> = BTreeMap::new();
    changes.for_each(|(row, diff)| *sums.entry(row).or_default() += diff);
    sums.into_iter().filter(|&(_, diff)| diff != 0).collect()
}

fn place(row: &Result) -> (u8, i64, i64) {
    (row.key, row.window.start.micros(), row.window.end.micros())
}

/// The content of windows by the sum of changes, if each window has one result.
fn content(changes: impl Iterator<Item = (Result, i64)>) -> Content {
    let mut content = Content::new();
    for (row, diff) in sum(changes) {
        assert_eq!(diff, 1, "{row:?}");
        assert!(content.insert(place(&row), row.value).is_none(), "two results at once");
    }
    content
}

/// What holds of every run.
fn check(feed: &Feed<Row>, seen: &Seen, (size, lateness): (i64, i64), discards: bool) {
    let (wanted, wanted_late) = batch(feed, size, lateness);
    assert_eq!(sorted(seen.late.clone()), sorted(wanted_late));
    // The rows that count, by window.
    let mut rows: BTreeMap<_, Vec<(u64, i32)>> = BTreeMap::new();
    for &(tick, row) in &seen.rows {
        if seen.late.contains(&row) {
            continue;
        }
        let (start, end) = window_of(row.time, size);
        rows.entry((row.key, start, end)).or_default().push((tick, row.value));
    }
    let mut firings: BTreeMap<_, Vec<(u64, Pane, (u64, i128))>> = BTreeMap::new();
    for (tick, row, _) in seen.changes.iter().filter(|(_, _, diff)| *diff > 0) {
        firings.entry(place(row)).or_default().push((*tick, row.pane, row.value));
    }
    for (place, mut firings) in firings {
        firings.sort();
        assert!(firings.windows(2).all(|two| two[0].0 < two[1].0), "one in a tick: {firings:?}");
        let (mut n, mut sum) = (0, 0);
        for (index, (tick, pane, value)) in (0..).zip(&firings) {
            assert_eq!(pane.index, index);
            let until = rows[&place].iter().filter(|(at, _)| at <= tick);
            let whole = (until.clone().count() as u64, until.map(|row| i128::from(row.1)).sum());
            (n, sum) = if discards { (n + value.0, sum + value.1) } else { *value };
            assert_eq!((n, sum), whole, "the batch result of all up to this tick");
            assert!(!pane.last || index as usize + 1 == firings.len(), "nothing follows the last");
        }
        let timings: Vec<_> = firings.iter().map(|(_, pane, _)| pane.timing).collect();
        assert!(timings.is_sorted(), "early, on time, late: {timings:?}");
        assert!(timings.iter().filter(|timing| **timing == Timing::OnTime).count() <= 1);
        assert_eq!((n, sum), wanted[&place]);
    }
    if !discards {
        // At each prefix every window has one result, or none; in the end that of all rows.
        let ticks: std::collections::BTreeSet<_> =
            seen.changes.iter().map(|change| change.0).collect();
        for last in ticks {
            let until = seen.changes.iter().filter(|(tick, ..)| *tick <= last);
            content(until.map(|(_, row, diff)| (*row, *diff)));
        }
        assert_eq!(content(seen.changes.iter().map(|(_, row, diff)| (*row, *diff))), wanted);
    }
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn results_add_up_to_the_batch(
        feed in feeds(),
        trigger in triggers(),
        fire_empty in any::<bool>(),
        discards in any::<bool>(),
        size in 1i64..60,
        lateness in prop_oneof![Just(0i64), 0i64..50],
        pace in 0i64..10,
    ) {
        let feed = with_wall(&feed, pace);
        let of = (size, lateness);
        for workers in WORKERS {
            for feed in [feed.clone(), feed.ticks(true), feed.ticks(false)] {
                let seen = see(&feed, workers, of, (trigger.clone(), fire_empty), discards);
                check(&feed, &seen, of, discards);
            }
        }
    }

    /// With a result at each change the sum at each tick is the batch result of all rows so far.
    #[test]
    fn each_change_is_a_view(feed in feeds(), size in 1i64..60) {
        for workers in WORKERS {
            // Nothing is late.
            let of = (size, 1_000_000);
            let seen = see(&feed, workers, of, (Trigger::each_change(), false), false);
            let mut ticks: Vec<_> = seen.rows.iter().map(|row| row.0).collect();
            ticks.sort();
            for last in ticks {
                let mut wanted = Content::new();
                for (_, row) in seen.rows.iter().filter(|(tick, _)| *tick <= last) {
                    let (start, end) = window_of(row.time, size);
                    let (n, sum) = wanted.entry((row.key, start, end)).or_default();
                    (*n, *sum) = (*n + 1, *sum + i128::from(row.value));
                }
                let until = seen.changes.iter().filter(|(tick, ..)| *tick <= last);
                prop_assert_eq!(content(until.map(|(_, row, diff)| (*row, *diff))), wanted);
            }
        }
    }

    /// Cut and go on with other workers: the same results of the same ticks, pane by pane.
    #[test]
    fn firings_go_on_exactly(
        feed in feeds(),
        trigger in triggers(),
        fire_empty in any::<bool>(),
        (size, lateness) in (1i64..60, 0i64..40),
        pace in 0i64..10,
        cuts in prop::collection::vec((0usize..200, 1usize..6), 1..4),
        last in 1usize..6,
        walls in any::<bool>(),
    ) {
        // Workers that read nothing have come to the end of the feed, and their clocks too.
        let (pace, most) = if walls { (pace, 1) } else { (0, 5) };
        let mut feed = with_wall(&one_partition(&feed), pace);
        let mut cuts: Vec<_> = cuts.into_iter().map(|(at, workers)| (at.min(feed.steps.len()), workers.min(most))).collect();
        cuts.sort();
        for (n, (at, _)) in cuts.iter_mut().enumerate() {
            // A cut ends a tick: so it does where there is no cut.
            *at += n;
            feed.steps.insert(*at, Step::EndTick { source: 0, partition: 0 });
            *at += 1;
        }
        let cuts: Vec<_> = cuts.into_iter().map(|(at, workers)| (at, Workers::threads(workers))).collect();
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Out<_>| {
            let windows = || {
                let windows = inputs[0].key_by(|row| row.key).window(Tumbling::every(micros(size)));
                let windows = windows.allow_late(micros(lateness)).trigger(trigger.clone());
                if fire_empty { windows.fire_empty() } else { windows }
            };
            let summary = || (Count, Mean::of(|row: &Row| f64::from(row.value)));
            let changes = windows().retracting("retracting", summary());
            out.changes(&changes, |row| {
                let WindowResult { key, window, value: (n, mean), pane } = row.data.data;
                (0, row.data.diff, key, window, n, mean.to_bits(), pane, row.behind)
            });
            let (panes, clock) = windows().discarding("discarding", summary()).parts();
            out.gather(&Events::from_parts(panes, clock), |row| {
                let WindowResult { key, window, value: (n, mean), pane } = row.data;
                (1, 1, key, window, n, mean.to_bits(), pane, row.behind)
            });
        };
        let whole = run(&feed, Workers::threads(1), program.clone());
        let cut = run_cut(&feed, &cuts, Workers::threads(last.min(most)), program);
        prop_assert_eq!(sorted(cut.rows), sorted(whole.rows));
    }

    /// The same with several partitions, whose ticks depend on the workers: the final content.
    #[test]
    fn firings_go_on(
        feed in feeds(),
        trigger in triggers(),
        (size, lateness) in (1i64..60, 0i64..40),
        cuts in prop::collection::vec((0usize..160, 1usize..6), 1..4),
        last in 1usize..6,
    ) {
        let feed = with_wall(&feed, 3);
        let mut cuts = cuts;
        cuts.sort();
        let cuts: Vec<_> = cuts.into_iter().map(|(at, workers)| (at * 2, Workers::threads(workers))).collect();
        let discards = trigger.clone();
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Out<_>| {
            let windows = || {
                let windows = inputs[0].key_by(|row| row.key).window(Tumbling::every(micros(size)));
                windows.allow_late(micros(lateness)).trigger(discards.clone())
            };
            let summary = || (Count, Sum::of(|row: &Row| i64::from(row.value)));
            let changes = windows().retracting("retracting", summary());
            out.changes(&changes, |row| (0, row.data.data, row.data.diff));
            let panes = windows().discarding("discarding", summary());
            let (panes, clock) = panes.parts();
            out.gather(&Events::from_parts(panes, clock), |row| (1, row.data, 1));
        };
        let ran = run_cut(&feed, &cuts, Workers::threads(last), program);
        let wanted = batch(&feed, size, lateness).0;
        let of = |which| ran.rows.iter().filter(move |row| row.0 == which).map(|row| (row.1, row.2));
        prop_assert_eq!(&content(of(0)), &wanted);
        let mut panes = Content::new();
        for (row, _) in of(1) {
            let (n, sum) = panes.entry(place(&row)).or_default();
            (*n, *sum) = (*n + row.value.0, *sum + row.value.1);
        }
        prop_assert_eq!(panes, wanted);
    }
}

/// So many rows, or a row that has waited this long, whatever came first: written by a user, with a
/// count of its own.
#[derive(Clone, Debug)]
struct Hybrid {
    rows: u64,
    wait: Span,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Waiting {
    rows: u64,
}

impl TriggerLogic for Hybrid {
    type State = Waiting;

    fn rows(&self, seen: &mut Waiting, rows: u64, pane: &PaneSoFar) {
        seen.rows += rows;
        assert_eq!(seen.rows, pane.rows, "each row is told once");
    }

    fn fires(&self, seen: &Waiting, pane: &PaneSoFar) -> bool {
        seen.rows >= self.rows || pane.waited() >= self.wait
    }

    fn fired(&self, seen: &mut Waiting, _: &PaneSoFar) {
        seen.rows = 0;
    }

    fn wake(&self, _: &Waiting, pane: &PaneSoFar) -> Wake {
        Wake::at_wall(pane.since.wall.plus(self.wait))
    }

    fn merge(&self, seen: &mut Waiting, other: &Waiting) {
        seen.rows += other.rows;
    }
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    /// A trigger of a user gives the results of the same one made of parts.
    #[test]
    fn a_custom_trigger_fires_on_either(
        feed in feeds(),
        rows in 1u64..6,
        wait in 1i64..60,
        of in (1i64..60, 0i64..40),
        discards in any::<bool>(),
        pace in 0i64..10,
    ) {
        let feed = with_wall(&one_partition(&feed), pace);
        let custom = Hybrid { rows, wait: Span::from_micros(wait) };
        let built_in = (Trigger::count_or_time(rows, micros(wait)), false);
        let wanted = sorted(see(&feed, 1, of, built_in, discards).changes);
        let seen = see(&feed, 1, of, (custom.clone(), false), discards);
        check(&feed, &seen, of, discards);
        prop_assert_eq!(sorted(seen.changes), wanted);

        // With others, of other types.
        let first = |built_in: Trigger| sorted(see(&feed, 1, of, (built_in, false), discards).changes);
        let count_or_time = || Trigger::count_or_time(rows, micros(wait));
        let or = see(&feed, 1, of, (custom.clone().or(Trigger::count(3)), false), discards);
        prop_assert_eq!(sorted(or.changes), first(Trigger::any([count_or_time(), Trigger::count(3)])));
        let and = see(&feed, 1, of, (custom.clone().and(Trigger::count(3)), false), discards);
        prop_assert_eq!(sorted(and.changes), first(Trigger::all([count_or_time(), Trigger::count(3)])));
        let then = see(&feed, 1, of, (Trigger::count(2).then(custom), false), discards);
        prop_assert_eq!(sorted(then.changes), first(Trigger::after_each([Trigger::count(2), count_or_time()])));
    }
}
