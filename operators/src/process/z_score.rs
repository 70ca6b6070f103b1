//! Rows that are far from what their key has shown so far.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::{Context, Process};
use crate::events::Data;
use crate::time::Timed;

/// Scores each row by how many standard deviations its value is from the mean of the values of its
/// key that came before: `z = (x − mean) / σ`, σ being the deviation of the population.
///
/// There is no score, and no anomaly, before `min_samples` values (at least one) have come, nor
/// where σ is zero, nor for a value that is not finite. Such a value is not learnt from either;
/// anomalies are. Mean and σ are kept by Welford's method, in the order that
/// [`process`](super) hands rows out.
///
/// ```
/// use tiderace_operators::process::{Alone, ZScore};
/// use tiderace_operators::time::EventTime;
///
/// let mut scores = Alone::new(|_: &f64| 0u8, ZScore::new(3.0, 2, |x: &f64| *x));
/// let mut of = |x| {
///     let scored = &scores.row(EventTime::from_secs(1), x)[0].data;
///     (scored.score, scored.anomaly)
/// };
/// assert_eq!(of(1.0), (None, false), "nothing came before");
/// assert_eq!(of(3.0), (None, false), "one value came before");
/// assert_eq!(of(6.0), (Some(4.0), true), "the mean was 2 and σ was 1");
/// ```
pub struct ZScore<D, F> {
    sigma: f64,
    min_samples: u64,
    value: F,
    row: PhantomData<fn(&D)>,
}

impl<D, F: Fn(&D) -> f64> ZScore<D, F> {
    /// An anomaly is further than `sigma` standard deviations from the mean.
    ///
    /// # Panics
    /// If `sigma` is not a number of at least zero.
    pub fn new(sigma: f64, min_samples: u64, value: F) -> Self {
        assert!(sigma >= 0.0, "z-score: the threshold must be at least 0, and is {sigma}");
        ZScore { sigma, min_samples: min_samples.max(1), value, row: PhantomData }
    }
}

/// A row with its score.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Scored<D> {
    /// The row.
    pub data: D,
    /// How many standard deviations it is from the mean, if that can be said.
    pub score: Option<f64>,
    /// Whether that is more than the threshold, on either side.
    pub anomaly: bool,
}

/// What is kept of the values of a key.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Moments {
    count: u64,
    mean: f64,
    /// The sum of squared distances from the mean.
    squares: f64,
}

impl Moments {
    fn add(&mut self, x: f64) {
        self.count += 1;
        let distance = x - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (x - self.mean);
    }
}

impl<K, D, F> Process<K, D> for ZScore<D, F>
where
    D: Data,
    F: Fn(&D) -> f64 + 'static,
{
    type State = Moments;
    type Out = Scored<D>;

    fn row(
        &mut self,
        _: &K,
        past: &mut Moments,
        row: &Timed<D>,
        context: &mut Context<'_, Scored<D>>,
    ) {
        let x = (self.value)(&row.data);
        let sigma = (past.squares / past.count as f64).sqrt();
        let score = (x - past.mean) / sigma;
        let can_tell = past.count >= self.min_samples && sigma > 0.0 && score.is_finite();
        let score = can_tell.then_some(score);
        let anomaly = score.is_some_and(|score| score.abs() > self.sigma);
        context.emit(Scored { data: row.data.clone(), score, anomaly });
        if x.is_finite() {
            past.add(x);
        }
    }
}
