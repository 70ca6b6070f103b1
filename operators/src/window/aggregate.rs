//! One result for each key and window, when it is complete: for each kind of window with the state
//! that suits it.
//!
//! With several workers, rows are summed up by the worker that reads them before they travel, where
//! the aggregate is small and keys repeat; [`combine`](super::combine) says when.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use timely::ExchangeData;
use timely::dataflow::channels::pact::Pipeline;

use super::combine::Combine;
use super::parts::{InRows, OfParts, Part, key_of};
use super::{
    Assigner, Cumulative, Custom, ManyWindows, SideBySide, Slices, Sliding, Totals, Window,
    WindowResult, Windowed, Windows, WithLate,
};
use crate::aggregate::Aggregate;
use crate::events::{Data, Events, Tick};
use crate::key::Key;
use crate::keyed::{self, Keyed};
use crate::observe::Counters;
use crate::tick::{TickLogic, first_part, tick_operator};
use crate::time::{EventTime, Span};

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
        let of = self.by.clone();
        let piece = move |time| Some(of.window_of(time));
        if self.sums_up(&aggregate) {
            let (by, lateness) = (self.by.clone(), self.lateness());
            let first = self.summed_up(name, &aggregate, piece);
            let (key, counters) = (key_of(first.key.clone()), first.counters.clone());
            let of_parts = OfParts(aggregate);
            return first.once(Windows::new(by, lateness, key, of_parts, counters));
        }
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
        let of = self.by;
        let piece = move |time| of.slice_of(time).map(|slice| slice.time);
        if self.sums_up(&aggregate) {
            let (by, lateness) = (self.by, self.lateness());
            let first = self.summed_up(name, &aggregate, piece);
            let (key, counters) = (key_of(first.key.clone()), first.counters.clone());
            let of_parts = OfParts(aggregate);
            return first.once(Slices::new(by, lateness, key, of_parts, counters));
        }
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
        let of = self.by;
        let piece = move |time| Some(of.stretch(of.step_of(time)));
        if self.sums_up(&aggregate) {
            let (by, lateness) = (self.by, self.lateness());
            let first = self.summed_up(name, &aggregate, piece);
            let (key, counters) = (key_of(first.key.clone()), first.counters.clone());
            let of_parts = OfParts(aggregate);
            return first.once(Totals::new(by, lateness, key, of_parts, counters));
        }
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
    /// Whether rows are summed up before they travel.
    fn sums_up(&self, aggregate: &impl Aggregate<D>) -> bool {
        self.keyed.events.scope().peers() > 1 && aggregate.is_small()
    }

    /// Sums up the rows of each worker.
    fn summed_up<K, A>(
        self,
        name: &str,
        aggregate: &A,
        piece: impl Fn(EventTime) -> Option<Window> + 'static,
    ) -> SummedUp<'scope, T, D, F, K, A::State>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        A: Aggregate<D>,
    {
        let lateness = self.lateness();
        let Keyed { events, key } = self.keyed;
        let (_, clock) = events.parts();
        let counters = clock.observer().register(name, "window", events.scope().index());
        let first = Arc::new(Counters::default());
        let logic = Combine::new(piece, key.clone(), aggregate.clone(), first.clone());
        let (parts, _) = first_part(name, &events, Pipeline, logic, first);
        let parts = Events::from_parts(parts, clock);
        SummedUp { name: name.to_owned(), parts, key, lateness, counters }
    }

    /// How long after its end a window is complete.
    fn lateness(&self) -> Span {
        self.lateness.max(self.keyed.events.parts().1.late())
    }

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
        let lateness = self.lateness();
        let Keyed { events, key } = self.keyed;
        let (_, clock) = events.parts();
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

/// Rows that have been summed up by the workers that read them, on their way to windows.
struct SummedUp<'scope, T: Tick, D: Data, F, K: Data, S: Data> {
    name: String,
    parts: Events<'scope, T, Part<D, K, S>>,
    key: F,
    lateness: Span,
    counters: Arc<Counters>,
}

impl<'scope, T, D, F, K, S> SummedUp<'scope, T, D, F, K, S>
where
    T: Tick,
    D: ExchangeData + Data,
    F: Fn(&D) -> K + Clone + 'static,
    K: Key,
    S: Clone + Serialize + DeserializeOwned + Send + 'static,
{
    /// The windows that take them.
    fn once<L>(self, windows: L) -> WithLate<'scope, T, L::Out, D>
    where
        L: TickLogic<Part<D, K, S>, Side = Part<D, K, S>>,
    {
        let SummedUp { name, parts, key, lateness, counters } = self;
        let (_, clock) = parts.parts();
        let pact = keyed::exchange(key_of(key));
        let logic = InRows { windows, counters: counters.clone() };
        let (results, late) = tick_operator(&name, &parts, pact, logic, counters);
        let late = Events::from_parts(late, clock.clone());
        WithLate::new(
            Events::from_parts(results, clock.delayed(lateness).with_late(Span::ZERO)),
            late.pick("Late", |part| Some(part.late())),
        )
    }
}
