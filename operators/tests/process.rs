//! Processes against a plain simulation of one key after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::observe::Counters;
use tiderace_operators::order::Sort;
use tiderace_operators::prelude::*;
use tiderace_operators::process::{Alone, Context, Process, Processes, Timer, ZScore};
use tiderace_operators::state::{Saver, Snapshot, State};
use tiderace_operators::testing::{
    Feed, Out, Row, Workers, cuts, feeds, judged, run, run_cut, sorted,
};
use tiderace_operators::tick::{Emit, Fuel, Now, TickLogic};
use tiderace_operators::time::Span;

fn micros(n: i64) -> Duration {
    Duration::from_micros(n as u64)
}

/// Counts and hashes all that it sees, so that any other order gives other results.
struct Trace {
    lateness: i64,
}

type Traced = (u8, i64, u64);

fn mixed(hash: u64, with: i64) -> u64 {
    (hash ^ with as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)
}

impl Process<u8, Row> for Trace {
    type State = u64;
    type Out = Traced;

    fn row(
        &mut self,
        key: &u8,
        hash: &mut u64,
        row: &Timed<Row>,
        context: &mut Context<'_, Traced>,
    ) {
        *hash = mixed(*hash, i64::from(row.data.value) + 1000 * row.data.time);
        context.emit((*key, row.time.micros(), *hash));
        let at = |span: i32| Timer::Event(EventTime::from_micros(row.data.time + i64::from(span)));
        match row.data.value.rem_euclid(5) {
            0 => context.delete_timer(at(7)),
            1 => context.clear_state(),
            2 => context.set_timer(at(row.data.value)),
            _ => {
                context.set_timer(at(7));
                context.set_timer(at(7));
            }
        }
    }

    fn timer(&mut self, key: &u8, hash: &mut u64, timer: Timer, context: &mut Context<'_, Traced>) {
        let Timer::Event(at) = timer else { panic!("none of the other kind is set") };
        assert_eq!(at, context.time());
        *hash = mixed(*hash, at.micros());
        context.emit((*key, at.micros(), *hash));
        match *hash % 4 {
            0 => {}
            1 => context.clear_state(),
            2 => context.set_timer(Timer::Event(at.plus(Span::from_micros(9)))),
            _ => context.set_timer(Timer::Event(at.minus(Span::from_micros(3)))),
        }
    }

    fn lateness(&self) -> Duration {
        micros(self.lateness)
    }
}

/// A key, all its rows and timers in plain lists.
#[derive(Default)]
struct Key {
    hash: u64,
    timers: BTreeSet<i64>,
}

impl Key {
    /// Rows of a tick in any order, and the timers up to `complete`.
    fn tick(&mut self, key: u8, mut rows: Vec<Row>, complete: i64, out: &mut Vec<Traced>) {
        rows.sort_by_key(|row| (row.time, postcard::to_allocvec(row).unwrap()));
        let mut rows = std::collections::VecDeque::from(rows);
        loop {
            let timer = self.timers.first().copied().filter(|&at| at <= complete);
            match (timer, rows.front().copied()) {
                (None, None) => return,
                (Some(at), row) if row.is_none_or(|row| at <= row.time) => {
                    self.timers.remove(&at);
                    self.hash = mixed(self.hash, at);
                    out.push((key, at, self.hash));
                    match self.hash % 4 {
                        0 => {}
                        1 => self.hash = 0,
                        2 => _ = self.timers.insert(at + 9),
                        _ => _ = self.timers.insert(at + 1),
                    }
                }
                (_, Some(row)) => {
                    rows.pop_front();
                    self.hash = mixed(self.hash, i64::from(row.value) + 1000 * row.time);
                    out.push((key, row.time, self.hash));
                    match row.value.rem_euclid(5) {
                        0 => _ = self.timers.remove(&(row.time + 7)),
                        1 => self.hash = 0,
                        2 => _ = self.timers.insert(row.time + i64::from(row.value).max(0)),
                        _ => _ = self.timers.insert(row.time + 7),
                    }
                }
                _ => unreachable!(),
            }
        }
    }
}

