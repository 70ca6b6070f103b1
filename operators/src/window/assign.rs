//! Which windows an instant is in.

use std::fmt::Debug;

use super::{Tumbling, Window};
use crate::time::EventTime;

/// Assigns windows to instants: a pure function, the same on every worker and after a restart.
pub trait Assigner: Clone + Debug + 'static {
    /// Calls `f` with each window that the instant is in, in the order of their ends. Every one of
    /// them contains the instant.
    fn assign(&self, time: EventTime, f: &mut impl FnMut(Window));

    /// The most windows that one instant can be in, as far as that is known beforehand.
    fn most_at_once(&self) -> u64 {
        1
    }

    /// Refuses parameters that make no sense together, by a panic with the name of the operator that
    /// is being built. Most have been refused before.
    fn check(&self, name: &str) {
        let _ = name;
    }
}

/// Assigns every instant to just one window: event time cut into pieces side by side.
pub trait SideBySide: Assigner {
    /// The window the instant is in.
    fn window_of(&self, time: EventTime) -> Window;
}

impl Assigner for Tumbling {
    #[inline]
    fn assign(&self, time: EventTime, f: &mut impl FnMut(Window)) {
        f(self.window_of(time));
    }
}

impl SideBySide for Tumbling {
    #[inline]
    fn window_of(&self, time: EventTime) -> Window {
        Tumbling::window_of(self, time)
    }
}
