//! The inputs of views as plain state: little fuel, cuts anywhere, against slow models.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::forever::Forever;
use super::row::Row;
use super::span::{Buckets, SetAside};
use super::upsert::Newest;
use crate::change::Change;
use crate::observe::Counters;
use crate::state::{Entry, Saver, Snapshot, State};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::{EventTime, Span, Timed};
use crate::window::Tumbling;

type Contents<X> = BTreeMap<X, i64>;

/// Rows, the frontier at the end of the tick, and what happens then.
type Ticks<D> = Vec<(Vec<Timed<D>>, EventTime, Then)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    GoOn,
    Cut,
    CutAndRestart,
}

fn add<X: Ord + Clone>(contents: &mut Contents<X>, row: X, diff: i64) {
    let count = contents.entry(row.clone()).or_default();
    *count += diff;
    if *count == 0 {
        contents.remove(&row);
    }
}

fn close<D, L: TickLogic<D>>(
    logic: &mut L,
    (before, frontier): (EventTime, EventTime),
    fuel: usize,
    out: &mut Emit<L::Out, L::Side>,
) {
    let now = Now { before, frontier, wall: EventTime::MIN };
    loop {
        let sent = out.rows.len();
        let done = logic.close(now, &mut Fuel::new(fuel), out);
        // A key that changes its value sends two rows.
        assert!(out.rows.len() - sent <= 2 * fuel, "a slice sends what it has fuel for");
        if done {
            return;
        }
    }
}

/// The contents as of the end of each tick, what was set aside in it, and how much is held then. A
/// fresh state after a cut gives back what the contents were; after some cuts it is the one that goes
/// on.
fn drive<D: Clone, X: Ord + Clone + std::fmt::Debug, L: TickLogic<D, Out = Change<X>>>(
    fresh: impl Fn(Arc<Counters>) -> L,
    ticks: &Ticks<D>,
    fuel: usize,
) -> Vec<(Contents<X>, Vec<L::Side>, u64)> {
    let mut counters = Arc::<Counters>::default();
    let (mut logic, mut snapshot) = (fresh(counters.clone()), Snapshot::default());
    let (mut contents, mut before) = (Contents::new(), EventTime::MIN);
    let mut all = Vec::new();
    for (rows, frontier, then) in ticks {
        let mut out = Emit::default();
        for half in rows.chunks(rows.len().div_ceil(2).max(1)) {
            logic.apply(before, &mut half.to_vec(), &mut out);
        }
        close(&mut logic, (before, *frontier), fuel, &mut out);
        before = *frontier;
        for Change { data, diff } in out.rows.drain(..).map(|row| row.data) {
            add(&mut contents, data, diff);
        }
        let aside = out.side.drain(..).map(|row| row.data).collect();
        all.push((contents.clone(), aside, counters.held.get()));
        if *then != Then::GoOn {
            let mut saver = Saver::new("view", logic.shape(), 0, 1);
            while !logic.save(&mut Fuel::new(fuel), &mut saver) {}
            snapshot.apply(&saver.take(true)).unwrap();
            let others = Arc::<Counters>::default();
            let mut restored = fresh(others.clone());
            if let Some(saved) = snapshot.operator("view") {
                saved.each(|entry| restored.load(entry)).unwrap();
            }
            close(&mut restored, (before, before), fuel, &mut out);
            let mut back = Contents::new();
            out.rows.drain(..).for_each(|row| add(&mut back, row.data.data, row.data.diff));
            assert_eq!(back, contents, "what was saved is given back");
            assert!(out.side.is_empty());
            if *then == Then::CutAndRestart {
                (logic, counters) = (restored, others);
            }
        }
    }
    all
}

/// Ticks of rows made of a time and a few numbers, at a frontier that goes on in steps.
fn ticks() -> impl Strategy<Value = Ticks<(u8, u8, i64)>> {
    let row = (-60i64..60, 0u8..4, 0u8..4, prop::sample::select(vec![-1i64, 1, 2]));
    let then = prop::sample::select(vec![Then::GoOn, Then::Cut, Then::CutAndRestart]);
    let tick = (prop::collection::vec(row, 0..8), 0i64..30, then);
    prop::collection::vec(tick, 1..8).prop_map(|ticks| {
        let (mut frontier, mut known) = (-70, false);
        let each = ticks.into_iter().map(|(rows, step, then)| {
            let timed = |(time, a, b, diff): (i64, u8, u8, i64)| {
                // Some are behind their own partition's frontier, others the operator's alone.
                let behind = if known && a % 2 == 0 { frontier - time } else { 0 };
                let (time, behind) = (EventTime::from_micros(time), Span::from_micros(behind));
                Timed { time, behind, data: (a, b, diff) }
            };
            let rows = rows.into_iter().map(timed).collect();
            (frontier, known) = (frontier + step, true);
            (rows, EventTime::from_micros(frontier), then)
        });
        each.collect()
    })
}

