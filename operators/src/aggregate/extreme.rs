//! The least and the greatest.

use std::cmp::Ordering;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bag::Bag;
use super::{Aggregate, Retract};
use crate::time::{EventTime, Span};

/// What has a least and a greatest: values in a total order, of which some may not count.
///
/// Integers, `bool`, `char`, strings, [`EventTime`], [`Span`], floats, and tuples of these (first
/// part first). Of floats NaN does not count, and `-0.0` is less than `0.0`. For an own type, put
/// [`ranked_by_ord!`](crate::ranked_by_ord) below its `Ord`.
pub trait Ranked: Clone + Serialize + DeserializeOwned + Send + 'static {
    /// Whether this value can be the least or the greatest at all.
    #[inline]
    fn counts(&self) -> bool {
        true
    }

    /// The total order of the values that count. Equal values must be indistinguishable.
    fn rank(&self, other: &Self) -> Ordering;
}

/// Lets [`Min`] and [`Max`] take types by their `Ord`.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tiderace_operators::aggregate::{Aggregate, Max};
/// use tiderace_operators::ranked_by_ord;
///
/// #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
/// enum Severity { Info, Warning, Alarm }
/// ranked_by_ord!(Severity);
///
/// let worst = Max::of(|s: &Severity| s.clone());
/// let mut state = worst.create();
/// worst.add(&mut state, &Severity::Warning);
/// worst.add(&mut state, &Severity::Info);
/// assert_eq!(worst.finish(&state), Some(Severity::Warning));
/// ```
#[macro_export]
macro_rules! ranked_by_ord {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::aggregate::Ranked for $type {
            #[inline]
            fn rank(&self, other: &Self) -> ::std::cmp::Ordering {
                ::std::cmp::Ord::cmp(self, other)
            }
        }
    )+};
}

ranked_by_ord!(
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    bool,
    char,
    String,
    Box<str>,
    Arc<str>,
    EventTime,
    Span,
);

macro_rules! floats {
    ($($float:ty),+) => {$(
        impl Ranked for $float {
            #[inline]
            fn counts(&self) -> bool {
                !self.is_nan()
            }

            #[inline]
            fn rank(&self, other: &Self) -> Ordering {
                self.total_cmp(other)
            }
        }
    )+};
}

floats!(f32, f64);

impl Ranked for () {
    #[inline]
    fn rank(&self, _other: &Self) -> Ordering {
        Ordering::Equal
    }
}

macro_rules! tuples {
    ($($($name:ident $index:tt)+;)+) => {$(
        impl<$($name: Ranked),+> Ranked for ($($name,)+) {
            #[inline]
            fn counts(&self) -> bool {
                $(self.$index.counts())&&+
            }

            #[inline]
            fn rank(&self, other: &Self) -> Ordering {
                Ordering::Equal$(.then_with(|| self.$index.rank(&other.$index)))+
            }
        }
    )+};
}

tuples! {
    A 0 B 1;
    A 0 B 1 C 2;
    A 0 B 1 C 2 D 3;
}

macro_rules! extremes {
    (
        $($(#[$doc:meta])* $name:ident, $retractable:ident is $order:ident $end:ident, $what:literal;)+
    ) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<F> {
            value: F,
        }

        impl<F> $name<F> {
            #[doc = $what]
            pub fn of<D, V: Ranked>(value: F) -> Self
            where
                F: Fn(&D) -> V,
            {
                $name { value }
            }

            /// Keeps all values, so that rows can be taken out again.
            #[must_use]
            pub fn retractable(self) -> $retractable<F> {
                $retractable { value: self.value }
            }
        }

        impl<D, V: Ranked, F: Fn(&D) -> V + Clone + 'static> Aggregate<D> for $name<F> {
            type State = Option<V>;
            type Output = Option<V>;

            #[inline]
            fn create(&self) -> Option<V> {
                None
            }

            #[inline]
            fn add(&self, state: &mut Option<V>, row: &D) {
                let value = (self.value)(row);
                let beaten = state.as_ref().is_some_and(|best| value.rank(best) != Ordering::$order);
                if !beaten && value.counts() {
                    *state = Some(value);
                }
            }

            #[inline]
            fn merge(&self, state: &mut Option<V>, other: &Option<V>) {
                if let Some(value) = other
                    && state.as_ref().is_none_or(|best| value.rank(best) == Ordering::$order)
                {
                    *state = Some(value.clone());
                }
            }

            #[inline]
            fn finish(&self, state: &Option<V>) -> Option<V> {
                state.clone()
            }
        }

        #[doc = concat!("A [`", stringify!($name), "`] that rows can be taken out of again.")]
        ///
        /// Cost: a search in a sorted map a row; state: every different value with its count.
        #[derive(Clone, Copy, Debug)]
        pub struct $retractable<F> {
            value: F,
        }

        impl<D, V: Ranked, F: Fn(&D) -> V + Clone + 'static> Aggregate<D> for $retractable<F> {
            type State = Bag<V>;
            type Output = Option<V>;

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

            fn finish(&self, state: &Bag<V>) -> Option<V> {
                state.iter().$end().map(|(value, _)| value.clone())
            }
        }

        impl<D, V: Ranked, F: Fn(&D) -> V + Clone + 'static> Retract<D> for $retractable<F> {
            fn retract(&self, state: &mut Bag<V>, _time: EventTime, row: &D) {
                let value = (self.value)(row);
                if value.counts() {
                    state.remove(value);
                }
            }
        }
    )+};
}

extremes! {
    /// The least of a value taken from each row; `None` if no value counted.
    ///
    /// NaN does not count: a broken reading does not hide the others.
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, Min};
    ///
    /// let least = Min::of(|celsius: &f64| *celsius);
    /// let mut state = least.create();
    /// assert_eq!(least.finish(&state), None);
    /// for celsius in [4.0, f64::NAN, -1.5, 0.0] {
    ///     least.add(&mut state, &celsius);
    /// }
    /// assert_eq!(least.finish(&state), Some(-1.5));
    /// ```
    Min, RetractableMin is Less next, "The least of what `value` takes from each row.";

    /// The greatest of a value taken from each row; `None` if no value counted.
    ///
    /// NaN does not count. A tuple finds the row with the greatest first part:
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, Max};
    ///
    /// let highest_bid = Max::of(|bid: &(u64, &'static str)| (bid.0, bid.1.to_string()));
    /// let mut state = highest_bid.create();
    /// for bid in [(3, "ann"), (7, "bo"), (5, "cy")] {
    ///     highest_bid.add(&mut state, &bid);
    /// }
    /// assert_eq!(highest_bid.finish(&state), Some((7, "bo".to_string())));
    /// ```
    Max, RetractableMax is Greater next_back, "The greatest of what `value` takes from each row.";
}
