//! What comes out of a join.

use std::ops::Deref;

use crate::events::{Data, Events, Tick};
use crate::tick::Side;

/// The results of a join, and the rows of either side that it refused as late.
///
/// It stands for the results wherever they are asked for.
pub struct Joined<'scope, T: Tick, S, L: 'static, R: 'static> {
    results: S,
    late: Events<'scope, T, Side<L, R>>,
}

impl<T: Tick, S, L, R> Deref for Joined<'_, T, S, L, R> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.results
    }
}

impl<'scope, T: Tick, S: Clone, L: Data, R: Data> Joined<'scope, T, S, L, R> {
    pub(super) fn new(results: S, late: Events<'scope, T, Side<L, R>>) -> Self {
        Joined { results, late }
    }

    /// The results.
    pub fn results(&self) -> S {
        self.results.clone()
    }

    /// The rows that were refused, as they came; `behind` says how far each was behind.
    pub fn late(&self) -> Events<'scope, T, Side<L, R>> {
        self.late.clone()
    }

    /// The rows of the left side that were refused.
    pub fn late_left(&self) -> Events<'scope, T, L> {
        self.late.pick("Late", |row| if let Side::Left(row) = row { Some(row) } else { None })
    }

    /// The rows of the right side that were refused.
    pub fn late_right(&self) -> Events<'scope, T, R> {
        self.late.pick("Late", |row| if let Side::Right(row) = row { Some(row) } else { None })
    }
}
