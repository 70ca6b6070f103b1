//! Whole dataflows over two processes, connected by sockets: what goes between them is encoded and
//! decoded, and the results are those of one worker. So they are when one process hands over to two.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::{Feed, Out, Row, Workers, cases, feeds_of, run, run_cut};
use tiderace_operators::wire::{Abomonated, Columns, Serial};

/// A result in words, and how many times it is added.
type Result = (String, i64);

fn micros(n: u64) -> Duration {
    Duration::from_micros(n)
}

/// What all results add up to.
fn total(rows: Vec<Result>) -> BTreeMap<String, i64> {
    let mut total = BTreeMap::new();
    for (row, diff) in rows {
        *total.entry(row).or_default() += diff;
    }
    total.retain(|_, diff| *diff != 0);
    total
}

fn words(name: &str, row: &dyn std::fmt::Debug) -> String {
    format!("{name} {row:?}")
}

fn windows(inputs: &[Events<'_, u64, Row>], out: &Out<Result>) {
    let both = inputs[0].union(&inputs[1]).key_by(|row| row.key);
    let summary = (Count, Sum::of(|row: &Row| row.value), Last::of(|row: &Row| row.value));
    let tumbling = both.clone().window(Tumbling::every(micros(20))).allow_late(micros(9));
    let tumbling = tumbling.aggregate("tumbling", summary);
    out.gather(&tumbling, |row| (words("tumbling", row), 1));
    out.gather(&tumbling.late(), |row| (words("late", row), 1));
    let sessions = both.session(Session::gap(micros(9)));
    out.gather(&sessions.aggregate("sessions", Count), |row| (words("session", row), 1));
}

fn corrections(inputs: &[Events<'_, u64, Row>], out: &Out<Result>) {
    let keyed = inputs[0].key_by(|row| row.key).window(Tumbling::every(micros(20)));
    let windows = keyed.allow_late(micros(15)).retracting("windows", Count);
    // Which pane a result is in depends on where ticks end; what is left in the end does not.
    let windows = windows.map(|row| (row.key, row.window, row.value));
    out.changes(&windows, |row| (words("window", &row.data.data), row.data.diff));
    let view = windows.view("windows held", Retain::forever());
    let names =
        inputs[1].upsert("names", |row| row.key, |row| (row.value > 0).then_some(row.value));
    let named = view.map(|(key, window, count)| (key, (window, count))).join(&names);
    let most = named.map(|(key, ((_, count), name))| (key, (count, name))).top_k(2);
    out.changes(&most.changelog("most"), |row| (words("most", &row.data.data), row.data.diff));
}

fn once(inputs: &[Events<'_, u64, Row>], out: &Out<Result>) {
    let keyed = inputs[0].key_by(|row| (row.key, row.value % 4));
    let horizon = Horizon::within(micros(30)).late_by(micros(5));
    let once = keyed.clone().dedup_first_by_time("once", horizon);
    out.gather(&once, |row| (words("once", row), 1));
    out.gather(&once.late(), |row| (words("late", row), 1));
    let last = keyed.dedup_last("last", horizon).changes();
    out.changes(&last, |row| (words("last", &row.data.data), row.data.diff));
}

/// Rows that travel in each of the codecs, and those that were late as they were.
fn codecs(inputs: &[Events<'_, u64, Row>], out: &Out<Result>) {
    let pairs = inputs[0].map(|row| (u64::from(row.key), i64::from(row.value)));
    let keyed = pairs.key_by(|pair| pair.0);
    let tumbling = || Tumbling::every(micros(20));
    let serial = keyed.clone().exchange_as("serial", Serial).window(tumbling());
    let columns = keyed.exchange_as("columns", Columns).window(tumbling());
    let sum = Sum::of(|row: &(u64, i64)| row.1);
    for (name, windows) in [("serial", serial), ("columns", columns)] {
        let sums = windows.aggregate(&format!("{name} windows"), sum);
        out.gather(&sums, move |row| (words(name, row), 1));
        out.gather(&sums.late(), move |row| (words(name, row), 1));
    }
    let plain = inputs[1].map(|row| [u64::from(row.key), row.value as u64]);
    let plain = plain.key_by(|words| words[0]).exchange_as("abomonated", Abomonated);
    let last = plain.session(Session::gap(micros(9)));
    let last = last.aggregate("sessions", Last::of(|words: &[u64; 2]| words[1]));
    out.gather(&last, |row| (words("abomonated", row), 1));
    out.gather(&last.late(), |row| (words("abomonated", row), 1));
}

fn check(
    feed: &Feed<Row>,
    cut: usize,
    program: fn(&[Events<'_, u64, Row>], &Out<Result>),
) -> std::result::Result<(), TestCaseError> {
    let (one, two) = (Workers::threads(1), Workers::processes(2, 1));
    let wanted = total(run(feed, one, program).rows);
    prop_assert_eq!(&total(run(feed, two, program).rows), &wanted);
    prop_assert_eq!(&total(run(feed, Workers::processes(2, 2), program).rows), &wanted);
    prop_assert_eq!(&total(run_cut(feed, &[(cut, one)], two, program).rows), &wanted);
    prop_assert_eq!(&total(run_cut(feed, &[(cut, two)], one, program).rows), &wanted);
    Ok(())
}

proptest! {
    #![proptest_config(cases(20))]

    #[test]
    fn windows_and_sessions(feed in feeds_of(2), cut in 0usize..120) {
        check(&feed, cut, windows)?;
    }

    #[test]
    fn corrections_and_views(feed in feeds_of(2), cut in 0usize..120) {
        check(&feed, cut, corrections)?;
    }

    #[test]
    fn rows_in_codecs(feed in feeds_of(2), cut in 0usize..120) {
        check(&feed, cut, codecs)?;
    }

    #[test]
    fn deduplication(feed in feeds_of(2), cut in 0usize..120) {
        check(&feed, cut, once)?;
    }
}
