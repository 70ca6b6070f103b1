//! What comes to windows whose rows are summed up before they travel: rows, and partial results.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::Aggregate;
use crate::events::Data;
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Saver, Shape, State};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::{EventTime, Timed};

/// A row, or what many rows of a key come to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Part<D, K, S> {
    /// A row as it is.
    Row(D),
    /// Boxed, so that rows do not grow by it: there are few of them.
    Partial(Box<Partial<K, S>>),
}

/// What rows of one key, tick and piece of event time come to. All of them are on time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Partial<K, S> {
    pub key: K,
    pub state: S,
    /// How many rows it holds.
    pub rows: u32,
}

impl<D, K, S> Part<D, K, S> {
    /// The row of a late part: what is summed up is on time.
    pub fn late(self) -> D {
        match self {
            Part::Row(row) => row,
            Part::Partial(_) => unreachable!("rows that were summed up were on time"),
        }
    }
}

/// The key of a part.
pub fn key_of<D, K: Clone, S>(
    key: impl Fn(&D) -> K + Clone + 'static,
) -> impl Fn(&Part<D, K, S>) -> K + Clone + 'static {
    move |part| match part {
        Part::Row(row) => key(row),
        Part::Partial(partial) => partial.key.clone(),
    }
}

/// An aggregate of parts.
#[derive(Clone)]
pub struct OfParts<A>(pub A);

impl<D, K, A: Aggregate<D>> Aggregate<Part<D, K, A::State>> for OfParts<A> {
    type State = A::State;
    type Output = A::Output;

    fn create(&self) -> A::State {
        self.0.create()
    }

    fn add(&self, state: &mut A::State, part: &Part<D, K, A::State>) {
        match part {
            Part::Row(row) => self.0.add(state, row),
            Part::Partial(partial) => self.0.merge(state, &partial.state),
        }
    }

    #[inline]
    fn add_at(&self, state: &mut A::State, time: EventTime, part: &Part<D, K, A::State>) {
        match part {
            Part::Row(row) => self.0.add_at(state, time, row),
            Part::Partial(partial) => self.0.merge(state, &partial.state),
        }
    }

    fn merge(&self, state: &mut A::State, other: &A::State) {
        self.0.merge(state, other);
    }

    fn finish(&self, state: &A::State) -> A::Output {
        self.0.finish(state)
    }
}

/// Windows that take parts, and count a partial result as the rows it holds.
pub struct InRows<L> {
    pub windows: L,
    pub counters: Arc<Counters>,
}

impl<D, K, S, L> TickLogic<Part<D, K, S>> for InRows<L>
where
    D: Data,
    K: Data,
    S: Data,
    L: TickLogic<Part<D, K, S>>,
{
    type Out = L::Out;
    type Side = L::Side;

    fn apply(
        &mut self,
        before: EventTime,
        parts: &mut Vec<Timed<Part<D, K, S>>>,
        out: &mut Emit<Self::Out, Self::Side>,
    ) {
        let more = |part: &Timed<Part<D, K, S>>| match &part.data {
            Part::Row(_) => 0,
            Part::Partial(partial) => u64::from(partial.rows) - 1,
        };
        let more: u64 = parts.iter().map(more).sum();
        self.counters.input.add(more);
        self.counters.kept.add(more);
        self.windows.apply(before, parts, out);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<Self::Out, Self::Side>) -> bool {
        self.windows.close(now, fuel, out)
    }
}

/// The state is that of the windows, whatever comes to them.
impl<L: State> State for InRows<L> {
    fn shape(&self) -> Shape {
        self.windows.shape()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        self.windows.save(fuel, out)
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        self.windows.load(entry)
    }

    fn scope(&self, table: u8) -> crate::state::Scope {
        self.windows.scope(table)
    }
}
