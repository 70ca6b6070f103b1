//! Limits on the open windows and sessions of a key in whole dataflows: every row goes one way, and
//! what is taken does not depend on workers or cuts.

use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{
    Feed, Out, Row, Step, Workers, cuts, feeds, run, run_cut, sorted,
};

/// What is windowed.
#[derive(Clone, Copy, Debug)]
enum By {
    Tumbling,
    Sliding,
    Corrected,
    Sessions,
}

const ALL: [By; 4] = [By::Tumbling, By::Sliding, By::Corrected, By::Sessions];

/// What comes out: how many rows more or less a window or session has; rows that are late or over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Got {
    Rows { key: u8, start: i64, rows: i64 },
    Late(Row),
    Over(Row),
}

fn micros(n: i64) -> Duration {
    Duration::from_micros(n as u64)
}

fn by() -> impl Strategy<Value = By> {
    prop::sample::select(ALL.to_vec())
}

/// The program of most tests; without a limit if there is none.
fn program(
    by: By,
    size: i64,
    late: i64,
    most: Option<usize>,
) -> impl Fn(&[Events<'_, u64, Row>], &Out<Got>) + Send + Sync + Clone + 'static {
    move |inputs, out| {
        let keyed = inputs[0].key_by(|row: &Row| row.key);
        let rows = |key: u8, start: EventTime, rows: u64, diff: i64| Got::Rows {
            key,
            start: start.micros(),
            rows: rows as i64 * diff,
        };
        macro_rules! limited {
            ($all:expr, $max:ident) => {{
                let all = $all.allow_late(micros(late));
                match most {
                    None => all,
                    Some(most) => {
                        let (some, over) = all.$max("limit", most);
                        out.gather(&over, |row| Got::Over(row.data));
                        some
                    }
                }
            }};
        }
        match by {
            By::Tumbling => {
                let windows = keyed.window(Tumbling::every(micros(size)));
                let counts = limited!(windows, max_windows_per_key).aggregate("counts", Count);
                out.gather(&counts, move |row| {
                    rows(row.data.key, row.data.window.start, row.data.value, 1)
                });
                out.gather(&counts.late(), |row| Got::Late(row.data));
            }
            By::Sliding => {
                let windows = keyed.window(Sliding::of(micros(size * 2), micros(size)));
                let counts = limited!(windows, max_windows_per_key).aggregate("counts", Count);
                out.gather(&counts, move |row| {
                    rows(row.data.key, row.data.window.start, row.data.value, 1)
                });
                out.gather(&counts.late(), |row| Got::Late(row.data));
            }
            By::Corrected => {
                let windows = keyed.window(Tumbling::every(micros(size)));
                let windows = limited!(windows, max_windows_per_key).trigger(Trigger::count(2));
                let counts = windows.retracting("counts", Count);
                out.changes(&counts, move |row| {
                    let Change { data, diff } = &row.data;
                    rows(data.key, data.window.start, data.value, *diff)
                });
                out.gather(&counts.late(), |row| Got::Late(row.data));
            }
            By::Sessions => {
                let sessions = keyed.session(Session::gap(micros(size)));
                let counts = limited!(sessions, max_sessions_per_key).aggregate("counts", Count);
                out.gather(&counts, move |row| {
                    rows(row.data.key, row.data.start, row.data.value, 1)
                });
                out.gather(&counts.late(), |row| Got::Late(row.data));
            }
        }
    }
}

/// The feed as one partition, which one worker reads however many there are; and ticks that end where
/// it is cut.
fn one_partition(feed: &Feed<Row>, cuts: &[(usize, Workers)]) -> (Feed<Row>, Feed<Row>) {
    let (mut plain, mut ended) = (Feed::new(feed.bound), Feed::new(feed.bound));
    [&mut plain, &mut ended].into_iter().for_each(|feed| feed.partition(0, 0));
    let end = Step::EndTick { source: 0, partition: 0 };
    for (at, step) in feed.steps.iter().enumerate() {
        if cuts.iter().any(|cut| cut.0 == at) {
            ended.steps.push(end.clone());
        }
        let step = match step {
            Step::Row { time, data, .. } => {
                Step::Row { source: 0, partition: 0, time: *time, data: *data }
            }
            _ => end.clone(),
        };
        plain.steps.push(step.clone());
        ended.steps.push(step);
    }
    (plain, ended)
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(80))]

    /// A row counts, is late or is over, and each way is counted.
    #[test]
    fn every_row_goes_one_way(
        feed in feeds(),
        by in by(),
        (size, late, most) in (1i64..40, 0i64..40, 2usize..5),
        workers in prop::sample::select(vec![1usize, 2, 5]),
    ) {
        let ran = run(&feed, Workers::threads(workers), program(by, size, late, Some(most)));
        let number = |f: fn(&Got) -> bool| ran.rows.iter().filter(|got| f(got)).count() as u64;
        let (late, over) =
            (number(|got| matches!(got, Got::Late(_))), number(|got| matches!(got, Got::Over(_))));
        let counted: i64 = ran
            .rows
            .iter()
            .map(|got| if let Got::Rows { rows, .. } = got { *rows } else { 0 })
            .sum();
        let (limit, counts) = (ran.observer.counts("limit"), ran.observer.counts("counts"));
        prop_assert!(limit.balanced() && counts.balanced());
        prop_assert_eq!(limit.input, feed.rows().count() as u64);
        prop_assert_eq!((limit.rejected, limit.held), (over, 0));
        prop_assert_eq!(limit.input - over, counts.input);
        prop_assert_eq!((counts.late, counts.held, counts.open), (late, 0, 0));
        let times = if let By::Sliding = by { 2 } else { 1 };
        let rows = counts.kept * times - counts.late_windows;
        prop_assert_eq!(counted as u64, rows);
    }

    /// All in one tick: nothing depends on where partitions are read.
    #[test]
    fn workers_change_nothing(
        feed in feeds(),
        by in by(),
        (size, late, most) in (1i64..40, 0i64..40, 2usize..5),
    ) {
        let feed = feed.ticks(false);
        let of = |workers| {
            sorted(run(&feed, Workers::threads(workers), program(by, size, late, Some(most))).rows)
        };
        let one = of(1);
        prop_assert_eq!(of(2), one.clone());
        prop_assert_eq!(of(5), one);
    }

    /// A limit that is not reached changes nothing.
    #[test]
    fn room_enough_changes_nothing(
        feed in feeds(),
        by in by(),
        (size, late) in (1i64..40, 0i64..40),
        workers in prop::sample::select(vec![1usize, 2, 5]),
    ) {
        let with = run(&feed, Workers::threads(workers), program(by, size, late, Some(1_000)));
        let without = run(&feed, Workers::threads(workers), program(by, size, late, None));
        prop_assert_eq!(sorted(with.rows), sorted(without.rows));
    }

    /// A limit that is cut anywhere and goes on elsewhere holds as before.
    #[test]
    fn go_on_after_cuts(
        feed in feeds(),
        cuts in cuts(),
        last in 1usize..6,
        by in by(),
        (size, late, most) in (1i64..40, 0i64..40, 2usize..5),
    ) {
        let (feed, whole) = one_partition(&feed, &cuts);
        let program = program(by, size, late, Some(most));
        let whole = run(&whole, Workers::threads(1), program.clone());
        let cut = run_cut(&feed, &cuts, Workers::threads(last), program);
        prop_assert_eq!(sorted(cut.rows), sorted(whole.rows));
    }
}

