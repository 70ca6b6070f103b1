//! What a trigger is, and what it gets to know.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::combine::{And, Or, Then};
use crate::tick::Now;
use crate::time::{EventTime, Span};
use crate::window::Window;

/// Decides when a window that is not complete yet gives an early result for a key.
///
/// It is asked at the end of a tick about keys whose rows came in that tick and about those whose
/// [`wake`](TriggerLogic::wake) has come, and never about a window that the frontier has passed:
/// the result on time and the late ones need no trigger and no trigger removes them. Where nothing
/// has come since the last result it is not asked either, unless empty results are wanted.
///
/// Whether what was sent is then dropped or kept is not the trigger's affair: `discarding` purges,
/// `retracting` does not.
///
/// Laws: what it answers is a function of what it is given. Between rows it changes from `false` to
/// `true` only when `wake` has come, so that asking once more in between changes nothing. `merge`
/// gives the same in any order.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tiderace_operators::time::{Span, secs};
/// use tiderace_operators::window::{PaneSoFar, TriggerLogic, Wake};
///
/// /// A burst: so many rows within one tick, or a row that has waited for ten seconds.
/// #[derive(Clone, Debug)]
/// struct Burst(u64);
///
/// #[derive(Clone, Default, Serialize, Deserialize)]
/// struct Most(u64);
///
/// impl TriggerLogic for Burst {
///     type State = Most;
///
///     fn rows(&self, most: &mut Most, rows: u64, _: &PaneSoFar) {
///         most.0 = most.0.max(rows);
///     }
///     fn fires(&self, most: &Most, pane: &PaneSoFar) -> bool {
///         most.0 >= self.0 || pane.waited() >= Span::from(secs(10))
///     }
///     fn fired(&self, most: &mut Most, _: &PaneSoFar) {
///         most.0 = 0;
///     }
///     fn wake(&self, _: &Most, pane: &PaneSoFar) -> Wake {
///         Wake::at_wall(pane.since.wall.plus(secs(10).into()))
///     }
///     fn merge(&self, most: &mut Most, other: &Most) {
///         most.0 = most.0.max(other.0);
///     }
/// }
/// ```
pub trait TriggerLogic: Clone + Debug + 'static {
    /// What it keeps per key and window. It goes into checkpoints.
    type State: Clone + Default + Serialize + DeserializeOwned + 'static;

    /// Whether it may fire at all. If not, nothing is kept or asked for it.
    fn fires_early(&self) -> bool {
        true
    }

    /// So many rows have come in the tick that ends. They are part of `pane.rows` already.
    fn rows(&self, state: &mut Self::State, rows: u64, pane: &PaneSoFar) {
        let _ = (state, rows, pane);
    }

    /// Whether a result is due.
    fn fires(&self, state: &Self::State, pane: &PaneSoFar) -> bool;

    /// A result is being sent. `pane` is as it was when that was decided.
    fn fired(&self, state: &mut Self::State, pane: &PaneSoFar) {
        let _ = (state, pane);
    }

    /// When to be asked again though no row comes. At a time that is past it is asked at the end of
    /// the next tick.
    fn wake(&self, state: &Self::State, pane: &PaneSoFar) -> Wake {
        let _ = (state, pane);
        Wake::NEVER
    }

    /// Takes in the state of a window that becomes part of this one.
    fn merge(&self, state: &mut Self::State, other: &Self::State);

    /// Fires when this one or the other does.
    fn or<G: TriggerLogic>(self, other: G) -> Or<Self, G> {
        Or(self, other)
    }

    /// Fires when both would.
    fn and<G: TriggerLogic>(self, other: G) -> And<Self, G> {
        And(self, other)
    }

    /// The first result when this one fires, all others when the other does.
    fn then<G: TriggerLogic>(self, other: G) -> Then<Self, G> {
        Then(self, other)
    }
}

/// What has happened to a key's window since its last result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaneSoFar {
    /// The window.
    pub window: Window,
    /// How many rows have come since the last result.
    pub rows: u64,
    /// When the first of them came; where empty results are wanted, when the last result was sent.
    pub since: Since,
    /// What is known of time at the end of this tick.
    pub now: Now,
}

impl PaneSoFar {
    /// How long rows have been waiting, in processing time.
    pub fn waited(&self) -> Span {
        self.since.wall.behind(self.now.wall)
    }
}

/// Since when a window's next result has been in the making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// The processing time of the tick.
    pub wall: EventTime,
    /// The frontier of event time that the tick began with.
    pub frontier: EventTime,
}

impl Since {
    /// Whichever is earlier.
    pub(super) fn earlier(self, other: Since) -> Since {
        Since { wall: self.wall.min(other.wall), frontier: self.frontier.min(other.frontier) }
    }
}

/// When a trigger wants to be asked again: when either time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    /// A processing time.
    pub wall: EventTime,
    /// A frontier of event time.
    pub frontier: EventTime,
}

impl Wake {
    /// Only if rows come.
    pub const NEVER: Wake = Wake { wall: EventTime::MAX, frontier: EventTime::MAX };

    /// At this processing time.
    pub fn at_wall(wall: EventTime) -> Self {
        Wake { wall, ..Wake::NEVER }
    }

    /// When the frontier gets here.
    pub fn at_frontier(frontier: EventTime) -> Self {
        Wake { frontier, ..Wake::NEVER }
    }

    /// Whichever comes first.
    #[must_use]
    pub fn or(self, other: Wake) -> Self {
        Wake { wall: self.wall.min(other.wall), frontier: self.frontier.min(other.frontier) }
    }

    /// What of this is still to come.
    pub(super) fn after(self, now: Now) -> Wake {
        let later = |at: EventTime, now| if at > now { at } else { EventTime::MAX };
        Wake { wall: later(self.wall, now.wall), frontier: later(self.frontier, now.frontier) }
    }
}

impl Default for Wake {
    fn default() -> Self {
        Wake::NEVER
    }
}
