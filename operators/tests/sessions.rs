//! Sessions in whole dataflows, against a slow, obvious model: judge every record against its own
//! partition, sort what is accepted, and split it where neighbours are too far apart. On several
//! workers, with ticks cut anywhere, and over cuts and restores.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{
    Feed, Out, Row, Workers, cuts, feeds, judged, run, run_cut, sorted,
};

/// A session: key, start, last, end, and count and sum of its rows; or a late row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Session(u8, i64, i64, i64, (u64, i128)),
    Late(Row),
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    gap: i64,
    inclusive: bool,
    lateness: i64,
}

impl Plan {
    fn session(self) -> Session {
        let session = Session::gap(micros(self.gap));
        if self.inclusive { session.inclusive_gap() } else { session }
    }
}

fn plans() -> impl Strategy<Value = Plan> {
    let lateness = prop_oneof![Just(0i64), 0i64..100];
    (1i64..40, any::<bool>(), lateness).prop_map(|(gap, inclusive, lateness)| Plan {
        gap,
        inclusive,
        lateness,
    })
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros as u64)
}

fn model(feed: &Feed<Row>, plan: Plan) -> Vec<Found> {
    let mut found = Vec::new();
    let mut keys: BTreeMap<u8, Vec<Row>> = BTreeMap::new();
    for (row, frontier) in judged(feed) {
        if row.time < frontier.saturating_sub(plan.lateness) {
            found.push(Found::Late(row));
        } else {
            keys.entry(row.key).or_default().push(row);
        }
    }
    let most = plan.gap - i64::from(!plan.inclusive);
    for (key, mut rows) in keys {
        rows.sort_by_key(|row| row.time);
        for rows in rows.chunk_by(|a, b| b.time - a.time <= most) {
            let sum = rows.iter().map(|row| i128::from(row.value)).sum();
            let (start, last) = (rows[0].time, rows[rows.len() - 1].time);
            let value = (rows.len() as u64, sum);
            found.push(Found::Session(key, start, last, last + plan.gap, value));
        }
    }
    sorted(found)
}

type Answer = SessionResult<u8, (u64, i128)>;

fn summary() -> impl Aggregate<Row, Output = (u64, i128)> + Send + Sync {
    (Count, Sum::of(|row: &Row| row.value))
}

fn found(result: &Answer) -> Found {
    let SessionResult { key, start, last, end, value, .. } = result;
    Found::Session(*key, start.micros(), last.micros(), end.micros(), *value)
}

