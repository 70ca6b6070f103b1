//! What comes out of a join.

use std::ops::Deref;

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use crate::events::{Data, Events, Tick};
use crate::tick::Side;
use crate::time::Timed;

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
        pick(&self.late, |row| if let Side::Left(row) = row { Some(row) } else { None })
    }

    /// The rows of the right side that were refused.
    pub fn late_right(&self) -> Events<'scope, T, R> {
        pick(&self.late, |row| if let Side::Right(row) = row { Some(row) } else { None })
    }
}

fn pick<'scope, T: Tick, D: Data, E: Data>(
    rows: &Events<'scope, T, D>,
    choose: impl Fn(D) -> Option<E> + 'static,
) -> Events<'scope, T, E> {
    rows.rows(|rows| {
        rows.unary(Pipeline, "Late", |_, _| {
            move |input, output| {
                input.for_each(|tick, rows| {
                    let chosen = rows.drain(..).filter_map(|Timed { time, behind, data }| {
                        Some(Timed { time, behind, data: choose(data)? })
                    });
                    output.session(&tick).give_iterator(chosen);
                });
            }
        })
    })
}
