//! Window join: rows of one key in the same window; and both sides' aggregates of it.
//!
//! *A pair (l, r) of one key is a result for a window iff both rows are accepted and both event
//! times are in it. All results of a window are sent in the first tick e with `f_left(e) ≥ end +
//! lateness` and `f_right(e) ≥ end + lateness`, at the window's last instant.* Rows without a
//! partner in the window are results where the kind of the join asks for them. Results are final. A
//! row is refused iff its partition's frontier had passed `end + lateness` when it was read. With
//! windows that overlap, a row is in several, and in the results of each.
//!
//! ```text
//!  left   l1        l2 │          l3 │
//!  right       r1      │  r2   r3    │
//!         (l1,r1)(l2,r1)  (l3,r2)(l3,r3)
//! ```
//!
//! Cost: one hash and one insertion a row; the results, in turns of at most 65,536 rows. State: all
//! rows of open windows. Where the rows themselves are not needed, [`cogroup`](Windowed::cogroup)
//! keeps both sides' aggregates alone: one entry per key and window.
//!
//! No result is behind the stream's frontier: when the window was not complete in the tick before,
//! one of the frontiers was less than `end + lateness`, so the last instant of the window is not
//! before the lesser frontier less the lateness, which is the stream's delay.

mod cogroup;
mod state;
#[cfg(test)]
mod tests;

use state::WindowJoin;

use timely::ExchangeData;

use super::kind::{Anti, FullOuter, Inner, Kind, LeftOuter, RightOuter, Semi};
use super::{Joined, keyed_pact};
use crate::events::{Data, Events, Tick};
use crate::exchange::exchange_by;
use crate::key::Key;
use crate::keyed::Keyed;
use crate::tick::tick_operator_2;
use crate::time::Span;
use crate::window::{Assigner, WindowResult, Windowed};

/// Two keyed streams that are to be joined by windows.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use tiderace_operators::prelude::*;
///
/// let results = Arc::new(Mutex::new(Vec::new()));
/// let late = Arc::new(Mutex::new(Vec::new()));
/// let (into, late_into) = (results.clone(), late.clone());
/// timely::execute_directly(move |worker| {
///     let observer = Observer::default();
///     let (mut views, mut clicks) = worker.dataflow::<u64, _, _>(|scope| {
///         let policy = Policy::ascending();
///         let (views_in, views) = EventInput::<(u8, char)>::new(scope, 0, policy, &observer);
///         let (clicks_in, clicks) = EventInput::<(u8, u32)>::new(scope, 1, policy, &observer);
///         let clicked = views
///             .key_by(|view| view.0)
///             .window(Tumbling::every(secs(10)))
///             .join("clicked", clicks.key_by(|click| click.0))
///             .left();
///         clicked.inspect(move |row| {
///             let WindowResult { window, value: (view, click), .. } = row.data;
///             let start = window.start.millis() / 1_000;
///             into.lock().unwrap().push((start, view.1, click.map(|click| click.1)));
///         });
///         clicked.late_right().inspect(move |row| late_into.lock().unwrap().push(row.data.1));
///         (views_in, clicks_in)
///     });
///     let at = EventTime::from_secs;
///     views.send(0, at(1), (7, 'a'));
///     views.send(0, at(9), (7, 'b'));
///     views.send(0, at(10), (7, 'c'));
///     views.end_tick();
///     clicks.send(0, at(9), (7, 1));
///     clicks.send(0, at(20), (7, 2));
///     clicks.send(0, at(19), (7, 3)); // its window is complete
///     clicks.finish();
///     views.finish();
/// });
/// let mut results = results.lock().unwrap().clone();
/// results.sort();
/// assert_eq!(results, [(0, 'a', Some(1)), (0, 'b', Some(1)), (10, 'c', None)]);
/// assert_eq!(*late.lock().unwrap(), [3]);
/// ```
pub struct JoinWindow<'scope, T: Tick, L: Data, R: Data, FL, FR, W> {
    name: String,
    left: Keyed<'scope, T, L, FL>,
    right: Keyed<'scope, T, R, FR>,
    by: W,
    lateness: Span,
}

impl<'scope, T: Tick, L: Data, FL, W> Windowed<'scope, T, L, FL, W> {
    /// Joins each row with the rows of the same key on the other stream that are in its window.
    pub fn join<R: Data, FR>(
        self,
        name: &str,
        right: Keyed<'scope, T, R, FR>,
    ) -> JoinWindow<'scope, T, L, R, FL, FR, W> {
        let Windowed { keyed: left, by, lateness, .. } = self;
        JoinWindow { name: name.to_owned(), left, right, by, lateness }
    }
}

/// Results for each window and key, and the rows that were refused.
type PerWindow<'scope, T, K, O, L, R> =
    Joined<'scope, T, Events<'scope, T, WindowResult<K, O>>, L, R>;

impl<'scope, T, K, L, R, FL, FR, W> JoinWindow<'scope, T, L, R, FL, FR, W>
where
    T: Tick,
    K: Key,
    L: ExchangeData + Data,
    R: ExchangeData + Data,
    FL: Fn(&L) -> K + Clone + 'static,
    FR: Fn(&R) -> K + Clone + 'static,
    W: Assigner,
{
    /// All pairs.
    pub fn inner(self) -> PerWindow<'scope, T, K, (L, R), L, R> {
        self.build::<Inner>()
    }

    /// All pairs, and left rows without a partner.
    pub fn left(self) -> PerWindow<'scope, T, K, (L, Option<R>), L, R> {
        self.build::<LeftOuter>()
    }

    /// All pairs, and right rows without a partner.
    pub fn right(self) -> PerWindow<'scope, T, K, (Option<L>, R), L, R> {
        self.build::<RightOuter>()
    }

    /// All pairs, and rows of both sides without a partner.
    pub fn full(self) -> PerWindow<'scope, T, K, (Option<L>, Option<R>), L, R> {
        self.build::<FullOuter>()
    }

    /// Left rows that have a partner, each once.
    pub fn semi(self) -> PerWindow<'scope, T, K, L, L, R> {
        self.build::<Semi>()
    }

    /// Left rows that have no partner.
    pub fn anti(self) -> PerWindow<'scope, T, K, L, L, R> {
        self.build::<Anti>()
    }

    fn build<J: Kind<L, R>>(self) -> PerWindow<'scope, T, K, J::Out, L, R> {
        let JoinWindow { name, left, right, by, lateness } = self;
        let (left_clock, right_clock) = (left.events.clock(), right.events.clock());
        let late = (lateness.max(left_clock.late()), lateness.max(right_clock.late()));
        let scope = left.events.scope();
        let counters = left_clock.observer().register(&name, "window_join", scope.index());
        let pact = exchange_by(keyed_pact::<L, R, K>(left.key.clone(), right.key.clone()));
        let keys = (left.key, right.key);
        let logic = WindowJoin::<K, L, R, FL, FR, J, W>::new(by, keys, late, counters.clone());
        let (results, refused) =
            tick_operator_2(&name, &left.events, &right.events, pact, logic, counters);
        let clock = left_clock.union(&right_clock);
        let delay = late.0.max(late.1);
        Joined::new(
            Events::from_parts(results, clock.clone().delayed(delay).with_late(Span::ZERO)),
            Events::from_parts(refused, clock),
        )
    }
}