/// Final results, and late rows.
fn finals(
    plan: Plan,
) -> impl Fn(&[Events<'_, u64, Row>], &Out<Found>) + Send + Sync + Copy + 'static {
    move |inputs, out| {
        let sessions = inputs[0].key_by(|row| row.key).session(plan.session());
        let sessions = sessions.allow_late(micros(plan.lateness)).aggregate("sessions", summary());
        out.gather(&sessions, |row| {
            assert!(row.behind == tiderace_operators::time::Span::ZERO);
            found(&row.data)
        });
        out.gather(&sessions.late(), |row| Found::Late(row.data));
    }
}

/// What comes out in retracting mode: changes in full, or a late row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Given {
    Change(Timed<Change<Answer>>),
    Late(Row),
}

fn changes(
    plan: Plan,
) -> impl Fn(&[Events<'_, u64, Row>], &Out<Given>) + Send + Sync + Copy + 'static {
    move |inputs, out| {
        let sessions = inputs[0].key_by(|row| row.key).session(plan.session());
        let sessions = sessions.allow_late(micros(plan.lateness)).retracting("sessions", summary());
        out.changes(&sessions, |row| Given::Change(row.clone()));
        out.gather(&sessions.late(), |row| Given::Late(row.data));
    }
}

/// What stands when all changes have been applied in the order of their coming, none of which may
/// take away what does not stand.
fn standing(given: &[Given]) -> Vec<Found> {
    let mut late = Vec::new();
    let mut stand: BTreeMap<Answer, i64> = BTreeMap::new();
    for given in given {
        match given {
            Given::Late(row) => late.push(Found::Late(*row)),
            Given::Change(row) => *stand.entry(row.data.data.clone()).or_default() += row.data.diff,
        }
    }
    stand.retain(|_, count| *count != 0);
    assert!(stand.values().all(|&count| count == 1), "{stand:?}");
    sorted(stand.keys().map(found).chain(late).collect())
}

fn check(feed: &Feed<Row>, workers: usize, plan: Plan) {
    let wanted = model(feed, plan);
    let late = wanted.iter().filter(|found| matches!(found, Found::Late(_))).count() as u64;
    let rows = feed.rows().count() as u64;
    let ran = run(feed, Workers::threads(workers), finals(plan));
    assert_eq!(sorted(ran.rows), wanted);
    let counts = ran.observer.counts("sessions");
    assert!(counts.balanced(), "{counts:?}");
    assert_eq!((counts.input, counts.late), (rows, late));
    assert_eq!((counts.held, counts.open), (0, 0));
    assert_eq!(counts.fired, wanted.len() as u64 - late);

    let ran = run(feed, Workers::threads(workers), changes(plan));
    assert_eq!(standing(&ran.rows), wanted);
    let counts = ran.observer.counts("sessions");
    assert!(counts.balanced(), "{counts:?}");
    assert_eq!((counts.input, counts.late), (rows, late));
    assert_eq!((counts.held, counts.open), (0, 0));
    assert_eq!(counts.output, ran.rows.len() as u64 - late);
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn agree_with_the_model(
        feed in feeds(),
        workers in prop::sample::select(vec![1usize, 2, 5]),
        plan in plans(),
    ) {
        check(&feed, workers, plan);
    }

    /// Where ticks end, and on which worker a partition is read, changes no final result.
    #[test]
    fn ticks_and_workers_change_nothing(feed in feeds(), plan in plans()) {
        for workers in [1, 2, 5] {
            check(&feed.ticks(false), workers, plan);
            check(&feed.ticks(true), workers, plan);
        }
    }

    /// Cut anywhere, and gone on with other workers.
    #[test]
    fn final_sessions_go_on(feed in feeds(), cuts in cuts(), last in 1usize..6, plan in plans()) {
        let cut = run_cut(&feed, &cuts, Workers::threads(last), finals(plan));
        prop_assert_eq!(sorted(cut.rows), model(&feed, plan));
        prop_assert_eq!(cut.cuts.len(), cuts.len());
    }

    /// The same for changes: what was given before a cut is taken back after it, just as it was.
    #[test]
    fn corrected_sessions_go_on(feed in feeds(), cuts in cuts(), last in 1usize..6, plan in plans()) {
        let cut = run_cut(&feed, &cuts, Workers::threads(last), changes(plan));
        prop_assert_eq!(standing(&cut.rows), model(&feed, plan));
    }

    /// The gap may depend on the row; spans that overlap are one session.
    #[test]
    fn rows_may_say_how_long_they_wait(
        feed in feeds(),
        workers in prop::sample::select(vec![1usize, 2, 5]),
        lateness in 0i64..60,
    ) {
        let wait = |row: &Row| i64::from(row.value.max(0)) + 1;
        let ran = run(&feed, Workers::threads(workers), move |inputs, out| {
            let by_row = Session::dynamic_gap(move |row: &Row| micros(wait(row)));
            let sessions = inputs[0].key_by(|row| row.key).session(by_row);
            let sessions = sessions.allow_late(micros(lateness)).aggregate("sessions", summary());
            out.gather(&sessions, |row| found(&row.data));
        });
        let mut keys: BTreeMap<u8, Vec<Row>> = BTreeMap::new();
        for (row, frontier) in judged(&feed) {
            if row.time >= frontier.saturating_sub(lateness) {
                keys.entry(row.key).or_default().push(row);
            }
        }
        let mut wanted = Vec::new();
        for (key, mut rows) in keys {
            rows.sort_by_key(|row| row.time);
            let mut sessions: Vec<(i64, i64, i64, (u64, i128))> = Vec::new();
            for row in rows {
                let (end, value) = (row.time + wait(&row), i128::from(row.value));
                match sessions.last_mut().filter(|session| row.time < session.2) {
                    Some((_, last, until, (count, sum))) => {
                        (*last, *until) = (row.time, end.max(*until));
                        (*count, *sum) = (*count + 1, *sum + value);
                    }
                    None => sessions.push((row.time, row.time, end, (1, value))),
                }
            }
            let all = sessions.into_iter();
            wanted.extend(all.map(|(start, last, end, v)| Found::Session(key, start, last, end, v)));
        }
        prop_assert_eq!(sorted(ran.rows), sorted(wanted));
    }
}

/// One partition in the order of time, a tick for each row; all of one key.
fn rows(times: &[i64]) -> Feed<Row> {
    let mut feed = Feed::new(Duration::ZERO);
    for &time in times {
        let row = Row { source: 0, partition: 0, time, key: 0, value: 1 };
        feed.row(0, 0, EventTime::from_micros(time), row);
        feed.end_tick_after(true);
    }
    feed
}

/// Two neighbours are in one session iff they are less than the gap apart, or as far if so asked.
#[test]
fn the_edge_of_the_gap() {
    for (apart, exclusive, inclusive) in [(29, 1, 1), (30, 2, 1), (31, 2, 2)] {
        for (is_inclusive, sessions) in [(false, exclusive), (true, inclusive)] {
            let plan = Plan { gap: 30, inclusive: is_inclusive, lateness: 0 };
            let feed = rows(&[0, apart]);
            assert_eq!(model(&feed, plan).len(), sessions);
            check(&feed, 1, plan);
        }
    }
}

/// A late row near two sessions that have been given takes both back and gives one that names them.
#[test]
fn a_bridge_takes_back_both_sides() {
    let plan = Plan { gap: 30, inclusive: false, lateness: 100 };
    let ran = run(&rows(&[0, 50, 100, 25]), Workers::threads(2), changes(plan));
    let bridge = ran.rows.iter().find_map(|given| match given {
        Given::Change(row) if !row.data.data.merged_from.is_empty() => Some(row),
        _ => None,
    });
    let bridge = bridge.expect("a session was made of two");
    let at = EventTime::from_micros;
    let window = |start, end| Window { start: at(start), end: at(end) };
    assert_eq!(bridge.data.data.merged_from, [window(0, 30), window(50, 80)]);
    assert_eq!(bridge.data.data.window(), window(0, 80));
    assert_eq!(bridge.data.diff, 1);
    assert_eq!((bridge.time, bridge.behind.micros()), (at(79), 21), "f was at 100");
    let taken_back = ran.rows.iter().filter(|given| match given {
        Given::Change(row) => row.data.diff == -1,
        Given::Late(_) => false,
    });
    assert_eq!(taken_back.count(), 2);
    assert_eq!(ran.observer.counts("sessions").merged, 1);
}

/// A row that is late by exactly what is allowed still counts; one that is later does not.
#[test]
fn later_than_allowed_is_late() {
    for (time, refused) in [(61, 0), (60, 0), (59, 1)] {
        let feed = rows(&[0, 100, time]);
        let plan = Plan { gap: 10, inclusive: false, lateness: 40 };
        let late = model(&feed, plan).iter().filter(|f| matches!(f, Found::Late(_))).count();
        assert_eq!(late, refused);
        check(&feed, 1, plan);
    }
}

/// Windows over sessions lose nothing, whatever the sessions wait; nor over their corrections.
#[test]
fn windows_follow_sessions() {
    let mut feed = Feed::new(micros(30));
    for i in 0..400 {
        let (partition, time) = (i as u32 % 2, i * 7 - 900 - (i % 5) * 20);
        let row = Row { source: 0, partition, time, key: (i % 3) as u8, value: 1 };
        feed.row(0, partition, EventTime::from_micros(time), row);
        feed.end_tick_after(i % 3 == 0);
    }
    for (workers, lateness, inclusive) in [(1, 0, false), (2, 300, true), (5, 150, false)] {
        let plan = Plan { gap: 25, inclusive, lateness };
        let ran = run(&feed, Workers::threads(workers), move |inputs, out| {
            let by_key = inputs[0].key_by(|row| row.key);
            let of = by_key.clone().session(plan.session()).allow_late(micros(lateness));
            let sessions = of.aggregate("sessions", Count);
            let all = sessions.key_by(|_| 0u8).window(Tumbling::every(micros(100)));
            let sums = Sum::of(|row: &SessionResult<u8, u64>| row.value);
            let all = all.aggregate("of_finals", sums);
            out.gather(&all, |row| (0, row.data.value));
            let of = by_key.session(plan.session()).allow_late(micros(lateness));
            let changes = of.retracting("corrected", Count).events();
            let all = changes.key_by(|_| 0u8).window(Tumbling::every(micros(100)));
            let signed = |row: &Change<SessionResult<u8, u64>>| row.diff * row.data.value as i64;
            let all = all.aggregate("of_changes", Sum::of(signed));
            out.gather(&all, |row| (1, row.data.value));
        });
        let accepted = 400 - ran.observer.counts("sessions").late;
        for way in [0, 1] {
            let sum: i128 = ran.rows.iter().filter(|row| row.0 == way).map(|row| row.1).sum();
            assert_eq!(sum, i128::from(accepted), "workers {workers}, way {way}");
        }
        assert_eq!(ran.observer.counts("of_finals").late, 0);
        assert_eq!(ran.observer.counts("of_changes").late, 0);
    }
}

/// A partition that was idle comes back with records of sessions that have fired without it: they
/// are judged by the operator's own frontier, and no sessions overlap.
#[test]
fn what_an_idle_partition_brings_back_is_judged_by_the_operator() {
    let mut feed = Feed::new(Duration::ZERO);
    feed.partition(0, 1);
    let mut row = |partition, time, ticks: u32| {
        let data = Row { source: 0, partition, time, key: 0, value: 1 };
        feed.row(0, partition, EventTime::from_micros(time), data);
        (0..ticks).for_each(|_| feed.end_tick_after(true));
        if partition == 0 && time == 5 {
            feed.idle(0, 1);
            feed.steps.push(tiderace_operators::testing::Step::EndTick { source: 0, partition: 1 });
        }
    };
    row(0, 5, 1);
    row(0, 100, 1);
    row(0, 200, 1);
    row(1, 12, 1);
    let plan = Plan { gap: 10, inclusive: false, lateness: 0 };
    let ran = run(&feed, Workers::threads(1), finals(plan));
    let late = ran.rows.iter().filter(|found| matches!(found, Found::Late(_))).count();
    assert_eq!((late, ran.rows.len()), (1, 4));
}
