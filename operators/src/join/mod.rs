//! Joins by event time: rows of two streams that belong together.
//!
//! | join | partners of a left row at `l` | sent | state goes |
//! |---|---|---|---|
//! | [interval](JoinInterval) | right rows of its key with a time in `[l + lower, l + upper]` | pairs at once, others when no partner can come | when no partner can come |
//! | [as-of](JoinAsOf) | the newest right row of its key at or before `l`, or the next, or the nearest | when it is known | when none can ask for it |
//! | [lookup](JoinLookup) | what a table that all workers hold says as of `l` | when it is known, or at once | when none can ask for it |
//!
//! All of them keep the frontiers of both inputs apart: the state of one side goes by the other
//! side's frontier, so two inputs that are an hour apart lose nothing, and hold an hour of rows.
//! The frontier of the results is the lesser of both. A row of either side is refused, and goes to
//! the late stream, by the frontier of its own partition alone: which results a join gives in the
//! end is a function of what is in its inputs.

mod as_of;
mod buffer;
mod interval;
mod joined;
mod kind;
mod lookup;
mod versions;

pub use as_of::{AsOf, JoinAsOf};
pub use interval::{Bound, Interval, JoinInterval, RevisedInterval};
pub use joined::Joined;
pub use lookup::JoinLookup;

use crate::key::{Key, route};
use crate::tick::Side;
use crate::time::Timed;

/// Rows of both sides go to the worker of their key.
fn keyed_pact<L, R, K: Key>(
    left: impl Fn(&L) -> K + 'static,
    right: impl Fn(&R) -> K + 'static,
) -> impl FnMut(&Timed<Side<L, R>>) -> u64 + 'static {
    move |row| {
        route(match &row.data {
            Side::Left(row) => left(row).stable_hash(),
            Side::Right(row) => right(row).stable_hash(),
        })
    }
}
