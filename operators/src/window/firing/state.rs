//! The automaton of a trigger: what it has seen of one key in one window. Plain data.
//!
//! Sessions merge these when they grow together: rows add up, the earlier wait goes on.

use serde::{Deserialize, Serialize};

use super::logic::{PaneSoFar, Since, TriggerLogic, Wake};
use crate::tick::Now;
use crate::window::Window;

/// A trigger, and whether results are wanted though nothing has come since the one before.
#[derive(Clone, Debug)]
pub struct Rule<G> {
    /// When early results are due.
    pub trigger: G,
    /// Whether results are sent though nothing is new.
    pub fire_empty: bool,
}

/// What a trigger knows of a key in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerState<S> {
    /// Rows since the last result.
    rows: u64,
    /// `None` if nothing waits.
    since: Option<Since>,
    own: S,
}

impl<S> TriggerState<S> {
    /// A row has come.
    #[inline]
    pub fn add(&mut self) {
        self.rows += 1;
    }

    /// How many rows have come since the last result.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The tick ends in which so many of the rows came.
    pub fn came<G>(&mut self, rule: &Rule<G>, rows: u64, window: Window, now: Now)
    where
        G: TriggerLogic<State = S>,
    {
        self.since.get_or_insert(Since { wall: now.wall, frontier: now.before });
        let pane = self.pane(window, now);
        rule.trigger.rows(&mut self.own, rows, &pane);
    }

    /// Whether an early result is due at the end of this tick.
    pub fn is_due<G>(&self, rule: &Rule<G>, window: Window, now: Now) -> bool
    where
        G: TriggerLogic<State = S>,
    {
        (self.rows > 0 || rule.fire_empty) && rule.trigger.fires(&self.own, &self.pane(window, now))
    }

    /// A result is sent at the end of this tick, for whatever reason.
    pub fn fired<G>(&mut self, rule: &Rule<G>, window: Window, now: Now)
    where
        G: TriggerLogic<State = S>,
    {
        let pane = self.pane(window, now);
        rule.trigger.fired(&mut self.own, &pane);
        self.rows = 0;
        let next = Since { wall: now.wall, frontier: now.frontier };
        self.since = rule.fire_empty.then_some(next);
    }

    /// When it is to be asked again though no row comes.
    pub fn wake<G>(&self, rule: &Rule<G>, window: Window, now: Now) -> Wake
    where
        G: TriggerLogic<State = S>,
    {
        if self.rows == 0 && !rule.fire_empty {
            return Wake::NEVER;
        }
        rule.trigger.wake(&self.own, &self.pane(window, now))
    }

    /// Takes in the state of a window that becomes part of this one.
    pub fn merge<G>(&mut self, rule: &Rule<G>, other: &Self)
    where
        G: TriggerLogic<State = S>,
    {
        self.rows += other.rows;
        self.since = match (self.since, other.since) {
            (Some(ours), Some(theirs)) => Some(ours.earlier(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        rule.trigger.merge(&mut self.own, &other.own);
    }

    fn pane(&self, window: Window, now: Now) -> PaneSoFar {
        let since = self.since.unwrap_or(Since { wall: now.wall, frontier: now.frontier });
        PaneSoFar { window, rows: self.rows, since, now }
    }
}
