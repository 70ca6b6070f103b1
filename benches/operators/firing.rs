//! Windows with results before they are complete.

use hashbrown::HashMap;
use tiderace_operators::prelude::*;

use crate::floor::ticks;
use crate::support::{Load, Row, program};
use crate::windows::{WINDOW, micros};

/// Counts per window and key, with what was last said of them; at the end of each tick a result for
/// all that have changed, which takes back the one before.
fn bare(load: Load) -> (u64, u64) {
    type Counts = HashMap<i64, HashMap<u64, (u64, u64)>>;
    let mut state = (Counts::new(), Vec::new(), (0, 0));
    ticks(
        load,
        &mut state,
        |(windows, changed, _), _, time, (key, _)| {
            let window = time.div_euclid(WINDOW);
            let (count, said) = windows.entry(window).or_default().entry(key).or_default();
            if count == said {
                changed.push((window, key));
            }
            *count += 1;
        },
        |(windows, changed, tally), frontier| {
            for (window, key) in changed.drain(..) {
                let keys = windows.get_mut(&window).expect("it has changed");
                let (count, said) = keys.get_mut(&key).expect("it has changed");
                *tally = (tally.0 + 1 + u64::from(*said > 0), tally.1 + (*count - *said));
                *said = *count;
            }
            windows.retain(|window, _| (window + 1) * WINDOW > frontier);
        },
    );
    state.2
}

/// A row with counts that are corrected when a trigger fires.
fn retracting(name: &'static str, load: Load, trigger: fn() -> Trigger) -> Row {
    Row::new(name, load, move |load| {
        program(load, move |input, tally| {
            let windows = input.key_by(|event| event.0).window(Tumbling::every(micros(WINDOW)));
            let counts = windows.trigger(trigger()).retracting("windows", Count);
            counts.inspect(move |row| {
                tally.add_signed(row.data.data.value as i64 * row.data.diff);
            });
        })
    })
}

pub fn rows(load: Load) -> Vec<Row> {
    let each_second = || Trigger::every_event_time(secs(1));
    vec![
        Row::new("bare count on each change", load, bare),
        Row::new("final only", load, |load| {
            program(load, |input, tally| {
                let windows = input.key_by(|event| event.0).window(Tumbling::every(micros(WINDOW)));
                let counts = windows.final_only("windows", Count);
                counts.inspect(move |row| tally.add(row.data.value));
            })
        })
        .adds_up("bare count on each change"),
        retracting("retracting, on time", load, Trigger::on_time)
            .adds_up("bare count on each change"),
        retracting("retracting, on each change", load, Trigger::each_change)
            .adds_up("bare count on each change"),
        retracting("retracting, each second", load, each_second)
            .adds_up("bare count on each change"),
        retracting("retracting, each 100 rows", load, || Trigger::count(100))
            .adds_up("bare count on each change"),
        Row::new("discarding, each second", load, move |load| {
            program(load, move |input, tally| {
                let windows = input.key_by(|event| event.0).window(Tumbling::every(micros(WINDOW)));
                let counts = windows.trigger(each_second()).discarding("windows", Count);
                counts.inspect(move |row| tally.add(row.data.value));
            })
        })
        .adds_up("bare count on each change"),
    ]
}
