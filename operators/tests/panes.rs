//! What each of a window's results says of itself, one unit before and after every edge; and what
//! operators downstream make of late ones.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use Timing::{Early, Late, OnTime};
use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{Cut, Feed, Out, Row, Workers, feeds, run, run_cut, sorted};
use tiderace_operators::time::Span;
use tiderace_operators::window::{Assigner, Discarding, Firings, Retracting, Rule, Trigger};
use tiderace_operators::{observe::Counters, tick::Emit, tick::Fuel, tick::Now, tick::TickLogic};

fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros as u64)
}

fn at(micros: i64) -> EventTime {
    EventTime::from_micros(micros)
}

type Shown = (i64, u64, Pane, i64, i64);

fn pane(index: u32, timing: Timing, last: bool) -> Pane {
    Pane { index, timing, last }
}

/// Records at these times, a tick each, in order but for those that are behind; windows of 100, late
/// by 10. Results as (diff, count, pane, event time, behind), of the window [0, 100), and how many
/// records were refused.
fn shown(times: &[i64], trigger: Trigger, fire_empty: bool) -> (Vec<Shown>, u64) {
    let results = Arc::new(Mutex::new(Vec::new()));
    let into = results.clone();
    let mut feed = Feed::new(Duration::ZERO);
    for &time in times {
        feed.row(0, 0, at(time), time);
        feed.end_tick_after(true);
    }
    let ran = run(&feed, Workers::threads(1), move |inputs, _: &Out<()>| {
        let windows = inputs[0].key_by(|_| 0u8).window(Tumbling::every(micros(100)));
        let windows = windows.allow_late(micros(10)).trigger(trigger.clone());
        let windows = if fire_empty { windows.fire_empty() } else { windows };
        let into = into.clone();
        windows.retracting("counts", Count).inspect(move |row| {
            let Change { data, diff } = row.data;
            if data.window.start == at(0) {
                let (time, behind) = (row.time.micros(), row.behind.micros());
                into.lock().unwrap().push((diff, data.value, data.pane, time, behind));
            }
        });
    });
    let results = results.lock().unwrap().clone();
    (results, ran.observer.counts("counts").late)
}

/// On time when f ≥ end; state is dropped when f ≥ end + lateness.
#[test]
fn the_edges_of_a_window() {
    let on_time = (1, 1, pane(0, OnTime, false), 99, 0);
    // The frontier at the end of the tick before the second record of the window.
    for (newest, wanted, refused) in [
        (99, vec![(1, 2, pane(0, OnTime, true), 99, 0)], 0),
        (100, vec![on_time, (-1, 1, on_time.2, 99, 1), (1, 2, pane(1, Late, false), 99, 1)], 0),
        (101, vec![on_time, (-1, 1, on_time.2, 99, 2), (1, 2, pane(1, Late, false), 99, 2)], 0),
        (109, vec![on_time, (-1, 1, on_time.2, 99, 10), (1, 2, pane(1, Late, false), 99, 10)], 0),
        (110, vec![(1, 1, pane(0, OnTime, true), 99, 0)], 1),
        (111, vec![(1, 1, pane(0, OnTime, true), 99, 0)], 1),
    ] {
        let (mut results, late) = shown(&[50, newest, 60], Trigger::on_time(), false);
        if newest == 99 {
            assert_eq!(results.pop().unwrap().1, 3, "with the one at 99");
            results.push((1, 2, pane(0, OnTime, true), 99, 0));
        }
        assert_eq!((results, late), (wanted, refused), "{newest}");
    }
}

/// The early result is never the one on time, and none is sent for nothing, unless that is wanted.
#[test]
fn early_results_do_not_stand_in_for_the_one_on_time() {
    let first = (1, 2, pane(0, Early, false), 99, 0);
    let (results, _) = shown(&[10, 20, 30, 100], Trigger::count(2), false);
    let second = (1, 3, pane(1, OnTime, false), 99, 0);
    assert_eq!(results, [first, (-1, 2, first.2, 99, 0), second]);
    let (results, _) = shown(&[10, 20, 100, 120], Trigger::count(2), false);
    assert_eq!(results, [first], "nothing has come since");
    let (results, _) = shown(&[10, 20, 100, 109, 110, 120], Trigger::count(2), true);
    let (second, third) = (pane(1, OnTime, false), pane(2, Late, true));
    let wanted = [
        first,
        (-1, 2, first.2, 99, 0),
        (1, 2, second, 99, 0),
        // As the frontier was before: 109 is ten after the window's last instant.
        (-1, 2, second, 99, 10),
        (1, 2, third, 99, 10),
    ];
    assert_eq!(results, wanted);
}

