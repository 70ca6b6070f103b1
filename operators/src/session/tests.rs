//! The state alone against a plain model: ticks are cut and rows shuffled at will.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::result::{FinalOnly, Mode, Retracting};
use super::state::Sessions;
use super::{Session, SessionGap, SessionResult};
use crate::aggregate::{Aggregate, Count, Max, Sum};
use crate::change::Change;
use crate::observe::{Counters, Counts};
use crate::state::{Saver, Snapshot, State};
use crate::testing::{Feed, Row, feeds, judged, sorted};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::{EventTime, Span, Timed};
use crate::window::{Pane, Timing, Window};

type Value = (u64, i128, Option<i32>);
type Answer = SessionResult<u8, Value>;

fn summary() -> impl Aggregate<Row, Output = Value> {
    (Count, Sum::of(|row: &Row| i64::from(row.value)), Max::of(|row: &Row| row.value))
}

fn at(micros: i64) -> EventTime {
    EventTime::from_micros(micros)
}

/// What is asked of an operator.
#[derive(Clone, Copy, Debug)]
struct Plan {
    gap: i64,
    inclusive: bool,
    /// The gap grows with the row's value.
    dynamic: bool,
    lateness: i64,
}

impl Plan {
    /// How far a row reaches, its last instant included.
    fn until(&self, row: &Row) -> i64 {
        let more = if self.dynamic { i64::from(row.value.max(0)) } else { 0 };
        row.time + self.gap + more - i64::from(!self.inclusive)
    }
}

fn plans() -> impl Strategy<Value = Plan> {
    let lateness = prop_oneof![Just(0i64), 0i64..60, 0i64..400];
    (1i64..40, any::<bool>(), any::<bool>(), lateness)
        .prop_map(|(gap, inclusive, dynamic, lateness)| Plan { gap, inclusive, dynamic, lateness })
}

/// Rows that came in one tick, each as far behind as it was, and the frontier at its end.
type Ticks = Vec<(Vec<Timed<Row>>, EventTime)>;

/// Cuts a feed into ticks, each partition where it likes, and shuffles the rows of each tick.
fn ticks(feed: &Feed<Row>, seed: u64, every: u64) -> Ticks {
    let mut random = seed;
    let mut next = || {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        random >> 33
    };
    let mut tick_of: BTreeMap<u32, usize> = BTreeMap::new();
    let mut rows: Vec<Vec<(u32, Timed<Row>)>> = vec![Vec::new()];
    for (row, frontier) in judged(feed) {
        let tick = tick_of.entry(row.partition).or_default();
        *tick += usize::from(next() % every == 0);
        rows.resize(rows.len().max(*tick + 1), Vec::new());
        let time = at(row.time);
        let timed = Timed { time, behind: time.behind(at(frontier)), data: row };
        let place = next() as usize % (rows[*tick].len() + 1);
        rows[*tick].insert(place, (row.partition, timed));
    }
    let mut newest: Vec<Option<i64>> = vec![None; feed.partitions(0) as usize];
    let mut ticks = Ticks::new();
    for rows in rows {
        for (partition, row) in &rows {
            let newest = &mut newest[*partition as usize];
            *newest = (*newest).max(Some(row.data.time));
        }
        let least = newest.iter().copied().min().flatten();
        let frontier = least.map_or(i64::MIN, |newest| newest - feed.bound.micros());
        ticks.push((rows.into_iter().map(|(_, row)| row).collect(), at(frontier)));
    }
    ticks.push((Vec::new(), EventTime::MAX));
    ticks
}

/// The rows that are accepted, and the others.
fn accepted(feed: &Feed<Row>, plan: Plan) -> (Vec<Row>, Vec<Row>) {
    let judged = judged(feed).into_iter();
    let (accepted, late): (Vec<_>, Vec<_>) = judged.partition(|(row, frontier)| {
        i128::from(row.time) >= i128::from(*frontier) - i128::from(plan.lateness)
    });
    let rows = |rows: Vec<(Row, i64)>| rows.into_iter().map(|(row, _)| row).collect();
    (rows(accepted), rows(late))
}

/// All sessions of some rows: key, start, last, end, value.
type Plain = (u8, i64, i64, i64, Value);

