//! Values in the order of event time: all of them, or the last ones.

use super::bag::Sorted;
use super::percentile::{Between, Kind, Nearest, Percent};
use super::{Aggregate, Mapped, Ranked, TooMany, average_over};
use crate::time::EventTime;

/// All values in the order of event time, up to a limit; with more it says so.
///
/// Values of one instant are in their own order, so arrival does not matter. NaN is a value like
/// others. Cost: an append a row that comes in order, a search and a shift for others; state: every
/// value with its time, none of them once there were too many.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, Collect, TooMany};
/// use tiderace_operators::time::EventTime;
///
/// let path = Collect::of(3, |page: &&str| page.to_string());
/// let mut state = path.create();
/// for (second, page) in [(9, "cart"), (1, "home"), (4, "shoes")] {
///     path.add_at(&mut state, EventTime::from_secs(second), &page);
/// }
/// let pages = path.finish(&state).expect("there are three");
/// assert_eq!(pages, ["home", "shoes", "cart"]);
/// path.add_at(&mut state, EventTime::from_secs(5), &"home");
/// assert_eq!(path.finish(&state), Err(TooMany { limit: 3 }));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Collect<F> {
    limit: usize,
    value: F,
}

impl<F> Collect<F> {
    /// Collects what `value` takes from each row, of at most `limit` rows.
    ///
    /// # Panics
    /// If the limit is zero.
    pub fn of<D, V: Ranked>(limit: usize, value: F) -> Self
    where
        F: Fn(&D) -> V,
    {
        assert!(limit > 0, "Collect: at most 0 values are none");
        Collect { limit, value }
    }

    /// Forgets all values if there are too many.
    fn settle<V: Ranked>(&self, (values, total): &mut (Sorted<(EventTime, V)>, u64)) {
        if *total > self.limit as u64 {
            values.clear();
        }
    }
}

impl<D, V: Ranked, F: Fn(&D) -> V + Clone + 'static> Aggregate<D> for Collect<F> {
    /// The values unless there were too many, and how many there were.
    type State = (Sorted<(EventTime, V)>, u64);
    type Output = Result<Vec<V>, TooMany>;

    fn create(&self) -> Self::State {
        (Sorted::default(), 0)
    }

    fn add(&self, state: &mut Self::State, row: &D) {
        self.add_at(state, EventTime::MIN, row);
    }

    #[inline]
    fn add_at(&self, state: &mut Self::State, time: EventTime, row: &D) {
        state.1 += 1;
        if state.1 <= self.limit as u64 {
            state.0.insert((time, (self.value)(row)));
        } else {
            self.settle(state);
        }
    }

    fn merge(&self, state: &mut Self::State, other: &Self::State) {
        state.0.merge(&other.0);
        state.1 += other.1;
        self.settle(state);
    }

    fn is_small(&self) -> bool {
        false
    }

    fn finish(&self, (values, total): &Self::State) -> Self::Output {
        if *total > self.limit as u64 {
            return Err(TooMany { limit: self.limit });
        }
        Ok(values.values().iter().map(|(_, value)| value.clone()).collect())
    }
}

/// The last values by event time, oldest first.
///
/// Of values of one instant the greater are the later, so arrival does not matter. NaN is a value
/// like others. Cost: a comparison a row that is too old, an append and a shift for others; state:
/// so many values with their times.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, LastN};
/// use tiderace_operators::time::EventTime;
///
/// let recent = LastN::of(3, |x: &f64| *x);
/// let rows = [(1, 90.0), (5, 2.0), (4, 4.0), (3, 8.0), (2, 70.0)];
/// let mut state = recent.create();
/// for (second, x) in rows {
///     recent.add_at(&mut state, EventTime::from_secs(second), &x);
/// }
/// assert_eq!(recent.finish(&state), [8.0, 4.0, 2.0]);
///
/// // Statistics of the last values, from the same state.
/// assert_eq!(recent.median().finish(&state), Some(4.0));
/// assert_eq!(recent.percentile(90.0).finish(&state), Some(8.0));
/// assert_eq!(recent.ema(3.0).finish(&state), Some(4.0)); // 8, 6, 4
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LastN<F> {
    count: usize,
    value: F,
}

impl<F> LastN<F> {
    /// What `value` takes from the last so many rows.
    ///
    /// # Panics
    /// If `count` is zero.
    pub fn of<D, V: Ranked>(count: usize, value: F) -> Self
    where
        F: Fn(&D) -> V,
    {
        assert!(count > 0, "LastN: the last 0 values are none");
        LastN { count, value }
    }

    /// Their median; with a NaN among them `None`.
    pub fn median<D>(self) -> Mapped<Self, impl Fn(Vec<f64>) -> Option<f64> + Clone + 'static>
    where
        F: Fn(&D) -> f64,
    {
        let (kind, percent) = (Between::new(), Percent::from_zero("LastN", 50.0));
        Mapped::of(self, move |values: Vec<f64>| found(&kind, &values, percent))
    }

    /// Their percentile by nearest rank (see [`Percentile`](super::Percentile)); with a NaN among
    /// them `None`.
    ///
    /// # Panics
    /// If the percentage is not above 0 and at most 100.
    pub fn percentile<D>(
        self,
        percent: f64,
    ) -> Mapped<Self, impl Fn(Vec<f64>) -> Option<f64> + Clone + 'static>
    where
        F: Fn(&D) -> f64,
    {
        let (kind, percent) = (Nearest::new(), Percent::above_zero("LastN", percent));
        Mapped::of(self, move |values: Vec<f64>| found(&kind, &values, percent))
    }

    /// Their moving average, as [`Ema`](super::Ema) has it: the oldest of them initialises.
    ///
    /// # Panics
    /// If the span is below 1 or not a number.
    pub fn ema<D>(
        self,
        span: f64,
    ) -> Mapped<Self, impl Fn(Vec<f64>) -> Option<f64> + Clone + 'static>
    where
        F: Fn(&D) -> f64,
    {
        let average = average_over("LastN", span);
        Mapped::of(self, move |values: Vec<f64>| average(&mut values.into_iter()))
    }
}

fn found<K: Kind<Found = f64>>(kind: &K, values: &[f64], percent: Percent) -> Option<f64> {
    let mut state = K::State::default();
    values.iter().for_each(|value| kind.add(&mut state, *value));
    kind.at(&state, percent)
}

impl<D, V: Ranked, F: Fn(&D) -> V + Clone + 'static> Aggregate<D> for LastN<F> {
    type State = Sorted<(EventTime, V)>;
    type Output = Vec<V>;

    fn create(&self) -> Self::State {
        Sorted::default()
    }

    fn add(&self, state: &mut Self::State, row: &D) {
        self.add_at(state, EventTime::MIN, row);
    }

    #[inline]
    fn add_at(&self, state: &mut Self::State, time: EventTime, row: &D) {
        state.insert_among_last((time, (self.value)(row)), self.count);
    }

    fn merge(&self, state: &mut Self::State, other: &Self::State) {
        state.merge(other);
        state.keep_last(self.count);
    }

    fn is_small(&self) -> bool {
        false
    }

    fn finish(&self, state: &Self::State) -> Vec<V> {
        state.values().iter().map(|(_, value)| value.clone()).collect()
    }
}
