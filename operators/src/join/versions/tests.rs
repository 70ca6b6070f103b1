//! Tick by tick against a model that looks through all right rows for each left one.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Pick, Plan, VersionJoin};
use crate::join::kind::LeftOuter;
use crate::observe::Counters;
use crate::state::{Saver, Snapshot, State};
use crate::tick::{Emit, Fuel, Now, Side, Sides, TickLogic};
use crate::time::{EventTime, Span, Timed};

/// Side (left first), time, key, number. Right rows with a number divisible by three delete.
type Row = (bool, i64, u8, u32);
type Tick = (Vec<Row>, (i64, i64));

fn ticks() -> impl Strategy<Value = Vec<Tick>> {
    let row = (any::<bool>(), -40i64..60, 0u8..2);
    let step = || prop_oneof![20 => 0i64..25, 1 => Just(i64::MAX)];
    let tick = (prop::collection::vec(row, 0..6), (step(), step()));
    prop::collection::vec(tick, 1..14).prop_map(|ticks| {
        let (mut number, mut frontier) = (0, (-40i64, -40i64));
        let mut all: Vec<Tick> = Vec::new();
        for (rows, (left, right)) in ticks {
            let rows = rows.into_iter().map(|(side, time, key)| {
                number += 1;
                (side, time, key, number)
            });
            let rows = rows.collect();
            // Past the end of time is the end of time.
            let on = |frontier: i64, by: i64| match by {
                i64::MAX => i64::MAX,
                by => frontier.saturating_add(by),
            };
            frontier = (on(frontier.0, left), on(frontier.1, right));
            all.push((rows, frontier));
        }
        all.push((Vec::new(), (i64::MAX, i64::MAX)));
        all
    })
}

fn value(row: Row) -> Option<Row> {
    (!row.3.is_multiple_of(3)).then_some(row)
}

fn back(frontier: i64, by: i64) -> i64 {
    if frontier == i64::MAX { frontier } else { frontier.saturating_sub(by) }
}

/// What each tick sends: time, left row, its partner.
fn model(ticks: &[Tick], pick: Pick, late: (i64, i64)) -> Vec<Vec<(i64, Row, Option<Row>)>> {
    let mut before = (i64::MIN, i64::MIN);
    let (mut lefts, mut rights) = (Vec::new(), Vec::new());
    for (at, (rows, frontier)) in ticks.iter().enumerate() {
        for &row in rows {
            if row.0 && row.1 >= back(before.0, late.0) {
                lefts.push((at, row));
            } else if !row.0 && row.1 >= back(before.1, late.1) {
                rights.push((at, row));
            }
        }
        before = *frontier;
    }
    let ahead = pick.ahead().micros();
    let mut sent = vec![Vec::new(); ticks.len()];
    for (came, l) in lefts {
        let due = (came..ticks.len()).find(|&at| {
            let right = ticks[at].1.1;
            pick == Pick::Latest || right == i64::MAX || right > l.1 + ahead + late.1
        });
        let due = due.expect("the inputs end");
        // The last row of each instant by its bytes, a value before a deletion.
        let mut versions: Vec<Row> = Vec::new();
        let mut known: Vec<Row> =
            rights.iter().filter(|(at, r)| r.2 == l.2 && *at <= due).map(|(_, r)| *r).collect();
        known.sort_by_key(|r| (r.1, postcard::to_stdvec(&value(*r)).unwrap()));
        for r in known {
            if versions.last().is_some_and(|last| last.1 == r.1) {
                versions.pop();
            }
            versions.push(r);
        }
        let older = versions.iter().rev().find(|r| r.1 <= l.1).copied();
        let newer = versions.iter().find(|r| r.1 >= l.1).copied();
        let within = |r: Option<Row>, within: Span| {
            r.filter(|r| (r.1 - l.1).abs() <= within.micros()).and_then(value)
        };
        let partner = match pick {
            Pick::Backward(None) => older.and_then(value),
            Pick::Backward(Some(span)) => within(older, span),
            Pick::Forward(span) => within(newer, span),
            Pick::Nearest(span) => match (within(older, span), within(newer, span)) {
                (Some(a), Some(b)) => Some(if l.1 - a.1 <= b.1 - l.1 { a } else { b }),
                (a, b) => a.or(b),
            },
            Pick::Latest => versions.last().copied().and_then(value),
        };
        let time = match (pick, partner) {
            (Pick::Latest, _) => l.1,
            (_, Some(r)) => l.1.max(r.1),
            (_, None) => l.1 + ahead,
        };
        sent[due].push((time, l, partner));
    }
    sent.iter_mut().for_each(|rows| rows.sort());
    sent
}

