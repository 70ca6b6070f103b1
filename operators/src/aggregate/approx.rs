//! About how many different values there are.

use serde::{Deserialize, Serialize};

use super::Aggregate;
use crate::key::StableHash;

/// About how many different values there are, in bounded memory.
///
/// While there are few (a sixteenth of the places below) their hashes are kept, and the count is
/// exact. Then each value raises one of `2^p` places to the number of leading zeros of its hash:
/// HyperLogLog (Flajolet and others 2007), with the estimate of Ertl 2017, which needs no tables and
/// has no gap between small and large counts. The error is normally distributed, with a standard
/// deviation of `1.04 / sqrt(2^p)`: 1.6 % with the usual 4,096 places. The hash is the library's
/// [`StableHash`], and a place only ever rises, so any order of rows and merges, on any machine,
/// gives the same result. Cost: a hash a row; state: a byte a place at most.
///
/// ```
/// use tiderace_operators::aggregate::{Aggregate, ApproxDistinct};
///
/// let visitors = ApproxDistinct::of(|id: &u64| *id);
/// let mut state = visitors.create();
/// (0..100).for_each(|row| visitors.add(&mut state, &(row % 50)));
/// let found = visitors.finish(&state);
/// assert_eq!((found.count, found.standard_error), (50, 0.0));
///
/// (0..100_000).for_each(|id| visitors.add(&mut state, &id));
/// let found = visitors.finish(&state);
/// let apart = found.count.abs_diff(100_000) as f64 / 100_000.0;
/// assert!(apart < 3.0 * found.standard_error);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ApproxDistinct<F> {
    value: F,
    /// The binary logarithm of the number of places.
    power: u32,
}

/// A count that may be off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The count.
    pub count: u64,
    /// The standard deviation of its error, as a share of it; zero where the count is exact. Two
    /// counts in three are within one, 997 in 1,000 within three of them.
    pub standard_error: f64,
}

impl<F> ApproxDistinct<F> {
    /// Counts the different values that `value` takes from rows, with a standard error of 1.6 %.
    pub fn of<D, V: StableHash>(value: F) -> Self
    where
        F: Fn(&D) -> V,
    {
        ApproxDistinct { value, power: 12 }
    }

    /// With at most this standard error, 0.01 being one percent. Half the error is four times the
    /// state.
    ///
    /// # Panics
    /// If the error is not between 0.001 and 0.26.
    #[must_use]
    pub fn within(mut self, standard_error: f64) -> Self {
        assert!(
            (0.001..=0.26).contains(&standard_error),
            "ApproxDistinct: a standard error is a share between 0.001 and 0.26, \
             not {standard_error}",
        );
        self.power = 4;
        while self.standard_error() > standard_error {
            self.power += 1;
        }
        self
    }

    fn standard_error(&self) -> f64 {
        1.04 / f64::from(1_u32 << self.power).sqrt()
    }

    /// How many hashes are kept as they are.
    fn few(&self) -> usize {
        1 << (self.power - 4)
    }

    /// Goes over to places if there are too many hashes.
    fn settle(&self, state: &mut Hashes) {
        if let Hashes::Few(hashes) = state
            && hashes.len() > self.few()
        {
            let mut places = vec![0; 1 << self.power];
            hashes.iter().for_each(|hash| raise(&mut places, *hash, self.power));
            *state = Hashes::Many(places);
        }
    }
}

/// What is kept of the hashes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Hashes {
    /// All of them, in order.
    Few(Vec<u64>),
    /// The most leading zeros, and one, of those that belong to each place.
    Many(Vec<u8>),
}

/// The upper bits of a hash say the place, the others its height.
#[inline]
fn raise(places: &mut [u8], hash: u64, power: u32) {
    let place = (hash >> (64 - power)) as usize;
    // The bit set below the hash's end bounds the height at 65 - power.
    let height = (hash << power | 1 << (power - 1)).leading_zeros() as u8 + 1;
    places[place] = places[place].max(height);
}

impl<D, V: StableHash, F: Fn(&D) -> V + Clone + 'static> Aggregate<D> for ApproxDistinct<F> {
    type State = Hashes;
    type Output = Estimate;

    fn create(&self) -> Hashes {
        Hashes::Few(Vec::new())
    }

    #[inline]
    fn add(&self, state: &mut Hashes, row: &D) {
        // Hashed once more: neighbouring integers spread too evenly over a hash's upper bits for
        // what counts by chance.
        let hash = (self.value)(row).stable_hash().stable_hash();
        match state {
            Hashes::Many(places) => raise(places, hash, self.power),
            Hashes::Few(hashes) => {
                if let Err(place) = hashes.binary_search(&hash) {
                    hashes.insert(place, hash);
                    self.settle(state);
                }
            }
        }
    }

    fn merge(&self, state: &mut Hashes, other: &Hashes) {
        match (&mut *state, other) {
            (Hashes::Few(ours), Hashes::Few(theirs)) => {
                ours.extend_from_slice(theirs);
                ours.sort_unstable();
                ours.dedup();
                self.settle(state);
            }
            (Hashes::Many(ours), Hashes::Few(theirs)) => {
                theirs.iter().for_each(|hash| raise(ours, *hash, self.power));
            }
            (Hashes::Few(ours), Hashes::Many(theirs)) => {
                let mut places = theirs.clone();
                ours.iter().for_each(|hash| raise(&mut places, *hash, self.power));
                *state = Hashes::Many(places);
            }
            (Hashes::Many(ours), Hashes::Many(theirs)) => {
                for (ours, theirs) in ours.iter_mut().zip(theirs) {
                    *ours = (*ours).max(*theirs);
                }
            }
        }
    }

    fn is_small(&self) -> bool {
        false
    }

    fn finish(&self, state: &Hashes) -> Estimate {
        match state {
            Hashes::Few(hashes) => Estimate { count: hashes.len() as u64, standard_error: 0.0 },
            Hashes::Many(places) => Estimate {
                count: estimate(places, self.power).round() as u64,
                standard_error: self.standard_error(),
            },
        }
    }
}

/// The estimate of Ertl 2017 ("New cardinality estimation algorithms for HyperLogLog sketches",
/// algorithm 6): from how many places are at each height.
fn estimate(places: &[u8], power: u32) -> f64 {
    let highest = 64 - power as usize;
    let mut at = vec![0_u32; highest + 2];
    for height in places {
        at[usize::from(*height).min(highest + 1)] += 1;
    }
    let count = places.len() as f64;
    let mut sum = count * above(1.0 - f64::from(at[highest + 1]) / count);
    for places in at[1..=highest].iter().rev() {
        sum = 0.5 * (sum + f64::from(*places));
    }
    sum += count * below(f64::from(at[0]) / count);
    count * count / (2.0 * std::f64::consts::LN_2 * sum)
}

/// What the places that were never raised add: `x + Σ x^(2^k) · 2^(k−1)` for k from 1 on.
fn below(share: f64) -> f64 {
    if share >= 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut weight, mut sum) = (share, 1.0, share);
    loop {
        power *= power;
        let before = sum;
        sum += power * weight;
        weight *= 2.0;
        if sum == before {
            return sum;
        }
    }
}

/// What the places add that cannot rise further: `(1 − x − Σ (1 − x^(2^−k))² · 2^−k) / 3` for k
/// from 1 on.
fn above(share: f64) -> f64 {
    if share <= 0.0 || share >= 1.0 {
        return 0.0;
    }
    let (mut root, mut weight, mut sum) = (share, 1.0, 1.0 - share);
    loop {
        root = root.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - root) * (1.0 - root) * weight;
        if sum == before {
            return sum / 3.0;
        }
    }
}
