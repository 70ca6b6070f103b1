//! What bare loops share: how they are fed.

use crate::{BOUND, Load, Row, Totals};

/// Events after which a loop hears how far event time has come.
const TICK: u64 = 100_000;

/// The row that makes the events and no more: what every other row contains.
pub fn making() -> Row {
    Row::bare("making of events", |load| {
        keys(load, |_| ());
        Totals::default()
    })
}

/// Feeds the keys of the events to a loop. The rest of each event is made as well.
pub fn keys(load: Load, mut key: impl FnMut(u64)) {
    let mut all = 0;
    for number in 0..load.events {
        let (time, (of, value)) = load.event(number);
        all ^= of ^ time as u64 ^ value.to_bits();
        key(of);
    }
    std::hint::black_box(all);
}

/// Feeds the events to a loop, each with its number and time, and says now and then up to which event
/// time there is nothing to come.
pub fn ticks<S>(
    load: Load,
    state: &mut S,
    row: impl Fn(&mut S, u64, i64, crate::Event),
    end: impl Fn(&mut S, i64),
) {
    let mut newest = i64::MIN;
    for number in 0..load.events {
        let (time, event) = load.event(number);
        newest = newest.max(time);
        row(state, number, time, event);
        if (number + 1) % TICK == 0 && number + 1 < load.events {
            end(state, newest - BOUND);
        }
    }
    end(state, i64::MAX);
}
