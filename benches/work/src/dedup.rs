//! Deduplication: the first event of each key passes, however long ago it was.
//!
//! How many events are copies follows from the number of keys: with a thousand nearly all of them, with
//! a hundred million nearly none.

use hashbrown::HashSet;
use tiderace_operators::dedup::{Bloom, Horizon};
use tiderace_operators::prelude::*;

use crate::floor::{keys, making};
use crate::tally::hash;
use crate::{Agrees, Feed, Load, Row, Tally, Totals, Work};

pub const WORK: Work =
    Work { name: "dedup", events: 4_000_000, keys: &[1_000, 1_000_000, 100_000_000], rows };

/// The share of events that a Bloom filter may lose, of those that are not copies.
const MAY_LOSE: f64 = 0.001;

fn rows() -> Vec<Row> {
    vec![
        making(),
        Row::bare("bare set", bare),
        Row::flow("dedup, exact", exact).gives("bare set", Agrees::Wholly),
        Row::flow("dedup, Bloom filter", bloom)
            .gives("bare set", Agrees::AtMost)
            .beside("dedup, exact"),
    ]
}

/// A hash set of all keys.
fn bare(load: Load) -> Totals {
    let (mut seen, mut totals) = (HashSet::new(), Totals::default());
    keys(load, |key| {
        if seen.insert(key) {
            totals.add(hash([key]));
        }
    });
    totals
}

/// Longer than there are events.
fn horizon() -> Horizon {
    Horizon::within(hours(1_000_000))
}

fn exact(feed: &Feed<'_>, tally: Tally) {
    let once = feed.events().key_by(|event| event.0).dedup("once", horizon());
    once.inspect(move |row| tally.add(hash([row.data.0])));
}

fn bloom(feed: &Feed<'_>, tally: Tally) {
    let Load { events, keys, .. } = feed.load();
    let filter = Bloom::may_lose(MAY_LOSE).expecting(keys.min(events) as usize);
    let once = feed.events().key_by(|event| event.0).dedup_bloom("once", horizon(), filter);
    once.inspect(move |row| tally.add(hash([row.data.0])));
}
