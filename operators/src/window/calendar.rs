//! Calendar windows: the days, weeks, months and years of a place.
//!
//! *A record is in the window of the latest local day (week, month, year) that has begun.* A day
//! begins at the first instant at which the clocks of the zone show midnight or later, so it has 23,
//! 24 or 25 hours, or what else the zone's rules make of it:
//!
//! ```text
//!                        clocks go forward                        clocks go back
//!  Berlin   29 March 2026 ├──── 23 h ────┤     25 October 2026 ├────── 25 h ──────┤
//!  Beirut   where midnight does not exist, the day begins at 01:00
//!  Havana   where midnight comes twice, the day begins at the first one
//! ```
//!
//! Should clocks be put back over midnight, to an hour of the day before, that hour belongs to the
//! day that had begun. A day that a zone has left out (Samoa, 30 December 2011) has no window.
//!
//! The rules of time zones change, with the version of the data that a program is built with. Which
//! one it is is part of the type's `Debug` and so of the [`Shape`](crate::state::Shape) of
//! saved state: state that was saved under one version is refused under another, as the bounds of
//! its windows may not be those of today.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::prelude::*;
//! use tiderace_operators::window::Tz;
//!
//! let results = Arc::new(Mutex::new(Vec::new()));
//! let late = Arc::new(Mutex::new(0));
//! let (into, late_in) = (results.clone(), late.clone());
//! timely::execute_directly(move |worker| {
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let (input, orders) =
//!             EventInput::<u32>::new(scope, 0, Policy::ascending(), &Observer::default());
//!         let daily = orders.key_by(|&shop| shop).window(Calendar::days(Tz::Europe__Berlin));
//!         let daily = daily.aggregate("daily", Count);
//!         daily.inspect(move |row| {
//!             let Window { start, end } = row.data.window;
//!             let hours = (end.millis() - start.millis()) / 3_600_000;
//!             into.lock().unwrap().push((hours, row.data.value));
//!         });
//!         daily.late().inspect(move |_| *late_in.lock().unwrap() += 1);
//!         input
//!     });
//!     let midnight = 1_774_738_800; // 29 March 2026 in Berlin: clocks go forward
//!     let at = |hours: i64| EventTime::from_secs(midnight + hours * 3600);
//!     input.send(0, at(0), 1);
//!     input.send(0, at(22), 1);
//!     input.send(0, at(23), 1); // the next midnight
//!     input.send(0, at(22), 1); // late
//!     input.finish();
//! });
//! let mut results = results.lock().unwrap().clone();
//! results.sort();
//! assert_eq!(results, [(23, 2), (24, 1)]);
//! assert_eq!(*late.lock().unwrap(), 1);
//! ```

use chrono::{DateTime, Offset, TimeZone, Weekday};
use chrono_tz::{IANA_TZDB_VERSION, Tz};

use super::tumbling::saturated;
use super::{Assigner, SideBySide, Window};
use crate::time::EventTime;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// Clocks anywhere differ from UTC by less than this.
const MOST: i64 = 26 * HOUR;

/// The local periods of a time zone, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    zone: Tz,
    period: Period,
    /// How long after midnight a period begins, by the clock, in seconds.
    after: i64,
    /// The version of the time zone data.
    data: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Period {
    Days,
    Weeks(Weekday),
    Months,
    Years,
}

impl Calendar {
    /// Days.
    pub fn days(zone: Tz) -> Self {
        Calendar::of(zone, Period::Days)
    }

    /// Weeks that begin on this day.
    pub fn weeks(zone: Tz, first: Weekday) -> Self {
        Calendar::of(zone, Period::Weeks(first))
    }

    /// Months.
    pub fn months(zone: Tz) -> Self {
        Calendar::of(zone, Period::Months)
    }

    /// Years.
    pub fn years(zone: Tz) -> Self {
        Calendar::of(zone, Period::Years)
    }

    fn of(zone: Tz, period: Period) -> Self {
        Calendar { zone, period, after: 0, data: IANA_TZDB_VERSION }
    }

    /// Has periods begin when clocks show this hour instead of midnight: days that begin at six in
    /// the morning, say.
    ///
    /// # Panics
    /// If it is not an hour of a day.
    #[must_use]
    pub fn starting_at(self, hour: u32) -> Self {
        assert!(hour < 24, "calendar window: a day has no hour {hour} to begin at");
        Calendar { after: i64::from(hour) * HOUR, ..self }
    }

