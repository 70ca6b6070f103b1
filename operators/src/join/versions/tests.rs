//! Tick by tick against a model that looks through all right rows for each left one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::{Pick, Plan, VersionJoin};
use crate::join::kind::LeftOuter;
use crate::observe::Counters;
use crate::state::{Entry, Saver, Snapshot, State};
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

/// How much is held after a tick, at least and at most: rows that wait, and versions that some row
/// may still ask for. An older version goes when the limit is past the next one, not at it.
fn held(ticks: &[Tick], at: usize, pick: Pick, late: (i64, i64)) -> (usize, usize) {
    let mut before = (i64::MIN, i64::MIN);
    let (left, right) = ticks[at].1;
    let due = back(back(right, late.1), pick.ahead().micros());
    let limit = match pick {
        Pick::Latest if left < i64::MAX => back(right, late.1).min(i64::MAX - 1),
        Pick::Latest => right,
        _ => back(left, late.0).min(due),
    };
    let mut waiting = 0;
    let mut keys: BTreeMap<u8, BTreeMap<i64, Row>> = BTreeMap::new();
    for (rows, frontier) in &ticks[..=at] {
        for &row in rows {
            if row.0 && row.1 >= back(before.0, late.0) {
                let waits = pick != Pick::Latest && due < i64::MAX && row.1 >= due;
                waiting += usize::from(waits);
            } else if !row.0 && row.1 >= back(before.1, late.1) {
                let bytes = |row: &Row| postcard::to_stdvec(&value(*row)).unwrap();
                let kept = keys.entry(row.2).or_default().entry(row.1).or_insert(row);
                *kept = if bytes(kept) < bytes(&row) { row } else { *kept };
            }
        }
        before = *frontier;
    }
    let within = match pick {
        Pick::Backward(None) | Pick::Latest => None,
        Pick::Forward(_) => Some(0),
        Pick::Backward(Some(span)) | Pick::Nearest(span) => Some(span.micros()),
    };
    let (mut least, mut most) = (waiting, waiting);
    for versions in keys.values().filter(|_| limit < i64::MAX) {
        let of = |first: i64| {
            let deleted = |(time, row): (&i64, &Row)| *time < limit && value(*row).is_none();
            let kept = versions.range(first..);
            kept.enumerate().filter(|&(n, version)| n > 0 || !deleted(version)).count()
        };
        match within {
            Some(within) => {
                let kept = versions.range(limit.saturating_sub(within)..).count();
                (least, most) = (least + kept, most + kept);
            }
            None => {
                let newest = |end| versions.range(..end).next_back().map_or(i64::MIN, |v| *v.0);
                least += of(newest(limit + 1));
                most += of(newest(limit));
            }
        }
    }
    // When no left row can come any more, what older versions say is of no use to anyone.
    let most = if pick == Pick::Latest && left == i64::MAX { usize::MAX } else { most };
    (least, most)
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
        cuts in prop::collection::vec(prop::option::of(any::<bool>()), 1..6),
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
        let counters = Arc::<Counters>::default();
        let fresh = || {
            let key: fn(&Row) -> u8 = |row| row.2;
            let split: fn(Row) -> (u8, Option<Row>) = |row| (row.2, value(row));
            VersionJoin::<u8, Row, Row, Row, _, _, LeftOuter>::new(
                plan, key, split, counters.clone(),
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
            let (least, most) = held(&ticks, n, pick, late);
            let holds = counters.held.get() as usize;
            prop_assert!((least..=most).contains(&holds), "{holds} held in tick {n}: {least}..={most}");
            for row in &out.rows {
                prop_assert!(row.time >= before.least().minus(plan.delay()) || before.least() == EventTime::MAX);
            }
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

/// What one join has saved is not taken for the state of a join that is another one.
#[test]
fn what_was_saved_says_of_which_join_it_is() {
    let micros = Span::from_micros;
    let shape = |pick, late, shared| {
        let key: fn(&Row) -> u8 = |row| row.2;
        let split: fn(Row) -> (u8, Option<Row>) = |row| (row.2, Some(row));
        let plan = Plan { pick, late, shared };
        let counters = Arc::<Counters>::default();
        VersionJoin::<u8, Row, Row, Row, _, _, LeftOuter>::new(plan, key, split, counters)
            .shape()
            .value()
    };
    let late = (micros(3), micros(4));
    let shapes = [
        shape(Pick::Backward(None), late, None),
        shape(Pick::Backward(Some(micros(5))), late, None),
        shape(Pick::Forward(micros(5)), late, None),
        shape(Pick::Nearest(micros(5)), late, None),
        shape(Pick::Nearest(micros(6)), late, None),
        shape(Pick::Latest, late, None),
        shape(Pick::Latest, late, Some((0, 1))),
        shape(Pick::Backward(None), (micros(4), micros(4)), None),
        shape(Pick::Backward(None), (micros(3), micros(3)), None),
    ];
    assert_eq!(shapes.into_iter().collect::<BTreeSet<_>>().len(), shapes.len());
}

/// Rows and versions at the end of time meet when both inputs have ended, and then nothing is kept.
#[test]
fn rows_at_the_end_of_time() {
    for pick in [Pick::Backward(None), Pick::Forward(Span::ZERO)] {
        let plan = Plan { pick, late: (Span::ZERO, Span::ZERO), shared: None };
        let key: fn(&Row) -> u8 = |row| row.2;
        let split: fn(Row) -> (u8, Option<Row>) = |row| (row.2, Some(row));
        let counters = Arc::<Counters>::default();
        let mut logic =
            VersionJoin::<u8, Row, Row, Row, _, _, LeftOuter>::new(plan, key, split, counters);
        let mut saver = Saver::new("join", logic.shape(), 0, 1);
        let (mut snapshot, mut out) = (Snapshot::default(), Emit::default());
        let sides = |time| Sides {
            left: EventTime::from_micros(time),
            right: EventTime::from_micros(time),
        };
        let left = |key| Side::Left((true, i64::MAX, key, 1));
        let rows = [left(0), left(1), Side::Right((false, i64::MAX, 0, 2))];
        let mut before = sides(i64::MIN);
        let rows = rows.map(|row| Timed::on_time(EventTime::MAX, row));
        logic.apply(before, &mut rows.to_vec(), &mut out);
        for (time, left) in [(5, 3), (i64::MAX - 1, 3), (i64::MAX, 0)] {
            let now = Now { before, frontier: sides(time), wall: EventTime::MIN };
            while !logic.close(now, &mut Fuel::new(1), &mut out) {}
            while !logic.save(&mut Fuel::new(1), &mut saver) {}
            snapshot.apply(&saver.take(true)).unwrap();
            let mut entries = 0;
            if let Some(state) = snapshot.operator("join") {
                let count = |_: &Entry<'_>| {
                    entries += 1;
                    Ok(())
                };
                state.each(count).unwrap();
            }
            assert_eq!(entries, left, "as of {time}");
            before = sides(time);
        }
        let mut sent: Vec<_> =
            out.rows.iter().map(|row| (row.data.0.2, row.data.1.map(|r| r.3))).collect();
        sent.sort_unstable();
        assert_eq!(sent, [(0, Some(2)), (1, None)]);
    }
}
