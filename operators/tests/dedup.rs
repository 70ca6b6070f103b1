//! Deduplication against a model: judge every record against its own partition, and let the first
//! accepted copy of each key and time pass.

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::{Feed, Row, feeds, judged, run, sorted};
use proptest::prelude::*;
use tiderace_operators::prelude::*;

/// Keys and times that pass, how many copies did not, and the late records.
fn model(feed: &Feed, lateness: i64) -> (BTreeSet<(u8, i64)>, u64, Vec<Row>) {
    let (mut passed, mut duplicates, mut late) = (BTreeSet::new(), 0, Vec::new());
    for (row, frontier) in judged(feed) {
        if row.time < frontier.saturating_sub(lateness) {
            late.push(row);
        } else if !passed.insert((row.key, row.time)) {
            duplicates += 1;
        }
    }
    (passed, duplicates, late)
}

fn check(feed: &Feed, workers: usize, ttl: i64, lateness: i64) {
    enum Out {
        Passed((u8, i64)),
        Duplicate,
        Late(Row),
    }
    let micros = |n: i64| Duration::from_micros(n as u64);
    let horizon = Horizon::within(micros(ttl)).late_by(micros(lateness));
    let (out, observer) = run(feed, workers, move |events, sink| {
        let once = events.key_by(|row| row.key).dedup("once", horizon);
        let [passed, duplicates, late] = [sink.clone(), sink.clone(), sink];
        once.inspect(move |row| {
            let copy = (row.data.key, row.data.time);
            passed.lock().unwrap().push(Out::Passed(copy));
        });
        once.duplicates().inspect(move |_| duplicates.lock().unwrap().push(Out::Duplicate));
        once.late().inspect(move |row| late.lock().unwrap().push(Out::Late(row.data)));
    });
    let (mut passed, mut duplicates, mut late) = (Vec::new(), 0, Vec::new());
    for out in out {
        match out {
            Out::Passed(copy) => passed.push(copy),
            Out::Duplicate => duplicates += 1,
            Out::Late(row) => late.push(row),
        }
    }
    let (wanted, wanted_duplicates, wanted_late) = model(feed, lateness);
    assert_eq!(sorted(passed), wanted.iter().copied().collect::<Vec<_>>());
    assert_eq!(duplicates, wanted_duplicates);
    assert_eq!(sorted(late), sorted(wanted_late));
    let counts = observer.counts("once");
    assert!(counts.balanced(), "{counts:?}");
    assert_eq!(counts.input, feed.rows.len() as u64);
    assert_eq!(counts.held, 0, "the frontier has passed every horizon");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Copies carry equal times, and other times of a key are at least the horizon apart, so that
    /// what passes is a function of the input.
    #[test]
    fn agrees_with_the_model(
        feed in feeds(),
        workers in prop::sample::select(vec![1usize, 2, 5]),
        ttl in 1i64..30,
        lateness in prop_oneof![Just(0i64), 0i64..60],
    ) {
        let mut feed = feed;
        for (row, _) in &mut feed.rows {
            row.time = row.time.div_euclid(ttl) * ttl;
        }
        check(&feed, workers, ttl, lateness);
        for cut in [false, true] {
            feed.rows.iter_mut().for_each(|(_, ends)| *ends = cut);
            check(&feed, workers, ttl, lateness);
        }
    }
}

/// A copy one unit short of the horizon is a duplicate; at the horizon it is another record.
#[test]
fn the_edge_of_the_horizon() {
    for (distance, passes) in [(99, 1), (100, 2), (101, 2)] {
        let row = |time| (Row { partition: 0, time, key: 0, value: 0 }, true);
        let feed = Feed { partitions: 1, bound: 1_000, rows: vec![row(-50), row(distance - 50)] };
        let (out, _) = run(&feed, 1, |events, sink| {
            let horizon = Horizon::within(Duration::from_micros(100));
            let once = events.key_by(|row| row.key).dedup("once", horizon);
            once.inspect(move |row| sink.lock().unwrap().push(row.data.time));
        });
        assert_eq!(out.len(), passes, "{distance}");
    }
}
