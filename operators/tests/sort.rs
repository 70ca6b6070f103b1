//! Sorting against the plainest model: judge every record against its own partition, sort what is
//! accepted.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::observe::Counters;
use tiderace_operators::order::{Sort, Sorting};
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{
    Feed, Out, Row, Workers, cuts, feeds, judged, run, run_cut, sorted,
};
use tiderace_operators::tick::{Emit, Fuel, Now, TickLogic};

fn micros(n: i64) -> Duration {
    Duration::from_micros(n as u64)
}

fn canonical(row: &Row) -> (i64, Vec<u8>) {
    (row.time, postcard::to_allocvec(row).unwrap())
}

/// What comes out, in order, and what is late.
fn model(feed: &Feed<Row>, lateness: i64) -> (Vec<Row>, Vec<Row>) {
    let is_late = |row: &Row, frontier: i64| row.time < frontier.saturating_sub(lateness);
    let (late, mut accepted): (Vec<_>, Vec<_>) =
        judged(feed).into_iter().partition(|(row, frontier)| is_late(row, *frontier));
    accepted.sort_by_key(|(row, _)| canonical(row));
    let rows = |judged: Vec<(Row, i64)>| judged.into_iter().map(|(row, _)| row).collect();
    (rows(accepted), rows(late))
}

fn check(feed: &Feed<Row>, workers: usize, lateness: i64) {
    let by = Sort::by_time().late_by(micros(lateness));
    let (wanted, wanted_late) = model(feed, lateness);
    // All on one worker: the order holds over all.
    let all = run(feed, Workers::threads(workers), move |inputs, out: &Out<_>| {
        let all = inputs[0].sort("all", by);
        out.gather(&all, |row| {
            (row.behind.is_zero(), row.time.micros() == row.data.time, row.data)
        });
    });
    assert_eq!(all.rows, wanted.iter().map(|row| (true, true, *row)).collect::<Vec<_>>());
    // By key: the order holds for each key.
    let keyed = run(feed, Workers::threads(workers), move |inputs, out: &Out<_>| {
        let keyed = inputs[0].key_by(|row| row.key).sort("keyed", by);
        out.gather(&keyed, |row| (false, row.data));
        out.raw(&keyed.late(), |row| (true, row.data));
        out.raw(&keyed.over(), |_| unreachable!("there is no bound"));
    });
    for key in 0..4 {
        let of =
            |rows: &[Row]| rows.iter().copied().filter(|row| row.key == key).collect::<Vec<_>>();
        let got: Vec<_> =
            keyed.rows.iter().filter(|(late, _)| !late).map(|(_, row)| *row).collect();
        assert_eq!(of(&got), of(&wanted));
    }
    let late = keyed.rows.iter().filter(|(late, _)| *late).map(|(_, row)| *row).collect();
    assert_eq!(sorted(late), sorted(wanted_late.clone()));
    let counts = keyed.observer.counts("keyed");
    assert!(counts.balanced(), "{counts:?}");
    assert_eq!(counts.input, feed.rows().count() as u64);
    assert_eq!((counts.late, counts.held), (wanted_late.len() as u64, 0));
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    #[test]
    fn agrees_with_the_model(
        feed in feeds(),
        workers in prop::sample::select(vec![1usize, 2, 5]),
        lateness in prop_oneof![Just(0i64), 0i64..50],
    ) {
        check(&feed, workers, lateness);
    }

    #[test]
    fn ticks_and_workers_change_nothing(feed in feeds(), lateness in 0i64..20) {
        for workers in [1, 2, 5] {
            check(&feed.ticks(false), workers, lateness);
            check(&feed.ticks(true), workers, lateness);
        }
    }

    #[test]
    fn goes_on_after_a_cut(feed in feeds(), cuts in cuts(), last in 1usize..6, lateness in 0i64..40) {
        // Pairs of records are equal, so that entries count.
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Out<_>| {
            let pairs = inputs[0].flat_map("pairs", |row| [(row.key, row.value / 8); 2]);
            let by = Sort::by_time().late_by(micros(lateness));
            let kept = pairs.key_by(|row| row.0).sort("kept", by);
            out.gather(&kept, |row| (0, row.time, row.data));
            out.gather(&kept.late(), |row| (1, row.time, row.data));
        };
        let whole = run(&feed, Workers::threads(1), program);
        let cut = run_cut(&feed, &cuts, Workers::threads(last), program);
        prop_assert_eq!(sorted(cut.rows), sorted(whole.rows));
    }

    /// However a bound is cut, every record is somewhere, and what comes out is in order.
    #[test]
    fn a_bound_loses_nothing(feed in feeds(), cuts in cuts(), last in 1usize..6, most in 1usize..6) {
        let program = move |inputs: &[Events<'_, u64, Row>], out: &Out<_>| {
            let by = Sort::by_time().at_most(most);
            let kept = inputs[0].key_by(|row| row.key).sort("kept", by);
            out.gather(&kept, |row| (0, row.data));
            out.gather(&kept.late(), |row| (1, row.data));
            out.gather(&kept.over(), |row| (2, row.data));
        };
        let ran = run_cut(&feed, &cuts, Workers::threads(last), program);
        let all = ran.rows.iter().map(|(_, row)| *row).collect();
        prop_assert_eq!(sorted(all), sorted(feed.rows().map(|(.., row)| *row).collect()));
        for key in 0..4 {
            let of_key = |(door, row): &&(i32, Row)| *door == 0 && row.key == key;
            let times: Vec<_> = ran.rows.iter().filter(of_key).map(|(_, row)| canonical(row)).collect();
            prop_assert!(times.is_sorted());
        }
    }
}

