//! Windows of any shape, in the plainest way: judge every record against its own partition, for
//! each of its windows; add up what each window and key has.

use std::collections::BTreeMap;

use tiderace_operators::observe::{Counts, Observer};
use tiderace_operators::testing::{Feed, Row, Workers, judged, run_cut, sorted};
use tiderace_operators::time::{EventTime, Span, Timed};
use tiderace_operators::window::WindowResult;

/// What an operator gives: results of windows with the number and the sum of their values, and late
/// rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Got {
    Result { key: u8, start: i64, end: i64, count: u64, sum: i128 },
    Late(Row),
}

/// The operator of a test: windows named `windows` over the rows' keys, with the result
/// `(Count, Sum)`.
#[macro_export]
macro_rules! program {
    ($by:expr, $lateness:expr) => {{
        let (by, lateness) = ($by, std::time::Duration::from_micros($lateness as u64));
        move |inputs: &[Events<'_, u64, Row>],
              out: &tiderace_operators::testing::Out<oracle::Got>| {
            let windows = inputs[0].key_by(|row| row.key).window(by.clone()).allow_late(lateness);
            let sums = (Count, Sum::of(|row: &Row| row.value));
            let results = windows.aggregate("windows", sums);
            out.gather(&results, oracle::result);
            out.gather(&results.late(), |row| oracle::Got::Late(row.data));
        }
    }};
}

/// A result as the model says it.
pub fn result(row: &Timed<WindowResult<u8, (u64, i128)>>) -> Got {
    let WindowResult { key, window, value: (count, sum), .. } = row.data;
    assert_eq!((row.time, row.behind), (window.last(), Span::ZERO));
    let (start, end) = (window.start.micros(), window.end.micros());
    Got::Result { key, start, end, count, sum }
}

/// What a feed has to give, and how its rows are counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub got: Vec<Got>,
    pub late: u64,
    pub filtered: u64,
    pub late_windows: u64,
}

/// The model, given the windows of an instant.
pub fn model(feed: &Feed<Row>, lateness: i64, of: impl Fn(i64) -> Vec<(i64, i64)>) -> Wanted {
    let mut groups: BTreeMap<(u8, i64, i64), (u64, i128)> = BTreeMap::new();
    let mut wanted = Wanted::default();
    for (row, frontier) in judged(feed) {
        let windows = of(row.time);
        let open: Vec<_> = windows
            .iter()
            .filter(|(_, end)| {
                i128::from(frontier) < i128::from(*end) + i128::from(lateness)
                    && frontier < i64::MAX
            })
            .collect();
        if windows.is_empty() {
            wanted.filtered += 1;
        } else if open.is_empty() {
            wanted.late += 1;
            wanted.got.push(Got::Late(row));
        } else {
            wanted.late_windows += (windows.len() - open.len()) as u64;
        }
        for (start, end) in open {
            let (count, sum) = groups.entry((row.key, *start, *end)).or_default();
            *count += 1;
            *sum += i128::from(row.value);
        }
    }
    let groups = groups.into_iter();
    wanted.got.extend(groups.map(|((key, start, end), (count, sum))| Got::Result {
        key,
        start,
        end,
        count,
        sum,
    }));
    wanted.got = sorted(wanted.got);
    wanted
}

/// Runs a program uncut and compares everything.
pub fn check<B>(feed: &Feed<Row>, workers: usize, wanted: &Wanted, program: B)
where
    B: Fn(
            &[tiderace_operators::events::Events<'_, u64, Row>],
            &tiderace_operators::testing::Out<Got>,
        ) + Send
        + Sync
        + 'static,
{
    let ran = run_cut(feed, &[], Workers::threads(workers), program);
    assert_eq!(sorted(ran.rows), wanted.got);
    let counts = nothing_left(&ran.observer);
    assert_eq!(counts.input, feed.rows().count() as u64);
    assert_eq!(
        (counts.late, counts.filtered, counts.late_windows),
        (wanted.late, wanted.filtered, wanted.late_windows)
    );
    assert_eq!(counts.fired + counts.late, wanted.got.len() as u64);
}

/// Runs a program over cuts and compares what it gives.
pub fn check_cut<B>(
    feed: &Feed<Row>,
    cuts: &[(usize, Workers)],
    last: usize,
    wanted: &Wanted,
    program: B,
) where
    B: Fn(
            &[tiderace_operators::events::Events<'_, u64, Row>],
            &tiderace_operators::testing::Out<Got>,
        ) + Send
        + Sync
        + 'static,
{
    let ran = run_cut(feed, cuts, Workers::threads(last), program);
    assert_eq!(sorted(ran.rows), wanted.got);
}

/// At the end of input all state is gone.
pub fn nothing_left(observer: &Observer) -> Counts {
    let counts = observer.counts("windows");
    assert!(counts.balanced(), "{counts:?}");
    assert_eq!((counts.held, counts.open), (0, 0));
    counts
}

/// A feed of one partition in order, each row a tick of its own.
pub fn ordered(times: impl IntoIterator<Item = i64>) -> Feed<Row> {
    let mut feed = Feed::new(Span::ZERO);
    for time in times {
        let row = Row { source: 0, partition: 0, time, key: 0, value: 1 };
        feed.row(0, 0, EventTime::from_micros(time), row);
        feed.end_tick_after(true);
    }
    feed
}
