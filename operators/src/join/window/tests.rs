//! Tick by tick against nested loops, with turns of any length and cuts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::state::WindowJoin;
use crate::join::kind::{Anti, FullOuter, Inner, Kind, Semi};
use crate::observe::Counters;
use crate::state::{Entry, Saver, Snapshot, State};
use crate::tick::{Emit, Fuel, Now, Side, Sides, TickLogic};
use crate::time::{EventTime, Span, Timed};
use crate::window::{Assigner, Tumbling, Window};

/// Side (left first), time, key, number.
type Row = (bool, i64, u8, u32);
type Pair = (Option<Row>, Option<Row>);
type Tick = (Vec<Row>, (i64, i64));

/// Each instant is in two windows of twice the size.
#[derive(Clone, Copy, Debug)]
struct Twice(i64);

impl Assigner for Twice {
    fn assign(&self, time: EventTime, f: &mut impl FnMut(Window)) {
        let end = (time.micros().div_euclid(self.0) + 1) * self.0;
        for end in [end, end + self.0] {
            let start = EventTime::from_micros(end - 2 * self.0);
            f(Window { start, end: EventTime::from_micros(end) });
        }
    }
}

/// Every second window is left out.
#[derive(Clone, Copy, Debug)]
struct Gaps(i64);

impl Assigner for Gaps {
    fn assign(&self, time: EventTime, f: &mut impl FnMut(Window)) {
        let number = time.micros().div_euclid(self.0);
        if number % 2 == 0 {
            let [start, end] = [number, number + 1].map(|n| EventTime::from_micros(n * self.0));
            f(Window { start, end });
        }
    }
}

fn ticks() -> impl Strategy<Value = Vec<Tick>> {
    let row = (any::<bool>(), -40i64..60, 0u8..2);
    let tick = (prop::collection::vec(row, 0..12), (0i64..40, 0i64..40));
    prop::collection::vec(tick, 1..8).prop_map(|ticks| {
        let (mut number, mut frontier) = (0, (-40i64, -40i64));
        let mut all: Vec<Tick> = Vec::new();
        for (rows, (left, right)) in ticks {
            let rows = rows.into_iter().map(|(side, time, key)| {
                number += 1;
                (side, time, key, number)
            });
            let rows = rows.collect();
            frontier = (frontier.0 + left, frontier.1 + right);
            all.push((rows, frontier));
        }
        all.push((Vec::new(), (i64::MAX, i64::MAX)));
        all
    })
}

