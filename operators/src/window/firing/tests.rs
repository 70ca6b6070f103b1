//! The operator against a model that decides every tick from the whole history of a key's window.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::aggregate::Sum;
use crate::change::Change;
use crate::observe::Counters;
use crate::state::{Saver, Snapshot, State};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::Timed;
use crate::time::{EventTime, Span};
use crate::window::{Pane, Timing, Tumbling, Window};

fn at(micros: i64) -> EventTime {
    EventTime::from_micros(micros)
}

/// A trigger as the model knows it.
#[derive(Clone, Debug)]
enum Plan {
    OnTime,
    Every(i64),
    EveryEventTime(i64),
    Count(u64),
    Any(Vec<Plan>),
    All(Vec<Plan>),
    AfterEach(Vec<Plan>),
}

impl Plan {
    fn trigger(&self) -> Trigger {
        let all = |plans: &Vec<Plan>| plans.iter().map(Plan::trigger).collect::<Vec<_>>();
        let micros = |micros: &i64| Duration::from_micros(*micros as u64);
        match self {
            Plan::OnTime => Trigger::on_time(),
            Plan::Every(period) => Trigger::every(micros(period)),
            Plan::EveryEventTime(period) => Trigger::every_event_time(micros(period)),
            Plan::Count(rows) => Trigger::count(*rows),
            Plan::Any(plans) => Trigger::any(all(plans)),
            Plan::All(plans) => Trigger::all(all(plans)),
            Plan::AfterEach(plans) => Trigger::after_each(all(plans)),
        }
    }
}

fn plans() -> impl Strategy<Value = Plan> {
    let leaf = prop_oneof![
        Just(Plan::OnTime),
        (1i64..40).prop_map(Plan::Every),
        (1i64..12).prop_map(Plan::EveryEventTime),
        (1u64..6).prop_map(Plan::Count),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let some = || prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            some().prop_map(Plan::Any),
            some().prop_map(Plan::All),
            some().prop_map(Plan::AfterEach),
        ]
    })
}

/// What has happened to a key's window at the ticks so far.
struct History {
    window: Window,
    fire_empty: bool,
    /// The values that came in each tick, and what was known of time at its end.
    ticks: Vec<(Vec<i64>, Now)>,
    /// The ticks with results.
    fired: Vec<usize>,
}

impl History {
    /// The last tick with a result before another.
    fn last(&self, tick: usize) -> Option<usize> {
        self.fired.iter().copied().filter(|&fired| fired < tick).max()
    }

    fn rows(&self, tick: usize) -> u64 {
        let first = self.last(tick).map_or(0, |last| last + 1);
        self.ticks[first..=tick].iter().map(|(rows, _)| rows.len() as u64).sum()
    }

    /// Since when the next result has been in the making, as of a tick: wall and frontier.
    fn since(&self, tick: usize) -> (i64, i64) {
        if let (Some(last), true) = (self.last(tick), self.fire_empty) {
            let now = self.ticks[last].1;
            return (now.wall.micros(), now.frontier.micros());
        }
        let from = self.last(tick).map_or(0, |last| last + 1);
        let first = (from..=tick).find(|&tick| !self.ticks[tick].0.is_empty()).unwrap_or(tick);
        let now = self.ticks[first].1;
        (now.wall.micros(), now.before.micros())
    }

    /// Whether a trigger that is in force from a tick on is due at another, given the results in
    /// between.
    fn is_due(&self, plan: &Plan, from: usize, tick: usize) -> bool {
        let (wall, frontier) = self.since(tick);
        let now = self.ticks[tick].1;
        match plan {
            Plan::OnTime => false,
            Plan::Every(period) => now.wall.micros() - wall >= *period,
            Plan::EveryEventTime(period) => {
                let mut multiple = self.window.start.micros() + period;
                while multiple <= frontier {
                    multiple += period;
                }
                multiple <= now.frontier.micros()
            }
            Plan::Count(rows) => self.rows(tick) >= *rows,
            Plan::Any(plans) => plans.iter().any(|plan| self.is_due(plan, from, tick)),
            Plan::All(plans) => plans.iter().all(|plan| self.is_due(plan, from, tick)),
            Plan::AfterEach(plans) => {
                let (mut place, mut from) = (0, from);
                for fired in (from..tick).filter(|tick| self.fired.contains(tick)) {
                    if place + 1 < plans.len() && self.is_due(&plans[place], from, fired) {
                        (place, from) = (place + 1, fired + 1);
                    }
                }
                self.is_due(&plans[place], from, tick)
            }
        }
    }
}