fn pick() -> impl Strategy<Value = Pick> {
    let span = || (0i64..30).prop_map(Span::from_micros);
    prop_oneof![
        2 => Just(Pick::Backward(None)),
        1 => span().prop_map(|span| Pick::Backward(Some(span))),
        1 => span().prop_map(Pick::Forward),
        1 => span().prop_map(Pick::Nearest),
        2 => Just(Pick::Latest),
    ]
}

proptest! {
    #![proptest_config(crate::testing::cases(3_000))]

    #[test]
    fn every_tick_sends_what_it_should(
        ticks in ticks(),
        pick in pick(),
        late in (prop_oneof![Just(0i64), 0i64..30], prop_oneof![Just(0i64), 0i64..30]),
        fuel in 1usize..20,
        cuts in prop::collection::vec(any::<bool>(), 1..6),
        shared in any::<bool>(),
    ) {
        // Deletions are of tables, which are looked up backward.
        let deletes = matches!(pick, Pick::Backward(None) | Pick::Latest);
        let ticks: Vec<Tick> = ticks.into_iter().map(|(mut rows, frontier)| {
            rows.iter_mut().for_each(|row| row.3 = if deletes { row.3 } else { row.3 * 3 + 1 });
            (rows, frontier)
        }).collect();
        let spans = (Span::from_micros(late.0), Span::from_micros(late.1));
        let plan = Plan { pick, late: spans, shared: shared.then_some((0, 1)) };
        let fresh = || {
            let key: fn(&Row) -> u8 = |row| row.2;
            let split: fn(Row) -> (u8, Option<Row>) = |row| (row.2, value(row));
            VersionJoin::<u8, Row, Row, Row, _, _, LeftOuter>::new(
                plan, key, split, Arc::<Counters>::default(),
            )
        };
        let wanted = model(&ticks, pick, late);
        let mut logic = fresh();
        let mut saver = Saver::new("join", logic.shape(), 0, 1);
        let mut snapshot = Snapshot::default();
        let at = EventTime::from_micros;
        let mut before = Sides { left: EventTime::MIN, right: EventTime::MIN };
        for (n, (rows, frontier)) in ticks.iter().enumerate() {
            let mut out = Emit::default();
            let side = |row: &Row| if row.0 { Side::Left(*row) } else { Side::Right(*row) };
            let mut rows = rows.iter().map(|row| Timed::on_time(at(row.1), side(row))).collect();
            logic.apply(before, &mut rows, &mut out);
            let frontier = Sides { left: at(frontier.0), right: at(frontier.1) };
            let now = Now { before, frontier, wall: EventTime::MIN };
            while !logic.close(now, &mut Fuel::new(fuel), &mut out) {}
            let sent = out.rows.iter().map(|row| (row.time.micros(), row.data.0, row.data.1));
            let mut sent: Vec<_> = sent.collect();
            sent.sort();
            prop_assert_eq!(&sent, &wanted[n], "tick {}", n);
            for row in &out.rows {
                prop_assert!(row.time >= before.least().minus(plan.delay()) || before.least() == EventTime::MAX);
            }
            before = frontier;
            if cuts[n % cuts.len()] {
                while !logic.save(&mut Fuel::new(fuel), &mut saver) {}
                snapshot.apply(&saver.take(true)).unwrap();
                logic = fresh();
                if let Some(state) = snapshot.operator("join") {
                    state.each(|entry| logic.load(entry)).unwrap();
                }
            }
        }
        while !logic.save(&mut Fuel::new(fuel), &mut saver) {}
        snapshot.apply(&saver.take(true)).unwrap();
        prop_assert!(snapshot.operator("join").is_none_or(|state| state.is_empty()), "all gone");
    }
}

/// Old versions go while newer ones come, so that the table does not grow.
#[test]
fn old_versions_go() {
    let plan = Plan { pick: Pick::Backward(None), late: (Span::ZERO, Span::ZERO), shared: None };
    let key: fn(&Row) -> u8 = |row| row.2;
    let split: fn(Row) -> (u8, Option<Row>) = |row| (row.2, Some(row));
    let counters = Arc::<Counters>::default();
    let mut logic =
        VersionJoin::<u8, Row, Row, Row, _, _, LeftOuter>::new(plan, key, split, counters.clone());
    let mut before = Sides { left: EventTime::MIN, right: EventTime::MIN };
    for n in 0..1_000 {
        let time = EventTime::from_micros(n);
        let row = (false, n, (n % 10) as u8, 0);
        logic.apply(
            before,
            &mut vec![Timed::on_time(time, Side::Right(row))],
            &mut Emit::default(),
        );
        let frontier = Sides { left: time, right: time };
        let now = Now { before, frontier, wall: EventTime::MIN };
        while !logic.close(now, &mut Fuel::new(3), &mut Emit::default()) {}
        before = frontier;
        assert!(counters.held.get() <= 12, "{}", counters.held.get());
    }
}
