//! Windows of local days, weeks and months against the model, over nights when clocks change.
#![cfg(feature = "calendar")]

mod oracle;

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate, TimeZone};
use oracle::{check, check_cut, model};
use proptest::prelude::*;
use tiderace_operators::prelude::*;
use tiderace_operators::testing::cuts;
use tiderace_operators::testing::{Feed, Row, Workers, feeds, run};
use tiderace_operators::window::{Tz, Weekday};

const MINUTE: i64 = 60_000_000;

/// A night around which feeds lie, as minutes since 1970.
type Night = (Tz, i64);

/// Of which clocks change: forward and back, where midnight is skipped and where it comes twice.
fn nights() -> impl Strategy<Value = Night> {
    prop::sample::select(vec![
        (Tz::Europe__Berlin, 1_774_742_400),
        (Tz::Europe__Berlin, 1_792_886_400),
        (Tz::America__Sao_Paulo, 1_541_300_400),
        (Tz::America__Sao_Paulo, 1_518_919_200),
        (Tz::Asia__Beirut, 1_648_332_000),
        (Tz::America__Havana, 1_762_059_600),
    ])
    .prop_map(|(zone, seconds)| (zone, seconds / 60))
}

/// The same feed, a unit being half an hour, around a night.
fn around(feed: &Feed<Row>, night: i64) -> Feed<Row> {
    let bound = tiderace_operators::time::Span::from_micros(feed.bound.micros() * 30 * MINUTE);
    let mut moved = Feed::new(bound);
    (0..feed.partitions(0)).for_each(|partition| moved.partition(0, partition));
    for step in &feed.steps {
        use tiderace_operators::testing::Step;
        match step {
            Step::Row { source, partition, data, .. } => {
                let time = (night + data.time * 30) * MINUTE + i64::from(data.value);
                moved.row(*source, *partition, EventTime::from_micros(time), Row { time, ..*data });
            }
            other => moved.steps.push(other.clone()),
        }
    }
    moved
}

#[derive(Clone, Copy, Debug)]
enum Period {
    Day,
    Week,
    Month,
}

/// All windows in 80 days either way of a night, by stepping minutes and asking what day it is: the
/// latest that has begun.
fn windows((zone, night): Night, period: Period) -> impl Fn(i64) -> Vec<(i64, i64)> {
    let begins = |date: NaiveDate| match period {
        Period::Day => date,
        Period::Week => date.week(Weekday::Mon).first_day(),
        Period::Month => date.with_day(1).unwrap(),
    };
    let (mut begun, mut starts) = (NaiveDate::MIN, BTreeMap::new());
    for minute in (night - 80 * 1_440..night + 80 * 1_440).step_by(30) {
        let date = begins(zone.timestamp_opt(minute * 60, 0).unwrap().date_naive());
        if date > begun {
            begun = date;
            starts.insert(minute * MINUTE, ());
        }
    }
    move |t| {
        let (start, ()) = starts.range(..=t).next_back().unwrap();
        let (end, ()) = starts.range(t + 1..).next().unwrap();
        vec![(*start, *end)]
    }
}

fn by(zone: Tz, period: Period) -> Calendar {
    match period {
        Period::Day => Calendar::days(zone),
        Period::Week => Calendar::weeks(zone, Weekday::Mon),
        Period::Month => Calendar::months(zone),
    }
}

fn periods() -> impl Strategy<Value = Period> {
    prop::sample::select(vec![Period::Day, Period::Day, Period::Week, Period::Month])
}

proptest! {
    #![proptest_config(tiderace_operators::testing::cases(50))]

    #[test]
    fn agree_with_the_model(
        feed in feeds(),
        night in nights(),
        period in periods(),
        hours in 0i64..30,
        workers in prop::sample::select(vec![1usize, 2, 5]),
    ) {
        let (feed, late) = (around(&feed, night.1), hours * 60 * MINUTE);
        let wanted = model(&feed, late, windows(night, period));
        check(&feed, workers, &wanted, program!(by(night.0, period), late));
        check(&feed.ticks(true), workers, &wanted, program!(by(night.0, period), late));
    }

    #[test]
    fn go_on_after_cuts(
        feed in feeds(),
        night in nights(),
        period in periods(),
        cuts in cuts(),
        last in 1usize..6,
    ) {
        let feed = around(&feed, night.1);
        let wanted = model(&feed, 0, windows(night, period));
        check_cut(&feed, &cuts, last, &wanted, program!(by(night.0, period), 0));
    }
}

/// The hour that comes twice is one day's, 25 hours long: a microsecond either way of its ends.
#[test]
fn the_edges_of_a_day_of_25_hours() {
    let midnight = 1_792_879_200_000_000;
    let hour = 60 * MINUTE;
    let edges = [(-1, 0), (0, 1), (25 * hour - 1, 1), (25 * hour, 2)];
    for (after, day) in edges {
        let feed = oracle::ordered([midnight + after]);
        let ran = run(&feed, Workers::threads(1), program!(Calendar::days(Tz::Europe__Berlin), 0));
        let bounds = [-24 * hour, 0, 25 * hour, 49 * hour];
        let [oracle::Got::Result { start, end, .. }] = ran.rows[..] else { panic!("{ran:?}") };
        assert_eq!((start - midnight, end - midnight), (bounds[day], bounds[day + 1]));
    }
}