fn batch(rows: &[Row], plan: Plan) -> Vec<Plain> {
    let mut sessions = Vec::new();
    for key in rows.iter().map(|row| row.key).collect::<std::collections::BTreeSet<_>>() {
        let mut of_key: Vec<&Row> = rows.iter().filter(|row| row.key == key).collect();
        of_key.sort_by_key(|row| row.time);
        let mut groups: Vec<Vec<&Row>> = Vec::new();
        for row in of_key {
            let joins = |group: &&mut Vec<&Row>| match plan.dynamic {
                true => group.iter().any(|other| row.time <= plan.until(other)),
                false => {
                    let distance = row.time - group.last().unwrap().time;
                    distance < plan.gap || distance == plan.gap && plan.inclusive
                }
            };
            match groups.last_mut().filter(joins) {
                Some(group) => group.push(row),
                None => groups.push(vec![row]),
            }
        }
        sessions.extend(groups.iter().map(|rows| {
            let count = rows.len() as u64;
            let sum = rows.iter().map(|row| i128::from(row.value)).sum();
            let max = rows.iter().map(|row| row.value).max();
            let until = rows.iter().map(|row| plan.until(row)).max().unwrap();
            let end = until + i64::from(!plan.inclusive);
            (key, rows[0].time, rows.last().unwrap().time, end, (count, sum, max))
        }));
    }
    sorted(sessions)
}

fn plain(result: &Answer) -> Plain {
    let SessionResult { key, start, last, end, value, .. } = result;
    (*key, start.micros(), last.micros(), end.micros(), *value)
}

/// The last instant at which a row joins.
fn until(result: &Answer, plan: Plan) -> EventTime {
    at(result.end.micros() - i64::from(!plan.inclusive))
}

type Given<O> = (Vec<Timed<O>>, Vec<Timed<Row>>);

/// What an operator gives in each tick, and its counters at the end. With a cut it is saved and built
/// anew after that tick.
fn drive<M>(plan: Plan, ticks: &Ticks, fuel: usize, cuts: &[usize]) -> (Vec<Given<M::Out>>, Counts)
where
    M: Mode<Answer>,
{
    if plan.dynamic {
        let of = move |row: &Row| Duration::from_micros((plan.until(row) - row.time) as u64);
        let exclusive = u64::from(!plan.inclusive);
        let gap = move |row: &Row| of(row) + Duration::from_micros(exclusive);
        return driven::<_, M>(Session::dynamic_gap(gap), plan, ticks, fuel, cuts);
    }
    let gap = Session::gap(Duration::from_micros(plan.gap as u64));
    driven::<_, M>(gap, plan, ticks, fuel, cuts)
}

fn driven<G, M>(
    session: Session<G>,
    plan: Plan,
    ticks: &Ticks,
    fuel: usize,
    cuts: &[usize],
) -> (Vec<Given<M::Out>>, Counts)
where
    G: SessionGap<Row>,
    M: Mode<Answer>,
{
    let session = if plan.inclusive { session.inclusive_gap() } else { session };
    let counters = Arc::new(Counters::default());
    let new = || {
        let (lateness, counters) = (Span::from_micros(plan.lateness), counters.clone());
        let key = |row: &Row| row.key;
        Sessions::<u8, Row, _, G, _, M>::new(session.clone(), lateness, key, summary(), counters)
    };
    let (mut state, mut given) = (new(), Vec::new());
    let (mut before, mut snapshot) = (EventTime::MIN, Snapshot::default());
    for (tick, (rows, frontier)) in ticks.iter().enumerate() {
        let mut out = Emit::default();
        for rows in rows.chunks(fuel) {
            state.apply(before, &mut rows.to_vec(), &mut out);
            counters.input.add(rows.len() as u64);
        }
        let now = Now { before, frontier: *frontier, wall: EventTime::MIN };
        while !state.close(now, &mut Fuel::new(fuel), &mut out) {}
        given.push((out.rows, out.side));
        before = *frontier;
        if cuts.contains(&tick) {
            let mut saver = Saver::new("s", state.shape(), 0, 1);
            while !state.save(&mut Fuel::new(fuel), &mut saver) {}
            snapshot.apply(&saver.take(true)).unwrap();
            let held = std::mem::take(&mut state_held(&counters));
            counters.open.set(0);
            state = new();
            if let Some(saved) = snapshot.operator("s") {
                assert_eq!(saved.len() as u64, held, "an entry for each session that is held");
                saved.each(|entry| state.load(entry)).unwrap();
            }
            assert_eq!(counters.open.get(), held);
        }
    }
    (given, counters.counts())
}

