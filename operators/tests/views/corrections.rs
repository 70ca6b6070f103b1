//! Corrections through joins and top-k, and the event times of what comes out.

use super::*;

/// Late rows correct a table of the newest region of each key, counts by window, the join of both
/// and the two windows of each region with the most rows.
fn corrected(inputs: &[Events<'_, u64, Row>], out: &Gathered) {
    take_in(&inputs[0], out);
    take_in(&inputs[1], out);
    let counts = inputs[0]
        .view("readings", Retain::forever())
        .map(|row| ((row.key, row.time.div_euclid(40)), ()))
        .count()
        .map(|((key, window), count)| (key, (count, window)));
    let regions = inputs[1].upsert(
        "regions",
        |row| row.key,
        |row| (row.value % 3 != 0).then_some(row.value % 5),
    );
    take_out(1, &regions.changelog("regions out"), out, |&(key, region)| {
        vec![key.into(), region.into()]
    });
    let busiest = counts.join(&regions).map(|(_, (count, region))| (region, count)).top_k(2);
    take_out(0, &busiest.changelog("busiest"), out, |&(region, (count, window))| {
        vec![region.into(), count, window]
    });
}

fn regions(rows: &[Row]) -> BTreeMap<u8, i32> {
    let mut newest: BTreeMap<u8, (i64, Option<i32>)> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.source == 1) {
        let said = (row.time, (row.value % 3 != 0).then_some(row.value % 5));
        let last = newest.entry(row.key).or_insert(said);
        *last = (*last).max(said);
    }
    newest.into_iter().filter_map(|(key, (_, region))| Some((key, region?))).collect()
}

fn busiest(rows: &[Row]) -> Contents {
    let mut windows: BTreeMap<(u8, i64), i64> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.source == 0) {
        *windows.entry((row.key, row.time.div_euclid(40))).or_default() += 1;
    }
    let regions = regions(rows);
    let mut of_region: BTreeMap<i32, Vec<(i64, i64)>> = BTreeMap::new();
    for ((key, window), count) in windows {
        if let Some(region) = regions.get(&key) {
            of_region.entry(*region).or_default().push((count, window));
        }
    }
    counted(of_region.into_iter().flat_map(|(region, mut windows)| {
        windows.sort_by_key(|&window| Reverse(window));
        windows.truncate(2);
        windows.into_iter().map(move |(count, window)| vec![region.into(), count, window])
    }))
}

fn region_contents(rows: &[Row]) -> Contents {
    counted(regions(rows).into_iter().map(|(key, region)| vec![key.into(), region.into()]))
}

const CORRECTED: [(u8, &dyn Fn(&[Row]) -> Contents); 2] = [(0, &busiest), (1, &region_contents)];

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(60))]

    /// Window counts, an upserted table, join and top-k change together.
    #[test]
    fn corrections_are_consistent_at_every_tick(feed in feeds_of(2), workers in prop::sample::select(vec![1usize, 2, 5])) {
        let mut last = None;
        for feed in variants(&feed) {
            let ran = run(&feed, Workers::threads(workers), corrected);
            let contents = consistent(ran.rows, &CORRECTED)?;
            prop_assert_eq!(last.get_or_insert_with(|| contents.clone()), &contents);
        }
    }

    #[test]
    fn views_go_on_after_cuts(feed in feeds_of(2), cuts in cuts(), last in 1usize..6) {
        let whole = run(&feed, Workers::threads(1), corrected);
        let cut = run_cut(&feed, &cuts, Workers::threads(last), corrected);
        prop_assert_eq!(consistent(cut.rows, &CORRECTED)?, consistent(whole.rows, &CORRECTED)?);
    }
}

/// What comes out of a view of two inputs has the lesser of their frontiers as its event time, as of
/// the tick before.
#[test]
fn views_of_two_inputs_go_by_the_lesser_frontier() {
    let mut feed = Feed::new(Duration::ZERO);
    let rows = [(1, 10)].into_iter().chain((1..20).map(|n| (0, n * 100)));
    for (source, time) in rows {
        let row = Row { source, partition: 0, time, key: 1, value: time as i32 };
        feed.row(source, 0, EventTime::from_micros(time), row);
        // Both are in the same tick throughout.
        let ends = [0, 1].map(|source| Step::EndTick { source, partition: 0 });
        feed.steps.extend(ends);
    }
    let program = |inputs: &[Events<'_, u64, Row>], out: &Out<(u8, i64)>| {
        let [ahead, behind] = [0, 1].map(|input: usize| {
            let rows = inputs[input].view(&format!("rows {input}"), Retain::forever());
            rows.map(|row| (row.key, row.value))
        });
        let keys = behind.map(|row| row.0);
        let none = keys.map(|key| key + 1);
        let joined = ahead.join(&behind).map(|(key, (value, _))| (key, value));
        let views = [joined, ahead.semijoin(&keys), ahead.antijoin(&none), ahead.concat(&behind)];
        for (number, view) in (0..).zip(views) {
            let changes = view.changelog(&format!("changes {number}"));
            out.changes(&changes, move |row| (number, row.time.micros()));
        }
    };
    let ran = run(&feed, Workers::threads(1), program);
    for number in 0..4 {
        let times = ran.rows.iter().filter(|row| row.0 == number).map(|row| row.1);
        let seen: Vec<i64> = times.collect();
        assert!(seen.len() >= 19 && seen.iter().all(|time| *time <= 10), "{number}: {seen:?}");
    }
}

/// Changes have the frontier as of the tick before, not that of their own tick.
#[test]
fn changes_are_as_old_as_the_tick_before() {
    let mut feed = Feed::new(Duration::ZERO);
    for time in [100, 200, 300] {
        let row = Row { source: 0, partition: 0, time, key: 1, value: time as i32 };
        feed.row(0, 0, EventTime::from_micros(time), row);
        feed.end_tick_after(true);
    }
    let ran = run(&feed, Workers::threads(1), |inputs, out| {
        let changes = inputs[0].view("rows", Retain::forever()).changelog("changes");
        out.changes(&changes, |row| (row.data.data.time, row.time.micros()));
    });
    let mut rows = ran.rows;
    rows.sort();
    assert_eq!(rows, [(100, i64::MIN), (200, 100), (300, 200)]);
}
