use chrono::{Datelike, NaiveDate};

use super::*;

fn at(zone: Tz, text: &str) -> i64 {
    let naive = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
    zone.from_local_datetime(&naive).earliest().expect("it exists").timestamp()
}

fn hours(by: Calendar, zone: Tz, text: &str) -> (String, i64) {
    let window = by.window_of(EventTime::from_secs(at(zone, text)));
    let start = zone.timestamp_micros(window.start.micros()).unwrap();
    let hours = (window.end.millis() - window.start.millis()) / 3_600_000;
    (start.format("%Y-%m-%d %H:%M").to_string(), hours)
}

/// Steps through the instants, and lets chrono say what day it is: the latest that has begun.
fn brute(by: Calendar, zone: Tz, from: &str, days: i64) {
    let from = at(zone, from) / 60 * 60;
    let period = |seconds: i64| {
        let local = zone.timestamp_opt(seconds, 0).unwrap().naive_local();
        let local = local - chrono::Duration::seconds(by.after);
        let date = local.date();
        match by.period {
            Period::Days => date,
            Period::Weeks(first) => date.week(first).first_day(),
            Period::Months => NaiveDate::from_ymd_opt(date.year(), date.month(), 1).unwrap(),
            Period::Years => NaiveDate::from_ymd_opt(date.year(), 1, 1).unwrap(),
        }
    };
    let (mut begun, mut starts, mut periods) = (NaiveDate::MIN, Vec::new(), Vec::new());
    for seconds in (from..from + days * DAY).step_by(60) {
        if period(seconds) > begun {
            begun = period(seconds);
            starts.push(seconds);
        }
        periods.push((seconds, starts.len() - 1));
    }
    for (seconds, period) in periods {
        let next = starts.get(period + 1);
        if let (1.., Some(&next)) = (period, next) {
            let start = starts[period];
            let micros = [seconds * 1_000_000, seconds * 1_000_000 + 59_999_999];
            for time in micros.map(EventTime::from_micros) {
                let window = by.window_of(time);
                let got = (window.start.micros() / 1_000_000, window.end.micros() / 1_000_000);
                assert_eq!(got, (start, next), "{by:?} at {time}");
                assert!(window.contains(time));
            }
        }
    }
}

#[test]
fn agrees_with_stepping_minutes() {
    let nights = [
        (Tz::Europe__Berlin, "2026-03-27 12:00"),
        (Tz::Europe__Berlin, "2026-10-23 12:00"),
        (Tz::America__New_York, "2026-03-06 12:00"),
        (Tz::America__New_York, "2026-10-30 12:00"),
        // Midnight does not exist, and on the way back it comes after an hour that comes twice.
        (Tz::America__Sao_Paulo, "2018-11-02 12:00"),
        (Tz::America__Sao_Paulo, "2018-02-15 12:00"),
        (Tz::Asia__Beirut, "2022-03-25 12:00"),
        (Tz::Asia__Beirut, "2022-10-28 12:00"),
        // Midnight comes twice.
        (Tz::America__Havana, "2025-03-07 12:00"),
        (Tz::America__Havana, "2025-10-31 12:00"),
        // Back from 00:01 of one day to 23:01 of the day before.
        (Tz::America__St_Johns, "2009-03-06 12:00"),
        (Tz::America__St_Johns, "2009-10-30 12:00"),
        // Half an hour; a day left out; a day that comes twice.
        (Tz::Australia__Lord_Howe, "2026-04-03 12:00"),
        (Tz::Pacific__Apia, "2011-12-28 12:00"),
        (Tz::Pacific__Kwajalein, "1969-09-28 12:00"),
        (Tz::Pacific__Kwajalein, "1993-08-18 12:00"),
        (Tz::Africa__Casablanca, "2026-02-12 12:00"),
        (Tz::UTC, "1969-12-30 12:00"),
    ];
    for (zone, from) in nights {
        for hour in [0, 2, 23] {
            brute(Calendar::days(zone).starting_at(hour), zone, from, 5);
        }
        brute(Calendar::weeks(zone, Weekday::Sun), zone, from, 17);
        brute(Calendar::weeks(zone, Weekday::Thu).starting_at(6), zone, from, 17);
        brute(Calendar::months(zone), zone, from, 75);
    }
    brute(Calendar::years(Tz::Asia__Kolkata), Tz::Asia__Kolkata, "1967-12-30 12:00", 1000);
}

