//! Event-time operators over timely streams.
//!
//! Two ideas, kept apart. A **tick** is the timely timestamp of the dataflow: a short slice of
//! processing, whose number means nothing about event time. A **watermark frontier** is event time as
//! data: each source says at the end of a tick how far it has come, everybody hears it, and when a
//! tick is complete every worker knows the same frontier. An event-time operator works on rows as
//! they come and decides at the end of the tick.
//!
//! ```text
//!  rows   (time, behind, data) ──▶ [ operator ] ──▶ results at the tick
//!  marks  (source, worker, f)  ──▶ [  f(e)    ] ──▶ late rows
//! ```
//!
//! It follows that the rows sent in a tick are a function of the rows and marks up to that tick, and
//! of nothing else: not of arrival order, batch size, worker count or time of day.
#![forbid(missing_docs)]

pub mod aggregate;
pub mod change;
pub mod dedup;
pub mod events;
pub mod input;
pub mod join;
pub mod key;
pub mod keyed;
pub mod observe;
pub mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tick;
pub mod time;
pub mod watermark;
pub mod window;

/// What a program on this library usually needs.
pub mod prelude {
    pub use crate::aggregate::*;
    pub use crate::change::{Change, Changes};
    pub use crate::dedup::Horizon;
    pub use crate::events::{Data, Events, Tick};
    pub use crate::input::EventInput;
    pub use crate::key::Key;
    pub use crate::observe::Observer;
    pub use crate::state::Keeper;
    pub use crate::time::{EventTime, Timed, hours, millis, mins, secs};
    pub use crate::watermark::Policy;
    pub use crate::window::{Pane, Timing, Tumbling, Window, WindowResult, WithLate};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
