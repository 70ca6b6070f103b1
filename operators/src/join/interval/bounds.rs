//! How far apart in event time the rows of a pair may be.

use std::time::Duration;

/// Where a right row may be, as seen from a left one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// This long before it.
    Before(Duration),
    /// At the same instant.
    Same,
    /// This long after it.
    After(Duration),
}

impl Bound {
    fn nanos(self) -> i128 {
        let signed = |duration: Duration| {
            let nanos = duration.as_nanos();
            i128::try_from(nanos).expect("a duration has less than 2^94 nanoseconds")
        };
        match self {
            Bound::Before(duration) => -signed(duration),
            Bound::Same => 0,
            Bound::After(duration) => signed(duration),
        }
    }
}

/// An interval around each left row: a right row is its partner iff `right.time − left.time` is in
/// it. Both ends belong to it unless said otherwise.
///
/// ```
/// use tiderace_operators::join::{Bound, Interval};
/// use tiderace_operators::time::secs;
///
/// // From five seconds before the left row to ten after it, that instant excluded.
/// let interval = Interval::between(Bound::Before(secs(5)), Bound::After(secs(10))).open_upper();
/// assert_eq!(interval.micros(), (-5_000_000, 9_999_999));
/// assert_eq!(Interval::within(secs(1)).micros(), (-1_000_000, 1_000_000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    lower: Bound,
    upper: Bound,
    open_lower: bool,
    open_upper: bool,
}

impl Interval {
    /// From one bound to another one.
    pub fn between(lower: Bound, upper: Bound) -> Self {
        Interval { lower, upper, open_lower: false, open_upper: false }
    }

    /// Not further apart than this, in either direction.
    pub fn within(distance: Duration) -> Self {
        Interval::between(Bound::Before(distance), Bound::After(distance))
    }

    /// Without the lower bound itself.
    #[must_use]
    pub fn open_lower(self) -> Self {
        Interval { open_lower: true, ..self }
    }

    /// Without the upper bound itself.
    #[must_use]
    pub fn open_upper(self) -> Self {
        Interval { open_upper: true, ..self }
    }

    /// The least and the greatest distance in it, in the microseconds of event times. Beyond 290,000
    /// years they saturate.
    pub fn micros(self) -> (i64, i64) {
        const LIMIT: i128 = i64::MAX as i128;
        let (lower, upper) = (self.lower.nanos(), self.upper.nanos());
        // Times are whole microseconds: bounds between two of them round to the inside.
        let ceil = |nanos: i128| -((-nanos).div_euclid(1_000));
        let lower = if self.open_lower { lower.div_euclid(1_000) + 1 } else { ceil(lower) };
        let upper = if self.open_upper { ceil(upper) - 1 } else { upper.div_euclid(1_000) };
        let clamped = |micros: i128| {
            i64::try_from(micros.clamp(-LIMIT, LIMIT)).expect("what is clamped to an i64 fits")
        };
        (clamped(lower), clamped(upper))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Bound::{After, Before, Same};

    #[test]
    fn bounds_round_to_the_inside() {
        let nanos = Duration::from_nanos;
        let of = |lower, upper| Interval::between(lower, upper);
        assert_eq!(of(Before(nanos(1_500)), After(nanos(1_500))).micros(), (-1, 1));
        assert_eq!(of(Before(nanos(1_500)), After(nanos(1_500))).open_lower().micros(), (-1, 1));
        assert_eq!(of(Before(nanos(1_500)), After(nanos(1_500))).open_upper().micros(), (-1, 1));
        assert_eq!(of(Before(nanos(1_000)), Same).open_lower().micros(), (0, 0));
        assert_eq!(of(Same, After(nanos(1_000))).open_upper().micros(), (0, 0));
        assert_eq!(of(After(nanos(500)), After(nanos(2_500))).micros(), (1, 2));
        assert_eq!(of(Before(nanos(2_500)), Before(nanos(500))).micros(), (-2, -1));
        assert_eq!(Interval::within(nanos(2_500)).micros(), (-2, 2));
        let ever = of(Before(Duration::MAX), After(Duration::MAX)).micros();
        assert_eq!(ever, (-i64::MAX, i64::MAX));
    }
}