    /// The version of the time zone data, such as `2025b`.
    pub fn data_version() -> &'static str {
        IANA_TZDB_VERSION
    }

    /// How far clocks are ahead of UTC at an instant in seconds since 1970. Beyond the years that
    /// there are calendars for it is that of their ends.
    fn ahead(&self, seconds: i64) -> i64 {
        let (first, last) = (DateTime::<chrono::Utc>::MIN_UTC, DateTime::<chrono::Utc>::MAX_UTC);
        let within = seconds.clamp(first.timestamp() + DAY, last.timestamp() - DAY);
        let utc = DateTime::from_timestamp(within, 0).expect("it is within the calendar");
        self.zone.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc().into()
    }

    /// What clocks show at an instant, as seconds since they showed the beginning of 1970.
    fn shown(&self, seconds: i64) -> i64 {
        seconds + self.ahead(seconds)
    }

    /// The number of the period that clocks show, counted from the one around 1970.
    fn number(&self, shown: i64) -> i64 {
        let days = (shown - self.after).div_euclid(DAY);
        match self.period {
            Period::Days => days,
            Period::Weeks(first) => (days - week_of_1970(first)).div_euclid(7),
            Period::Months => month_of(days),
            Period::Years => month_of(days).div_euclid(12),
        }
    }

    /// What clocks show at the beginning of a period.
    fn beginning(&self, number: i64) -> i64 {
        let days = match self.period {
            Period::Days => number,
            Period::Weeks(first) => number * 7 + week_of_1970(first),
            Period::Months => days_to_month(number),
            Period::Years => days_to_month(number * 12),
        };
        days * DAY + self.after
    }

    /// The first instant at which clocks show this or later.
    fn first_instant(&self, shown: i64) -> i64 {
        // Around one change of the clocks, what they show is one of two lengths ahead of UTC.
        let (before, after) = (self.ahead(shown - MOST), self.ahead(shown + MOST));
        let candidates = [shown - before.max(after), shown - before.min(after)];
        let exact = candidates.into_iter().find(|&seconds| self.shown(seconds) == shown);
        exact.unwrap_or_else(|| {
            // Clocks skip it: look for the instant at which they do.
            let [mut early, mut reached] = candidates;
            while reached - early > 1 {
                let middle = early + (reached - early) / 2;
                if self.shown(middle) >= shown { reached = middle } else { early = middle }
            }
            reached
        })
    }

    /// The window an instant is in. Bounds saturate at the ends of time.
    fn find(&self, time: EventTime) -> Window {
        let seconds = time.micros().div_euclid(1_000_000);
        let mut number = self.number(self.shown(seconds));
        let mut start = self.first_instant(self.beginning(number));
        let mut end = self.first_instant(self.beginning(number + 1));
        // Clocks that were put back may show a period before the one that has begun.
        while end <= seconds {
            number += 1;
            (start, end) = (end, self.first_instant(self.beginning(number + 1)));
        }
        let instant = |seconds| saturated(i128::from(seconds) * 1_000_000);
        Window { start: instant(start), end: instant(end) }
    }
}

/// The first day of this weekday from 1970-01-01 on, a Thursday.
fn week_of_1970(first: Weekday) -> i64 {
    (i64::from(first.num_days_from_monday()) - 3).rem_euclid(7)
}

/// The month of a day, both counted from the beginning of 1970.
fn month_of(days: i64) -> i64 {
    // The months of a year differ in length by no more than would make this guess be off by one.
    let guess = (days * 4_800).div_euclid(146_097);
    let late = (guess - 1..=guess + 2).rev().find(|&month| days_to_month(month) <= days);
    late.expect("the guess is off by a month at most")
}

/// How many days there are from the beginning of 1970 to that of a month, counted from the same.
fn days_to_month(month: i64) -> i64 {
    // A year of the Gregorian calendar that begins in March ends with its leap day.
    let since_march = month + 1970 * 12 - 2;
    let (year, month) = (since_march.div_euclid(12), since_march.rem_euclid(12));
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 - 719_468
}

impl Assigner for Calendar {
    fn assign(&self, time: EventTime, f: &mut impl FnMut(Window)) {
        f(self.find(time));
    }
}

impl SideBySide for Calendar {
    fn window_of(&self, time: EventTime) -> Window {
        self.find(time)
    }
}

#[cfg(test)]
mod tests;
