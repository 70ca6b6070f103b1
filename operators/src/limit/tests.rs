//! Limits without a dataflow, against a list of what is open; and the states behind a limit, which
//! hold just what it says is open.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::opens::{BySession, ByWindow, Opens};
use super::state::Limit;
use crate::aggregate::Count;
use crate::observe::Counters;
use crate::session::{FinalOnly, Session, Sessions};
use crate::state::{Saver, Snapshot, State};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::{EventTime, Span, Timed};
use crate::window::{
    Assigner, Cumulative, Custom, Global, ManyWindows, Sliding, Tumbling, Windows,
};

/// A row: its key and a number.
type Row = (u8, u64);
type KeyOf = fn(&Row) -> u8;
const KEY: KeyOf = |row| row.0;

/// Rows of a tick, and the frontier at its end.
type Ticks = Vec<(Vec<Timed<Row>>, EventTime)>;

/// What was taken in a tick, and what was over.
type Given = (Vec<Timed<Row>>, Vec<Timed<Row>>);

/// The start of the oldest that is open after a tick.
type Oldest = Option<EventTime>;

fn micros(n: u64) -> Duration {
    Duration::from_micros(n)
}

fn ticks() -> impl Strategy<Value = Ticks> {
    let row = (-60i64..160, prop_oneof![3 => Just(0i64), 1 => 0i64..80], 0u8..3, 0u64..4);
    let tick = (prop::collection::vec(row, 0..12), 0i64..30);
    prop::collection::vec(tick, 1..12).prop_map(|ticks| {
        let mut frontier = -50;
        let mut ticks: Ticks = ticks
            .into_iter()
            .map(|(rows, more)| {
                frontier += more;
                let row = |(time, behind, key, number)| Timed {
                    time: EventTime::from_micros(time),
                    behind: Span::from_micros(behind),
                    data: (key, number),
                };
                (rows.into_iter().map(row).collect(), EventTime::from_micros(frontier))
            })
            .collect();
        ticks.push((vec![], EventTime::MAX));
        ticks
    })
}

/// What rows open, in the plainest way: what one is for, and what all that was taken comes to.
struct Plain {
    each: Box<dyn Fn(i64) -> Vec<(i64, i64)>>,
    /// Whether a row is late for `(start, last)` at a frontier.
    late: Box<dyn Fn(i64, (i64, i64), i64) -> bool>,
    merges: bool,
    lateness: i64,
}

impl Plain {
    fn windows<W: Assigner>(by: &W, lateness: i64) -> Self {
        let by = by.clone();
        let each = move |time| {
            let mut windows = Vec::new();
            by.assign(EventTime::from_micros(time), &mut |window| {
                windows.push((window.start.micros(), window.last().micros()));
            });
            windows
        };
        let late = move |_, (_, last): (i64, i64), seen: i64| {
            seen > last.saturating_add(lateness) && seen != i64::MIN
        };
        Plain { each: Box::new(each), late: Box::new(late), merges: false, lateness }
    }

    fn sessions(gap: i64, lateness: i64) -> Self {
        let late = move |time: i64, _, seen: i64| seen.saturating_sub(time) > lateness;
        let each = move |time| vec![(time, time + gap - 1)];
        Plain { each: Box::new(each), late: Box::new(late), merges: true, lateness }
    }

    /// All that is open where some more is opened.
    fn with(&self, open: &[(i64, i64)], more: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let mut all: Vec<_> = open.iter().chain(more).copied().collect();
        all.sort();
        all.dedup();
        if self.merges {
            let mut merged: Vec<(i64, i64)> = Vec::new();
            for (start, last) in all {
                match merged.last_mut().filter(|before| start <= before.1) {
                    Some(before) => before.1 = before.1.max(last),
                    None => merged.push((start, last)),
                }
            }
            return merged;
        }
        all
    }

    fn run(&self, ticks: &Ticks, most: usize) -> (Vec<Given>, Vec<Oldest>) {
        let (mut open, mut before) = (BTreeMap::<u8, Vec<(i64, i64)>>::new(), i64::MIN);
        let (mut given, mut oldest) = (Vec::new(), Vec::new());
        for (rows, frontier) in ticks {
            let (mut taken, mut over) = (Vec::new(), Vec::new());
            let mut rows = rows.clone();
            rows.sort_by_key(|row| (row.time, row.data, row.behind));
            for row in rows {
                let (time, behind) = (row.time.micros(), row.behind.micros());
                let seen = before.max(if behind > 0 { time + behind } else { i64::MIN });
                let mut wanted = (self.each)(time);
                wanted.retain(|&stretch| !(self.late)(time, stretch, seen));
                let open = open.entry(row.data.0).or_default();
                let with = self.with(open, &wanted);
                if with.len() <= most || with.len() <= open.len() {
                    *open = with;
                    taken.push(row);
                } else {
                    over.push(row);
                }
            }
            before = frontier.micros();
            let gone =
                |last: i64| before > last.saturating_add(self.lateness) || before == i64::MAX;
            open.values_mut().for_each(|open| open.retain(|&(_, last)| !gone(last)));
            given.push((taken, over));
            let starts = open.values().flatten().map(|&(start, _)| start);
            oldest.push(starts.min().map(EventTime::from_micros));
        }
        (given, oldest)
    }
}

