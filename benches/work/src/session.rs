//! Sessions by key, with a gap of one second: count, sum and maximum.
//!
//! With a thousand keys a session hardly ever ends, with a million each event is one.

use hashbrown::HashMap;
use tiderace_operators::prelude::*;

use crate::floor::{making, ticks};
use crate::summary::{Summary, fast};
use crate::window::{BARE, TUMBLING, bare as bare_windows, tumbling};
use crate::{Agrees, Feed, Load, Row, Tally, Totals, Work};

/// The pause that ends a session, in microseconds.
const GAP: i64 = 1_000_000;

pub const WORK: Work = Work { name: "session", events: 2_000_000, keys: &[1_000, 1_000_000], rows };

fn rows() -> Vec<Row> {
    vec![
        making(),
        Row::bare(BARE, bare_windows),
        tumbling(),
        Row::bare("bare sessions", bare),
        Row::flow("sessions", sessions).gives("bare sessions", Agrees::Wholly).beside(TUMBLING),
    ]
}

fn sessions(feed: &Feed<'_>, tally: Tally) {
    let sessions = feed.events().key_by(|event| event.0).session(Session::gap(secs(1)));
    sessions.aggregate("sessions", fast()).inspect(move |row| {
        let SessionResult { key, start, value, .. } = &row.data;
        tally.add(Summary::of(*value).result(*key, start.micros()));
    });
}

/// The open sessions of a key in no order: first and last time, and what is known of the events.
type OfKey = Vec<(i64, i64, Summary)>;

/// The sessions of each key, all of which are looked at when event time has gone on.
fn bare(load: Load) -> Totals {
    let mut state = (HashMap::<u64, OfKey>::new(), Totals::default());
    ticks(
        load,
        &mut state,
        |(open, _), _, time, (key, value)| {
            let sessions = open.entry(key).or_default();
            let mut merged = (time, time, Summary::default());
            merged.2.add(value);
            sessions.retain(|&(first, last, of)| {
                let apart = time >= last + GAP || first >= time + GAP;
                if !apart {
                    merged = (merged.0.min(first), merged.1.max(last), merged.2.and(of));
                }
                apart
            });
            sessions.push(merged);
        },
        |(open, totals), frontier| {
            open.retain(|&key, sessions| {
                sessions.retain(|&(first, last, of)| {
                    let open = last.saturating_add(GAP) > frontier;
                    if !open {
                        totals.add(of.result(key, first));
                    }
                    open
                });
                !sessions.is_empty()
            });
        },
    );
    state.1
}