/// Windows of ten, their second halves, which have the same ends, and windows of 20 every ten.
#[derive(Clone, Copy, Debug)]
struct Several;

impl Assigner for Several {
    fn assign(&self, time: EventTime, f: &mut impl FnMut(Window)) {
        let micros = time.micros();
        let start = micros.div_euclid(10) * 10;
        let mut window = |start, end| f(Window { start: at(start), end: at(end) });
        window(start, start + 10);
        if micros >= start + 5 {
            window(start + 5, start + 10);
        }
        window(start - 10, start + 10);
        window(start, start + 20);
    }
}

/// A tick: rows (time, key, value), and how far the frontier and the wall clock go on in it.
type Script = Vec<(Vec<(i64, u8, i64)>, i64, i64)>;

fn scripts() -> impl Strategy<Value = Script> {
    let row = (0i64..60, 0u8..2, -9i64..9);
    let rows = prop::collection::vec(row, 0..4);
    prop::collection::vec((rows, 0i64..8, 0i64..15), 1..16)
}

type Row = (i64, u8, i64);
type Value = (u64, i128);
type Result = WindowResult<u8, Value>;

struct Setting {
    plan: Plan,
    fire_empty: bool,
    lateness: i64,
}

/// What the model sends in each tick, in the two modes.
fn model<W: Assigner>(
    by: &W,
    set: &Setting,
    script: &[(Vec<Timed<Row>>, Now)],
) -> Vec<[Vec<Change<Result>>; 2]> {
    let mut histories: BTreeMap<(Window, u8), History> = BTreeMap::new();
    let mut sent = BTreeMap::new();
    let mut all = Vec::new();
    for (tick, (rows, now)) in script.iter().enumerate() {
        let mut out = [Vec::new(), Vec::new()];
        for row in rows {
            let seen =
                if row.behind.is_zero() { EventTime::MIN } else { row.time.plus(row.behind) };
            by.assign(row.time, &mut |window| {
                let end = window.end.micros().saturating_add(set.lateness);
                if seen.max(now.before).micros() < end {
                    let history = histories.entry((window, row.data.1)).or_insert_with(|| {
                        let fire_empty = set.fire_empty;
                        History { window, fire_empty, ticks: Vec::new(), fired: Vec::new() }
                    });
                    let of_before = script[..tick].iter().map(|(_, now)| (Vec::new(), *now));
                    history.ticks.extend(of_before.skip(history.ticks.len()));
                    if history.ticks.len() == tick {
                        history.ticks.push((Vec::new(), *now));
                    }
                    history.ticks[tick].0.push(row.data.2);
                }
            });
        }
        for (&(window, key), history) in &mut histories {
            let of_all = script[..=tick].iter().map(|(_, now)| (Vec::new(), *now));
            history.ticks.extend(of_all.skip(history.ticks.len()));
            let end = window.end;
            let closes = end.micros().saturating_add(set.lateness);
            if now.before.micros() >= closes {
                continue;
            }
            let last = now.frontier.micros() >= closes;
            let (timing, fires) = if now.frontier < end {
                (Timing::Early, history.is_due(&set.plan, 0, tick))
            } else if now.before < end {
                (Timing::OnTime, true)
            } else {
                (Timing::Late, last || !history.ticks[tick].0.is_empty())
            };
            if !fires || (history.rows(tick) == 0 && !set.fire_empty) {
                continue;
            }
            let sum = |ticks: &[(Vec<i64>, Now)]| {
                let values = ticks.iter().flat_map(|(values, _)| values);
                (values.clone().count() as u64, values.map(|&value| i128::from(value)).sum())
            };
            let pane = Pane { index: history.fired.len() as u32, timing, last };
            let first = history.last(tick).map_or(0, |last| last + 1);
            let since_last = sum(&history.ticks[first..=tick]);
            let whole = WindowResult { key, window, value: sum(&history.ticks[..=tick]), pane };
            out[1].push(Change::add(WindowResult { value: since_last, ..whole }));
            out[0].extend(sent.insert((window, key), whole).map(Change::remove));
            out[0].push(Change::add(whole));
            history.fired.push(tick);
        }
        all.push(out);
    }
    all
}

