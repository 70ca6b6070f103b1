//! Streams with a key.

use crate::events::{Data, Events, Tick};

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
