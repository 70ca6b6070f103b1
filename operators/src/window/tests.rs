//! The states of windows without a dataflow: work in small portions, and saved after every tick.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::aggregate::Count;
use crate::observe::Counters;
use crate::state::{Saver, Snapshot};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::EventTime;
use crate::time::Timed;

type Row = (u8, u64);
type Key = fn(&Row) -> u8;

/// Rows of a tick as (time, behind, key), and the frontier at its end.
type Ticks = Vec<(Vec<(i64, i64, u8)>, i64)>;

/// What was given, and where the oldest open window starts after each tick.
type Given = (Vec<String>, Vec<Option<EventTime>>);

/// What each tick gives, if at most so much is done at a time; and saved and loaded after each.
fn drive<L>(make: impl Fn(Arc<Counters>) -> L, ticks: &Ticks, fuel: usize, cut: bool) -> Given
where
    L: TickLogic<Row, Side = Row, Out: Debug>,
{
    let counters = Arc::new(Counters::default());
    let (mut logic, mut snapshot) = (make(counters.clone()), Snapshot::default());
    let (mut before, mut given, mut oldest) = (EventTime::MIN, Vec::new(), Vec::new());
    for (tick, (rows, frontier)) in ticks.iter().enumerate() {
        let mut out = Emit::default();
        let mut rows: Vec<_> = rows
            .iter()
            .map(|&(time, behind, key)| Timed {
                time: EventTime::from_micros(time),
                behind: Span::from_micros(behind),
                data: (key, tick as u64),
            })
            .collect();
        logic.apply(before, &mut rows, &mut out);
        assert!(rows.is_empty());
        let frontier = EventTime::from_micros(*frontier);
        let now = Now { before, frontier, wall: EventTime::MIN };
        let mut turns = 0;
        loop {
            let sent = out.rows.len();
            let done = logic.close(now, &mut Fuel::new(fuel), &mut out);
            assert!(out.rows.len() - sent <= fuel, "more than the fuel is for");
            if done {
                break;
            }
            turns += 1;
            assert!(turns < 100_000, "it comes to no end");
        }
        let mut tick: Vec<_> = out.rows.iter().map(|row| format!("{row:?}")).collect();
        tick.extend(out.side.iter().map(|row| format!("late {row:?}")));
        tick.sort();
        given.extend(tick);
        oldest.push(counters.oldest.get());
        before = frontier;
        if cut {
            let mut saver = Saver::new("windows", logic.shape(), 0, 1);
            while !logic.save(&mut Fuel::new(fuel), &mut saver) {}
            snapshot.apply(&saver.take(true)).unwrap();
            counters.held.set(0);
            logic = make(counters.clone());
            if let Some(state) = snapshot.operator("windows") {
                state.each(|entry| logic.load(entry)).unwrap();
            }
        }
    }
    assert_eq!((counters.held.get(), counters.open.get()), (0, 0));
    assert_eq!(oldest.last(), Some(&None));
    (given, oldest)
}

fn ticks() -> impl Strategy<Value = Ticks> {
    let row = (-60i64..160, prop_oneof![Just(0i64), 0i64..80], 0u8..5);
    let tick = (prop::collection::vec(row, 0..12), 0i64..25);
    prop::collection::vec(tick, 1..12).prop_map(|ticks| {
        let mut frontier = -50;
        let mut ticks: Ticks = ticks
            .into_iter()
            .map(|(rows, more)| {
                frontier += more;
                (rows, frontier)
            })
            .collect();
        ticks.push((vec![], i64::MAX));
        ticks
    })
}

fn micros(n: u64) -> Duration {
    Duration::from_micros(n)
}

fn same<L>(make: impl Fn(Arc<Counters>) -> L, ticks: &Ticks, fuel: usize)
where
    L: TickLogic<Row, Side = Row, Out: Debug>,
{
    let whole = drive(&make, ticks, 1 << 20, false);
    assert_eq!(drive(&make, ticks, fuel, false), whole, "with little fuel");
    assert_eq!(drive(&make, ticks, fuel, true), whole, "saved after every tick");
}

proptest! {
    #![proptest_config(crate::testing::cases(500))]

    #[test]
    fn small_portions_and_saves_change_nothing(
        ticks in ticks(),
        fuel in 1usize..12,
        size in 1u64..40,
        slide in 1u64..50,
        late in 0i64..30,
    ) {
        let (key, late) = ((|row| row.0) as Key, Span::from_micros(late));
        let tumbling = Tumbling::every(micros(size));
        same(|counters| Windows::new(tumbling, late, key, Count, counters), &ticks, fuel);
        same(|counters| Windows::new(Global, late, key, Count, counters), &ticks, fuel);
        let sliding = Sliding::of(micros(size), micros(slide)).allow_gaps();
        same(|counters| Slices::new(sliding, late, key, Count, counters), &ticks, fuel);
        let steps = Cumulative::of(micros(slide * 5), micros(slide));
        same(|counters| Totals::new(steps, late, key, Count, counters), &ticks, fuel);
        let by = Custom::by(sliding);
        same(|counters| ManyWindows::new(by, late, key, Count, counters), &ticks, fuel);
        // What is shared between windows, or known of them, is what each of them has on its own.
        macro_rules! alone {
            ($by:expr, $state:ident) => {
                let state = |counters| $state::new($by, late, key, Count, counters);
                let alone =
                    |counters| ManyWindows::new(Custom::by($by), late, key, Count, counters);
                prop_assert_eq!(
                    drive(state, &ticks, fuel, false),
                    drive(alone, &ticks, fuel, false)
                );
            };
        }
        alone!(tumbling, Windows);
        alone!(Global, Windows);
        alone!(sliding, Slices);
        alone!(steps, Totals);
        // However often windows give results, they are open as long.
        let alone = |counters| ManyWindows::new(by, late, key, Count, counters);
        let firings = |counters| -> Firings<_, _, _, _, _, _, Discarding> {
            let rule = Rule { trigger: Trigger::count(2), fire_empty: false };
            Firings::new((sliding, late), key, Count, rule, counters)
        };
        let wanted = drive(alone, &ticks, fuel, false).1;
        prop_assert_eq!(drive(firings, &ticks, fuel, true).1, wanted.clone());
        prop_assert_eq!(drive(firings, &ticks, fuel, false).1, wanted);
    }
}

#[test]
fn the_oldest_open_window_is_known() {
    let (key, late) = ((|row| row.0) as Key, Span::from_micros(5));
    let ticks = vec![
        (vec![(31, 0, 1), (12, 0, 2), (48, 0, 1)], 10),
        (vec![(27, 0, 1)], 24),
        (vec![], 25),
        (vec![(33, 0, 1)], 45),
        (vec![], i64::MAX),
    ];
    let by = Tumbling::every(micros(10));
    let of = |counters| Windows::new(by, late, key, Count, counters);
    let oldest = drive(of, &ticks, 100, false).1;
    let micros = oldest.into_iter().map(|start| start.map(EventTime::micros));
    assert_eq!(micros.collect::<Vec<_>>(), [Some(10), Some(10), Some(20), Some(40), None]);
}
