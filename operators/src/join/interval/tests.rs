//! Tick by tick against a model that looks at every pair of rows in every tick.

mod edges;

use std::sync::Arc;

use proptest::prelude::*;

use super::state::IntervalJoin;
use crate::join::kind::{Anti, Final, FullOuter, Inner, Kind, LeftOuter, Mode, Revised, Semi};
use crate::observe::Counters;
use crate::state::State;
use crate::state::{Saver, Snapshot};
use crate::tick::{Emit, Fuel, Now, Side, Sides, TickLogic};
use crate::time::{EventTime, Span, Timed};

/// Side (left first), time, key, number.
type Row = (bool, i64, u8, u32);
type Tick = (Vec<Row>, (i64, i64));
type Pair = (Option<Row>, Option<Row>);

#[derive(Clone, Copy, Debug)]
struct Parameters {
    bounds: (i64, i64),
    late: (i64, i64),
}

fn ticks() -> impl Strategy<Value = Vec<Tick>> {
    let row = (any::<bool>(), -40i64..60, 0u8..2);
    // A frontier often stands still, also from one cut to the next.
    let step = || prop_oneof![1 => Just(0i64), 2 => 0i64..25];
    let tick = (prop::collection::vec(row, 0..6), (step(), step()));
    prop::collection::vec(tick, 1..12).prop_map(|ticks| {
        let (mut number, mut frontier) = (0, (-40, -40));
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

fn parameters() -> impl Strategy<Value = Parameters> {
    let late = || prop_oneof![Just(0i64), 0i64..30];
    ((-30i64..30), (0i64..40), late(), late()).prop_map(|(lower, length, left, right)| Parameters {
        bounds: (lower, lower + length),
        late: (left, right),
    })
}

/// The same with all times so many times as far from 1970, so that rows are in several buckets.
fn scaled(mut ticks: Vec<Tick>, by: Parameters, scale: i64) -> (Vec<Tick>, Parameters) {
    for (rows, (left, right)) in &mut ticks {
        rows.iter_mut().for_each(|row| row.1 *= scale);
        (*left, *right) = (left.saturating_mul(scale), right.saturating_mul(scale));
    }
    let (bounds, late) = (by.bounds, by.late);
    let bounds = (bounds.0 * scale, bounds.1 * scale);
    (ticks, Parameters { bounds, late: (late.0 * scale, late.1 * scale) })
}

/// What the model knows of a row that was accepted: the tick it came in.
fn accepted(ticks: &[Tick], by: Parameters) -> Vec<(usize, Row)> {
    let mut before = (i64::MIN, i64::MIN);
    let mut accepted = Vec::new();
    for (at, (rows, frontier)) in ticks.iter().enumerate() {
        for &row in rows {
            let limit = match row.0 {
                true => before.0.saturating_sub(by.late.0),
                false => before.1.saturating_sub(by.late.1),
            };
            if row.1 >= limit {
                accepted.push((at, row));
            }
        }
        before = *frontier;
    }
    accepted
}

/// What is sent in each tick: rows without a partner with their mirrored bound.
fn model<J, M>(ticks: &[Tick], by: Parameters) -> Vec<Vec<(i64, Pair, i64)>>
where
    J: Kind<Row, Row>,
    M: Mode<J::Out>,
{
    let rows = accepted(ticks, by);
    let (lower, upper) = by.bounds;
    let partners =
        |l: Row, r: Row| l.0 && !r.0 && l.2 == r.2 && (lower..=upper).contains(&(r.1 - l.1));
    let mut sent = vec![Vec::new(); ticks.len()];
    for &(came, l) in &rows {
        for &(later, r) in &rows {
            if J::PAIRS && partners(l, r) {
                sent[came.max(later)].push((l.1.max(r.1), (Some(l), Some(r)), 1));
            }
        }
    }
    for &(came, row) in &rows {
        let left = row.0;
        let met: Vec<usize> = rows
            .iter()
            .filter(|(_, other)| partners(row, *other) || partners(*other, row))
            .map(|(other, _)| came.max(*other))
            .collect();
        let met = met.into_iter().min();
        let reach = if left { upper } else { -lower };
        let (time, pair) = (
            row.1.max(row.1 + reach),
            match left {
                true => (Some(row), None),
                false => (None, Some(row)),
            },
        );
        if left
            && J::ONCE
            && let Some(met) = met
        {
            sent[met].push((time, pair, 1));
        }
        if left && J::LEFT || !left && J::RIGHT {
            let late = if left { by.late.1 } else { by.late.0 };
            let wait = if M::REVISES { reach } else { reach + late };
            let due = (came..ticks.len()).find(|&at| {
                let other = if left { ticks[at].1.1 } else { ticks[at].1.0 };
                other > row.1 + wait
            });
            let due = due.expect("the inputs end");
            if met.is_none_or(|met| met > due) {
                sent[due].push((time, pair, 1));
                if let Some(met) = met {
                    sent[met].push((time, pair, -1));
                }
            }
        }
    }
    sent.iter_mut().for_each(|rows| rows.sort());
    sent
}

type Logic<J, M> = IntervalJoin<u8, Row, Row, fn(&Row) -> u8, fn(&Row) -> u8, J, M>;

fn logic<J, M>(by: Parameters) -> Logic<J, M>
where
    J: Kind<Row, Row>,
    M: Mode<J::Out>,
{
    counted(by, Arc::default())
}

fn counted<J, M>(by: Parameters, counters: Arc<Counters>) -> Logic<J, M>
where
    J: Kind<Row, Row>,
    M: Mode<J::Out>,
{
    let key: fn(&Row) -> u8 = |row| row.2;
    let late = (Span::from_micros(by.late.0), Span::from_micros(by.late.1));
    IntervalJoin::new(by.bounds, (key, key), late, counters)
}

/// How many rows are held after a tick, at least and at most: those that may still meet a partner, or
/// have a bucket together with one that may.
fn held(ticks: &[Tick], at: usize, by: Parameters) -> (usize, usize) {
    let ((lower, upper), (left, right)) = (by.bounds, ticks[at].1);
    let rows = accepted(ticks, by).into_iter().filter(|&(came, _)| came <= at);
    let (mut least, mut most) = (0, 0);
    for (_, row) in rows {
        let (frontier, reach, late) = match row.0 {
            true => (right, upper + by.late.1, by.late.0),
            false => (left, by.late.0 - lower, by.late.1),
        };
        let width = ((upper - lower) / 4).max(1_000).max(late / 256);
        let wanted = |time: i64| frontier < i64::MAX && time >= frontier - reach;
        least += usize::from(wanted(row.1));
        most += usize::from(wanted((row.1.div_euclid(width) + 1) * width - 1));
    }
    (least, most)
}

/// Runs the operator, cut after some of the ticks, and compares each tick with the model. After some
/// of the cuts the operator goes on, after others one that is built from what was saved.
fn check<J, M>(
    ticks: &[Tick],
    by: Parameters,
    (fuel, cuts): (usize, &[Option<bool>]),
    read: impl Fn(&M::Out) -> (Pair, i64),
) where
    J: Kind<Row, Row>,
    M: Mode<J::Out>,
{
    let wanted = model::<J, M>(ticks, by);
    let counters = Arc::<Counters>::default();
    let mut logic = counted::<J, M>(by, counters.clone());
    let mut saver = Saver::new("join", logic.shape(), 0, 1);
    let mut snapshot = Snapshot::default();
    let at = EventTime::from_micros;
    let mut before = Sides { left: EventTime::MIN, right: EventTime::MIN };
    for (n, (rows, frontier)) in ticks.iter().enumerate() {
        let mut out = Emit::default();
        let mut rows: Vec<_> = rows
            .iter()
            .map(|row| {
                Timed::on_time(at(row.1), if row.0 { Side::Left(*row) } else { Side::Right(*row) })
            })
            .collect();
        logic.apply(before, &mut rows, &mut out);
        let frontier = Sides { left: at(frontier.0), right: at(frontier.1) };
        let now = Now { before, frontier, wall: EventTime::MIN };
        while !logic.close(now, &mut Fuel::new(fuel), &mut out) {}
        let mut sent: Vec<_> = out
            .rows
            .iter()
            .map(|row| {
                let (pair, diff) = read(&row.data);
                (row.time.micros(), pair, diff)
            })
            .collect();
        sent.sort();
        assert_eq!(sent, wanted[n], "tick {n} of {ticks:?} by {by:?}");
        let (least, most) = held(ticks, n, by);
        let holds = counters.held.get() as usize;
        assert!((least..=most).contains(&holds), "{holds} rows in tick {n} of {ticks:?} by {by:?}");
        for row in &out.rows {
            assert!(
                !row.behind.is_zero()
                    || row.time
                        >= before.least().minus(Span::from_micros(by.late.0.max(by.late.1)))
            );
            if IntervalJoin::<u8, Row, Row, fn(&Row) -> u8, fn(&Row) -> u8, J, M>::marks() {
                assert!(!row.behind.is_zero() || row.time >= before.least());
                assert!(row.behind.micros() <= by.late.0.max(by.late.1));
            }
        }
        before = frontier;
        if let Some(restart) = cuts[n % cuts.len()] {
            while !logic.save(&mut Fuel::new(fuel), &mut saver) {}
            snapshot.apply(&saver.take(true)).unwrap();
            if restart {
                logic = counted::<J, M>(by, counters.clone());
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
    #![proptest_config(crate::testing::cases(1_000))]

    #[test]
    fn every_tick_sends_what_it_should(
        ticks in ticks(),
        by in parameters(),
        fuel in 1usize..40,
        cuts in prop::collection::vec(prop::option::of(any::<bool>()), 1..6),
        scale in prop::sample::select(vec![1i64, 40, 333]),
    ) {
        let (ticks, by) = scaled(ticks, by, scale);
        let how = (fuel, &cuts[..]);
        let pair = |&(l, r): &(Row, Row)| ((Some(l), Some(r)), 1);
        check::<Inner, Final>(&ticks, by, how, pair);
        check::<LeftOuter, Final>(&ticks, by, how, |&(l, r)| ((Some(l), r), 1));
        check::<FullOuter, Final>(&ticks, by, how, |&pair| (pair, 1));
        check::<Semi, Final>(&ticks, by, how, |&l| ((Some(l), None), 1));
        check::<Anti, Final>(&ticks, by, how, |&l| ((Some(l), None), 1));
        check::<FullOuter, Revised>(&ticks, by, how, |change| (change.data, change.diff));
        check::<Anti, Revised>(&ticks, by, how, |change| ((Some(change.data), None), change.diff));
    }
}