#[test]
fn nights_that_clocks_change() {
    let days = [
        (Tz::Europe__Berlin, "2026-03-29 12:00", "2026-03-29 00:00", 23),
        (Tz::Europe__Berlin, "2026-10-25 12:00", "2026-10-25 00:00", 25),
        (Tz::Europe__Berlin, "2026-10-26 00:00", "2026-10-26 00:00", 24),
        (Tz::America__New_York, "2026-03-08 12:00", "2026-03-08 00:00", 23),
        (Tz::America__New_York, "2026-11-01 01:30", "2026-11-01 00:00", 25),
        (Tz::America__Sao_Paulo, "2018-11-04 12:00", "2018-11-04 01:00", 23),
        (Tz::America__Sao_Paulo, "2018-02-17 12:00", "2018-02-17 00:00", 25),
        (Tz::Asia__Beirut, "2022-03-27 12:00", "2022-03-27 01:00", 23),
        (Tz::America__Havana, "2025-11-02 12:00", "2025-11-02 00:00", 25),
    ];
    for (zone, text, start, length) in days {
        assert_eq!(hours(Calendar::days(zone), zone, text), (start.to_string(), length));
    }
    let zone = Tz::Europe__Berlin;
    let six = Calendar::days(zone).starting_at(6);
    assert_eq!(hours(six, zone, "2026-03-29 05:59"), ("2026-03-28 06:00".into(), 23));
    assert_eq!(hours(six, zone, "2026-03-29 06:00"), ("2026-03-29 06:00".into(), 24));
}

#[test]
fn months_and_years_have_their_lengths() {
    let utc = Calendar::months(Tz::UTC);
    for (text, days) in [
        ("2023-02-10", 28),
        ("2024-02-29", 29),
        ("1900-02-01", 28),
        ("2000-02-03", 29),
        ("2026-04-30", 30),
        ("1969-12-31", 31),
    ] {
        assert_eq!(hours(utc, Tz::UTC, &format!("{text} 23:59")).1, days * 24, "{text}");
    }
    let (years, zone) = (Calendar::years(Tz::Asia__Tokyo), Tz::Asia__Tokyo);
    assert_eq!(hours(years, zone, "2024-07-01 00:00"), ("2024-01-01 00:00".into(), 366 * 24));
    assert_eq!(hours(years, zone, "1900-07-01 00:00"), ("1900-01-01 00:00".into(), 365 * 24));
    let (march, zone) = (Calendar::months(Tz::Europe__Berlin), Tz::Europe__Berlin);
    assert_eq!(hours(march, zone, "2026-03-01 00:00"), ("2026-03-01 00:00".into(), 31 * 24 - 1));
}

#[test]
fn months_of_eight_hundred_years() {
    let (mut date, mut month) = (NaiveDate::from_ymd_opt(1570, 1, 1).unwrap(), -4_800);
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
    while date.year() < 2370 {
        let days = (date - epoch).num_days();
        assert_eq!(days_to_month(month), days, "{date}");
        let next = date + chrono::Months::new(1);
        let length = (next - date).num_days();
        for day in [0, 1, length - 1] {
            assert_eq!(month_of(days + day), month, "{date} + {day}");
        }
        (date, month) = (next, month + 1);
    }
}

#[test]
fn the_ends_of_time_are_in_windows() {
    for by in [
        Calendar::days(Tz::Europe__Berlin),
        Calendar::weeks(Tz::Europe__Berlin, Weekday::Mon),
        Calendar::months(Tz::Europe__Berlin),
        Calendar::years(Tz::Europe__Berlin).starting_at(5),
    ] {
        for t in [i64::MIN, i64::MIN + 1, i64::MIN / 2, i64::MAX / 2, i64::MAX - 1] {
            let time = EventTime::from_micros(t);
            let window = by.window_of(time);
            assert!(window.contains(time), "{by:?} at {time}: {window:?}");
            let next = window.end;
            assert!(next == EventTime::MAX || by.window_of(next).start == next);
        }
        assert_eq!(by.window_of(EventTime::MIN).start, EventTime::MIN);
        assert_eq!(by.window_of(EventTime::MAX).end, EventTime::MAX);
    }
}

#[test]
fn what_it_says_of_itself_has_zone_and_version() {
    let says = format!("{:?}", Calendar::days(Tz::Asia__Beirut).starting_at(4));
    for part in ["Beirut", "Days", "14400", IANA_TZDB_VERSION] {
        assert!(says.contains(part), "{says} does not say {part}");
    }
    assert_eq!(Calendar::data_version(), IANA_TZDB_VERSION);
}

#[test]
#[should_panic(expected = "calendar window: a day has no hour 24 to begin at")]
fn an_hour_that_no_day_has_is_refused() {
    let _ = Calendar::days(Tz::UTC).starting_at(24);
}