/// All rows at once, which is what any ticks give behind a sort.
fn model(feed: &Feed<Row>, lateness: i64) -> Vec<Traced> {
    let mut keys: BTreeMap<u8, Vec<Row>> = BTreeMap::new();
    for (row, frontier) in judged(feed) {
        if row.time >= frontier.saturating_sub(lateness) {
            keys.entry(row.key).or_default().push(row);
        }
    }
    let mut out = Vec::new();
    for (key, rows) in keys {
        Key::default().tick(key, rows, i64::MAX, &mut out);
    }
    out
}

fn traced(inputs: &[Events<'_, u64, Row>], out: &Out<Traced>, lateness: i64) {
    let by = Sort::by_time().late_by(micros(lateness));
    let rows = inputs[0].key_by(|row| row.key).sort("sorted", by).results();
    let traced = rows.key_by(|row| row.key).process("traced", Trace { lateness: 0 });
    out.gather(&traced, |row| {
        assert_eq!(row.time.micros(), row.data.1);
        row.data
    });
    out.raw(&traced.late(), |_| unreachable!("what is sorted is not late"));
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    /// Behind a sort a process is a function of the rows, whatever the ticks and workers.
    #[test]
    fn behind_a_sort_ticks_and_workers_change_nothing(feed in feeds(), lateness in 0i64..30) {
        let wanted = sorted(model(&feed, lateness));
        for workers in [1, 2, 5] {
            for feed in [&feed, &feed.ticks(true), &feed.ticks(false)] {
                let ran = run(feed, Workers::threads(workers), move |inputs, out: &Out<_>| {
                    traced(inputs, out, lateness);
                });
                prop_assert_eq!(sorted(ran.rows), wanted.clone());
                let counts = ran.observer.counts("traced");
                prop_assert!(counts.balanced() && counts.late == 0);
            }
        }
    }

    #[test]
    fn goes_on_after_a_cut(feed in feeds(), cuts in cuts(), last in 1usize..6, lateness in 0i64..30) {
        let ran = run_cut(&feed, &cuts, Workers::threads(last), move |inputs, out: &Out<_>| {
            traced(inputs, out, lateness);
        });
        prop_assert_eq!(sorted(ran.rows), sorted(model(&feed, lateness)));
    }

    /// Without a sort, what is late is still a function of the partitions, and nothing that comes
    /// out is behind (the kit looks at that).
    #[test]
    fn unsorted_rows_are_judged_alike(
        feed in feeds(), workers in 1usize..6, lateness in 0i64..30,
    ) {
        let ran = run(&feed, Workers::threads(workers), move |inputs, out: &Out<_>| {
            let traced = inputs[0].key_by(|row| row.key).process("traced", Trace { lateness });
            out.gather(&traced, |_| None);
            out.gather(&traced.late(), |row| Some(row.data));
        });
        let is_late = |(row, frontier): &(Row, i64)| row.time < frontier.saturating_sub(lateness);
        let late = judged(&feed).into_iter().filter(is_late).map(|(row, _)| row).collect();
        prop_assert_eq!(sorted(ran.rows.into_iter().flatten().collect()), sorted(late));
        prop_assert!(ran.observer.counts("traced").balanced());
    }
}

fn plain(lateness: i64) -> Processes<u8, Row, fn(&Row) -> u8, Trace> {
    let late_by = Span::from_micros(lateness);
    Processes::new(|row| row.key, Trace { lateness }, late_by, Arc::<Counters>::default())
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(2_000))]

    /// Tick by tick against the simulation, with little fuel, saved and built again in between.
    #[test]
    fn plain_ticks_agree_with_the_simulation(
        ticks in prop::collection::vec(
            (prop::collection::vec((-20i64..60, 0u8..3, -20i32..20), 0..8), 0i64..30, any::<bool>()),
            1..8,
        ),
        fuel in 1usize..9,
        lateness in 0i64..10,
    ) {
        let (mut state, mut keys) = (plain(lateness), BTreeMap::<u8, Key>::new());
        let mut snapshot = Snapshot::default();
        let (mut before, mut frontier) = (EventTime::MIN, -30);
        let n = ticks.len();
        for (at, (rows, step, cut)) in ticks.into_iter().enumerate() {
            frontier += step;
            let now = Now {
                before,
                frontier: if at + 1 == n { EventTime::MAX } else { EventTime::from_micros(frontier) },
                wall: EventTime::MIN,
            };
            let rows = rows.into_iter().map(|(time, key, value)| Row { source: 0, partition: 0, time, key, value });
            let rows: Vec<_> = rows.collect();
            let mut emit = Emit::default();
            let mut timed: Vec<_> = rows.iter().map(|row| Timed::on_time(EventTime::from_micros(row.time), *row)).collect();
            state.apply(before, &mut timed, &mut emit);
            while !state.close(now, &mut Fuel::new(fuel), &mut emit) {}
            let mut wanted = Vec::new();
            for key in 0..3 {
                let late_at = before.minus(Span::from_micros(lateness)).micros();
                let of_key = rows.iter().copied().filter(|row| row.key == key && row.time >= late_at);
                let complete = now.frontier.minus(Span::from_micros(lateness)).micros();
                keys.entry(key).or_default().tick(key, of_key.collect(), complete, &mut wanted);
            }
            let promised = before.minus(Span::from_micros(lateness));
            prop_assert!(emit.rows.iter().all(|row| row.time >= promised && row.behind.is_zero()));
            prop_assert_eq!(sorted(emit.rows.iter().map(|row| row.data).collect()), sorted(wanted));
            before = now.frontier;
            if cut {
                let mut out = Saver::new("traced", state.shape(), 0, 1);
                while !state.save(&mut Fuel::new(fuel), &mut out) {}
                snapshot.apply(&out.take(true)).unwrap();
                state = plain(lateness);
                if let Some(saved) = snapshot.operator("traced") {
                    saved.each(|entry| state.load(entry)).unwrap();
                }
            }
        }
    }
}

