//! Deduplication against a model: judge every record against its own partition, and let the first
//! accepted copy of each key and time pass.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tiderace_operators::dedup::content_hash;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{
    Feed, Out, Row, Step, Workers, feeds, judged, run, run_cut, sorted,
};

/// Keys and times that pass, how many copies did not, and the late records.
fn model(feed: &Feed<Row>, lateness: i64) -> (BTreeSet<(u8, i64)>, u64, Vec<Row>) {
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

fn check(feed: &Feed<Row>, workers: usize, ttl: i64, lateness: i64) {
    enum Got {
        Passed((u8, i64)),
        Duplicate,
        Late(Row),
    }
    let micros = |n: i64| Duration::from_micros(n as u64);
    let horizon = Horizon::within(micros(ttl)).late_by(micros(lateness));
    let ran = run(feed, Workers::threads(workers), move |inputs, out: &Out<Got>| {
        let once = inputs[0].key_by(|row| row.key).dedup("once", horizon);
        out.gather(&once, |row| Got::Passed((row.data.key, row.data.time)));
        out.gather(&once.duplicates(), |_| Got::Duplicate);
        out.gather(&once.late(), |row| Got::Late(row.data));
    });
    let (mut passed, mut duplicates, mut late) = (Vec::new(), 0, Vec::new());
    for got in ran.rows {
        match got {
            Got::Passed(copy) => passed.push(copy),
            Got::Duplicate => duplicates += 1,
            Got::Late(row) => late.push(row),
        }
    }
    let (wanted, wanted_duplicates, wanted_late) = model(feed, lateness);
    assert_eq!(sorted(passed), wanted.iter().copied().collect::<Vec<_>>());
    assert_eq!(duplicates, wanted_duplicates);
    assert_eq!(sorted(late), sorted(wanted_late));
    let counts = ran.observer.counts("once");
    assert!(counts.balanced(), "{counts:?}");
    assert_eq!(counts.input, feed.rows().count() as u64);
    assert_eq!(counts.held, 0, "the frontier has passed every horizon");
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(100))]

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
        for step in &mut feed.steps {
            if let Step::Row { time, data, .. } = step {
                data.time = data.time.div_euclid(ttl) * ttl;
                *time = EventTime::from_micros(data.time);
            }
        }
        for feed in [feed.clone(), feed.ticks(false), feed.ticks(true)] {
            check(&feed, workers, ttl, lateness);
        }
    }
}

/// A copy one unit short of the horizon is a duplicate; at the horizon it is another record.
#[test]
fn the_edge_of_the_horizon() {
    for (distance, passes) in [(99, 1), (100, 2), (101, 2)] {
        let mut feed = Feed::new(Duration::from_micros(1_000));
        for time in [-50, distance - 50] {
            let row = Row { source: 0, partition: 0, time, key: 0, value: 0 };
            feed.row(0, 0, EventTime::from_micros(time), row);
            feed.end_tick_after(true);
        }
        let ran = run(&feed, Workers::threads(1), |inputs, out: &Out<i64>| {
            let horizon = Horizon::within(Duration::from_micros(100));
            let once = inputs[0].key_by(|row| row.key).dedup("once", horizon);
            out.gather(&once, |row| row.data.time);
        });
        assert_eq!(ran.rows.len(), passes, "{distance}");
    }
}

// What deduplication is for, one scenario each.

/// A message of the scenarios.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Message {
    client: String,
    id: u64,
    body: String,
}

fn message(client: &str, id: u64, body: &str) -> Message {
    Message { client: client.to_owned(), id, body: body.to_owned() }
}

fn at(seconds: i64) -> EventTime {
    EventTime::from_secs(seconds)
}

/// Kafka, at least once: after a crash a consumer reads again from its last committed offset. The
/// copies carry the event times of the originals and come behind the frontier.
#[test]
fn redelivery_of_a_kafka_partition() {
    let mut feed = Feed::new(secs(5));
    for offset in (0..100).chain(60..130) {
        feed.row(0, 0, at(offset as i64), offset as u64);
        feed.end_tick_after(offset % 10 == 9);
    }
    let program = |lateness: u64| {
        move |inputs: &[Events<'_, u64, u64>], out: &Out<_>| {
            let horizon = Horizon::within(mins(10)).late_by(secs(lateness));
            let once = inputs[0].key_by(|&offset| offset).dedup("once", horizon);
            out.gather(&once, |row| ("passed", row.data));
            out.gather(&once.duplicates(), |row| ("duplicate", row.data));
            out.gather(&once.late(), |row| ("late", row.data));
        }
    };
    let of = |rows: &[(&str, u64)], kind: &str| -> Vec<u64> {
        sorted(rows.iter().filter(|row| row.0 == kind).map(|row| row.1).collect())
    };
    let ran = run(&feed, Workers::threads(2), program(60)).rows;
    assert_eq!(of(&ran, "passed"), (0..130).collect::<Vec<_>>());
    assert_eq!(of(&ran, "duplicate"), (60..100).collect::<Vec<_>>());
    // Without the lateness most of them cannot be judged any more: they are late, and none passes.
    let ran = run(&feed, Workers::threads(2), program(0)).rows;
    assert_eq!(of(&ran, "passed"), (0..130).collect::<Vec<_>>());
    assert_eq!(of(&ran, "late"), (60..94).collect::<Vec<_>>());
    assert_eq!(of(&ran, "duplicate"), (94..100).collect::<Vec<_>>());
}

