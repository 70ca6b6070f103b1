//! Operators with two inputs: one stream of rows from either side, and a frontier for each.

use serde::{Deserialize, Serialize};

use crate::time::EventTime;

/// A row of one of two inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Side<L, R> {
    /// Of the left one.
    Left(L),
    /// Of the right one.
    Right(R),
}

/// The frontiers of two inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides {
    /// Of the left input.
    pub left: EventTime,
    /// Of the right input.
    pub right: EventTime,
}

impl Sides {
    /// The frontier of both together.
    pub fn least(self) -> EventTime {
        self.left.min(self.right)
    }
}

/// The event-time frontier of an operator's input: an [`EventTime`], or one for each of two inputs.
pub trait InputFrontier<D>: Copy + PartialEq + std::fmt::Debug + 'static {
    /// From the frontier of each input.
    fn of_inputs(frontiers: &[EventTime]) -> Self;
    /// That of the input a row belongs to.
    fn of_row(&self, row: &D) -> EventTime;
    /// That of all inputs together.
    fn least(&self) -> EventTime;
}

impl<D> InputFrontier<D> for EventTime {
    #[inline]
    fn of_inputs(frontiers: &[EventTime]) -> Self {
        frontiers[0]
    }

    #[inline]
    fn of_row(&self, _: &D) -> EventTime {
        *self
    }

    #[inline]
    fn least(&self) -> EventTime {
        *self
    }
}

impl<L, R> InputFrontier<Side<L, R>> for Sides {
    #[inline]
    fn of_inputs(frontiers: &[EventTime]) -> Self {
        Sides { left: frontiers[0], right: frontiers[1] }
    }

    #[inline]
    fn of_row(&self, row: &Side<L, R>) -> EventTime {
        match row {
            Side::Left(_) => self.left,
            Side::Right(_) => self.right,
        }
    }

    #[inline]
    fn least(&self) -> EventTime {
        Sides::least(*self)
    }
}