/// An operator, tick by tick.
struct Driven<L> {
    logic: L,
    counters: Arc<Counters>,
    before: EventTime,
}

impl<L: TickLogic<Row, Side = Row>> Driven<L> {
    fn new(make: &impl Fn(Arc<Counters>) -> L) -> Self {
        let counters = Arc::new(Counters::default());
        Driven { logic: make(counters.clone()), counters, before: EventTime::MIN }
    }

    fn tick(&mut self, rows: &[Timed<Row>], frontier: EventTime, fuel: usize) -> Emit<L::Out, Row> {
        let (mut out, mut rows) = (Emit::default(), rows.to_vec());
        self.counters.input.add(rows.len() as u64);
        self.logic.apply(self.before, &mut rows, &mut out);
        let now = Now { before: self.before, frontier, wall: EventTime::MIN };
        while !self.logic.close(now, &mut Fuel::new(fuel), &mut out) {}
        self.before = frontier;
        assert!(self.counters.counts().balanced());
        out
    }

    fn held(&self) -> u64 {
        self.counters.held.get()
    }
}

/// What each tick of a limit gives, if at most so much is done at a time; and saved and loaded after
/// each.
fn drive<O>(
    make: &impl Fn(Arc<Counters>) -> Limit<u8, Row, KeyOf, O>,
    ticks: &Ticks,
    fuel: usize,
    cut: bool,
) -> Vec<Given>
where
    O: Opens<Row> + Debug,
{
    let (mut driven, mut snapshot, mut given) = (Driven::new(make), Snapshot::default(), vec![]);
    for (rows, frontier) in ticks {
        let out = driven.tick(rows, *frontier, fuel);
        given.push((out.rows, out.side));
        if cut {
            let mut saver = Saver::new("limit", driven.logic.shape(), 0, 1);
            while !driven.logic.save(&mut Fuel::new(fuel), &mut saver) {}
            snapshot.apply(&saver.take(true)).unwrap();
            let held = driven.held();
            driven.counters.held.set(0);
            driven.logic = make(driven.counters.clone());
            if let Some(state) = snapshot.operator("limit") {
                state.each(|entry| driven.logic.load(entry)).unwrap();
            }
            assert_eq!(driven.held(), held, "what is open is what was saved");
        }
    }
    assert_eq!(driven.held(), 0, "all is over in the end");
    given
}

/// A limit against the plain one, however it is driven; and an operator behind it, which holds what
/// the limit says.
fn check<O, L>(
    plain: &Plain,
    make: impl Fn(Arc<Counters>) -> Limit<u8, Row, KeyOf, O>,
    behind: impl Fn(Arc<Counters>) -> L,
    (ticks, most, fuel): (&Ticks, usize, usize),
) where
    O: Opens<Row> + Debug,
    L: TickLogic<Row, Side = Row>,
{
    let (wanted, oldest) = plain.run(ticks, most);
    assert_eq!(drive(&make, ticks, 1 << 20, false), wanted);
    assert_eq!(drive(&make, ticks, fuel, false), wanted, "with little fuel");
    assert_eq!(drive(&make, ticks, fuel, true), wanted, "saved after every tick");
    let (mut limit, mut behind) = (Driven::new(&make), Driven::new(&behind));
    for ((rows, frontier), oldest) in ticks.iter().zip(oldest) {
        let taken = limit.tick(rows, *frontier, 1 << 20).rows;
        behind.tick(&taken, *frontier, 1 << 20);
        assert_eq!(behind.held(), limit.held(), "the operator holds what the limit says is open");
        assert_eq!(behind.counters.oldest.get(), oldest);
        assert!(behind.held() <= 3 * most as u64, "{} of three keys", behind.held());
    }
}