fn counters() -> Arc<Counters> {
    Arc::default()
}

fn mapped<D>(ticks: &Ticks<(u8, u8, i64)>, f: impl Fn((u8, u8, i64)) -> D) -> Ticks<D> {
    let rows = |rows: &Vec<Timed<_>>| rows.iter().map(|row| row.map(&f)).collect();
    ticks.iter().map(|(r, frontier, then)| (rows(r), *frontier, *then)).collect()
}

proptest! {
    #![proptest_config(crate::testing::cases(2_000))]

    #[test]
    fn changes_for_ever(ticks in ticks(), fuel in 1usize..5) {
        let ticks = mapped(&ticks, |(data, _, diff)| Change { data, diff });
        let seen = drive(|counters| Forever::new(true, counters), &ticks, fuel);
        let mut model = Contents::new();
        for ((rows, ..), (contents, aside, _)) in ticks.iter().zip(seen) {
            rows.iter().for_each(|row| add(&mut model, row.data.data, row.data.diff));
            prop_assert_eq!(&contents, &model);
            prop_assert!(aside.is_empty());
        }
    }

    #[test]
    fn rows_for_a_span(ticks in ticks(), fuel in 1usize..5, span in 0i64..50, width in 1i64..20) {
        let rows = mapped(&ticks, |(data, _, diff)| {
            Change { data: Row::new(data, &mut Vec::new()), diff }
        });
        let by = Tumbling::every(Duration::from_micros(width as u64));
        let fresh = |counters| Buckets::new(by, Span::from_micros(span), counters);
        let mut held: BTreeMap<(i64, u8), i64> = BTreeMap::new();
        let mut before = i64::MIN;
        let seen = drive(fresh, &rows, fuel);
        for ((rows, frontier, _), (contents, aside, holds)) in ticks.iter().zip(seen) {
            let (mut late, mut expired) = (Contents::new(), Contents::new());
            for Timed { time, data: (data, _, diff), .. } in rows {
                let end = (time.micros().div_euclid(width) + 1) * width;
                match before >= end + span {
                    true => add(&mut late, *data, *diff),
                    false => add(&mut held, (end, *data), *diff),
                }
            }
            before = frontier.micros();
            held.retain(|&(end, data), count| {
                let over = before >= end + span;
                if over {
                    add(&mut expired, data, -*count);
                }
                !over
            });
            prop_assert_eq!(holds, held.len() as u64);
            let mut model = Contents::new();
            held.iter().for_each(|(&(_, data), &count)| add(&mut model, data, count));
            prop_assert_eq!(&contents, &model);
            let (mut late_seen, mut expired_seen) = (Contents::new(), Contents::new());
            for row in aside {
                match row {
                    SetAside::Late(row) => add(&mut late_seen, row.data, row.diff),
                    SetAside::Expired(row) => add(&mut expired_seen, row.data, row.diff),
                }
            }
            prop_assert_eq!(late_seen, late);
            prop_assert_eq!(expired_seen, expired);
        }
    }

    #[test]
    fn newest_values(ticks in ticks(), fuel in 1usize..5) {
        let value = |b: u8| b.checked_sub(1);
        let rows = mapped(&ticks, |(key, b, _)| (key, value(b)));
        let seen = drive(Newest::new, &rows, fuel);
        let mut said: Vec<(u8, i64, Option<u8>)> = Vec::new();
        for ((rows, ..), (contents, _, holds)) in ticks.iter().zip(seen) {
            said.extend(rows.iter().map(|row| (row.data.0, row.time.micros(), value(row.data.1))));
            said.sort();
            let last = said.chunk_by(|a, b| a.0 == b.0).map(|of_key| of_key[of_key.len() - 1]);
            let model: Contents<(u8, u8)> =
                last.filter_map(|(key, _, value)| Some(((key, value?), 1))).collect();
            prop_assert_eq!(&contents, &model);
            prop_assert_eq!(holds, said.chunk_by(|a, b| a.0 == b.0).count() as u64);
        }
    }
}

/// Where no cuts are kept the view alone holds its rows.
#[test]
fn nothing_is_held_for_cuts_that_are_not_kept() {
    for (keeps, held) in [(false, 0), (true, 2)] {
        let counters = counters();
        let mut logic = Forever::new(keeps, counters.clone());
        let rows = [1, 2, 2].map(|data| Timed::on_time(EventTime::default(), Change::add(data)));
        let mut out = Emit::default();
        logic.apply(EventTime::MIN, &mut rows.to_vec(), &mut out);
        assert_eq!((counters.held.get(), out.rows.len()), (held, 3));
    }
}

