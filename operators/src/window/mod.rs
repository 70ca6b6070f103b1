//! Windows: records of a key, grouped by stretches of event time.
//!
//! *A result (k, w, a) is sent in tick e iff f(e−1) < end(w) + lateness ≤ f(e) and a is the
//! aggregate of every accepted record of key k with an event time in w.* A record is refused, and
//! goes to the late stream, iff the frontier of its own partition had passed `end(w) + lateness`
//! when it was read. Results carry the window's last instant as their event time, so that windows
//! can follow windows and lose nothing.
//!
//! | windows | which an instant is in | shared between windows |
//! | --- | --- | --- |
//! | [`Tumbling`] | one of a fixed size | |
//! | [`Sliding`] | several of a fixed size, or none | slices |
//! | [`Cumulative`] | those up to the end of each step to come in its period | a running total |
//! | `Calendar` | the local day, week, month or year of a time zone | |
//! | [`Global`] | the one of all time | |
//! | [`Custom`] | what an [`Assigner`] says: none, one or many | |
//!
//! Where an instant is in several windows, a record counts in those that are not complete for it,
//! and is refused if all of them are.
//!
//! ```text
//!  event time ──▶   0        10 s       20 s       30 s
//!                   ├── w0 ──┤── w1 ────┤── w2 ────┤
//!  records            a  b     a  a  b     b
//!  frontier                         ▲ f = 20 s: w0 and w1 are complete
//! ```
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::prelude::*;
//!
//! let results = Arc::new(Mutex::new(Vec::new()));
//! let (into, late) = (results.clone(), Arc::new(Mutex::new(0)));
//! let late_in = late.clone();
//! timely::execute_directly(move |worker| {
//!     let observer = Observer::default();
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let policy = Policy::bounded(secs(2));
//!         let (input, readings) = EventInput::<(u32, i64)>::new(scope, 0, policy, &observer);
//!         let per_ten_seconds = readings
//!             .key_by(|&(sensor, _)| sensor)
//!             .window(Tumbling::every(secs(10)))
//!             .aggregate("per_ten_seconds", (Count, Max::of(|r: &(u32, i64)| r.1)));
//!         per_ten_seconds.inspect(move |row| {
//!             let r = &row.data;
//!             let start = r.window.start.millis() / 1000;
//!             into.lock().unwrap().push((r.key, start, r.value));
//!         });
//!         per_ten_seconds.late().inspect(move |_| *late_in.lock().unwrap() += 1);
//!         input
//!     });
//!     input.send(0, EventTime::from_secs(1), (7, 20));
//!     input.send(0, EventTime::from_secs(11), (7, 30));
//!     input.send(0, EventTime::from_secs(9), (7, 25)); // two seconds behind: waited for
//!     input.end_tick();
//!     input.send(0, EventTime::from_secs(13), (7, 31)); // f = 11 s: the first window is complete
//!     input.end_tick();
//!     input.send(0, EventTime::from_secs(8), (7, 99)); // late
//!     input.finish(); // the second window is complete
//! });
//! let mut results = results.lock().unwrap().clone();
//! results.sort();
//! assert_eq!(results, [(7, 0, (2, Some(25))), (7, 10, (2, Some(31)))]);
//! assert_eq!(*late.lock().unwrap(), 1);
//! ```

mod aggregate;
mod ahead;
mod assign;
#[cfg(feature = "calendar")]
mod calendar;
mod combine;
mod cumulative;
mod custom;
mod firing;
mod global;
mod many;
mod near;
mod pane;
mod parts;
mod pool;
mod queue;
mod running;
mod slices;
mod sliding;
mod state;
mod totals;
mod tumbling;

pub use assign::{Assigner, SideBySide};
#[cfg(feature = "calendar")]
pub use calendar::Calendar;
pub use cumulative::Cumulative;
pub use custom::Custom;
pub use firing::{
    Accumulation, And, Discarding, Fired, Firings, Or, PaneSoFar, Panes, Places, Retracting, Rule,
    Sent, Since, Stage, Then, Trigger, TriggerLogic, TriggerState, Triggered, Wake,
};
pub use global::Global;
pub use many::ManyWindows;
pub use pane::{Pane, Timing};
pub use slices::Slices;
pub use sliding::Sliding;
pub use state::Windows;
pub use totals::Totals;
pub use tumbling::{Tumbling, Window};
#[cfg(feature = "calendar")]
pub use {chrono::Weekday, chrono_tz::Tz};

