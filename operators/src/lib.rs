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
pub mod count_window;
pub mod dedup;
pub mod events;
pub mod events_time;
mod exchange;
pub mod flow;
mod huge;
pub mod input;
pub mod join;
pub mod key;
pub mod keyed;
pub mod limit;
pub mod observe;
pub mod order;
mod prefetch;
pub mod process;
pub mod session;
pub mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tick;
pub mod time;
pub mod view;
pub mod watermark;
pub mod window;
pub mod wire;

/// What a program on this library usually needs.
pub mod prelude {
    pub use crate::aggregate::*;
    pub use crate::change::{Change, Changes};
    pub use crate::count_window::{CountResult, CountWindow};
    pub use crate::dedup::Horizon;
    pub use crate::events::{Data, Events, Tick};
    pub use crate::events_time::Shift;
    pub use crate::flow::Limited;
    pub use crate::flow::rate::Rate;
    pub use crate::input::EventInput;
    pub use crate::join::{AsOf, Bound, Interval};
    pub use crate::key::Key;
    pub use crate::observe::Observer;
    pub use crate::order::{Sort, TopRow};
    pub use crate::process::{Context, Process, Timer};
    pub use crate::session::{Session, SessionResult};
    pub use crate::state::Keeper;
    pub use crate::time::{EventTime, Timed, hours, millis, mins, secs};
    pub use crate::view::{Retain, Retained, Snapshot, View};
    pub use crate::watermark::Policy;
    #[cfg(feature = "calendar")]
    pub use crate::window::Calendar;
    pub use crate::window::{
        Assigner, Cumulative, Custom, Global, Pane, Sliding, Timing, Trigger, TriggerLogic,
        Tumbling, Window, WindowResult, WithLate,
    };
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
