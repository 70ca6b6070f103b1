//! Both sides' aggregates of a window, without buffering a row.

use timely::ExchangeData;

use crate::aggregate::Aggregate;
use crate::events::{Data, Tick};
use crate::key::Key;
use crate::keyed::Keyed;
use crate::tick::Side;
use crate::time::EventTime;
use crate::window::{SideBySide, WindowResult, Windowed, WithLate};

/// Of the rows of two sides: an aggregate of the left ones, and one of the right ones.
#[derive(Clone, Copy, Debug)]
struct Both<A, B>(A, B);

impl<L, R, A: Aggregate<L>, B: Aggregate<R>> Aggregate<Side<L, R>> for Both<A, B> {
    type State = (A::State, B::State);
    type Output = (A::Output, B::Output);

    fn create(&self) -> Self::State {
        (self.0.create(), self.1.create())
    }

    fn add(&self, state: &mut Self::State, row: &Side<L, R>) {
        match row {
            Side::Left(row) => self.0.add(&mut state.0, row),
            Side::Right(row) => self.1.add(&mut state.1, row),
        }
    }

    fn add_at(&self, state: &mut Self::State, time: EventTime, row: &Side<L, R>) {
        match row {
            Side::Left(row) => self.0.add_at(&mut state.0, time, row),
            Side::Right(row) => self.1.add_at(&mut state.1, time, row),
        }
    }

    fn merge(&self, state: &mut Self::State, other: &Self::State) {
        self.0.merge(&mut state.0, &other.0);
        self.1.merge(&mut state.1, &other.1);
    }

    fn finish(&self, state: &Self::State) -> Self::Output {
        (self.0.finish(&state.0), self.1.finish(&state.1))
    }
}

impl<'scope, T: Tick, L: ExchangeData + Data, FL, W: SideBySide> Windowed<'scope, T, L, FL, W> {
    /// For each key and window with a row on either side: an aggregate of the left rows and one of
    /// the right ones, where a side without rows gives its aggregate of none.
    ///
    /// It is a window over the union of both streams, and goes by the lesser of their frontiers. It
    /// keeps one entry per key and window, and no rows.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use tiderace_operators::prelude::*;
    ///
    /// let results = Arc::new(Mutex::new(Vec::new()));
    /// let late = Arc::new(Mutex::new(0));
    /// let (into, late_in) = (results.clone(), late.clone());
    /// timely::execute_directly(move |worker| {
    ///     let observer = Observer::default();
    ///     let (mut views, mut sales) = worker.dataflow::<u64, _, _>(|scope| {
    ///         let policy = Policy::ascending();
    ///         let (views_in, views) = EventInput::<u8>::new(scope, 0, policy, &observer);
    ///         let (sales_in, sales) = EventInput::<(u8, i64)>::new(scope, 1, policy, &observer);
    ///         let both = views.key_by(|&item| item).window(Tumbling::every(secs(10))).cogroup(
    ///             "both",
    ///             sales.key_by(|sale| sale.0),
    ///             Count,
    ///             Sum::of(|sale: &(u8, i64)| sale.1),
    ///         );
    ///         both.inspect(move |row| into.lock().unwrap().push((row.data.key, row.data.value)));
    ///         both.late().inspect(move |_| *late_in.lock().unwrap() += 1);
    ///         (views_in, sales_in)
    ///     });
    ///     let at = EventTime::from_secs;
    ///     [(1, 7), (9, 7), (3, 8)].map(|(second, item)| views.send(0, at(second), item));
    ///     views.end_tick();
    ///     [(2, 5), (11, 6), (4, 9)].map(|(second, euros)| sales.send(0, at(second), (7, euros)));
    ///     sales.finish(); // the last sale was late: its window is complete
    ///     views.finish();
    /// });
    /// let mut results = results.lock().unwrap().clone();
    /// results.sort();
    /// assert_eq!(results, [(7, (0, 6)), (7, (2, 5)), (8, (1, 0))]);
    /// assert_eq!(*late.lock().unwrap(), 1);
    /// ```
    pub fn cogroup<K, R, FR, A, B>(
        self,
        name: &str,
        right: Keyed<'scope, T, R, FR>,
        left_aggregate: A,
        right_aggregate: B,
    ) -> WithLate<'scope, T, WindowResult<K, (A::Output, B::Output)>, Side<L, R>>
    where
        K: Key,
        R: ExchangeData + Data,
        FL: Fn(&L) -> K + Clone + 'static,
        FR: Fn(&R) -> K + Clone + 'static,
        A: Aggregate<L>,
        B: Aggregate<R>,
    {
        let Windowed { keyed: left, by, lateness, .. } = self;
        let events = left.events.map(Side::Left).union(&right.events.map(Side::Right));
        let (of_left, of_right) = (left.key, right.key);
        let keyed = events.key_by(move |row: &Side<L, R>| match row {
            Side::Left(row) => of_left(row),
            Side::Right(row) => of_right(row),
        });
        let mut windows = keyed.window(by);
        windows.lateness = lateness;
        windows.aggregate(name, Both(left_aggregate, right_aggregate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Count, Last, Sum};

    fn merged<A: Aggregate<Side<char, i64>>>(both: &A) -> A::Output {
        let mut state = both.create();
        for (time, row) in [(20, Side::Left('a')), (10, Side::Left('b'))] {
            both.add_at(&mut state, EventTime::from_micros(time), &row);
        }
        let mut other = both.create();
        for (time, row) in [(20, Side::Right(5)), (10, Side::Right(6))] {
            both.add_at(&mut other, EventTime::from_micros(time), &row);
        }
        both.merge(&mut state, &other);
        both.finish(&state)
    }

    #[test]
    fn each_side_has_its_aggregate() {
        let sum = Sum::of(|n: &i64| *n);
        let last = (Last::of(|c: &char| *c), Last::of(|n: &i64| *n));
        assert_eq!(merged(&Both(Count, sum)), (2, 11));
        assert_eq!(merged(&Both(last.0, last.1)), (Some('a'), Some(5)));
    }

    #[test]
    fn rows_without_a_time_count_too() {
        fn added<A: Aggregate<Side<char, i64>>>(both: &A) -> A::Output {
            let mut state = both.create();
            for row in [Side::Left('a'), Side::Right(5), Side::Right(6)] {
                both.add(&mut state, &row);
            }
            both.finish(&state)
        }
        assert_eq!(added(&Both(Count, Sum::of(|n: &i64| *n))), (1, 11));
    }
}
