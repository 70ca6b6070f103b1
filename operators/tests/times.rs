//! Rows with new event times, and windows behind them: nothing that is on time is late there.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::events_time::Shift;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{
    Feed, Out, Row, Workers, cuts, feeds, judged, run, run_cut, sorted,
};
use tiderace_operators::time::Span;

fn micros(n: i64) -> Duration {
    Duration::from_micros(n as u64)
}

fn shift(by: i64) -> Shift {
    let span = Span::from_micros(by.abs());
    if by < 0 { Shift::earlier(span) } else { Shift::later(span) }
}

/// Rows: (kind, key or value, time, number).
type Got = (u8, i64, i64, i64);

/// Windows of rows that were given a time, and how far behind they are now.
fn windows(rows: impl Iterator<Item = (Row, i64, i64)>, size: i64) -> Vec<Got> {
    let (mut counts, mut got) = (BTreeMap::<(u8, i64), i64>::new(), Vec::new());
    for (row, time, behind) in rows {
        let start = time.div_euclid(size) * size;
        if behind > 0 && time + behind >= start + size {
            got.push((1, row.value.into(), time, behind));
        } else {
            *counts.entry((row.key, start)).or_default() += 1;
        }
    }
    got.extend(counts.into_iter().map(|((key, start), n)| (0, key.into(), start, n)));
    sorted(got)
}

fn gather(events: &Events<'_, u64, Row>, out: &Out<Got>, size: i64) {
    let windows = events.key_by(|row| row.key).window(Tumbling::every(micros(size)));
    let windows = windows.aggregate("windows", Count);
    out.gather(&windows, |row| {
        (0, row.data.key.into(), row.data.window.start.micros(), row.data.value as i64)
    });
    out.gather(&windows.late(), |row| {
        (1, row.data.value.into(), row.time.micros(), row.behind.micros())
    });
}

fn behind(row: &Row, frontier: i64) -> i64 {
    if frontier == i64::MIN { 0 } else { (frontier - row.time).max(0) }
}

fn moved(row: &Row) -> i64 {
    row.time + i64::from(row.value)
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    /// The clock follows a shift exactly: the same rows are late, by as much.
    #[test]
    fn a_shift_moves_windows_alike(
        feed in feeds(), first in -300i64..300, then in -300i64..300, size in 1i64..60,
        cuts in cuts(), last in 1usize..6,
    ) {
        let rows = judged(&feed).into_iter();
        let by = first + then;
        let wanted = windows(rows.map(|(row, f)| (row, row.time + by, behind(&row, f))), size);
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Out<_>| {
            gather(&inputs[0].shift(shift(first)).shift(shift(then)), out, size);
        };
        for workers in [1, 2, 5] {
            for feed in [&feed, &feed.ticks(true), &feed.ticks(false)] {
                let ran = run(feed, Workers::threads(workers), program);
                prop_assert_eq!(sorted(ran.rows), wanted.clone());
            }
        }
        let ran = run_cut(&feed, &cuts, Workers::threads(last), program);
        prop_assert_eq!(sorted(ran.rows), wanted);
    }

    #[test]
    fn there_and_back_is_as_before(feed in feeds(), by in -300i64..300) {
        let ran = run(&feed, Workers::threads(2), move |inputs, out: &Out<_>| {
            let same = inputs[0].shift(shift(by)).shift(shift(-by));
            out.gather(&same, |row| (row.time.micros(), row.behind.micros(), row.data));
        });
        let rows = judged(&feed).into_iter();
        let wanted = rows.map(|(row, f)| (row.time, behind(&row, f), row)).collect();
        prop_assert_eq!(sorted(ran.rows), sorted(wanted));
    }

    /// Rows that move by their value, which is back by up to 50: what goes back by no more than
    /// declared stays on time, what goes further is late by the excess.
    #[test]
    fn mapped_times(
        feed in feeds(), back in 0i64..60, size in 1i64..60, cuts in cuts(), last in 1usize..6,
    ) {
        let rows = judged(&feed).into_iter().map(|(row, frontier)| {
            let seen = row.time + behind(&row, frontier) - back;
            (row, moved(&row), (seen - moved(&row)).max(0))
        });
        let wanted = windows(rows, size);
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Out<_>| {
            let moved = |row: &Row, time: EventTime| {
                assert_eq!(time.micros(), row.time);
                EventTime::from_micros(moved(row))
            };
            gather(&inputs[0].map_time(micros(back), moved), out, size);
        };
        for workers in [1, 2, 5] {
            for feed in [&feed, &feed.ticks(true), &feed.ticks(false)] {
                let ran = run(feed, Workers::threads(workers), program);
                prop_assert_eq!(sorted(ran.rows), wanted.clone());
            }
        }
        let ran = run_cut(&feed, &cuts, Workers::threads(last), program);
        prop_assert_eq!(sorted(ran.rows), wanted);
    }

    /// A stream united with itself at other times is as far as the earlier of both.
    #[test]
    fn a_union_with_a_shifted_branch_of_itself(feed in feeds(), by in -200i64..200, size in 1i64..60) {
        // Nothing is late if every partition may be out of order by all that there is.
        let mut feed = feed;
        feed.bound = Span::from_micros(1_000);
        let wanted = judged(&feed).into_iter().flat_map(|(row, _)| {
            [(row, row.time, 0), (row, row.time + by, 0)]
        });
        let wanted = windows(wanted, size);
        let ran = run(&feed, Workers::threads(2), move |inputs, out: &Out<_>| {
            gather(&inputs[0].union(&inputs[0].shift(shift(by))), out, size);
        });
        prop_assert_eq!(sorted(ran.rows), wanted);
    }
}