fn check<J: Kind<Row, Row>, W: Assigner>(
    ticks: &[Tick],
    by: &W,
    late: (i64, i64),
    (fuel, cuts): (usize, &[Option<bool>]),
    read: impl Fn(&J::Out) -> Pair,
) {
    let spans = (Span::from_micros(late.0), Span::from_micros(late.1));
    let counters = Arc::<Counters>::default();
    let fresh = || {
        let key: fn(&Row) -> u8 = |row| row.2;
        let counters = counters.clone();
        WindowJoin::<u8, Row, Row, _, _, J, W>::new(by.clone(), (key, key), spans, counters)
    };
    let mut logic = fresh();
    let mut saver = Saver::new("join", logic.shape(), 0, 1);
    let mut snapshot = Snapshot::default();
    let at = EventTime::from_micros;
    let mut before = Sides { left: EventTime::MIN, right: EventTime::MIN };
    // Rows that were taken in, for which there is no window, and that were late; and for how many
    // windows those were late that were taken in.
    let mut counted = (0, 0, 0, 0);
    // The rows of each window that were accepted.
    let mut open: Vec<(Window, Row)> = Vec::new();
    for (n, (rows, frontier)) in ticks.iter().enumerate() {
        let mut late_rows = Vec::new();
        for &row in rows {
            let seen = if row.0 { before.left } else { before.right };
            let lateness = if row.0 { spans.0 } else { spans.1 };
            let (held, mut missed) = (open.len(), 0);
            by.assign(at(row.1), &mut |window| match seen < window.end.plus(lateness) {
                true => open.push((window, row)),
                false => missed += 1,
            });
            match (open.len() > held, missed) {
                (true, missed) => {
                    counted.0 += 1;
                    counted.3 += missed;
                }
                (false, 0) => counted.1 += 1,
                (false, _) => {
                    counted.2 += 1;
                    late_rows.push(row);
                }
            }
        }
        let mut out = Emit::default();
        let side = |row: &Row| if row.0 { Side::Left(*row) } else { Side::Right(*row) };
        let mut rows = rows.iter().map(|row| Timed::on_time(at(row.1), side(row))).collect();
        logic.apply(before, &mut rows, &mut out);
        let now = [&counters.kept, &counters.filtered, &counters.late, &counters.late_windows];
        assert_eq!(<[u64; 4]>::from(counted), now.map(|counter| counter.get()));
        let frontier = Sides { left: at(frontier.0), right: at(frontier.1) };
        let now = Now { before, frontier, wall: EventTime::MIN };
        let mut sent = 0;
        while !logic.close(now, &mut Fuel::new(fuel), &mut out) {
            assert!(out.rows.len() - sent <= fuel, "a turn is bounded");
            sent = out.rows.len();
        }
        let done = |window: &Window| {
            frontier.left >= window.end.plus(spans.0) && frontier.right >= window.end.plus(spans.1)
        };
        let due: Vec<_> = open.extract_if(.., |(window, _)| done(window)).collect();
        assert_eq!(counters.held.get() as usize, open.len(), "rows that are held");
        let mut wanted: Vec<(Window, Pair)> = Vec::new();
        for &(window, row) in &due {
            let partners = due.iter().filter(|(other, partner)| {
                *other == window && partner.0 != row.0 && partner.2 == row.2
            });
            let partners: Vec<Row> = partners.map(|(_, partner)| *partner).collect();
            if row.0 && J::PAIRS {
                wanted.extend(partners.iter().map(|r| (window, (Some(row), Some(*r)))));
            }
            let alone = partners.is_empty();
            if row.0 && (alone && J::LEFT || !alone && J::ONCE) {
                wanted.push((window, (Some(row), None)));
            }
            if !row.0 && alone && J::RIGHT {
                wanted.push((window, (None, Some(row))));
            }
        }
        let results = out.rows.iter().map(|row| {
            assert_eq!(row.time, row.data.window.last());
            let delay = spans.0.max(spans.1);
            assert!(row.time >= before.least().minus(delay), "on time");
            (row.data.window, read(&row.data.value))
        });
        let mut results: Vec<_> = results.collect();
        results.sort();
        wanted.sort();
        assert_eq!(results, wanted, "tick {n}");
        let late: Vec<Row> = out
            .side
            .iter()
            .map(|row| match row.data {
                Side::Left(row) | Side::Right(row) => row,
            })
            .collect();
        assert_eq!(late, late_rows);
        before = frontier;
        if let Some(restart) = cuts[n % cuts.len()] {
            while !logic.save(&mut Fuel::new(fuel), &mut saver) {}
            snapshot.apply(&saver.take(true)).unwrap();
            if restart {
                logic = fresh();
                if let Some(state) = snapshot.operator("join") {
                    state.each(|entry| logic.load(entry)).unwrap();
                }
            }
        }
    }
    while !logic.save(&mut Fuel::new(fuel), &mut saver) {}
    snapshot.apply(&saver.take(true)).unwrap();
    assert!(snapshot.operator("join").is_none_or(|state| state.is_empty()), "all state is gone");
}

