//! Streams with a key.

use timely::ExchangeData;
use timely::dataflow::channels::pact::ParallelizationContract;

use crate::events::{Data, Events, Tick};
use crate::exchange::exchange_by;
use crate::key::{Key, route};
use crate::time::Timed;

/// An event stream and the function that gives each row its key.
#[derive(Clone)]
pub struct Keyed<'scope, T: Tick, D: Data, F> {
    pub(crate) events: Events<'scope, T, D>,
    pub(crate) key: F,
}

impl<'scope, T: Tick, D: Data> Events<'scope, T, D> {
    /// Gives each row a key. Nothing is computed or moved until an operator asks for it.
    pub fn key_by<K, F: Fn(&D) -> K + Clone + 'static>(&self, key: F) -> Keyed<'scope, T, D, F> {
        Keyed { events: self.clone(), key }
    }
}

impl<'scope, T: Tick, D: Data, F> Keyed<'scope, T, D, F> {
    /// The rows.
    pub fn events(&self) -> Events<'scope, T, D> {
        self.events.clone()
    }
}

/// Brings all rows of a key to one worker.
pub(crate) fn exchange<T: Tick, D: ExchangeData, K: Key>(
    key: impl Fn(&D) -> K + 'static,
) -> impl ParallelizationContract<T, Vec<Timed<D>>> {
    exchange_by(move |row: &Timed<D>| route(key(&row.data).stable_hash()))
}
