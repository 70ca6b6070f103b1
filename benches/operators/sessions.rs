//! Sessions.

use hashbrown::HashMap;
use tiderace_operators::prelude::*;

use crate::floor::ticks;
use crate::support::{Load, Row, program};

/// The pause that ends a session, in microseconds.
const GAP: i64 = 1_000_000;

/// The sessions of each key in no order: first and last time, and how many events.
#[derive(Default)]
struct Sessions {
    open: HashMap<u64, Vec<(i64, i64, u64)>>,
    tally: (u64, u64),
}

fn bare(load: Load) -> (u64, u64) {
    let mut state = Sessions::default();
    ticks(
        load,
        &mut state,
        |state, _, time, (key, _)| {
            let sessions = state.open.entry(key).or_default();
            let mut merged = (time, time, 1);
            sessions.retain(|&(first, last, count)| {
                let apart = time >= last + GAP || first >= time + GAP;
                if !apart {
                    merged = (merged.0.min(first), merged.1.max(last), merged.2 + count);
                }
                apart
            });
            sessions.push(merged);
        },
        |Sessions { open, tally }, frontier| {
            open.retain(|_, sessions| {
                sessions.retain(|&(_, last, count)| {
                    let open = last.saturating_add(GAP) > frontier;
                    if !open {
                        *tally = (tally.0 + 1, tally.1 + count);
                    }
                    open
                });
                !sessions.is_empty()
            });
        },
    );
    state.tally
}

pub fn rows(load: Load) -> Vec<Row> {
    vec![
        Row::new("bare session", load, bare),
        Row::new("session", load, |load| {
            program(load, |input, tally| {
                let sessions = input.key_by(|event| event.0).session(Session::gap(secs(1)));
                sessions.aggregate("sessions", Count).inspect(move |row| tally.add(row.data.value));
            })
        })
        .gives("bare session"),
        Row::new("session, retracting", load.part(4), |load| {
            program(load, |input, tally| {
                let sessions = input.key_by(|event| event.0).session(Session::gap(secs(1)));
                sessions.retracting("sessions", Count).inspect(move |row| {
                    tally.add_signed(row.data.data.value as i64 * row.data.diff);
                });
            })
        })
        .beside("bare session"),
    ]
}