/// Rows of the bucket that has no end are taken back when the input has ended, and then nothing is
/// kept of them.
#[test]
fn the_last_bucket_of_all() {
    let by = Tumbling::every(Duration::from_micros(10));
    let mut logic = Buckets::<u8>::new(by, Span::ZERO, counters());
    let mut saver = Saver::new("view", logic.shape(), 0, 1);
    let (mut snapshot, mut out) = (Snapshot::default(), Emit::default());
    let row = Change::add(Row::new(7u8, &mut Vec::new()));
    let mut before = EventTime::MIN;
    logic.apply(before, &mut vec![Timed::on_time(EventTime::MAX, row)], &mut out);
    for (frontier, left) in [(5, 1), (i64::MAX - 1, 1), (i64::MAX, 0)] {
        let frontier = EventTime::from_micros(frontier);
        close(&mut logic, (before, frontier), 1, &mut out);
        while !logic.save(&mut Fuel::new(1), &mut saver) {}
        snapshot.apply(&saver.take(true)).unwrap();
        let mut entries = 0;
        if let Some(saved) = snapshot.operator("view") {
            let count = |_: &Entry<'_>| {
                entries += 1;
                Ok(())
            };
            saved.each(count).unwrap();
        }
        assert_eq!(entries, left, "as of {frontier}");
        assert_eq!(out.side.len(), 1 - left);
        before = frontier;
    }
}

/// What was saved for one span or width of buckets is not taken for that of another one.
#[test]
fn what_was_saved_says_of_which_view_it_is() {
    let shape = |width, span| {
        let by = Tumbling::every(Duration::from_micros(width));
        Buckets::<u8>::new(by, Span::from_micros(span), counters()).shape()
    };
    assert_eq!(shape(10, 20), shape(10, 20));
    assert_ne!(shape(10, 20), shape(11, 20));
    assert_ne!(shape(10, 20), shape(10, 21));
    assert_ne!(shape(10, 20), Forever::<u8>::new(true, counters()).shape());
}

/// How many entries two cuts write: after a hundred rows, and after the last of them has come again.
fn written<D: Clone, L: TickLogic<D>>(mut logic: L, row: impl Fn(u8) -> D) -> [u64; 2] {
    let now = (EventTime::MIN, EventTime::MIN);
    [0..100, 99..100].map(|numbers| {
        let time = EventTime::from_micros(i64::from(numbers.start));
        let rows = numbers.map(|n| Timed::on_time(time, row(n)));
        logic.apply(now.0, &mut rows.collect(), &mut Emit::default());
        close(&mut logic, now, 1_000, &mut Emit::default());
        let mut saver = Saver::new("view", logic.shape(), 0, 1);
        while !logic.save(&mut Fuel::new(7), &mut saver) {}
        saver.written().0
    })
}

#[test]
fn a_cut_writes_what_was_touched() {
    let row = |data| Change::add(Row::new(data, &mut Vec::new()));
    let by = Tumbling::every(Duration::from_secs(1));
    assert_eq!(written(Forever::new(true, counters()), Change::add), [100, 1]);
    assert_eq!(written(Buckets::new(by, Span::ZERO, counters()), row), [100, 1]);
    assert_eq!(written(Newest::new(counters()), |key| (key, Some(key))), [100, 1]);
}

/// A span has sixteen buckets unless their width is chosen, and is at least as long as rows upstream
/// may be corrected.
#[test]
fn how_long_rows_are_held() {
    use super::Retain;

    let micros = Duration::from_micros;
    let of = |retain: Retain| retain.span;
    let buckets = |span, width| Some((Span::from_micros(span), Tumbling::every(micros(width))));
    assert_eq!(of(Retain::forever()), None);
    assert_eq!(of(Retain::for_span(micros(320))), buckets(320, 20));
    assert_eq!(of(Retain::for_span(micros(15))), buckets(15, 1));
    assert_eq!(of(Retain::for_span(micros(320)).in_buckets_of(micros(7))), buckets(320, 7));
    assert_eq!(
        of(Retain::for_span(micros(320)).at_least(Span::from_micros(321))),
        buckets(321, 20)
    );
    assert_eq!(
        of(Retain::for_span(micros(320)).at_least(Span::from_micros(319))),
        buckets(320, 20)
    );
}

#[test]
#[should_panic(expected = "retain: buckets must be at least 1 us wide")]
fn buckets_have_a_width() {
    let _ = super::Retain::for_span(Duration::from_secs(1)).in_buckets_of(Duration::ZERO);
}

#[test]
#[should_panic(expected = "retain: rows that are held for ever are not in buckets")]
fn what_is_held_for_ever_has_no_buckets() {
    let _ = super::Retain::forever().in_buckets_of(Duration::from_secs(1));
}