/// Sends, for each row, a row when processing time has come; each waits for an own time.
struct Later;

impl Process<u8, Row> for Later {
    type State = u32;
    type Out = (u8, u32);

    fn row(
        &mut self,
        key: &u8,
        seen: &mut u32,
        row: &Timed<Row>,
        context: &mut Context<'_, (u8, u32)>,
    ) {
        *seen += 1;
        let at = EventTime::from_secs(i64::from(*seen) * 10 + i64::from(*key));
        context.set_timer(Timer::Wall(at));
        if row.data.value % 7 == 0 {
            context.delete_timer(Timer::Wall(at));
        }
    }

    fn timer(&mut self, key: &u8, _: &mut u32, timer: Timer, context: &mut Context<'_, (u8, u32)>) {
        let Timer::Wall(at) = timer else { panic!("none of the other kind is set") };
        assert!(context.ended() || at <= context.wall());
        context.emit((*key, (at.millis() / 10_000) as u32));
    }
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(40))]

    /// Each timer of processing time fires once, over cuts and at the end at the latest.
    #[test]
    fn timers_of_processing_time(
        feed in feeds(), cuts in cuts(), last in 1usize..6, pace in 0i64..9,
    ) {
        let mut walled = Feed::new(feed.bound);
        for (at, (source, partition, time, row)) in feed.rows().enumerate() {
            walled.row(source, partition, time, *row);
            walled.wall(EventTime::from_secs(at as i64 * pace));
            walled.end_tick_after(true);
            if at % 3 == 0 {
                walled.steps.push(tiderace_operators::testing::Step::EndTick { source, partition });
            }
        }
        let ran = run_cut(&walled, &cuts, Workers::threads(last), |inputs, out: &Out<_>| {
            let rows = inputs[0].key_by(|row| row.key).sort("sorted", Sort::by_time()).results();
            let later = rows.key_by(|row| row.key).process("later", Later);
            out.gather(&later, |row| row.data);
        });
        let mut seen: BTreeMap<u8, u32> = BTreeMap::new();
        let mut wanted = Vec::new();
        let mut rows: Vec<_> = judged(&walled).into_iter().filter(|(row, f)| row.time >= *f).collect();
        rows.sort_by_key(|(row, _)| (row.time, postcard::to_allocvec(row).unwrap()));
        for (row, _) in rows {
            let n = seen.entry(row.key).or_default();
            *n += 1;
            if row.value % 7 != 0 {
                wanted.push((row.key, *n));
            }
        }
        prop_assert_eq!(sorted(ran.rows), sorted(wanted));
    }
}

/// Asks for a timer at its own event time, one later, and one of processing time.
struct Edges;

impl Process<(), i64> for Edges {
    type State = ();
    type Out = Option<Timer>;

