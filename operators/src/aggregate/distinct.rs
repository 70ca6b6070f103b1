//! Different values: how many, which, and how often each.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::bag::{Bag, ByRank};
use super::{Aggregate, Ranked, Retract};
use crate::time::EventTime;

macro_rules! counted {
    ($($(#[$doc:meta])* $name:ident gives $output:ty: $finish:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<F> {
            value: F,
            /// How many values are asked for, where that is asked.
            most: usize,
        }

        impl<D, V: Ranked, F: Fn(&D) -> V + Clone + 'static> Aggregate<D> for $name<F> {
            type State = Bag<V>;
            type Output = $output;

            fn create(&self) -> Bag<V> {
                Bag::default()
            }

            #[inline]
            fn add(&self, state: &mut Bag<V>, row: &D) {
                let value = (self.value)(row);
                if value.counts() {
                    state.add(value, 1);
                }
            }

            fn merge(&self, state: &mut Bag<V>, other: &Bag<V>) {
                state.merge(other);
            }

            fn is_small(&self) -> bool {
                false
            }

            fn finish(&self, state: &Bag<V>) -> Self::Output {
                let finish: fn(&Bag<V>, usize) -> $output = $finish;
                finish(state, self.most)
            }
        }

        impl<D, V: Ranked, F: Fn(&D) -> V + Clone + 'static> Retract<D> for $name<F> {
            fn retract(&self, state: &mut Bag<V>, _time: EventTime, row: &D) {
                let value = (self.value)(row);
                if value.counts() {
                    state.remove(value);
                }
            }
        }
    )+};
}

counted! {
    /// The most frequent value; of equally frequent ones the least. `None` if no value counted.
    ///
    /// Exact; NaN does not count. Cost: a search in a sorted map a row, and a pass over it for the
    /// result; state: every different value with its count.
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, Mode};
    ///
    /// let usual = Mode::of(|x: &u32| *x);
    /// let mut state = usual.create();
    /// for x in [7, 3, 5, 7, 3] {
    ///     usual.add(&mut state, &x);
    /// }
    /// assert_eq!(usual.finish(&state), Some(3));
    /// ```
    Mode gives Option<V>: |state, _| {
        // Of equal maxima the last one is found: hence from the greatest value down.
        let most = state.iter().rev().max_by_key(|(_, count)| *count);
        most.map(|(value, _)| value.clone())
    };

    /// The most frequent values with their counts, most frequent first; of equally frequent ones
    /// the lesser first.
    ///
    /// Exact, so every different value is kept; [`FastFrequent`](super::FastFrequent) keeps few.
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, Frequent};
    ///
    /// let words = Frequent::top(2, |word: &&str| word.to_string());
    /// let mut state = words.create();
    /// for word in ["tide", "race", "ebb", "race", "tide", "race"] {
    ///     words.add(&mut state, &word);
    /// }
    /// assert_eq!(words.finish(&state), [("race".to_string(), 3), ("tide".to_string(), 2)]);
    /// ```
    Frequent gives Vec<(V, u64)>: |state, most| {
        let mut values: Vec<(&V, u64)> = state.iter().collect();
        // The sort is stable, so values of one count stay in their order.
        values.sort_by_key(|(_, count)| Reverse(*count));
        values.into_iter().take(most).map(|(value, count)| (value.clone(), count)).collect()
    };
}

impl<F> Mode<F> {
    /// The most frequent of what `value` takes from rows.
    pub fn of<D, V: Ranked>(value: F) -> Self
    where
        F: Fn(&D) -> V,
    {
        Mode { value, most: 1 }
    }
}

impl<F> Frequent<F> {
    /// So many of the most frequent values that `value` takes from rows.
    ///
    /// # Panics
    /// If `most` is zero.
    pub fn top<D, V: Ranked>(most: usize, value: F) -> Self
    where
        F: Fn(&D) -> V,
    {
        assert!(most > 0, "Frequent: the top 0 values are none");
        Frequent { value, most }
    }
}

/// There was more to collect than the limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TooMany {
    /// The limit.
    pub limit: usize,
}

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {} values to collect", self.limit)
    }
}

impl std::error::Error for TooMany {}

/// All different values in their order, up to a limit; with more it says so.
///
/// NaN does not count. Cost: a search in a sorted set a row; state: every different value, none of
/// them once there were too many.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, CollectSet, TooMany};
///
/// let lines = CollectSet::of(2, |line: &&str| line.to_string());
/// let mut state = lines.create();
/// for line in ["U6", "U2", "U6"] {
///     lines.add(&mut state, &line);
/// }
/// assert_eq!(lines.finish(&state), Ok(vec!["U2".to_string(), "U6".to_string()]));
/// lines.add(&mut state, &"U9");
/// assert_eq!(lines.finish(&state), Err(TooMany { limit: 2 }));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CollectSet<F> {
    limit: usize,
    value: F,
}

impl<F> CollectSet<F> {
    /// Collects what `value` takes from rows, at most `limit` different values.
    ///
    /// # Panics
    /// If the limit is zero.
    pub fn of<D, V: Ranked>(limit: usize, value: F) -> Self
    where
        F: Fn(&D) -> V,
    {
        assert!(limit > 0, "CollectSet: at most 0 values are none");
        CollectSet { limit, value }
    }
}

impl<D, V: Ranked, F: Fn(&D) -> V + Clone + 'static> Aggregate<D> for CollectSet<F> {
    /// Nothing once there were too many.
    type State = Option<BTreeSet<ByRank<V>>>;
    type Output = Result<Vec<V>, TooMany>;

    fn create(&self) -> Self::State {
        Some(BTreeSet::new())
    }

    #[inline]
    fn add(&self, state: &mut Self::State, row: &D) {
        let Some(values) = state else { return };
        let value = (self.value)(row);
        if value.counts() {
            values.insert(ByRank(value));
            if values.len() > self.limit {
                *state = None;
            }
        }
    }

    fn merge(&self, state: &mut Self::State, other: &Self::State) {
        let (Some(values), Some(others)) = (&mut *state, other) else {
            *state = None;
            return;
        };
        values.extend(others.iter().cloned());
        if values.len() > self.limit {
            *state = None;
        }
    }

    fn is_small(&self) -> bool {
        false
    }

    fn finish(&self, state: &Self::State) -> Self::Output {
        let values = state.as_ref().ok_or(TooMany { limit: self.limit })?;
        Ok(values.iter().map(|value| value.0.clone()).collect())
    }
}
