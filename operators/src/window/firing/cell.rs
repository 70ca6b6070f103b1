//! A key in a window: what is kept of it, and how it gives a result.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::accumulate::Accumulation;
use super::logic::{TriggerLogic, Wake};
use super::state::{Rule, TriggerState};
use crate::aggregate::Aggregate;
use crate::key::StableHash;
use crate::observe::Counters;
use crate::tick::{Emit, Now};
use crate::time::{EventTime, Span, Timed};
use crate::window::{Pane, Timing, Window, WindowResult};

/// A key in one of the windows with the same end. It is placed by its key alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place<K> {
    pub(super) start: EventTime,
    pub(super) key: K,
}

impl<K: StableHash> StableHash for Place<K> {
    #[inline]
    fn stable_hash(&self) -> u64 {
        self.key.stable_hash()
    }
}

/// What is kept of a key in a window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Cell<S, G, P> {
    pub(super) state: S,
    pub(super) trigger: TriggerState<G>,
    /// How many results there were.
    pub(super) panes: u32,
    pub(super) kept: P,
    /// It is among those to ask at the end of this tick.
    #[serde(skip)]
    pub(super) listed: bool,
    /// How many rows have come in this tick, where it matters.
    #[serde(skip)]
    pub(super) fresh: u32,
    /// The times at which it is to be asked.
    #[serde(skip)]
    pub(super) timers: Wake,
}

impl<S, G: Default, P: Default> Cell<S, G, P> {
    pub(super) fn new(state: S) -> Self {
        let (trigger, kept) = (TriggerState::default(), P::default());
        Cell { state, trigger, panes: 0, kept, listed: false, fresh: 0, timers: Wake::NEVER }
    }
}

/// How a window fires.
pub(super) struct Firing<A, G> {
    pub(super) aggregate: A,
    pub(super) rule: Rule<G>,
    /// State is kept until the frontier has passed a window's end by this much.
    pub(super) lateness: Span,
    pub(super) counters: Arc<Counters>,
}

impl<A, G> Firing<A, G> {
    /// Sends a result of a key in a window.
    pub(super) fn fire<K, D, M>(
        &self,
        cell: &mut Cell<A::State, G::State, M::Kept>,
        key: K,
        window: Window,
        now: Now,
        out: &mut Emit<M::Out, D>,
    ) where
        A: Aggregate<D>,
        G: TriggerLogic,
        M: Accumulation<K, A::Output>,
    {
        let timing = match (now.frontier < window.end, now.before < window.end) {
            (true, _) => Timing::Early,
            (false, true) => Timing::OnTime,
            (false, false) => Timing::Late,
        };
        let last = now.frontier >= window.end.plus(self.lateness);
        let pane = Pane { index: cell.panes, timing, last };
        let value = self.aggregate.finish(&cell.state);
        let time = window.last();
        let behind = if timing == Timing::Late { time.behind(now.before) } else { Span::ZERO };
        M::send(&mut cell.kept, WindowResult { key, window, value, pane }, |data| {
            out.rows.push(Timed { time, behind, data });
        });
        cell.panes += 1;
        cell.trigger.fired(&self.rule, window, now);
        if M::STARTS_ANEW {
            cell.state = self.aggregate.create();
        }
        self.counters.fired.add(1);
    }
}
