//! Both sides' aggregates of a window, without buffering a row.

use timely::ExchangeData;

use crate::aggregate::Aggregate;
use crate::events::{Data, Tick};
use crate::key::Key;
use crate::keyed::Keyed;
use crate::tick::Side;
use crate::time::EventTime;
use crate::window::{Tumbling, WindowResult, Windowed, WithLate};

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

impl<'scope, T: Tick, L: ExchangeData + Data, FL> Windowed<'scope, T, L, FL, Tumbling> {
    /// For each key and window with a row on either side: an aggregate of the left rows and one of
    /// the right ones, where a side without rows gives its aggregate of none.
    ///
    /// It is a window over the union of both streams, and goes by the lesser of their frontiers. It
    /// keeps one entry per key and window, and no rows.
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