/// Event time passes the multiples of 40 after the window's start: 40 and 80; 39 is not enough.
#[test]
fn periods_of_event_time_begin_with_the_window() {
    for (newest, early) in [(39, false), (40, true), (41, true)] {
        let (results, _) = shown(&[5, newest], Trigger::every_event_time(micros(40)), false);
        assert_eq!(results[0].2.timing == Early, early, "{newest}");
    }
    let times = [5, 40, 41, 79, 80, 99, 100];
    let (results, _) = shown(&times, Trigger::every_event_time(micros(40)), false);
    let added: Vec<_> = results.iter().filter(|result| result.0 > 0).collect();
    let counts: Vec<_> = added.iter().map(|result| (result.1, result.2.timing)).collect();
    assert_eq!(counts, [(2, Early), (5, Early), (6, OnTime)]);
}

/// A count is of the rows since the last result, and ten rows in one tick fire once.
#[test]
fn counts_are_decided_at_the_end_of_a_tick() {
    let mut feed = Feed::new(Duration::ZERO);
    for (rows, ends) in [(10, true), (2, true), (1, true), (3, true)] {
        for n in 0..rows {
            feed.row(0, 0, at(n), ());
        }
        feed.end_tick_after(ends);
    }
    let ran = run(&feed, Workers::threads(1), |inputs, out| {
        let windows = inputs[0].key_by(|()| 0u8).window(Tumbling::every(micros(100)));
        let panes = windows.trigger(Trigger::count(3)).discarding("counts", Count);
        let (panes, clock) = panes.filter("all", |_| true).map(|pane| pane.value).parts();
        out.gather(&Events::from_parts(panes, clock), |row| row.data);
    });
    assert_eq!(ran.rows, [10, 3, 3]);
    assert_eq!(ran.observer.counts("counts").fired, 3);
}

/// Processing time: a row waits until the period is over, and no longer.
#[test]
fn periods_of_processing_time_begin_with_the_first_row() {
    type Operator = Firings<u8, u8, Tumbling, fn(&u8) -> u8, Count, Trigger, Discarding>;
    let rule = Rule { trigger: Trigger::every(micros(10)), fire_empty: false };
    let by = (Tumbling::every(micros(100)), Span::ZERO);
    let counters = Arc::new(Counters::default());
    let mut operator: Operator = Firings::new(by, |key: &u8| *key, Count, rule, counters);
    let mut tick = |rows: u8, wall: i64| {
        let mut out = Emit::default();
        let mut rows = (0..rows).map(|_| Timed::on_time(at(5), 0)).collect();
        operator.apply(at(0), &mut rows, &mut out);
        let now = Now { before: at(0), frontier: at(0), wall: at(wall) };
        assert!(operator.close(now, &mut Fuel::new(99), &mut out));
        out.rows.iter().map(|row| row.data.value).collect::<Vec<_>>()
    };
    assert!(tick(1, 100).is_empty());
    assert!(tick(1, 109).is_empty());
    assert_eq!(tick(0, 110), [2], "no row has to come for it");
    assert!(tick(0, 130).is_empty(), "nothing has come since");
    assert!(tick(1, 200).is_empty(), "the wait begins with the row");
    assert!(tick(0, 209).is_empty());
    assert_eq!(tick(4, 211), [5]);
}

/// Windows of 40 every 20.
#[derive(Clone, Copy, Debug)]
struct Hopping;

impl Assigner for Hopping {
    fn assign(&self, time: EventTime, f: &mut impl FnMut(Window)) {
        let start = time.micros().div_euclid(20) * 20;
        for start in [start - 20, start] {
            f(Window { start: at(start), end: at(start + 40) });
        }
    }
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    /// A late result, and what it takes back, is never refused downstream: the sum of the changes in
    /// larger windows is that of the rows in them, however late they came.
    #[test]
    fn late_results_are_taken_in_downstream(
        feed in feeds(),
        lateness in 0i64..60,
        count in 1u64..4,
        cut in (0usize..80, 1usize..6),
    ) {
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Out<_>| {
            let windows = inputs[0].key_by(|row| row.key).window(Hopping);
            let windows = windows.allow_late(micros(lateness)).trigger(Trigger::count(count));
            let changes = windows.retracting("small", Count);
            let weigh = |change: &Change<WindowResult<u8, u64>>| change.diff * change.data.value as i64;
            let counts = changes.events().key_by(|_| 0u8).window(Tumbling::every(micros(100)));
            let counts = counts.aggregate("large", Sum::of(weigh));
            out.gather(&counts, |row| (0, row.data.window, row.data.value));
            out.gather(&counts.late(), |row| (1, Window { start: row.time, end: row.time }, 0));
            out.gather(&changes.late(), |row| (2, Window { start: row.time, end: row.time }, 0));
        };
        let whole = run(&feed, Workers::threads(1), program);
        prop_assert!(whole.rows.iter().all(|row| row.0 != 1), "nothing is refused");
        let counts = whole.observer.counts("small");
        prop_assert!(counts.balanced());
        // Two windows a row, less those that were complete.
        let taken = 2 * counts.kept - counts.late_windows;
        let sum: i128 = whole.rows.iter().filter(|row| row.0 == 0).map(|row| row.2).sum();
        prop_assert_eq!(sum, i128::from(taken));
        let one = |row: &&(i32, Window, i128)| row.0 == 0 || row.0 == 2;
        let content = |rows: &[_]| sorted(rows.iter().filter(one).copied().collect());
        let cuts = [(cut.0, Workers::threads(cut.1))];
        let ran = run_cut(&feed, &cuts, Workers::threads(2), program);
        let nonzero = |rows: Vec<(i32, Window, i128)>| -> Vec<_> {
            rows.into_iter().filter(|row| row.0 != 0 || row.2 != 0).collect()
        };
        prop_assert_eq!(nonzero(content(&ran.rows)), nonzero(content(&whole.rows)));
    }
}