fn state_held(counters: &Counters) -> u64 {
    assert_eq!(counters.held.get(), counters.open.get());
    counters.held.get()
}

/// Takes a row out of a multiset.
fn take(from: &mut Vec<Answer>, row: &Answer) -> bool {
    let place = from.iter().position(|other| other == row);
    place.map(|place| from.swap_remove(place)).is_some()
}

proptest! {
    #![proptest_config(crate::testing::cases(2_500))]

    /// The sessions that fire are those of all accepted rows taken together, each at the first
    /// frontier that no row can come back from, and the others are late: however ticks are cut.
    #[test]
    fn final_sessions_are_those_of_the_accepted_rows(
        feed in feeds(), plan in plans(), seed in any::<u64>(), every in 1u64..12, fuel in 1usize..20,
    ) {
        let ticks = ticks(&feed, seed, every);
        let (given, counts) = drive::<FinalOnly>(plan, &ticks, fuel, &[]);
        let (accepted, late) = accepted(&feed, plan);
        let (mut results, mut refused) = (Vec::new(), Vec::new());
        let mut before = EventTime::MIN;
        for ((rows, side), (_, frontier)) in given.into_iter().zip(&ticks) {
            for row in rows {
                let due = until(&row.data, plan).micros() + 1 + plan.lateness;
                prop_assert!(before < at(due) && at(due) <= *frontier);
                prop_assert_eq!((row.time, row.behind), (until(&row.data, plan), Span::ZERO));
                prop_assert!(row.time >= before.minus(Span::from_micros(plan.lateness)));
                prop_assert_eq!(row.data.pane, Pane::FINAL);
                prop_assert!(row.data.merged_from.is_empty());
                results.push(plain(&row.data));
            }
            for row in side {
                let lateness = Span::from_micros(plan.lateness);
                prop_assert!(row.behind > lateness && row.time.plus(row.behind) >= before);
                refused.push(row.data);
            }
            before = *frontier;
        }
        prop_assert_eq!(sorted(results.clone()), batch(&accepted, plan));
        prop_assert_eq!(sorted(refused), sorted(late.clone()));
        prop_assert!(counts.balanced());
        prop_assert_eq!((counts.late, counts.fired), (late.len() as u64, results.len() as u64));
        prop_assert_eq!((counts.held, counts.open), (0, 0));
    }

    /// After every tick there stands a result for each session of the rows so far that is complete
    /// or holds one that was given before. What is withdrawn was given, just so.
    #[test]
    fn results_that_stand_are_those_of_the_rows_so_far(
        feed in feeds(), plan in plans(), seed in any::<u64>(), every in 1u64..12, fuel in 1usize..20,
    ) {
        let ticks = ticks(&feed, seed, every);
        let (given, counts) = drive::<Retracting>(plan, &ticks, fuel, &[]);
        let (accepted, late) = accepted(&feed, plan);
        let (mut stand, mut refused): (Vec<Answer>, Vec<Row>) = (Vec::new(), Vec::new());
        let (mut so_far, mut shown): (Vec<Row>, Vec<Plain>) = (Vec::new(), Vec::new());
        let (mut before, mut firsts) = (EventTime::MIN, 0);
        for ((rows, side), (came, frontier)) in given.into_iter().zip(&ticks) {
            for row in &rows {
                prop_assert_eq!(row.time, until(&row.data.data, plan));
                prop_assert_eq!(row.behind, row.time.behind(before));
                prop_assert!(row.behind <= Span::from_micros(plan.lateness));
            }
            let (added, removed): (Vec<_>, Vec<_>) =
                rows.into_iter().map(|row| row.data).partition(|change: &Change<_>| change.diff == 1);
            for Change { data, diff } in &removed {
                prop_assert_eq!(*diff, -1);
                prop_assert!(take(&mut stand, data), "{data:?} was not given");
            }
            for Change { data, .. } in &added {
                let (window, until) = (data.window(), until(data, plan));
                let inside = |other: &Answer| {
                    other.key == data.key && window.start <= other.start && other.end <= window.end
                };
                let old: Vec<&Answer> =
                    removed.iter().map(|change| &change.data).filter(|old| inside(old)).collect();
                let windows: Vec<Window> = sorted(old.iter().map(|old| old.window()).collect());
                let from = if windows == [window] { Vec::new() } else { windows };
                prop_assert_eq!(&data.merged_from, &from);
                let index = old.iter().map(|old| old.pane.index + 1).max().unwrap_or(0);
                let on_time = index == 0 && until >= before;
                let timing = if on_time { Timing::OnTime } else { Timing::Late };
                let last = until.micros() + 1 + plan.lateness <= frontier.micros();
                prop_assert_eq!(data.pane, Pane { index, timing, last });
                firsts += u64::from(index == 0);
            }
            stand.extend(added.into_iter().map(|change| change.data));
            refused.extend(side.into_iter().map(|row| row.data));
            let accepted = came.iter().filter(|row| row.behind.micros() <= plan.lateness);
            so_far.extend(accepted.map(|row| row.data));
            let was = std::mem::take(&mut shown);
            shown = batch(&so_far, plan);
            shown.retain(|&(key, start, _, end, _)| {
                at(end + i64::from(plan.inclusive)) <= *frontier
                    || was.iter().any(|old| old.0 == key && start <= old.1 && old.3 <= end)
            });
            prop_assert_eq!(sorted(stand.iter().map(plain).collect()), shown.clone());
            before = *frontier;
        }
        prop_assert_eq!(shown, batch(&accepted, plan));
        prop_assert_eq!(sorted(refused), sorted(late));
        prop_assert!(counts.balanced());
        prop_assert_eq!((counts.held, counts.open, counts.fired), (0, 0, firsts));
    }

    /// Saved after any ticks and built anew, both give in each tick what they would have given, and
    /// have counted the same.
    #[test]
    fn a_state_goes_on_from_a_cut(
        feed in feeds(), plan in plans(), seed in any::<u64>(), every in 1u64..12, fuel in 1usize..20,
        cuts in prop::collection::vec(0usize..40, 1..12),
    ) {
        fn same<O: Ord + Clone + std::fmt::Debug>(
            (whole, counts): (Vec<Given<O>>, Counts), (cut, cut_counts): (Vec<Given<O>>, Counts),
        ) {
            for (whole, cut) in whole.into_iter().zip(cut) {
                assert_eq!(sorted(cut.0), sorted(whole.0));
                assert_eq!(sorted(cut.1), sorted(whole.1));
            }
            assert_eq!(cut_counts, counts);
        }
        let ticks = ticks(&feed, seed, every);
        let run = |cuts: &[usize]| drive::<FinalOnly>(plan, &ticks, fuel, cuts);
        same(run(&[]), run(&cuts));
        let run = |cuts: &[usize]| drive::<Retracting>(plan, &ticks, fuel, cuts);
        same(run(&[]), run(&cuts));
    }

    /// How the rows of a tick are ordered changes nothing, the counters included.
    #[test]
    fn the_order_in_a_tick_does_not_matter(
        feed in feeds(), plan in plans(), seed in any::<u64>(), fuel in 1usize..20,
    ) {
        let mut ticks = ticks(&feed, seed, 9);
        let (given, counts) = drive::<Retracting>(plan, &ticks, 64, &[]);
        for (rows, _) in &mut ticks {
            rows.reverse();
        }
        let (other, other_counts) = drive::<Retracting>(plan, &ticks, fuel, &[]);
        for ((rows, side), (other, other_side)) in given.into_iter().zip(other) {
            prop_assert_eq!(sorted(rows), sorted(other));
            prop_assert_eq!(sorted(side), sorted(other_side));
        }
        prop_assert_eq!(counts, other_counts);
    }
}

