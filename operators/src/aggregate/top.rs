//! The rows with the greatest and the least scores.

use super::bag::{Bag, Down, Sorted};
use super::{Aggregate, Ranked, Retract};
use crate::time::EventTime;

macro_rules! tops {
    ($(
        $(#[$doc:meta])*
        $name:ident, $retractable:ident, $score:ident is $entry:ty, $into:expr, $out:expr;
    )+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<S, F> {
            count: usize,
            score: S,
            key: F,
        }

        impl<S, F> $name<S, F> {
            /// So many rows by `score` and then by `key`, which is also what is told of them.
            ///
            /// # Panics
            /// If `count` is zero.
            pub fn of<D, $score: Ranked, K: Ranked>(count: usize, score: S, key: F) -> Self
            where
                S: Fn(&D) -> $score,
                F: Fn(&D) -> K,
            {
                assert!(count > 0, concat!(stringify!($name), ": 0 rows are none"));
                $name { count, score, key }
            }

            /// Keeps all rows, so that rows can be taken out again.
            #[must_use]
            pub fn retractable(self) -> $retractable<S, F> {
                $retractable(self)
            }

            #[inline]
            fn entry<D, $score: Ranked, K: Ranked>(&self, row: &D) -> Option<($entry, K)>
            where
                S: Fn(&D) -> $score,
                F: Fn(&D) -> K,
            {
                let score = (self.score)(row);
                score.counts().then(|| ($into(score), (self.key)(row)))
            }
        }

        impl<D, $score, K, S, F> Aggregate<D> for $name<S, F>
        where
            $score: Ranked,
            K: Ranked,
            S: Fn(&D) -> $score + Clone + 'static,
            F: Fn(&D) -> K + Clone + 'static,
        {
            type State = Sorted<($entry, K)>;
            type Output = Vec<($score, K)>;

            fn create(&self) -> Self::State {
                Sorted::default()
            }

            #[inline]
            fn add(&self, state: &mut Self::State, row: &D) {
                if let Some(entry) = self.entry(row) {
                    state.insert_among_first(entry, self.count);
                }
            }

            fn merge(&self, state: &mut Self::State, other: &Self::State) {
                state.merge(other);
                state.keep_first(self.count);
            }

            fn finish(&self, state: &Self::State) -> Self::Output {
                state.values().iter().cloned().map(|(score, key)| ($out(score), key)).collect()
            }
        }

        #[doc = concat!("A [`", stringify!($name), "`] that rows can be taken out of again.")]
        ///
        /// Cost: a search in a sorted map a row; state: every row's score and key.
        #[derive(Clone, Copy, Debug)]
        pub struct $retractable<S, F>($name<S, F>);

        impl<D, $score, K, S, F> Aggregate<D> for $retractable<S, F>
        where
            $score: Ranked,
            K: Ranked,
            S: Fn(&D) -> $score + Clone + 'static,
            F: Fn(&D) -> K + Clone + 'static,
        {
            type State = Bag<($entry, K)>;
            type Output = Vec<($score, K)>;

            fn create(&self) -> Self::State {
                Bag::default()
            }

            fn add(&self, state: &mut Self::State, row: &D) {
                if let Some(entry) = self.0.entry(row) {
                    state.add(entry, 1);
                }
            }

            fn merge(&self, state: &mut Self::State, other: &Self::State) {
                state.merge(other);
            }

            fn is_small(&self) -> bool {
                false
            }

            fn finish(&self, state: &Self::State) -> Self::Output {
                let each = |(entry, times)| std::iter::repeat_n(entry, times as usize);
                let first = state.iter().flat_map(each).take(self.0.count);
                first.cloned().map(|(score, key)| ($out(score), key)).collect()
            }
        }

        impl<D, $score, K, S, F> Retract<D> for $retractable<S, F>
        where
            $score: Ranked,
            K: Ranked,
            S: Fn(&D) -> $score + Clone + 'static,
            F: Fn(&D) -> K + Clone + 'static,
        {
            fn retract(&self, state: &mut Self::State, _time: EventTime, row: &D) {
                if let Some(entry) = self.0.entry(row) {
                    state.remove(entry);
                }
            }
        }
    )+};
}

tops! {
    /// The rows with the greatest scores, greatest first; of equal scores the least key first.
    ///
    /// Rows whose score is NaN do not count. Cost: a comparison a row once there are enough, a
    /// search and a shift where a row gets in; state: so many scores and keys.
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, TopK};
    ///
    /// let podium = TopK::of(2, |r: &(u32, &str)| r.0, |r| r.1.to_string());
    /// let mut state = podium.create();
    /// for result in [(7, "cy"), (9, "ann"), (7, "bo"), (3, "di")] {
    ///     podium.add(&mut state, &result);
    /// }
    /// assert_eq!(podium.finish(&state), [(9, "ann".to_string()), (7, "bo".to_string())]);
    ///
    /// // One that keeps all rows can do without the winner.
    /// use tiderace_operators::aggregate::Retract;
    /// use tiderace_operators::time::EventTime;
    /// let podium = podium.retractable();
    /// let mut state = podium.create();
    /// for result in [(7, "cy"), (9, "ann"), (7, "bo"), (3, "di")] {
    ///     podium.add(&mut state, &result);
    /// }
    /// podium.retract(&mut state, EventTime::MIN, &(9, "ann"));
    /// assert_eq!(podium.finish(&state), [(7, "bo".to_string()), (7, "cy".to_string())]);
    /// ```
    TopK, RetractableTopK, V is Down<V>, Down, |down: Down<V>| down.0;

    /// The rows with the least scores, least first; of equal scores the least key first.
    ///
    /// Otherwise like [`TopK`].
    ///
    /// ```
    /// use tiderace_operators::aggregate::{Aggregate, BottomK};
    ///
    /// let coldest = BottomK::of(2, |r: &(f64, u32)| r.0, |r| r.1);
    /// let mut state = coldest.create();
    /// for reading in [(4.5, 1), (-3.0, 2), (f64::NAN, 3), (-3.0, 1)] {
    ///     coldest.add(&mut state, &reading);
    /// }
    /// assert_eq!(coldest.finish(&state), [(-3.0, 1), (-3.0, 2)]);
    /// ```
    BottomK, RetractableBottomK, V is V, std::convert::identity, std::convert::identity;
}