/// A key that jumps about fills its own room and takes none from the others.
#[test]
fn a_wild_key_is_held_down() {
    let mut feed = Feed::new(Duration::ZERO);
    let row = |key, time| Row { source: 0, partition: 0, time, key, value: 1 };
    feed.partition(0, 1); // it holds the frontier back
    for n in 0..300 {
        for (key, time) in [(0, n * 1_000), (1, n / 30)] {
            feed.row(0, 0, EventTime::from_micros(time), row(key, time));
            feed.end_tick_after(true);
        }
    }
    for by in ALL {
        let ran = run(&feed, Workers::threads(2), program(by, 10, 1_000_000, Some(10)));
        let over = |key| {
            let of_key = |got: &&Got| matches!(got, Got::Over(row) if row.key == key);
            ran.rows.iter().filter(of_key).count()
        };
        let taken = if let By::Sliding = by { 5 } else { 10 };
        assert_eq!((over(0), over(1)), (300 - taken, 0), "{by:?}");
        assert_eq!(ran.observer.counts("limit").rejected, (300 - taken) as u64);
    }
}

fn build(f: impl Fn(Events<'_, u64, u64>) + Send + Sync + 'static) {
    timely::execute_directly(move |worker| {
        worker.dataflow::<u64, _, _>(|scope| {
            let policy = Policy::ascending();
            let (_, events) = EventInput::<u64>::new(scope, 0, policy, &Observer::default());
            f(events);
        });
    });
}

#[test]
#[should_panic(expected = "`few`: each key needs room for at least 1, and the limit is 0")]
fn no_room_is_refused() {
    build(|events| {
        let windows = events.key_by(|&key| key).window(Tumbling::every(secs(5)));
        windows.max_windows_per_key("few", 0);
    });
}

#[test]
#[should_panic(expected = "`few`: each key needs room for at least 1, and the limit is 0")]
fn no_room_for_sessions_is_refused() {
    build(|events| {
        events.key_by(|&key| key).session(Session::gap(secs(5))).max_sessions_per_key("few", 0);
    });
}

#[test]
#[should_panic(
    expected = "`few`: with room for 59 windows none of the records that are in 60 at once"
)]
fn too_little_room_for_any_row_is_refused() {
    build(|events| {
        let windows = events.key_by(|&key| key).window(Sliding::of(secs(60), secs(1)));
        windows.max_windows_per_key("few", 59);
    });
}

#[test]
#[should_panic(expected = "allow_late comes before max_windows_per_key")]
fn the_lateness_is_settled_before() {
    build(|events| {
        let windows = events.key_by(|&key| key).window(Tumbling::every(secs(5)));
        let (windows, _) = windows.max_windows_per_key("few", 3);
        windows.allow_late(secs(1)).aggregate("counts", Count);
    });
}