fn timed(script: &Script) -> Vec<(Vec<Timed<Row>>, Now)> {
    let (mut before, mut wall) = (EventTime::MIN, 0);
    let step = |(rows, further, later): &(Vec<Row>, i64, i64)| {
        let on = if before == EventTime::MIN { at(-5) } else { before };
        // Frontiers are unknown in the first ticks of some scripts.
        let frontier = if *further == 0 { before } else { on.plus(Span::from_micros(*further)) };
        wall += later;
        let now = Now { before, frontier, wall: at(wall) };
        let rows = rows.iter().map(|&row| {
            let time = at(row.0);
            Timed { time, behind: time.behind(before.max(at(-99))), data: row }
        });
        let rows = rows.collect();
        before = frontier;
        (rows, now)
    };
    script.iter().map(step).collect()
}

fn make<W: Assigner, M>(
    by: &W,
    set: &Setting,
) -> Firings<u8, Row, W, fn(&Row) -> u8, (crate::aggregate::Count, Sum<fn(&Row) -> i64>), Trigger, M>
where
    M: Accumulation<u8, Value>,
{
    let rule = Rule { trigger: set.plan.trigger(), fire_empty: set.fire_empty };
    let lateness = Span::from_micros(set.lateness);
    let key: fn(&Row) -> u8 = |row| row.1;
    let value: fn(&Row) -> i64 = |row| row.2;
    let aggregate = (crate::aggregate::Count, Sum::of(value));
    Firings::new((by.clone(), lateness), key, aggregate, rule, Arc::new(Counters::default()))
}

/// What the operator sends in each tick. It is saved and restored after some of them, and never gets
/// more than a few rows done at once.
fn operator<W: Assigner, M: Accumulation<u8, Value>>(
    by: &W,
    set: &Setting,
    script: &[(Vec<Timed<Row>>, Now)],
    cuts: &[(bool, usize)],
    change: impl Fn(M::Out) -> Change<Result>,
) -> Vec<Vec<Change<Result>>> {
    let mut firings = make::<W, M>(by, set);
    let mut snapshot = Snapshot::default();
    let mut all = Vec::new();
    for ((rows, now), &(cut, most)) in script.iter().zip(cuts.iter().cycle()) {
        let mut out = Emit::default();
        firings.apply(now.before, &mut rows.clone(), &mut out);
        while !firings.close(*now, &mut Fuel::new(most), &mut out) {}
        for row in &out.rows {
            let late = row.time < now.before;
            assert_eq!(row.behind.is_zero(), !late, "it is behind by what the frontier has passed");
        }
        all.push(out.rows.into_iter().map(|row| change(row.data)).collect());
        if cut {
            let mut saver = Saver::new("firings", firings.shape(), 0, 1);
            while !firings.save(&mut Fuel::new(most), &mut saver) {}
            snapshot.apply(&saver.take(true)).unwrap();
            firings = make::<W, M>(by, set);
            if let Some(saved) = snapshot.operator("firings") {
                saved.each(|entry| firings.load(entry)).unwrap();
            }
        }
    }
    all
}

fn sorted<R: Ord>(mut rows: Vec<R>) -> Vec<R> {
    rows.sort();
    rows
}

fn check<W: Assigner>(by: &W, set: &Setting, script: &Script, cuts: &[(bool, usize)]) {
    let script = timed(script);
    let wanted = model(by, set, &script);
    let retracting = operator::<W, Retracting>(by, set, &script, cuts, |change| change);
    let discarding = operator::<W, Discarding>(by, set, &script, cuts, Change::add);
    for (tick, (wanted, got)) in
        wanted.into_iter().zip(retracting.into_iter().zip(discarding)).enumerate()
    {
        let [changes, panes] = wanted;
        assert_eq!(sorted(got.0), sorted(changes), "retracting, tick {tick}");
        assert_eq!(sorted(got.1), sorted(panes), "discarding, tick {tick}");
    }
}

