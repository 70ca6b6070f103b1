//! What bare loops share: how they are fed.

use crate::support::{BOUND, Event, Load, TICK, event, note_memory};

/// Feeds the events to a loop, each with its number, and says at the end of each tick of a source up
/// to which event time there is nothing to come.
pub fn ticks<S>(
    Load { events, keys }: Load,
    state: &mut S,
    row: impl Fn(&mut S, u64, i64, Event),
    end: impl Fn(&mut S, i64),
) {
    let mut newest = i64::MIN;
    for i in 0..events {
        let (time, event) = event(i, keys);
        newest = newest.max(time);
        row(state, i, time, event);
        if (i + 1) % TICK == 0 && i + 1 < events {
            note_memory();
            end(state, newest - BOUND);
        }
    }
    note_memory();
    end(state, i64::MAX);
}
