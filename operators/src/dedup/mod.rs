//! Deduplication by event time: which copies of a record pass.
//!
//! Two records with one key are copies of each other if their event times are less than `ttl`
//! apart. Only one of them passes; which one is the mode:
//!
//! * [`DedupState`], **first seen** (the default): the first copy to arrive passes at once. Where
//!   all copies carry the same event time, as they do when a message is delivered twice, what
//!   passes is a function of the input alone. Where they differ it depends on arrival.
//! * [`FirstByTime`]: the first copy by event time passes, once no earlier one can come. Always
//!   deterministic, later by the lateness and the disorder of the input.
//!
//! Event time alone decides. The frontier says only what is too late, and when memory may go.

mod by_time;
mod state;

pub use by_time::FirstByTime;
pub use state::{DedupState, Horizon, Verdict};
