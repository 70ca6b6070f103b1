//! A value of the row with the least or the greatest key.

use std::cmp::Ordering;

use super::{Aggregate, Ranked};

macro_rules! by {
    ($($(#[$doc:meta])* $name:ident is $order:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<G, F> {
            key: G,
            value: F,
        }

        impl<G, F> $name<G, F> {
            /// What `value` takes from the row that `key` decides for.
            pub fn of<D, K: Ranked, V: Ranked>(key: G, value: F) -> Self
            where
                G: Fn(&D) -> K,
                F: Fn(&D) -> V,
            {
                $name { key, value }
            }
        }

        impl<D, K, V, G, F> Aggregate<D> for $name<G, F>
        where
            K: Ranked,
            V: Ranked,
            G: Fn(&D) -> K + Clone + 'static,
            F: Fn(&D) -> V + Clone + 'static,
        {
            type State = Option<(K, V)>;
            type Output = Option<V>;

            #[inline]
            fn create(&self) -> Self::State {
                None
            }

            #[inline]
            fn add(&self, state: &mut Self::State, row: &D) {
                let key = (self.key)(row);
                if !key.counts() {
                    return;
                }
                let order = state.as_ref().map_or(Ordering::$order, |held| key.rank(&held.0));
                if order == Ordering::$order {
                    *state = Some((key, (self.value)(row)));
                } else if order == Ordering::Equal {
                    let value = (self.value)(row);
                    if state.as_ref().is_some_and(|held| value.rank(&held.1) == Ordering::$order) {
                        *state = Some((key, value));
                    }
                }
            }

            #[inline]
            fn merge(&self, state: &mut Self::State, other: &Self::State) {
                if let Some(other) = other
                    && state.as_ref().is_none_or(|held| other.rank(held) == Ordering::$order)
                {
                    *state = Some(other.clone());
                }
            }

            #[inline]
            fn finish(&self, state: &Self::State) -> Option<V> {
                state.as_ref().map(|held| held.1.clone())
            }
        }
    )+};
}

by! {
    /// A value of the row with the least key; `None` if no key counted.
    ///
    /// Of rows with that same key it is the least value, so arrival does not matter. A key that is
    /// NaN does not count. Cost: a comparison a row; state: a key and a value.
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, MinBy};
    ///
    /// let coldest = MinBy::of(|r: &(f64, &str)| r.0, |r| r.1.to_string());
    /// let mut state = coldest.create();
    /// for reading in [(3.0, "attic"), (f64::NAN, "yard"), (-2.0, "porch"), (-2.0, "barn")] {
    ///     coldest.add(&mut state, &reading);
    /// }
    /// assert_eq!(coldest.finish(&state), Some("barn".to_string()));
    /// ```
    MinBy is Less;

    /// A value of the row with the greatest key; `None` if no key counted.
    ///
    /// Of rows with that same key it is the greatest value. Otherwise like [`MinBy`].
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, MaxBy};
    ///
    /// let winner = MaxBy::of(|bid: &(u64, &str)| bid.0, |bid| bid.1.to_string());
    /// let mut state = winner.create();
    /// for bid in [(3, "ann"), (7, "bo"), (5, "cy")] {
    ///     winner.add(&mut state, &bid);
    /// }
    /// assert_eq!(winner.finish(&state), Some("bo".to_string()));
    /// ```
    MaxBy is Greater;
}
