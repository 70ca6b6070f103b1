//! Operators on views of pairs (key, value). Every one of them withdraws what is no longer true.

use differential_dataflow::lattice::Lattice;
use differential_dataflow::operators::CountTotal;

use super::{Element, Group, View};
use crate::events::Tick;

impl<'scope, T: Tick + Lattice, K: Group, V: Element> View<'scope, T, (K, V)> {
    /// How many rows each key has; a key without rows is not there. State: one count per key.
    pub fn count(&self) -> View<'scope, T, (K, i64)> {
        self.via(|rows| {
            let counts = rows.map(|(key, _)| key).count_total();
            counts.map(|(key, count)| (key, count as i64))
        })
    }

    /// The sum of a number over the rows of each key; a key without rows is not there. State: one
    /// sum and one count per key. The sum is exact.
    pub fn sum(&self, number: impl Fn(&V) -> i64 + 'static) -> View<'scope, T, (K, i128)> {
        self.via(|rows| {
            use differential_dataflow::AsCollection;
            use timely::dataflow::operators::vec::Map;

            let weights = rows.inner.map(move |((key, value), tick, count)| {
                let sum = i128::from(number(&value)) * count as i128;
                (key, tick, (sum, count))
            });
            let sums = weights.as_collection().count_total_core::<isize>();
            sums.map(|(key, (sum, _))| (key, sum))
        })
    }

    /// The least value of each key. Cost: a change looks at the key's rows.
    pub fn min(&self) -> View<'scope, T, (K, V)> {
        self.via(|rows| {
            rows.reduce_named("Min", |_, values, least| {
                least.extend(there(values).next().map(|(value, _)| ((*value).clone(), 1)));
            })
        })
    }

    /// The greatest value of each key. Cost: a change looks at the key's rows.
    pub fn max(&self) -> View<'scope, T, (K, V)> {
        self.via(|rows| {
            rows.reduce_named("Max", |_, values, greatest| {
                greatest.extend(there(values).next_back().map(|(value, _)| ((*value).clone(), 1)));
            })
        })
    }

    /// The rows of each key with the `k` greatest values, fewer if there are no more; a row that is
    /// there twice counts twice. For the least ones take [`Reverse`](std::cmp::Reverse) of the
    /// values. Cost: a change looks at the key's rows.
    ///
    /// # Panics
    /// If `k` is zero.
    pub fn top_k(&self, k: usize) -> View<'scope, T, (K, V)> {
        assert!(k > 0, "top_k: `k` must be at least 1, and is 0");
        self.via(|rows| {
            rows.reduce_named("TopK", move |_, values, greatest| {
                let mut left = k as isize;
                for (value, count) in there(values).rev() {
                    let some = (*count).min(left);
                    greatest.push(((*value).clone(), some));
                    left -= some;
                    if left == 0 {
                        break;
                    }
                }
            })
        })
    }

    /// Any function of the values of a key, sorted, each with how often it is there, to values and
    /// how often they are to be there. It is not asked about keys without rows.
    pub fn reduce<W: Element>(
        &self,
        name: &str,
        f: impl FnMut(&K, &[(&V, isize)], &mut Vec<(W, isize)>) + 'static,
    ) -> View<'scope, T, (K, W)> {
        self.via(|rows| rows.reduce_named(name, f))
    }

    /// Every pair of a row here and a row there with the same key. State: the rows of both views.
    pub fn join<W: Element>(
        &self,
        other: &View<'scope, T, (K, W)>,
    ) -> View<'scope, T, (K, (V, W))> {
        let rows = self.rows.clone().join(other.rows.clone());
        View { rows, clock: self.clock.union(&other.clock) }
    }

    /// The rows whose key is among these, however often it is.
    pub fn semijoin(&self, keys: &View<'scope, T, K>) -> Self {
        let rows = self.rows.clone().semijoin(keys.distinct().rows);
        View { rows, clock: self.clock.union(&keys.clock) }
    }

    /// The rows whose key is not among these.
    pub fn antijoin(&self, keys: &View<'scope, T, K>) -> Self {
        let rows = self.rows.clone().antijoin(keys.distinct().rows);
        View { rows, clock: self.clock.union(&keys.clock) }
    }
}

/// The values that are there; those which have been taken away more often than added are not.
fn there<'a, V>(
    values: &'a [(&'a V, isize)],
) -> impl DoubleEndedIterator<Item = &'a (&'a V, isize)> {
    values.iter().filter(|(_, count)| *count > 0)
}
