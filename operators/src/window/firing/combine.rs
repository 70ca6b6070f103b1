//! Combinations of triggers of different types, so that one that a user wrote goes with the others.

use serde::{Deserialize, Serialize};

use super::logic::{PaneSoFar, TriggerLogic, Wake};

/// Fires when one of two triggers does.
#[derive(Clone, Debug)]
pub struct Or<A, B>(pub(super) A, pub(super) B);

/// Fires when both of two triggers would.
#[derive(Clone, Debug)]
pub struct And<A, B>(pub(super) A, pub(super) B);

/// Fires when the first of two triggers does, and from then on when the second does.
#[derive(Clone, Debug)]
pub struct Then<A, B>(pub(super) A, pub(super) B);

/// How far a [`Then`] has come, and the states of its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage<A, B> {
    second: bool,
    states: (A, B),
}

macro_rules! pair {
    ($pair:ident, $fires:tt, $early:tt) => {
        impl<A: TriggerLogic, B: TriggerLogic> TriggerLogic for $pair<A, B> {
            type State = (A::State, B::State);

            fn fires_early(&self) -> bool {
                self.0.fires_early() $early self.1.fires_early()
            }

            fn rows(&self, state: &mut Self::State, rows: u64, pane: &PaneSoFar) {
                self.0.rows(&mut state.0, rows, pane);
                self.1.rows(&mut state.1, rows, pane);
            }

            fn fires(&self, state: &Self::State, pane: &PaneSoFar) -> bool {
                self.0.fires(&state.0, pane) $fires self.1.fires(&state.1, pane)
            }

            fn fired(&self, state: &mut Self::State, pane: &PaneSoFar) {
                self.0.fired(&mut state.0, pane);
                self.1.fired(&mut state.1, pane);
            }

            fn wake(&self, state: &Self::State, pane: &PaneSoFar) -> Wake {
                // One part may have been due for long while the other is not.
                let wakes = [self.0.wake(&state.0, pane), self.1.wake(&state.1, pane)];
                let due = [self.0.fires(&state.0, pane), self.1.fires(&state.1, pane)];
                let waiting = wakes.into_iter().zip(due).filter(|(_, due)| !due);
                waiting.fold(Wake::NEVER, |soonest, (wake, _)| soonest.or(wake))
            }

            fn merge(&self, state: &mut Self::State, other: &Self::State) {
                self.0.merge(&mut state.0, &other.0);
                self.1.merge(&mut state.1, &other.1);
            }
        }
    };
}

pair!(Or, ||, ||);
pair!(And, &&, &&);

impl<A: TriggerLogic, B: TriggerLogic> TriggerLogic for Then<A, B> {
    type State = Stage<A::State, B::State>;

    fn fires_early(&self) -> bool {
        self.0.fires_early()
    }

    fn rows(&self, state: &mut Self::State, rows: u64, pane: &PaneSoFar) {
        self.0.rows(&mut state.states.0, rows, pane);
        self.1.rows(&mut state.states.1, rows, pane);
    }

    fn fires(&self, state: &Self::State, pane: &PaneSoFar) -> bool {
        match state.second {
            false => self.0.fires(&state.states.0, pane),
            true => self.1.fires(&state.states.1, pane),
        }
    }

    fn fired(&self, state: &mut Self::State, pane: &PaneSoFar) {
        state.second |= self.0.fires(&state.states.0, pane);
        self.0.fired(&mut state.states.0, pane);
        self.1.fired(&mut state.states.1, pane);
    }

    fn wake(&self, state: &Self::State, pane: &PaneSoFar) -> Wake {
        match state.second {
            false => self.0.wake(&state.states.0, pane),
            true => self.1.wake(&state.states.1, pane),
        }
    }

    fn merge(&self, state: &mut Self::State, other: &Self::State) {
        state.second |= other.second;
        self.0.merge(&mut state.states.0, &other.states.0);
        self.1.merge(&mut state.states.1, &other.states.1);
    }
}