/// Some rows of one key in each tick, all on time or as far behind as the frontier before says.
fn script(steps: &[(&[i64], i64)]) -> Ticks {
    let mut before = EventTime::MIN;
    let tick = |&(times, frontier): &(&[i64], i64)| {
        let timed = |&time: &i64| {
            let data = Row { source: 0, partition: 0, time, key: 7, value: 1 };
            Timed { time: at(time), behind: at(time).behind(before), data }
        };
        let rows = times.iter().map(timed).collect();
        before = at(frontier);
        (rows, before)
    };
    steps.iter().map(tick).collect()
}

fn plan(gap: i64, lateness: i64) -> Plan {
    Plan { gap, inclusive: false, dynamic: false, lateness }
}

#[test]
fn a_merge_takes_back_what_it_swallows_and_is_counted() {
    let ticks = script(&[(&[0, 50], 100), (&[25], 100), (&[20], 100), (&[10], 200)]);
    let (given, counts) = drive::<Retracting>(plan(30, 100), &ticks, 64, &[]);
    let window = |start, end| Window { start: at(start), end: at(end) };
    let brief = |tick: usize| {
        let rows = given[tick].0.iter().map(|row| &row.data);
        sorted(rows.map(|change| (change.diff, plain(&change.data))).collect())
    };
    let value = |n: u64| (n, i128::from(n), Some(1));
    let (one, two) = ((7, 0, 0, 30, value(1)), (7, 50, 50, 80, value(1)));
    assert_eq!(brief(0), [(1, one), (1, two)]);
    let all = (7, 0, 50, 80, value(3));
    assert_eq!(brief(1), [(-1, one), (-1, two), (1, all)]);
    let merged = given[1].0.iter().find(|row| row.data.diff == 1).unwrap();
    assert_eq!(merged.data.data.merged_from, [window(0, 30), window(50, 80)]);
    assert_eq!(merged.data.data.pane, Pane { index: 1, timing: Timing::Late, last: false });
    assert_eq!((merged.time, merged.behind.micros()), (at(79), 21));
    // A correction that leaves the window as it is names none.
    assert_eq!(brief(2), [(-1, all), (1, (7, 0, 50, 80, value(4)))]);
    let corrected = given[2].0.iter().find(|row| row.data.diff == 1).unwrap();
    assert!(corrected.data.data.merged_from.is_empty());
    // The last one is known to be.
    let last = given[3].0.iter().find(|row| row.data.diff == 1).unwrap();
    assert_eq!(last.data.data.pane, Pane { index: 3, timing: Timing::Late, last: true });
    assert_eq!((counts.merged, counts.fired, counts.held), (1, 2, 0));
}

