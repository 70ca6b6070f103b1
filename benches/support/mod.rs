//! What the benchmarks share: events, a source, clocks, and memory.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

mod memory;
mod source;
mod table;
mod tally;

#[allow(unused_imports, reason = "each benchmark uses a part of it")]
pub use {memory::*, source::*, table::*, tally::*};

/// How far out of order events are, in microseconds.
pub const BOUND: i64 = 2_000_000;
/// Rows of one worker in one tick: what 20 ms bring at ten million a second.
const TICK_ROWS: u64 = 200_000;
/// Rows handed over in one activation.
const BATCH: u64 = 8_192;
/// The rows of a tick in fact, which ends with a batch.
pub const TICK: u64 = TICK_ROWS.next_multiple_of(BATCH);

/// A key and a value.
pub type Event = (u64, f64);

/// How many events there are, and of how many keys.
#[derive(Clone, Copy)]
pub struct Load {
    pub events: u64,
    pub keys: u64,
}

impl Load {
    /// This part of the events, for what takes long.
    pub fn part(self, of: u64) -> Load {
        Load { events: self.events / of, ..self }
    }
}

pub fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The event of this number: 100,000 of them a second of event time, each up to [`BOUND`] late.
#[inline]
pub fn event(i: u64, keys: u64) -> (i64, Event) {
    let r = mix(i);
    let behind = (mix(r) % BOUND as u64) as i64;
    let time = 1_700_000_000_000_000 + i as i64 * 10 + BOUND - behind;
    (time, (r % keys, (r >> 11) as f64 * (1000.0 / (1u64 << 53) as f64)))
}