proptest! {
    #![proptest_config(crate::testing::cases(2_000))]

    #[test]
    fn agrees_with_the_model(
        plan in plans(),
        fire_empty in any::<bool>(),
        lateness in prop_oneof![Just(0i64), 1i64..25],
        script in scripts(),
        cuts in prop::collection::vec((prop::bool::weighted(0.3), 1usize..6), 1..8),
        several in any::<bool>(),
    ) {
        let set = Setting { plan, fire_empty, lateness };
        match several {
            true => check(&Several, &set, &script, &cuts),
            false => check(&Tumbling::every(Duration::from_micros(12)), &set, &script, &cuts),
        }
    }
}

proptest! {
    #![proptest_config(crate::testing::cases(2_000))]

    /// Windows that merge are due when one with the rows of both is: counts add up, and the earlier
    /// wait goes on.
    #[test]
    fn merged_states_are_those_of_all_rows(
        plan in plans(),
        ticks in prop::collection::vec((0u64..4, 0u64..4, 0i64..15, 0i64..8), 1..6),
    ) {
        let rule = Rule { trigger: plan.trigger(), fire_empty: false };
        let window = Window { start: at(0), end: at(100) };
        let [mut left, mut right, mut whole] = [(); 3].map(|()| TriggerState::default());
        let (mut before, mut wall) = (0, 0);
        for (in_left, in_right, later, further) in ticks {
            wall += later;
            let now = Now { before: at(before), frontier: at(before + further), wall: at(wall) };
            before += further;
            let both = in_left + in_right;
            for (state, rows) in [(&mut left, in_left), (&mut right, in_right), (&mut whole, both)] {
                (0..rows).for_each(|_| state.add());
                if rows > 0 {
                    state.came(&rule, rows, window, now);
                }
            }
            let (mut merged, mut other) = (left.clone(), right.clone());
            merged.merge(&rule, &right);
            other.merge(&rule, &left);
            prop_assert_eq!(&merged, &other);
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(merged.is_due(&rule, window, now), whole.is_due(&rule, window, now));
        }
    }
}

#[test]
fn the_sequence_that_is_further_along_counts() {
    let one = Trigger::count(1);
    let trigger =
        Trigger::after_each([one.clone(), Trigger::after_each([one.clone(), one.clone()]), one]);
    let pane = PaneSoFar {
        window: Window { start: at(0), end: at(100) },
        rows: 1,
        since: Since { wall: at(0), frontier: at(0) },
        now: Now { before: at(0), frontier: at(0), wall: at(0) },
    };
    let after = |results: usize| {
        let mut places = Places::default();
        (0..results).for_each(|_| trigger.fired(&mut places, &pane));
        places
    };
    for (a, b) in [(0, 1), (1, 0), (1, 3), (2, 1), (2, 2)] {
        let mut merged = after(a);
        trigger.merge(&mut merged, &after(b));
        assert_eq!(merged, after(a.max(b)), "{a} and {b} results");
    }
}

/// The last windows of all are saved, restored, fired and dropped like others.
#[test]
fn windows_at_the_end_of_time() {
    let by = Tumbling::every(Duration::from_micros(7));
    let set = Setting { plan: Plan::Count(2), fire_empty: false, lateness: 3 };
    let max = i64::MAX;
    let tick = |times: &[i64], before, frontier| {
        let rows = times.iter().map(|&time| Timed::on_time(at(time), (time, 0, 1))).collect();
        (rows, Now { before: at(before), frontier: at(frontier), wall: at(0) })
    };
    let script = [
        tick(&[max - 1, max - 8, max - 16, max], 0, 1),
        tick(&[max - 1, max - 9], 1, max - 6),
        tick(&[max - 2], max - 6, max - 2),
        tick(&[max - 1], max - 2, max),
    ];
    let wanted = model(&by, &set, &script);
    let fired: usize = wanted.iter().map(|[_, panes]| panes.len()).sum();
    assert!(fired >= 4);
    for cut in [false, true] {
        let got = operator::<_, Discarding>(&by, &set, &script, &[(cut, 3)], Change::add);
        for (got, [_, wanted]) in got.into_iter().zip(&wanted) {
            assert_eq!(sorted(got), sorted(wanted.clone()));
        }
    }
}