#[test]
fn a_cut_writes_what_was_touched_and_drops_what_is_over() {
    let mut feed = Feed::new(Duration::ZERO);
    for key in 0..200u8 {
        feed.row(0, 0, at(10), key);
    }
    feed.row(0, 0, at(20), 3);
    feed.row(0, 0, at(300), 3);
    let program = |inputs: &[Events<'_, u64, u8>], out: &Out<_>| {
        let windows = inputs[0].key_by(|&key| key).window(Tumbling::every(micros(100)));
        let changes = windows.allow_late(micros(50)).trigger(Trigger::count(2));
        out.changes(&changes.retracting("counts", Count), |row| row.data.diff);
    };
    let one = Workers::threads(1);
    let cuts = [(200, one), (200, one), (201, one), (202, one)];
    let ran = run_cut(&feed, &cuts, one, program);
    assert_eq!(ran.rows.iter().sum::<i64>(), 201);
    let bytes: Vec<_> = ran.cuts.iter().map(|cut| cut.frames.1).collect();
    assert!(bytes[0] > 200 * 10 && bytes[1] < 40 && bytes[2] < 120 && bytes[3] < 120, "{bytes:?}");
    let left = |cut: &Cut| cut.snapshot.operator("counts").unwrap().len();
    let left: Vec<_> = ran.cuts.iter().map(left).collect();
    assert_eq!(left, [201, 201, 201, 2], "one key and the processing time");
}

/// State of retracting windows does not do for discarding ones, nor that of another trigger.
#[test]
fn the_shape_tells_modes_and_triggers_apart() {
    use tiderace_operators::state::State;
    type Operator<M> = Firings<u8, u8, Tumbling, fn(&u8) -> u8, Count, Trigger, M>;
    fn shape<M>(trigger: Trigger) -> u64
    where
        M: tiderace_operators::window::Accumulation<u8, u64>,
    {
        let rule = Rule { trigger, fire_empty: false };
        let by = (Tumbling::every(micros(100)), Span::ZERO);
        let operator: Operator<M> = Firings::new(by, |key: &u8| *key, Count, rule, Arc::default());
        operator.shape().value()
    }
    let shapes = [
        shape::<Retracting>(Trigger::on_time()),
        shape::<Discarding>(Trigger::on_time()),
        shape::<Discarding>(Trigger::count(3)),
        shape::<Discarding>(Trigger::count(4)),
    ];
    let different: std::collections::BTreeSet<_> = shapes.iter().collect();
    assert_eq!(different.len(), shapes.len());
}

#[test]
fn one_final_result() {
    let mut feed = Feed::new(Duration::ZERO);
    for time in [1, 100, 50, 120, 30] {
        feed.row(0, 0, at(time), time);
        feed.end_tick_after(true);
    }
    let ran = run(&feed, Workers::threads(1), |inputs, out| {
        let windows = inputs[0].key_by(|_| 0u8).window(Tumbling::every(micros(100)));
        let counts = windows.allow_late(micros(20)).final_only("counts", Count);
        out.gather(&counts, |row| (row.data.value, row.data.pane));
    });
    assert_eq!(ran.rows, [(2, Pane::FINAL), (2, Pane::FINAL)]);
}

#[test]
#[should_panic(expected = "trigger: the period must be at least 1 us, and is 0ns")]
fn a_period_of_nothing_is_refused() {
    let _ = Trigger::every(Duration::ZERO);
}

#[test]
#[should_panic(expected = "trigger: the period must be at least 1 us, and is 0ns")]
fn a_period_of_no_event_time_is_refused() {
    let _ = Trigger::every_event_time(Duration::ZERO);
}

#[test]
#[should_panic(expected = "trigger: the count must be at least 1, and is 0")]
fn a_count_of_nothing_is_refused() {
    let _ = Trigger::count_or_time(0, secs(1));
}

#[test]
#[should_panic(expected = "trigger: a combination needs at least one trigger, and has 0")]
fn a_combination_of_nothing_is_refused() {
    let _ = Trigger::all([]);
}