    fn row(&mut self, _: &(), _: &mut (), row: &Timed<i64>, context: &mut Context<'_, Self::Out>) {
        context.emit(None);
        context.set_timer(Timer::Event(EventTime::from_micros(row.data)));
        context.set_timer(Timer::Wall(EventTime::from_micros(row.data)));
    }

    fn timer(&mut self, _: &(), _: &mut (), timer: Timer, context: &mut Context<'_, Self::Out>) {
        context.emit(Some(timer));
    }
}

#[test]
fn the_edges_of_timers() {
    let at = EventTime::from_micros;
    let mut edges = Alone::new(|_: &i64| (), Edges);
    let row = |time| Timed::on_time(at(time), None);
    let event = |time| Timed::on_time(at(time), Some(Timer::Event(at(time))));
    assert_eq!(edges.row(at(10), 20), [row(10)]);
    assert_eq!(edges.advance(at(19)), []);
    assert_eq!(edges.advance(at(20)), [event(20)], "f = t: nothing before t can come");
    assert_eq!(edges.row(at(20), 5), [row(20), event(20)], "5 has passed: it is set for 20");
    assert_eq!(edges.row(at(19), 5), []);
    assert_eq!(edges.late(), [5]);
    let wall = |time, wall| Timed::on_time(at(time), Some(Timer::Wall(at(wall))));
    assert_eq!(edges.wall(at(4)), []);
    assert_eq!(edges.wall(at(5)), [wall(20, 5)], "set at 20, where the frontier is as well");
    edges.advance(at(30));
    assert_eq!(edges.wall(at(20)), [wall(30, 20)], "set at 10, but the frontier has passed that");
    edges.row(at(40), 100);
    let last = edges.advance(EventTime::MAX);
    assert_eq!(last, [event(100), wall(40, 100)], "at the end all timers fire");
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(30))]

    /// Scores against mean and deviation of the values before, each computed from the whole list.
    #[test]
    fn z_scores(feed in feeds(), cuts in cuts(), sigma in 0.0f64..3.0, min_samples in 0u64..6) {
        let mut values: BTreeMap<u8, Vec<f64>> = BTreeMap::new();
        let mut rows: Vec<_> = judged(&feed).into_iter().filter(|(row, f)| row.time >= *f).collect();
        rows.sort_by_key(|(row, _)| (row.time, postcard::to_allocvec(row).unwrap()));
        let mut wanted = Vec::new();
        for (row, _) in rows {
            let past = values.entry(row.key).or_default();
            let n = past.len() as f64;
            let mean = past.iter().sum::<f64>() / n;
            let deviation = (past.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
            let x = f64::from(row.value / 10);
            let enough = past.len() as u64 >= min_samples.max(1) && deviation > 1e-9;
            wanted.push((row, enough.then_some((x - mean) / deviation)));
            past.push(x);
        }
        let last = Workers::processes(2, 2);
        let ran = run_cut(&feed, &cuts, last, move |inputs, out: &Out<_>| {
            let rows = inputs[0].key_by(|row| row.key).sort("sorted", Sort::by_time());
            let score = ZScore::new(sigma, min_samples, |row: &Row| f64::from(row.value / 10));
            let scored = rows.key_by(|row| row.key).process("scored", score);
            out.gather(&scored, |row| (row.data.data, row.data.score, row.data.anomaly));
        });
        let mut got = ran.rows;
        got.sort_by_key(|row| row.0);
        wanted.sort_by_key(|row| row.0);
        prop_assert_eq!(got.len(), wanted.len());
        for (got, wanted) in got.into_iter().zip(wanted) {
            prop_assert_eq!((got.0, got.1.is_some()), (wanted.0, wanted.1.is_some()));
            let (score, exact) = (got.1.unwrap_or_default(), wanted.1.unwrap_or_default());
            prop_assert!((score - exact).abs() < 1e-6 * (1.0 + exact.abs()));
            prop_assert_eq!(got.2, got.1.is_some_and(|score| score.abs() > sigma));
        }
    }
}

#[test]
#[should_panic(expected = "z-score: the threshold must be at least 0, and is NaN")]
fn no_threshold_is_refused() {
    let _ = ZScore::new(f64::NAN, 1, |x: &f64| *x);
}
