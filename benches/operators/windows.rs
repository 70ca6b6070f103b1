//! Windows of all kinds, each with a count, and the tumbling ones with more.

mod floor;

use std::time::Duration;

use tiderace_operators::prelude::*;
use tiderace_operators::window::Tz;

use crate::support::{Event, Load, Row, program};

/// The size of windows, in microseconds.
pub const WINDOW: i64 = 10_000_000;
/// The slide of sliding windows: a sixtieth of their size.
const SLIDE: i64 = WINDOW / 60;
/// The step of cumulative windows.
const STEP: i64 = WINDOW / 10;
/// Longer than there are events.
const FOREVER: i64 = 1 << 60;

pub fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros as u64)
}

/// Tumbling windows with an aggregate, and how many events each result speaks of.
pub fn tumbling<A>(load: Load, aggregate: A, count: fn(&A::Output) -> u64) -> (u64, u64)
where
    A: Aggregate<Event> + Send + Sync,
{
    program(load, move |input, tally| {
        let windows = input.key_by(|event| event.0).window(Tumbling::every(micros(WINDOW)));
        let windows = windows.aggregate("windows", aggregate.clone());
        windows.inspect(move |row| tally.add(count(&row.data.value)));
    })
}

/// The tumbling windows of a tenth of the size, and those of the size.
#[derive(Clone, Debug)]
struct Both;

impl Assigner for Both {
    fn assign(&self, time: EventTime, f: &mut impl FnMut(Window)) {
        for size in [STEP, WINDOW] {
            let start = time.micros().div_euclid(size) * size;
            let [start, end] = [start, start + size].map(EventTime::from_micros);
            f(Window { start, end });
        }
    }
}

/// A row with the counts of some windows: these have no trait in common.
macro_rules! counts {
    ($name:literal, $load:expr, $windows:expr) => {
        Row::new($name, $load, |load| {
            program(load, |input, tally| {
                let windows = input.key_by(|event| event.0).window($windows);
                let counts = windows.aggregate("windows", Count);
                counts.inspect(move |row| tally.add(row.data.value));
            })
        })
    };
}

pub fn rows(load: Load) -> Vec<Row> {
    let value = |event: &Event| event.1;
    vec![
        Row::new("nothing", load, floor::nothing),
        Row::new("bare count", load, |load| floor::count(load, WINDOW)),
        Row::new("bare count, stamped", load, floor::stamped).gives("bare count"),
        Row::new("tumbling count", load, |load| tumbling(load, Count, |n| *n)).gives("bare count"),
        Row::new("tumbling fast sum", load, move |load| {
            tumbling(load, (Count, FastSum::of(value)), |(n, _)| *n)
        })
        .gives("bare count"),
        Row::new("tumbling exact sum", load, move |load| {
            tumbling(load, (Count, Sum::of(value)), |(n, _)| *n)
        })
        .gives("bare count"),
        Row::new("composite of 8", load, move |load| {
            let eight = (
                Count,
                FastSum::of(value),
                FastMean::of(value),
                Min::of(value),
                Max::of(value),
                First::of(value),
                Last::of(value),
                FastVarPop::of(value),
            );
            tumbling(load, eight, |of| of.0)
        })
        .gives("bare count"),
        Row::new("bare sliding 60:1", load, |load| floor::sliding(load, SLIDE)),
        counts!("sliding 60:1", load, Sliding::of(micros(SLIDE * 60), micros(SLIDE)))
            .gives("bare sliding 60:1"),
        Row::new("bare cumulative 10:1", load, |load| floor::cumulative(load, WINDOW, STEP)),
        counts!("cumulative 10:1", load, Cumulative::of(micros(WINDOW), micros(STEP)))
            .gives("bare cumulative 10:1"),
        Row::new("bare count of all", load, |load| floor::count(load, FOREVER)),
        counts!("calendar days", load, Calendar::days(Tz::Europe__Zurich))
            .gives("bare count of all"),
        counts!("global", load, Custom::by(Global)).gives("bare count of all"),
        Row::new("bare count in two windows", load, |load| floor::count_in_two(load, STEP, WINDOW)),
        counts!("custom, two windows a row", load, Custom::by(Both))
            .gives("bare count in two windows"),
    ]
}