/// Rows gap − 1, gap and gap + 1 apart; complete and gone at the frontier and not a moment before.
#[test]
fn the_edges_of_a_session() {
    for (inclusive, apart, sessions) in
        [(false, 9, 1), (false, 10, 2), (false, 11, 2), (true, 9, 1), (true, 10, 1), (true, 11, 2)]
    {
        let plan = Plan { inclusive, ..plan(10, 0) };
        for times in [[0, apart], [apart, 0]] {
            let (given, _) = drive::<FinalOnly>(plan, &script(&[(&times, i64::MAX)]), 64, &[]);
            assert_eq!(given[0].0.len(), sessions, "{apart} apart, {plan:?}");
        }
        for lateness in [0, 5] {
            let plan = Plan { lateness, ..plan };
            let due = 10 + i64::from(inclusive) + lateness;
            let ticks = script(&[(&[0], due - 1), (&[], due)]);
            let (given, _) = drive::<FinalOnly>(plan, &ticks, 64, &[]);
            assert_eq!((given[0].0.len(), given[1].0.len()), (0, 1), "{plan:?}");
            let complete = due - lateness;
            let ticks = script(&[(&[0], complete - 1), (&[], complete), (&[], due)]);
            let (given, counts) = drive::<Retracting>(plan, &ticks, 64, &[]);
            assert_eq!((given[0].0.len(), given[1].0.len()), (0, 1), "{plan:?}");
            assert_eq!((given[2].0.len(), counts.held), (0, 0));
            // A row at the last instant that is not late still finds the session.
            let ticks = script(&[(&[0], due - 1), (&[due - 1 - lateness], i64::MAX)]);
            let (given, counts) = drive::<FinalOnly>(plan, &ticks, 64, &[]);
            assert_eq!((given[1].0.len(), counts.late), (1, 0), "{plan:?}");
            // One that is as late as may be is taken, and one that is later is not.
            let ticks = script(&[(&[], 1_000), (&[1_000 - lateness, 999 - lateness], i64::MAX)]);
            let (given, counts) = drive::<FinalOnly>(plan, &ticks, 64, &[]);
            assert_eq!((given[1].0.len(), given[1].1.len(), counts.late), (1, 1, 1), "{plan:?}");
        }
    }
}