use std::ops::Deref;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use timely::ExchangeData;

use crate::events::{Data, Events, Tick};
use crate::key::Key;
use crate::keyed::Keyed;
use crate::limit::{ByWindow, limit};
use crate::time::Span;

/// What a window has to say about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowResult<K, V> {
    /// The key.
    pub key: K,
    /// The window.
    pub window: Window,
    /// The aggregate of the key's records in the window.
    pub value: V,
    /// Which of the window's results it is.
    pub pane: Pane,
}

/// A keyed stream cut into windows, to be aggregated.
pub struct Windowed<'scope, T: Tick, D: Data, F, W = Tumbling> {
    pub(crate) keyed: Keyed<'scope, T, D, F>,
    pub(crate) by: W,
    pub(crate) lateness: Span,
    /// How late rows may be is settled.
    limited: bool,
}

/// The results of an operator, and the rows it refused as late.
///
/// It stands for the stream of results wherever one is asked for.
pub struct WithLate<'scope, T: Tick, R: 'static, D: 'static> {
    results: Events<'scope, T, R>,
    late: Events<'scope, T, D>,
}

impl<'scope, T: Tick, R: Data, D: Data> WithLate<'scope, T, R, D> {
    /// Results and late rows.
    pub fn new(results: Events<'scope, T, R>, late: Events<'scope, T, D>) -> Self {
        WithLate { results, late }
    }

    /// The results.
    pub fn results(&self) -> Events<'scope, T, R> {
        self.results.clone()
    }

    /// The rows that were refused, as they came; `behind` says how far each was behind.
    pub fn late(&self) -> Events<'scope, T, D> {
        self.late.clone()
    }
}

impl<'scope, T: Tick, R, D> Deref for WithLate<'scope, T, R, D> {
    type Target = Events<'scope, T, R>;

    fn deref(&self) -> &Self::Target {
        &self.results
    }
}

impl<'scope, T: Tick, D: Data, F> Keyed<'scope, T, D, F> {
    /// Groups each key's records by windows of event time.
    pub fn window<W>(self, by: W) -> Windowed<'scope, T, D, F, W> {
        Windowed { keyed: self, by, lateness: Span::ZERO, limited: false }
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data, F, W> Windowed<'scope, T, D, F, W> {
    /// Waits this much longer, in event time, before a window is complete. Records that come in the
    /// meantime count; results come out this much later.
    ///
    /// # Panics
    /// After [`max_windows_per_key`](Self::max_windows_per_key), which has to know it.
    #[must_use]
    pub fn allow_late(mut self, lateness: Duration) -> Self {
        assert!(!self.limited, "window: allow_late comes before max_windows_per_key");
        self.lateness = lateness.into();
        self
    }

    /// Lets each key have at most so many windows open. Rows that would open more count in none of
    /// their windows: they are on the second stream, and counted as rejected under this name. See
    /// [`limit`](crate::limit).
    ///
    /// # Panics
    /// If the limit is zero, or less than how many windows an instant can be in.
    pub fn max_windows_per_key<K>(self, name: &str, most: usize) -> (Self, Events<'scope, T, D>)
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        W: Assigner,
    {
        let at_once = self.by.most_at_once();
        assert!(
            most == 0 || most as u64 >= at_once,
            "`{name}`: with room for {most} windows none of the records that are in {at_once} at \
             once could ever be taken"
        );
        let Windowed { keyed, by, lateness, .. } = self;
        let opens = ByWindow(by.clone());
        let (keyed, over) = limit(keyed, name, opens, most, lateness);
        (Windowed { keyed, by, lateness, limited: true }, over)
    }
}

#[cfg(test)]
mod tests;