proptest! {
    #![proptest_config(crate::testing::cases(600))]

    #[test]
    fn every_tick_sends_what_it_should(
        ticks in ticks(),
        size in 1i64..50,
        late in (prop_oneof![Just(0i64), 0i64..30], prop_oneof![Just(0i64), 0i64..30]),
        fuel in 1usize..20,
        cuts in prop::collection::vec(prop::option::of(any::<bool>()), 1..6),
    ) {
        let by = Tumbling::every(Duration::from_micros(size as u64));
        let how = (fuel, &cuts[..]);
        let pair = |&(l, r): &(Row, Row)| (Some(l), Some(r));
        check::<Inner, _>(&ticks, &by, late, how, pair);
        check::<FullOuter, _>(&ticks, &by, late, how, |&pair| pair);
        check::<Semi, _>(&ticks, &by, late, how, |&l| (Some(l), None));
        check::<Anti, _>(&ticks, &by, late, how, |&l| (Some(l), None));
        check::<FullOuter, _>(&ticks, &Twice(size), late, how, |&pair| pair);
        check::<FullOuter, _>(&ticks, &Gaps(size), late, how, |&pair| pair);
    }
}

/// The window that has no end is complete when both inputs have ended, and then nothing is kept.
#[test]
fn the_last_window_of_all() {
    let by = Tumbling::every(Duration::from_micros(10));
    let key: fn(&Row) -> u8 = |row| row.2;
    let spans = (Span::ZERO, Span::ZERO);
    let fresh = || {
        let counters = Arc::<Counters>::default();
        WindowJoin::<u8, Row, Row, _, _, FullOuter, _>::new(by, (key, key), spans, counters)
    };
    let mut logic = fresh();
    let mut saver = Saver::new("join", logic.shape(), 0, 1);
    let (mut snapshot, mut out) = (Snapshot::default(), Emit::default());
    let sides =
        |time| Sides { left: EventTime::from_micros(time), right: EventTime::from_micros(time) };
    let row = |side, key| (side, i64::MAX, key, 0);
    // One row comes after a cut, and belongs to the same window as those from before it.
    let first = [Side::Left(row(true, 0)), Side::Left(row(true, 1))];
    let mut coming = [first.to_vec(), vec![Side::Right(row(false, 0))], Vec::new()].into_iter();
    let mut before = sides(i64::MIN);
    for (time, left) in [(5, 2), (i64::MAX - 1, 3), (i64::MAX, 0)] {
        let rows = coming.next().expect("there are as many").into_iter();
        let mut rows = rows.map(|row| Timed::on_time(EventTime::MAX, row)).collect();
        logic.apply(before, &mut rows, &mut out);
        let now = Now { before, frontier: sides(time), wall: EventTime::MIN };
        while !logic.close(now, &mut Fuel::new(1), &mut out) {}
        while !logic.save(&mut Fuel::new(1), &mut saver) {}
        snapshot.apply(&saver.take(true)).unwrap();
        let (mut entries, mut restored) = (0, fresh());
        if let Some(state) = snapshot.operator("join") {
            let load = |entry: &Entry<'_>| {
                entries += 1;
                restored.load(entry)
            };
            state.each(load).unwrap();
        }
        if time == 5 {
            logic = restored;
        }
        assert_eq!(entries, left, "as of {time}");
        before = sides(time);
    }
    let mut sent: Vec<_> = out.rows.iter().map(|row| row.data.value).collect();
    sent.sort_unstable();
    let pair = (Some(row(true, 0)), Some(row(false, 0)));
    assert_eq!(sent, [pair, (Some(row(true, 1)), None)]);
}

/// What one join has saved is not taken for the state of a join that is another one.
#[test]
fn what_was_saved_says_of_which_join_it_is() {
    let shape = |size, late: (i64, i64)| {
        let by = Tumbling::every(Duration::from_micros(size));
        let key: fn(&Row) -> u8 = |row| row.2;
        let late = (Span::from_micros(late.0), Span::from_micros(late.1));
        let counters = Arc::<Counters>::default();
        WindowJoin::<u8, Row, Row, _, _, Inner, _>::new(by, (key, key), late, counters)
            .shape()
            .value()
    };
    let shapes = [shape(10, (3, 4)), shape(11, (3, 4)), shape(10, (4, 4)), shape(10, (3, 3))];
    assert_eq!(shapes.into_iter().collect::<BTreeSet<_>>().len(), shapes.len());
}
