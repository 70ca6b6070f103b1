//! Windows of ten seconds by key: count, sum and maximum.

use std::collections::BTreeMap;
use std::time::Duration;

use hashbrown::HashMap;
use tiderace_operators::prelude::*;

use crate::floor::{making, ticks};
use crate::summary::{Summary, exact, fast};
use crate::tally::hash;
use crate::{Agrees, BOUND, Event, Feed, Load, Row, Tally, Totals, Work};

/// The size of the windows, in microseconds.
pub const WINDOW: i64 = 10_000_000;
/// How many windows a row is in, where they slide.
const SLICES: i64 = 60;
/// From one of these windows to the next.
const SLIDE: i64 = WINDOW / SLICES;

pub const WORK: Work = Work { name: "window", events: 5_000_000, keys: &[1_000, 1_000_000], rows };

fn rows() -> Vec<Row> {
    vec![
        making(),
        Row::bare(BARE, bare),
        tumbling(),
        Row::flow("tumbling, exact sum", |feed, tally| windows(feed, tally, exact()))
            .gives(BARE, Agrees::Wholly)
            .beside(TUMBLING),
        Row::flow("tumbling, tick 1 ms", |feed, tally| windows(feed, tally, fast()))
            .tick(millis(1))
            .gives(BARE, Agrees::Wholly)
            .beside(TUMBLING),
        Row::bare("bare sliding count", bare_sliding).part(16),
        Row::flow("sliding count 60:1", sliding)
            .part(16)
            .gives("bare sliding count", Agrees::Wholly)
            .beside(TUMBLING),
    ]
}

pub const BARE: &str = "bare loop";
pub const TUMBLING: &str = "tumbling";

/// The row with the window that others are shown beside.
pub fn tumbling() -> Row {
    Row::flow(TUMBLING, |feed, tally| windows(feed, tally, fast())).gives(BARE, Agrees::Wholly)
}

fn windows<A>(feed: &Feed<'_>, tally: Tally, aggregate: A)
where
    A: Aggregate<Event, Output = (u64, f64, Option<f64>)>,
{
    let windows = feed.events().key_by(|event| event.0).window(Tumbling::every(micros(WINDOW)));
    windows.aggregate("windows", aggregate).inspect(move |row| {
        let WindowResult { key, window, value, .. } = &row.data;
        tally.add(Summary::of(*value).result(*key, window.start.micros()));
    });
}

/// A hash map per window.
pub fn bare(load: Load) -> Totals {
    let mut open: BTreeMap<i64, HashMap<u64, Summary>> = BTreeMap::new();
    let (mut totals, mut newest) = (Totals::default(), i64::MIN);
    let mut fire = |(window, keys): (i64, HashMap<u64, Summary>)| {
        keys.into_iter().for_each(|(key, of)| totals.add(of.result(key, window * WINDOW)));
    };
    for number in 0..load.events {
        let (time, (key, value)) = load.event(number);
        open.entry(time.div_euclid(WINDOW)).or_default().entry(key).or_default().add(value);
        if time > newest {
            newest = time;
            while open.first_key_value().is_some_and(|(&w, _)| (w + 1) * WINDOW <= newest - BOUND) {
                fire(open.pop_first().expect("looked at above"));
            }
        }
    }
    open.into_iter().for_each(&mut fire);
    totals
}

fn sliding(feed: &Feed<'_>, tally: Tally) {
    let windows = Sliding::of(micros(SLIDE * SLICES), micros(SLIDE));
    let windows = feed.events().key_by(|event| event.0).window(windows);
    windows.aggregate("windows", Count).inspect(move |row| {
        let WindowResult { key, window, value, .. } = &row.data;
        tally.add(hash([*key, window.start.micros() as u64, *value]));
    });
}

/// Windows of sixty slices: what comes in is added to a count per key, what falls out is subtracted.
struct Slices {
    counts: BTreeMap<i64, HashMap<u64, u64>>,
    windows: HashMap<u64, u64>,
    /// The slice that the next window ends with.
    last: Option<i64>,
    totals: Totals,
}

fn bare_sliding(load: Load) -> Totals {
    let (counts, windows) = (BTreeMap::new(), HashMap::new());
    let mut state = Slices { counts, windows, last: None, totals: Totals::default() };
    ticks(
        load,
        &mut state,
        |state, _, time, (key, _)| {
            *state.counts.entry(time.div_euclid(SLIDE)).or_default().entry(key).or_default() += 1;
        },
        Slices::fire,
    );
    state.totals
}

impl Slices {
    fn fire(&mut self, frontier: i64) {
        let Some(mut last) = self.last.or(self.counts.keys().next().copied()) else { return };
        while !self.counts.is_empty() && (last + 1) * SLIDE <= frontier {
            if let Some(slice) = self.counts.get(&last) {
                slice.iter().for_each(|(&key, n)| *self.windows.entry(key).or_default() += n);
            }
            let start = (last + 1 - SLICES) * SLIDE;
            for (&key, &count) in &self.windows {
                self.totals.add(hash([key, start as u64, count]));
            }
            for (key, n) in self.counts.remove(&(last + 1 - SLICES)).into_iter().flatten() {
                let count = self.windows.get_mut(&key).expect("it was added");
                *count -= n;
                if *count == 0 {
                    self.windows.remove(&key);
                }
            }
            last += 1;
        }
        self.last = Some(last);
    }
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(micros as u64)
}
