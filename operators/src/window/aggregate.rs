//! One result for each key and window, when it is complete: for each kind of window with the state
//! that suits it.

use std::sync::Arc;

use timely::ExchangeData;

use super::{
    Assigner, Cumulative, Custom, ManyWindows, SideBySide, Slices, Sliding, Totals, WindowResult,
    Windowed, Windows, WithLate,
};
use crate::aggregate::Aggregate;
use crate::events::{Data, Events, Tick};
use crate::key::Key;
use crate::keyed::{self, Keyed};
use crate::observe::Counters;
use crate::tick::{TickLogic, tick_operator};
use crate::time::Span;

impl<'scope, T: Tick, D: ExchangeData + Data, F, W: SideBySide> Windowed<'scope, T, D, F, W> {
    /// One result for each key and window, sent once when the window is complete.
    ///
    /// Rows are exchanged so that all of a key meet on one worker. Cost: one hash and one table
    /// lookup a row; state: one entry per key and open window, gone as whole windows when they fire.
    pub fn aggregate<K, A>(
        self,
        name: &str,
        aggregate: A,
    ) -> WithLate<'scope, T, WindowResult<K, A::Output>, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        A: Aggregate<D>,
        A::Output: Data,
    {
        self.once(name, |by, lateness, key, counters| {
            Windows::new(by, lateness, key, aggregate, counters)
        })
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data, F> Windowed<'scope, T, D, F, Sliding> {
    /// One result for each key and window in which the key has records, sent once when the window
    /// is complete.
    ///
    /// A record counts in those of its windows that are not complete; it is late only if all of them
    /// are. Windows that a record was late for while others were not are counted as `late_windows`.
    ///
    /// Cost: one hash and one table lookup a row, about three merges for each key and slice (at most
    /// two slices a slide), and what a result costs; state: two entries per key and slice of the
    /// windows that are open.
    ///
    /// # Panics
    /// If the slide is longer than the size, unless [gaps are allowed](Sliding::allow_gaps).
    pub fn aggregate<K, A>(
        self,
        name: &str,
        aggregate: A,
    ) -> WithLate<'scope, T, WindowResult<K, A::Output>, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        A: Aggregate<D>,
        A::Output: Data,
    {
        self.by.check(name);
        self.once(name, |by, lateness, key, counters| {
            Slices::new(by, lateness, key, aggregate, counters)
        })
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data, F> Windowed<'scope, T, D, F, Cumulative> {
    /// One result for each key and window in which the key has records, sent once when the window
    /// is complete.
    ///
    /// A record counts in those of its windows that are not complete; it is late only if all of them
    /// are. Windows that a record was late for while others were not are counted as `late_windows`.
    ///
    /// Cost: one hash and one table lookup a row, one merge for each key and step, and what a result
    /// costs; state: one entry per key, and one per key and step that is not complete.
    pub fn aggregate<K, A>(
        self,
        name: &str,
        aggregate: A,
    ) -> WithLate<'scope, T, WindowResult<K, A::Output>, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        A: Aggregate<D>,
        A::Output: Data,
    {
        self.once(name, |by, lateness, key, counters| {
            Totals::new(by, lateness, key, aggregate, counters)
        })
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data, F, W> Windowed<'scope, T, D, F, Custom<W>>
where
    W: Assigner,
{
    /// One result for each key and window in which the key has records, sent once when the window
    /// is complete.
    ///
    /// A record counts in those of its windows that are not complete; it is late only if all of them
    /// are. Windows that a record was late for while others were not are counted as `late_windows`,
    /// records in no window as `filtered`.
    ///
    /// Cost: one hash a row, and one table lookup for each of its windows; state: one entry per key
    /// and open window.
    ///
    /// # Panics
    /// While it runs, if the assigner gives an instant a window that the instant is not in.
    pub fn aggregate<K, A>(
        self,
        name: &str,
        aggregate: A,
    ) -> WithLate<'scope, T, WindowResult<K, A::Output>, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        A: Aggregate<D>,
        A::Output: Data,
    {
        self.once(name, |by, lateness, key, counters| {
            ManyWindows::new(by, lateness, key, aggregate, counters)
        })
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data, F, W> Windowed<'scope, T, D, F, W> {
    /// An operator whose windows give their results once, when they are complete.
    fn once<K, L>(
        self,
        name: &str,
        logic: impl FnOnce(W, Span, F, Arc<Counters>) -> L,
    ) -> WithLate<'scope, T, L::Out, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        L: TickLogic<D, Side = D>,
    {
        let Keyed { events, key } = self.keyed;
        let (_, clock) = events.parts();
        let lateness = self.lateness.max(clock.late());
        let counters = clock.observer().register(name, "window", events.scope().index());
        let pact = keyed::exchange(key.clone());
        let logic = logic(self.by, lateness, key, counters.clone());
        let (results, late) = tick_operator(name, &events, pact, logic, counters);
        WithLate::new(
            Events::from_parts(results, clock.clone().delayed(lateness).with_late(Span::ZERO)),
            Events::from_parts(late, clock),
        )
    }
}