type Plain = Sorting<u8, (u8, u32), fn(&(u8, u32)) -> u8>;

struct Tick {
    out: Vec<u32>,
    late: u64,
    over: Vec<u32>,
}

fn plain(by: Sort) -> (Plain, Arc<Counters>) {
    let counters = Arc::<Counters>::default();
    (Sorting::new(by, |row| row.0, counters.clone()), counters)
}

fn tick(state: &mut Plain, before: i64, frontier: i64, rows: &[(i64, u8, u32)]) -> Tick {
    use tiderace_operators::flow::Aside;
    let at = EventTime::from_micros;
    let rows = rows.iter().map(|&(time, key, id)| Timed::on_time(at(time), (key, id)));
    let (mut rows, mut emit) = (rows.collect(), Emit::default());
    let now = Now { before: at(before), frontier: at(frontier), wall: at(0) };
    state.apply(now.before, &mut rows, &mut emit);
    while !state.close(now, &mut Fuel::new(1), &mut emit) {}
    let over = emit.side.iter().filter_map(|row| match row.data {
        Aside::Over(row) => Some(row.1),
        Aside::Late(_) => None,
    });
    let over: Vec<_> = over.collect();
    let late = (emit.side.len() - over.len()) as u64;
    Tick { out: emit.rows.iter().map(|row| row.data.1).collect(), late, over }
}

#[test]
fn the_edges_of_waiting_and_of_lateness() {
    for lateness in [0, 7] {
        let (mut state, _) = plain(Sort::by_time().late_by(micros(lateness)));
        let first =
            tick(&mut state, i64::MIN, 100, &[(99 - lateness, 0, 1), (100 - lateness, 0, 2)]);
        assert_eq!(first.out, [1], "another one may come at the frontier less the lateness");
        let second = tick(&mut state, 100, 100, &[(100 - lateness, 0, 3), (99 - lateness, 0, 4)]);
        assert_eq!((second.out, second.late), (vec![], 1));
        let third = tick(&mut state, 100, 101, &[]);
        assert_eq!(third.out, [2, 3]);
    }
}

/// Per key, at the tick's end: first what need not wait leaves, then the earliest take the places.
#[test]
fn the_rows_furthest_ahead_are_over_the_bound() {
    let (mut state, counters) = plain(Sort::by_time().at_most(2));
    let first =
        tick(&mut state, i64::MIN, 10, &[(40, 0, 4), (20, 0, 2), (30, 0, 3), (5, 0, 1), (9, 1, 9)]);
    assert_eq!((first.out, first.over), (vec![1, 9], vec![4]));
    assert_eq!(counters.counts().held, 2);
    let second = tick(&mut state, 10, 25, &[(26, 0, 5), (11, 0, 6), (27, 0, 7), (26, 1, 8)]);
    assert_eq!((second.out, second.over), (vec![6, 2], vec![7]), "one place is free again");
    let last = tick(&mut state, 25, i64::MAX, &[]);
    assert_eq!(last.out, [5, 8, 3]);
    assert_eq!((counters.counts().kept, counters.counts().rejected), (7, 2));
}

#[test]
fn rows_at_the_ends_of_time_come_out() {
    let (mut state, _) = plain(Sort::by_time());
    let ends = [(i64::MAX, 0, 3), (i64::MIN, 0, 1), (i64::MAX - 1, 0, 2)];
    assert_eq!(tick(&mut state, i64::MIN, i64::MIN, &ends).out, []);
    assert_eq!(tick(&mut state, i64::MIN, i64::MIN + 1, &[]).out, [1]);
    assert_eq!(tick(&mut state, i64::MIN + 1, i64::MAX, &[]).out, [2, 3]);
}

#[test]
#[should_panic(expected = "sort: at least 1 row must be allowed to wait, and 0 are")]
fn a_bound_of_nothing_is_refused() {
    let _ = Sort::by_time().at_most(0);
}