proptest! {
    #![proptest_config(crate::testing::cases(600))]

    #[test]
    fn limits_of_windows_agree_with_lists(
        ticks in ticks(),
        most in 1usize..6,
        fuel in 1usize..9,
        (size, slide) in (1u64..40, 1u64..20),
        late in 0i64..40,
    ) {
        let lateness = Span::from_micros(late);
        macro_rules! agrees {
            ($by:expr, $state:expr) => {
                let by = $by;
                let limit =
                    |counters| Limit::new(ByWindow(by.clone()), most, lateness, KEY, counters);
                check(&Plain::windows(&by, late), limit, $state, (&ticks, most, fuel));
            };
        }
        let tumbling = Tumbling::every(micros(size));
        agrees!(tumbling, |counters| Windows::new(tumbling, lateness, KEY, Count, counters));
        agrees!(Global, |counters| Windows::new(Global, lateness, KEY, Count, counters));
        let sliding = Custom::by(Sliding::of(micros(size), micros(slide)).allow_gaps());
        agrees!(sliding, |counters| ManyWindows::new(sliding, lateness, KEY, Count, counters));
        let steps = Custom::by(Cumulative::of(micros(slide * 4), micros(slide)));
        agrees!(steps, |counters| ManyWindows::new(steps, lateness, KEY, Count, counters));
    }

    #[test]
    fn limits_of_sessions_agree_with_lists(
        ticks in ticks(),
        most in 1usize..6,
        fuel in 1usize..9,
        gap in 1u64..30,
        late in 0i64..40,
    ) {
        let (lateness, session) = (Span::from_micros(late), Session::gap(micros(gap)));
        let limit = |counters| Limit::new(BySession(session), most, lateness, KEY, counters);
        let behind = |counters| {
            Sessions::<_, _, _, _, _, FinalOnly>::new(session, lateness, KEY, Count, counters)
        };
        check(&Plain::sessions(gap as i64, late), limit, behind, (&ticks, most, fuel));
    }
}

/// What is open beyond a limit that was lowered stays open and takes rows; nothing new opens.
#[test]
fn a_limit_may_be_lowered_over_a_restart() {
    let by = Tumbling::every(micros(10));
    let limit = |most| move |counters| Limit::new(ByWindow(by), most, Span::ZERO, KEY, counters);
    let row = |time| Timed::on_time(EventTime::from_micros(time), (0u8, 0u64));
    let mut before = Driven::new(&limit(3));
    let out = before.tick(&[5, 15, 25].map(row), EventTime::from_micros(0), 100);
    assert_eq!(out.rows.len(), 3);
    let (mut saver, mut snapshot) =
        (Saver::new("limit", before.logic.shape(), 0, 1), Snapshot::default());
    assert!(before.logic.save(&mut Fuel::new(100), &mut saver));
    snapshot.apply(&saver.take(true)).unwrap();
    let mut after = Driven::new(&limit(1));
    assert_eq!(after.logic.shape(), before.logic.shape());
    snapshot.operator("limit").unwrap().each(|entry| after.logic.load(entry)).unwrap();
    after.before = before.before;
    let out = after.tick(&[6, 16, 26, 36].map(row), EventTime::from_micros(20), 100);
    assert_eq!((out.rows, out.side), (vec![row(6), row(16), row(26)], vec![row(36)]));
    let out = after.tick(&[27, 37].map(row), EventTime::from_micros(30), 100);
    assert_eq!((out.rows, out.side), (vec![row(27)], vec![row(37)]));
    let out = after.tick(&[38].map(row), EventTime::MAX, 100);
    assert_eq!((out.rows, out.side), (vec![row(38)], vec![]));
}

/// A row that holds two sessions together is taken at the limit: there is one less afterwards.
#[test]
fn a_bridge_between_sessions_makes_room() {
    let session = Session::gap(micros(10));
    let mut limit =
        Driven::new(&|counters| Limit::new(BySession(session), 2, Span::ZERO, KEY, counters));
    let row = |time| Timed::on_time(EventTime::from_micros(time), (0u8, 0u64));
    let mut takes = |time| {
        let out = limit.tick(&[row(time)], EventTime::from_micros(0), 100);
        out.side.is_empty()
    };
    assert!(takes(20) && takes(35), "there is room for two");
    assert!(!takes(50), "and not for three");
    assert!(takes(28), "which is near both");
    assert!(takes(55), "now they are one");
    assert!(!takes(5));
}

#[test]
fn the_ends_of_time_are_open_until_the_end() {
    let ends = [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX];
    let rows = ends.map(|time| Timed::on_time(EventTime::from_micros(time), (0u8, 0u64)));
    for most in [1, 4] {
        let mut limit = Driven::new(&|counters| {
            let session = Session::gap(micros(1));
            Limit::new(BySession(session), most, Span::ZERO, KEY, counters)
        });
        let out = limit.tick(&rows, EventTime::MIN, 100);
        assert_eq!((out.rows.len(), out.side.len()), (most, 4 - most));
        assert_eq!(limit.held(), most as u64);
        limit.tick(&[], EventTime::MAX, 100);
        assert_eq!(limit.held(), 0);
    }
}
