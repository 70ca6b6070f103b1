//! Where the state of a dataflow's operators comes from and goes to.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::operators::Concatenate;
use timely::dataflow::{Scope, StreamVec};

use super::{Entry, Frame, Saver, Snapshot, State};
use crate::events::Tick;
use crate::time::EventTime;

/// Holds the saved state that operators are built from, and gathers the streams on which they write
/// their changes. Cheap to clone; one per dataflow and worker.
///
/// The default keeps nothing: operators start empty and no cut is taken.
pub struct Keeper<'scope, T: Tick>(Option<Rc<Inner<'scope, T>>>);

struct Inner<'scope, T: Tick> {
    restored: Option<(T, Arc<Snapshot>)>,
    frames: RefCell<Vec<StreamVec<'scope, T, Frame>>>,
    names: RefCell<BTreeSet<String>>,
}

impl<T: Tick> Clone for Keeper<'_, T> {
    fn clone(&self) -> Self {
        Keeper(self.0.clone())
    }
}

impl<T: Tick> Default for Keeper<'_, T> {
    fn default() -> Self {
        Keeper(None)
    }
}

impl<'scope, T: Tick> Keeper<'scope, T> {
    /// For a dataflow that starts from nothing and whose cuts are kept.
    pub fn fresh() -> Self {
        Self::with(None)
    }

    /// For a dataflow that goes on after the cut at a tick.
    pub fn restored(tick: T, snapshot: Arc<Snapshot>) -> Self {
        Self::with(Some((tick, snapshot)))
    }

    fn with(restored: Option<(T, Arc<Snapshot>)>) -> Self {
        let (frames, names) = (RefCell::default(), RefCell::default());
        Keeper(Some(Rc::new(Inner { restored, frames, names })))
    }

    /// Whether cuts are kept at all.
    pub fn keeps(&self) -> bool {
        self.0.is_some()
    }

    /// The tick of the cut that the dataflow goes on from.
    pub fn restored_at(&self) -> Option<&T> {
        self.0.as_ref()?.restored.as_ref().map(|(tick, _)| tick)
    }

    /// The changes of all operators that have been built, at the ticks of cuts.
    pub fn frames(&self, scope: Scope<'scope, T>) -> StreamVec<'scope, T, Frame> {
        let frames = self.0.as_ref().map(|inner| inner.frames.borrow().clone());
        scope.concatenate(frames.unwrap_or_default())
    }

    /// Adds an operator's changes.
    pub fn keep(&self, frames: StreamVec<'scope, T, Frame>) {
        if let Some(inner) = &self.0 {
            inner.frames.borrow_mut().push(frames);
        }
    }

    /// The frontiers of an operator as of the cut that the dataflow goes on from.
    pub fn frontiers(&self, name: &str) -> Vec<EventTime> {
        let restored = self.0.as_ref().and_then(|inner| inner.restored.as_ref());
        let saved = restored.and_then(|(_, snapshot)| snapshot.operator(name));
        saved.map_or(Vec::new(), |saved| saved.frontiers().collect())
    }

    /// Gives an operator its saved state, and what it writes its changes with. The result are the
    /// frontiers as of the cut, if there was one.
    ///
    /// # Panics
    /// If another operator of the dataflow has the same name, if the saved state is of another
    /// shape, or if it cannot be read.
    pub fn open<S: State + ?Sized>(
        &self,
        name: &str,
        state: &mut S,
        worker: usize,
        peers: usize,
    ) -> Option<(Saver, Vec<EventTime>)> {
        let inner = self.0.as_ref()?;
        let first = inner.names.borrow_mut().insert(name.to_owned());
        assert!(
            first,
            "two operators are called `{name}`: their saved state could not be told apart"
        );
        let shape = state.shape();
        let saver = Saver::new(name, shape, worker, peers);
        let saved = inner.restored.as_ref().and_then(|(_, snapshot)| snapshot.operator(name));
        let Some(saved) = saved else { return Some((saver, Vec::new())) };
        assert!(
            saved.shape == shape.value(),
            "operator `{name}`: its saved state was written with other parameters or types"
        );
        let load = |entry: &Entry<'_>| match state.scope(entry.table) {
            super::Scope::Keyed if usize::from(entry.group) % peers != worker => Ok(()),
            _ => state.load(entry),
        };
        if let Err(error) = saved.each(load) {
            panic!("operator `{name}`: its saved state cannot be read: {error}");
        }
        Some((saver, saved.frontiers().collect()))
    }
}
