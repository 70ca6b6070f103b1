//! What the benchmarks share: events, a source, clocks, and memory.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

mod memory;
mod source;
mod table;
mod tally;

#[allow(unused_imports, reason = "each benchmark uses a part of it")]
pub use tiderace_work::{BATCH, BOUND, Event, Share, event, mix};
#[allow(unused_imports, reason = "each benchmark uses a part of it")]
pub use {memory::*, source::*, table::*, tally::*};

/// Rows of one worker in one tick: what 20 ms bring at ten million a second.
const TICK_ROWS: u64 = 200_000;
/// The rows of a tick in fact, which ends with a batch.
pub const TICK: u64 = TICK_ROWS.next_multiple_of(BATCH);

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