/// An API with idempotency keys: a client repeats a request with its key, at other times, and the
/// key is remembered for a day. Clients do not see one another's keys.
#[test]
fn idempotency_keys_of_an_api() {
    let hour = 3_600;
    let mut feed = Feed::new(secs(60));
    for (time, client, id, body) in [
        (0, "ada", 1, "pay 10"),
        (2, "bob", 1, "pay 99"),
        (3, "ada", 1, "pay 10"),
        (23 * hour, "ada", 1, "pay 10"),
        (24 * hour - 1, "ada", 2, "pay 20"),
        (24 * hour, "ada", 1, "pay 30"),
    ] {
        feed.row(0, 0, at(time), message(client, id, body));
        feed.end_tick_after(true);
    }
    let bodies = |refreshing: bool| {
        let program = move |inputs: &[Events<'_, u64, Message>], out: &Out<_>| {
            let by_key = inputs[0].key_by(|m| (m.client.clone(), m.id));
            let horizon = Horizon::within(hours(24));
            let once = match refreshing {
                true => by_key.dedup_refreshing("once", horizon),
                false => by_key.dedup("once", horizon),
            };
            out.gather(&once, |row| row.data.body.clone());
        };
        sorted(run(&feed, Workers::threads(2), program).rows)
    };
    assert_eq!(bodies(false), ["pay 10", "pay 20", "pay 30", "pay 99"]);
    // The retry after 23 hours prolongs the key's day.
    assert_eq!(bodies(true), ["pay 10", "pay 20", "pay 99"]);
}

/// Two sources report the same events, one of them later and with clocks of its own: one copy of each
/// passes, and if it has to be the earlier one, that is the one.
#[test]
fn one_event_from_several_sources() {
    let mut feed = Feed::new(secs(10));
    for id in 0..50 {
        let time = id as i64 * 3;
        feed.row(0, 0, at(time + 2), message("fast", id, ""));
        feed.end_tick_after(id % 3 == 0);
        if id % 5 != 0 {
            feed.row(1, 0, at(time), message("slow", id, ""));
            feed.end_tick_after(id % 4 == 0);
        }
    }
    let program = |inputs: &[Events<'_, u64, Message>], out: &Out<_>| {
        let both = inputs[0].union(&inputs[1]).key_by(|m| m.id);
        let horizon = Horizon::within(secs(60)).late_by(secs(20));
        out.gather(&both.clone().dedup("seen", horizon), |row| ("seen", row.data.id, ""));
        out.gather(&both.dedup_first_by_time("first", horizon), |row| {
            let from = if row.data.client == "slow" { "slow" } else { "fast" };
            ("first", row.data.id, from)
        });
    };
    for workers in [1, 2, 5] {
        let ran = run(&feed, Workers::threads(workers), program);
        let first = (0..50).map(|id| ("first", id, if id % 5 == 0 { "fast" } else { "slow" }));
        let seen = (0..50).map(|id| ("seen", id, ""));
        assert_eq!(sorted(ran.rows), sorted(first.chain(seen).collect()));
    }
}

/// A producer that retries what it is not sure of, and gives its messages no id: the contents are the
/// key. A message that says the same a day later is another one.
#[test]
fn retries_without_an_id() {
    let mut feed = Feed::new(secs(1));
    for (time, body) in [(0, "open"), (0, "open"), (1, "shut"), (0, "open"), (90_000, "open")] {
        feed.row(0, 0, at(time), message("door", 0, body));
        feed.end_tick_after(true);
    }
    let program = |inputs: &[Events<'_, u64, Message>], out: &Out<_>| {
        let once = inputs[0].key_by(content_hash).dedup("once", Horizon::within(hours(24)));
        out.gather(&once, |row| (row.time, row.data.body.clone()));
    };
    let ran = run(&feed, Workers::threads(2), program).rows;
    let expected = [(0, "open"), (1, "shut"), (90_000, "open")];
    assert_eq!(sorted(ran), expected.map(|(time, body)| (at(time), body.to_owned())));
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(40))]

    /// Exactly once over restarts: whatever is read again after it, be it before or after a cut,
    /// each message passes once.
    #[test]
    fn exactly_once_over_restarts(
        copies in prop::collection::vec((0u64..40, 0u32..3, any::<bool>()), 1..120),
        cuts in prop::collection::vec((0usize..200, 1usize..6), 1..4),
        last in 1usize..6,
        first_by_time in any::<bool>(),
    ) {
        let mut feed = Feed::new(secs(3_600));
        for &(id, partition, ends) in &copies {
            feed.row(0, partition, at(id as i64), id);
            feed.end_tick_after(ends);
        }
        let mut cuts: Vec<_> =
            cuts.into_iter().map(|(at, threads)| (at, Workers::threads(threads))).collect();
        cuts.sort_by_key(|cut| cut.0);
        let program = move |inputs: &[Events<'_, u64, u64>], out: &Out<_>| {
            let (by_id, horizon) = (inputs[0].key_by(|&id| id), Horizon::within(hours(2)));
            let once = match first_by_time {
                true => by_id.dedup_first_by_time("once", horizon),
                false => by_id.dedup("once", horizon),
            };
            out.gather(&once, |row| row.data);
        };
        let ran = run_cut(&feed, &cuts, Workers::threads(last), program);
        let ids: BTreeSet<u64> = copies.iter().map(|copy| copy.0).collect();
        prop_assert_eq!(sorted(ran.rows), ids.into_iter().collect::<Vec<_>>());
    }
}
