//! The best rows of each key and window, in order.
//!
//! *A window's rows of a key are ranked by score, the greatest first, and rows of one score by
//! (event time, canonical bytes); the first `n` are sent, with ranks from 1, when the window is
//! complete.* Windows, lateness and event times are those of [`window`](crate::window): a row is late
//! iff F ≥ end + lateness, and results are at the window's last instant. Rows whose score does not
//! count ([`Ranked::counts`], a NaN) have no rank.
//!
//! The rows may be results of windows: the ten best sellers of each hour are the top 10 of the
//! hourly sums, all in one group. Cost: a comparison with the n-th a row. State: up to n rows per key
//! and open window, as one entry of bounded size.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::prelude::*;
//!
//! let seen = Arc::new(Mutex::new((Vec::new(), Vec::new())));
//! let (into, late) = (seen.clone(), seen.clone());
//! timely::execute_directly(move |worker| {
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let observer = Observer::default();
//!         let (input, sales) = EventInput::<(char, u32)>::new(scope, 0, Policy::ascending(), &observer);
//!         let hourly = sales.key_by(|sale| sale.0).window(Tumbling::every(hours(1)));
//!         let hourly = hourly.aggregate("hourly", Sum::of(|sale: &(char, u32)| sale.1));
//!         let all = hourly.key_by(|_| ()).window(Tumbling::every(hours(1)));
//!         let best = all.top_n("best", 2, |sums| sums.value);
//!         best.inspect(move |row| {
//!             into.lock().unwrap().0.push((row.data.rank, row.data.row.key, row.data.row.value));
//!         });
//!         hourly.late().inspect(move |row| late.lock().unwrap().1.push(row.data));
//!         input
//!     });
//!     for (at, sale) in [(1, ('b', 5)), (2, ('c', 3)), (3, ('a', 5)), (4, ('c', 3)), (70, ('d', 1)), (5, ('d', 9))] {
//!         input.send(0, EventTime::from_secs(at * 60), sale);
//!     }
//!     input.finish();
//! });
//! let (mut best, late) = seen.lock().unwrap().clone();
//! best.sort();
//! assert_eq!(best, [(1, 'c', 6), (1, 'd', 1), (2, 'a', 5)]);
//! assert_eq!(late, [('d', 9)], "it came when the hour was over");
//! ```

use std::cmp::Ordering;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use timely::ExchangeData;

use super::canonical;
use crate::aggregate::{Aggregate, Ranked};
use crate::events::{Data, Tick};
use crate::key::Key;
use crate::time::EventTime;
use crate::window::{Window, Windowed, WithLate};

/// One of the best rows of a key and a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopRow<K, S, D> {
    /// The key.
    pub key: K,
    /// The window.
    pub window: Window,
    /// Its place, from 1.
    pub rank: u32,
    /// What it was ranked by.
    pub score: S,
    /// When it happened.
    pub time: EventTime,
    /// The row.
    pub row: D,
}

impl<'scope, T: Tick, D: ExchangeData + Data, F> Windowed<'scope, T, D, F> {
    /// The `n` rows of each key and window with the greatest scores, with their ranks; see the
    /// [module](crate::order::top_n). One key for all, as `key_by(|_| ())`, ranks all rows of a window.
    ///
    /// # Panics
    /// If `n` is zero.
    pub fn top_n<K, S>(
        self,
        name: &str,
        n: u32,
        score: impl Fn(&D) -> S + Clone + 'static,
    ) -> WithLate<'scope, T, TopRow<K, S, D>, D>
    where
        K: Key,
        S: Ranked,
        F: Fn(&D) -> K + Clone + 'static,
    {
        assert!(n > 0, "`{name}`: at least 1 row must be asked for, and {n} are");
        let best = self.aggregate(name, Best { n: n as usize, score });
        let rows = best.flat_map(&format!("{name}.rows"), |result| {
            let (key, window) = (result.key, result.window);
            (1..).zip(result.value).map(move |(rank, Scored { score, time, row })| {
                let key = key.clone();
                TopRow { key, window, rank, score, time, row }
            })
        });
        WithLate::new(rows, best.late())
    }
}

/// A row with its score.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Scored<S, D> {
    score: S,
    time: EventTime,
    row: D,
}

/// Keeps the best rows in order.
#[derive(Clone)]
struct Best<F> {
    n: usize,
    score: F,
}

/// The better one is less.
#[inline]
fn compare<S: Ranked, D: Serialize>(
    a: &Scored<S, D>,
    score: &S,
    time: EventTime,
    row: &D,
) -> Ordering {
    let order = score.rank(&a.score).then(a.time.cmp(&time));
    order.then_with(|| by_bytes(&a.row, row))
}

#[cold]
fn by_bytes<D: Serialize>(a: &D, b: &D) -> Ordering {
    canonical(a).cmp(&canonical(b))
}

/// Up to so many rows are looked at one by one.
const FEW: usize = 8;

impl<F> Best<F> {
    fn take<S: Ranked, D: Serialize + Clone>(
        &self,
        best: &mut Vec<Scored<S, D>>,
        (score, time, row): (&S, EventTime, &D),
    ) {
        let is_before = |kept: &Scored<S, D>| compare(kept, score, time, row) != Ordering::Greater;
        if !score.counts() || (best.len() == self.n && best.last().is_some_and(is_before)) {
            return;
        }
        let place = match best.len() <= FEW {
            true => best.iter().rposition(is_before).map_or(0, |last| last + 1),
            false => best.partition_point(is_before),
        };
        best.truncate(self.n - 1);
        best.insert(place, Scored { score: score.clone(), time, row: row.clone() });
    }
}

impl<D, S, F> Aggregate<D> for Best<F>
where
    D: Data + Serialize + DeserializeOwned + Send,
    S: Ranked,
    F: Fn(&D) -> S + Clone + 'static,
{
    type State = Vec<Scored<S, D>>;
    type Output = Vec<Scored<S, D>>;

    fn create(&self) -> Self::State {
        Vec::new()
    }

    fn add(&self, state: &mut Self::State, row: &D) {
        self.add_at(state, EventTime::MIN, row);
    }

    fn add_at(&self, state: &mut Self::State, time: EventTime, row: &D) {
        self.take(state, (&(self.score)(row), time, row));
    }

    fn merge(&self, state: &mut Self::State, other: &Self::State) {
        for Scored { score, time, row } in other {
            self.take(state, (score, *time, row));
        }
    }

    fn finish(&self, state: &Self::State) -> Self::Output {
        state.clone()
    }
}
