//! What bare loops share: how they are fed.

use crate::{BOUND, Load, Row, Totals};

/// Events after which a loop hears how far event time has come.
const TICK: u64 = 100_000;

/// The row that makes the events and no more: what every other row contains.
pub fn making() -> Row {
    Row::bare("making of events", |load| {
        let mut sum = 0;
        for number in 0..load.events {
            let (time, (key, value)) = load.event(number);
            sum ^= key ^ time as u64 ^ value.to_bits();
        }
        std::hint::black_box(sum);
        Totals::default()
    })
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