/// One unit more than declared is late where its window has fired, one unit less is not. The row
/// at 105 goes back to the window that ends at 100, when the row before it was at the frontier 105.
#[test]
fn the_edge_of_going_back() {
    for (back, late) in [(5, 1), (6, 0), (7, 0)] {
        let mut feed = Feed::new(Span::ZERO);
        let row = |time, value| Row { source: 0, partition: 0, time, key: 0, value };
        for (time, value) in [(99, 0), (105, 0), (105, -6)] {
            feed.row(0, 0, EventTime::from_micros(time), row(time, value));
            feed.end_tick_after(true);
        }
        let ran = run(&feed, Workers::threads(1), move |inputs, out: &Out<_>| {
            let moved = |row: &Row, _| EventTime::from_micros(moved(row));
            gather(&inputs[0].map_time(micros(back), moved), out, 100);
        });
        assert_eq!(ran.rows.iter().filter(|row| row.0 == 1).count(), late, "back {back}");
    }
}

/// Of a stream in order and the same stream moved either way, the one that is behind holds the union.
#[test]
fn a_union_waits_for_the_branch_that_is_behind() {
    for by in [-50, 50] {
        let mut feed = Feed::new(Span::ZERO);
        for n in 0..40 {
            let row = Row { source: 0, partition: 0, time: n * 10, key: 0, value: 0 };
            feed.row(0, 0, EventTime::from_micros(row.time), row);
            feed.end_tick_after(true);
        }
        let ran = run(&feed, Workers::threads(1), move |inputs, out: &Out<_>| {
            gather(&inputs[0].union(&inputs[0].shift(shift(by))), out, 20);
        });
        let none_late = ran.rows.iter().all(|row| row.0 == 0);
        assert!(none_late, "moved by {by}: {:?}", ran.rows);
        let united = inputs_of(&feed, by);
        assert_eq!(sorted(ran.rows), windows(united, 20));
    }
}

fn inputs_of(feed: &Feed<Row>, by: i64) -> impl Iterator<Item = (Row, i64, i64)> {
    judged(feed).into_iter().flat_map(move |(row, _)| [(row, row.time, 0), (row, row.time + by, 0)])
}
