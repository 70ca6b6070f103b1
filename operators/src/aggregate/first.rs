//! The earliest and the latest row.

use std::cmp::Ordering;

use super::{Aggregate, Ranked};
use crate::time::EventTime;

/// What decides between rows of one instant, before the value does.
pub trait Order<D>: Clone + 'static {
    /// Compared after the event time.
    type Key: Ranked;

    /// The key of a row.
    fn key(&self, row: &D) -> Self::Key;
}

/// The value alone decides between rows of one instant.
#[derive(Clone, Copy, Debug)]
pub struct ByValue;

impl<D> Order<D> for ByValue {
    type Key = ();

    #[inline]
    fn key(&self, _row: &D) {}
}

/// A key decides between rows of one instant.
#[derive(Clone, Copy, Debug)]
pub struct ByKey<G>(G);

impl<D, K: Ranked, G: Fn(&D) -> K + Clone + 'static> Order<D> for ByKey<G> {
    type Key = K;

    #[inline]
    fn key(&self, row: &D) -> K {
        (self.0)(row)
    }
}

macro_rules! ends {
    ($($(#[$doc:meta])* $name:ident is $order:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<F, O = ByValue> {
            value: F,
            order: O,
        }

        impl<F> $name<F> {
            /// What `value` takes from that row.
            pub fn of<D, V: Ranked>(value: F) -> Self
            where
                F: Fn(&D) -> V,
            {
                $name { value, order: ByValue }
            }
        }

        impl<F, G> $name<F, ByKey<G>> {
            /// What `value` takes from that row; of rows of one instant `order` decides, such as
            /// partition and offset, and only then the value.
            pub fn by<D, K: Ranked, V: Ranked>(order: G, value: F) -> Self
            where
                G: Fn(&D) -> K,
                F: Fn(&D) -> V,
            {
                $name { value, order: ByKey(order) }
            }
        }

        impl<D, V, F, O> Aggregate<D> for $name<F, O>
        where
            V: Ranked,
            F: Fn(&D) -> V + Clone + 'static,
            O: Order<D>,
        {
            type State = Option<(EventTime, O::Key, V)>;
            type Output = Option<V>;

            #[inline]
            fn create(&self) -> Self::State {
                None
            }

            #[inline]
            fn add(&self, state: &mut Self::State, row: &D) {
                self.add_at(state, EventTime::MIN, row);
            }

            #[inline]
            fn add_at(&self, state: &mut Self::State, time: EventTime, row: &D) {
                let order = state.as_ref().map_or(Ordering::$order, |held| time.cmp(&held.0));
                if order == Ordering::$order {
                    *state = Some((time, self.order.key(row), (self.value)(row)));
                } else if order == Ordering::Equal {
                    let other = (time, self.order.key(row), (self.value)(row));
                    if state.as_ref().is_some_and(|held| other.rank(held) == Ordering::$order) {
                        *state = Some(other);
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
                state.as_ref().map(|held| held.2.clone())
            }
        }
    )+};
}

ends! {
    /// A value of the row with the least event time; `None` if there are no rows.
    ///
    /// Of rows of one instant it takes the one that comes first by the order given ([`First::by`])
    /// and then the one with the least value, so that arrival does not matter. NaN is a value like
    /// others here, greater than all. Without times ([`Aggregate::add`]) all rows are of one
    /// instant. Cost: a comparison a row; the value is taken only where the time does not decide.
    /// State: one value with its time.
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, First};
    /// use tiderace_operators::time::EventTime;
    ///
    /// let opening = First::of(|price: &u32| *price);
    /// let mut state = opening.create();
    /// for (second, price) in [(3, 101), (2, 99), (2, 98), (5, 97)] {
    ///     opening.add_at(&mut state, EventTime::from_secs(second), &price);
    /// }
    /// assert_eq!(opening.finish(&state), Some(98));
    ///
    /// // Trades with a sequence number: it says which of one instant was first.
    /// let opening = First::by(|trade: &(u64, u32)| trade.0, |trade| trade.1);
    /// let mut state = opening.create();
    /// for trade in [(12, 98), (11, 99)] {
    ///     opening.add_at(&mut state, EventTime::from_secs(2), &trade);
    /// }
    /// assert_eq!(opening.finish(&state), Some(99));
    /// ```
    First is Less;

    /// A value of the row with the greatest event time; `None` if there are no rows.
    ///
    /// Of rows of one instant it takes the one that comes last by the order given ([`Last::by`])
    /// and then the one with the greatest value. Otherwise like [`First`].
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, Last};
    /// use tiderace_operators::time::EventTime;
    ///
    /// let closing = Last::of(|price: &u32| *price);
    /// let mut state = closing.create();
    /// for (second, price) in [(3, 101), (5, 97), (5, 98), (2, 99)] {
    ///     closing.add_at(&mut state, EventTime::from_secs(second), &price);
    /// }
    /// assert_eq!(closing.finish(&state), Some(98));
    /// ```
    Last is Greater;
}
