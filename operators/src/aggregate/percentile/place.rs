//! Which element a percentile is.

/// A percentage in billionths of a percent, so that places are whole-number arithmetic: the 33.3rd
/// percentile of 1,000 values is the 333rd of them, whatever 33.3 is in binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent(u64);

const BILLION: f64 = 1e9;
const WHOLE: u64 = 100_000_000_000;

impl Percent {
    /// Above 0 and at most 100.
    pub fn above_zero(who: &str, percent: f64) -> Percent {
        let billionths = (percent * BILLION).round();
        assert!(
            (1.0..=WHOLE as f64).contains(&billionths) && percent <= 100.0,
            "{who}: a percentile is above 0 and at most 100, not {percent}",
        );
        Percent(billionths as u64)
    }

    /// Several of these.
    pub fn all(who: &str, percents: impl IntoIterator<Item = f64>) -> Vec<Percent> {
        let percents: Vec<Percent> =
            percents.into_iter().map(|percent| Percent::above_zero(who, percent)).collect();
        assert!(!percents.is_empty(), "{who}: no percentile is asked for");
        percents
    }

    /// From 0 to 100.
    pub fn from_zero(who: &str, percent: f64) -> Percent {
        assert!(
            (0.0..=100.0).contains(&percent),
            "{who}: a percentile is from 0 to 100, not {percent}",
        );
        Percent((percent * BILLION).round() as u64)
    }

    /// The place of the nearest-rank percentile among so many sorted values, the first being at 1.
    pub fn place(self, count: u64) -> u64 {
        (u128::from(self.0) * u128::from(count)).div_ceil(u128::from(WHOLE)) as u64
    }

    /// The place before the continuous percentile, and how far it is to the next one, as a share.
    pub fn places(self, count: u64) -> (u64, f64) {
        let along = u128::from(self.0) * u128::from(count.saturating_sub(1));
        let (before, rest) = (along / u128::from(WHOLE), along % u128::from(WHOLE));
        (before as u64 + 1, rest as f64 / WHOLE as f64)
    }
}

/// The value so far on the way from one to the next.
pub fn between(low: f64, high: f64, share: f64) -> f64 {
    let apart = high - low;
    if share == 0.0 || apart == 0.0 || low == high {
        low
    } else if apart.is_finite() {
        low + apart * share
    } else {
        // Too far apart for the difference to be a number.
        low * (1.0 - share) + high * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_whole_numbers() {
        let place = |percent, count| Percent::above_zero("test", percent).place(count);
        assert_eq!([50.0, 95.0, 99.0].map(|p| place(p, 5)), [3, 5, 5]);
        assert_eq!([20.0, 20.000_001, 40.0].map(|p| place(p, 5)), [1, 2, 2]);
        assert_eq!([0.1, 33.3, 99.9, 100.0].map(|p| place(p, 1_000)), [1, 333, 999, 1_000]);
        assert_eq!([1e-9, 55.0, 99.999].map(|p| place(p, 100)), [1, 55, 100]);
        assert_eq!(place(99.999_999_999, u64::MAX), u64::MAX - 184_467_440);
        for percent in 1..=100_u64 {
            for count in 1..=300_u64 {
                let expected = (percent * count).div_ceil(100);
                assert_eq!(place(percent as f64, count), expected);
                assert_eq!(place(percent as f64 / 10.0, count), (percent * count).div_ceil(1_000));
            }
        }
    }

    #[test]
    fn the_way_between() {
        assert_eq!(between(10.0, 20.0, 0.25), 12.5);
        assert_eq!(between(f64::MIN, f64::MAX, 0.5), 0.0);
        assert_eq!(between(3.0, f64::INFINITY, 0.5), f64::INFINITY);
        assert_eq!(between(f64::INFINITY, f64::INFINITY, 0.5), f64::INFINITY);
        assert_eq!(between(3.0, f64::INFINITY, 0.0), 3.0);
    }
}
