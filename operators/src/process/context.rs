//! What a process can do besides changing its key's state.

use serde::{Deserialize, Serialize};

use crate::time::{EventTime, Timed};

/// A timer, of the key that set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// At an event time: when no row before it can come any more.
    Event(EventTime),
    /// At a processing time: with the first tick whose marks were made then or later.
    Wall(EventTime),
}

/// What a callback asks for besides sending rows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    Set(Timer),
    Delete(Timer),
    Clear,
}

/// A callback's surroundings: the key's clocks, its timers, and the way out.
#[derive(Debug)]
pub struct Context<'a, O> {
    pub(super) time: EventTime,
    pub(super) wall: EventTime,
    pub(super) ended: bool,
    pub(super) out: &'a mut Vec<Timed<O>>,
    pub(super) asks: &'a mut Vec<Ask>,
}

impl<O> Context<'_, O> {
    /// The event time of the row or timer. What is sent carries it.
    pub fn time(&self) -> EventTime {
        self.time
    }

    /// Processing time: the latest wall time that a source has put on a mark so far.
    pub fn wall(&self) -> EventTime {
        self.wall
    }

    /// Whether the input has ended, so that this tick is the last one. All timers fire then; a
    /// process that always sets the next one has to stop here.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Sends a row, at [`Context::time`].
    pub fn emit(&mut self, row: O) {
        self.out.push(Timed::on_time(self.time, row));
    }

    /// Sets a timer of this key. Setting it twice for one time is setting it once. A row can set a
    /// timer for its own event time or later, an event timer for a later one; what is asked for an
    /// earlier time is set for the earliest possible.
    pub fn set_timer(&mut self, timer: Timer) {
        self.asks.push(Ask::Set(timer));
    }

    /// Deletes a timer of this key, if there is one for this time.
    pub fn delete_timer(&mut self, timer: Timer) {
        self.asks.push(Ask::Delete(timer));
    }

    /// Forgets the state of this key when the callback is done. Its timers stay.
    pub fn clear_state(&mut self) {
        self.asks.push(Ask::Clear);
    }
}