#[test]
fn the_ends_of_time_have_sessions_too() {
    let ticks =
        script(&[(&[i64::MIN, i64::MIN + 5, i64::MAX - 1, i64::MAX], i64::MIN), (&[], i64::MAX)]);
    for inclusive in [false, true] {
        let plan = Plan { inclusive, ..plan(10, 1_000) };
        let (given, counts) = drive::<FinalOnly>(plan, &ticks, 64, &[]);
        let counted: Vec<_> = given[1].0.iter().map(|row| row.data.value.0).collect();
        assert_eq!((counted, counts.held), (vec![2, 2], 0));
        assert!(given[0].0.is_empty());
    }
}

/// A key with one long session writes one entry at each cut, and one that it is done with.
#[test]
fn a_cut_writes_the_sessions_that_were_touched() {
    let counters = Arc::new(Counters::default());
    let session = Session::gap(Duration::from_micros(10));
    let key = |row: &Row| row.key;
    let mut state: Sessions<u8, Row, _, _, _, FinalOnly> =
        Sessions::new(session, Span::from_micros(1_000_000), key, Count, counters);
    let (mut out, mut before) = (Emit::default(), EventTime::MIN);
    let mut written = |rows: Vec<(u8, i64)>, frontier: i64| {
        let timed = |(key, time)| {
            Timed::on_time(at(time), Row { source: 0, partition: 0, time, key, value: 1 })
        };
        state.apply(before, &mut rows.into_iter().map(timed).collect(), &mut out);
        let now = Now { before, frontier: at(frontier), wall: EventTime::MIN };
        assert!(state.close(now, &mut Fuel::new(1 << 20), &mut out));
        before = at(frontier);
        let mut saver = Saver::new("s", state.shape(), 0, 1);
        while !state.save(&mut Fuel::new(100), &mut saver) {}
        saver.written().0
    };
    let many = (0..200).flat_map(|key| (0..50).map(move |n| (key, n * 20))).collect();
    assert_eq!(written(many, 0), 10_000, "fifty sessions of each key");
    assert_eq!(written(vec![], 0), 0);
    assert_eq!(written(vec![(3, 985), (4, 100)], 0), 2, "one session of each of two keys");
    assert_eq!(written(vec![(5, 88), (5, 91)], 0), 2, "two sessions have become one");
    assert_eq!(written(vec![(6, -5)], 0), 2, "a session starts earlier");
    // Rows that come and go between two cuts, and the fifty sessions of all keys.
    let gone = (200 * 50 - 1) as u64;
    assert_eq!(written(vec![(9, 5_000)], 10_000_000), gone);
    assert_eq!(written(vec![], 20_000_000), 0);
}
/// Where the operator's frontier is ahead of the row's partition, which was idle, it is the judge:
/// the session that the row would have joined is gone.
#[test]
fn a_row_from_an_idle_partition_is_judged_by_the_operator() {
    let mut ticks = script(&[(&[0], 100), (&[], 100), (&[], i64::MAX)]);
    for time in [5, 99, 100] {
        let data = Row { source: 0, partition: 1, time, key: 7, value: 1 };
        ticks[1].0.push(Timed::on_time(at(time), data));
    }
    let (given, counts) = drive::<FinalOnly>(plan(10, 0), &ticks, 64, &[]);
    let late: Vec<_> = given[1].1.iter().map(|row| (row.time, row.behind.micros())).collect();
    assert_eq!(late, [(at(5), 95), (at(99), 1)]);
    assert_eq!((given[2].0.len(), counts.late, counts.fired), (1, 2, 2));
}
