//! How unusual a value is among those before it.

use serde::{Deserialize, Serialize};

use super::fast::Welford;

/// Scores each value by how many standard deviations it is from the mean of those before it.
///
/// A plain struct for operators that see values one by one, in an order they have chosen: of the
/// scores, each depends on that order. There is no score while fewer than `min_samples` values came
/// before, nor while they were all the same, nor for a value that is not finite, which is not learnt
/// either. The deviation is that of all there is (division by n). Method: Welford 1962, as in
/// [`FastStdPop`](super::FastStdPop). Cost: a few operations a value; state: three numbers.
///
/// ```
/// use tiderace_operators::aggregate::ZScore;
///
/// let mut usual = ZScore::new(3, 2.5);
/// assert_eq!(usual.observe(10.0), None); // too few yet
/// assert_eq!(usual.observe(14.0), None);
/// assert_eq!(usual.observe(12.0), None);
/// let score = usual.observe(20.0).expect("three values came before");
/// assert!((score - 8.0 / (8.0_f64 / 3.0).sqrt()).abs() < 1e-12);
/// assert!(usual.is_unusual(score));
///
/// let mut flat = ZScore::new(2, 3.0);
/// flat.observe(5.0);
/// flat.observe(5.0);
/// assert_eq!(flat.observe(9.0), None); // no deviation to measure by
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ZScore {
    min_samples: u64,
    threshold: f64,
    seen: Welford,
}

impl ZScore {
    /// Scores once `min_samples` values are known; scores beyond `threshold` on either side are
    /// unusual.
    ///
    /// # Panics
    /// If fewer than one value is to be waited for, or the threshold is not above zero.
    pub fn new(min_samples: u64, threshold: f64) -> Self {
        assert!(min_samples > 0, "ZScore: 0 values have no mean to score by");
        assert!(
            threshold > 0.0 && threshold.is_finite(),
            "ZScore: a threshold is a number above 0, not {threshold}",
        );
        ZScore { min_samples, threshold, seen: Welford::default() }
    }

    /// The score of a value among those so far.
    pub fn score(&self, value: f64) -> Option<f64> {
        if self.seen.count() < self.min_samples || !value.is_finite() {
            return None;
        }
        let deviation = self.seen.variance(0)?.sqrt();
        (deviation > 0.0).then(|| (value - self.seen.mean()) / deviation)
    }

    /// The score of a value, which then counts for those that follow.
    pub fn observe(&mut self, value: f64) -> Option<f64> {
        let score = self.score(value);
        if value.is_finite() {
            self.seen.add(value);
        }
        score
    }

    /// Whether a score is beyond the threshold.
    pub fn is_unusual(&self, score: f64) -> bool {
        score.abs() > self.threshold
    }
}
