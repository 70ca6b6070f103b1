//! The events, each a function of its number.

/// How far out of order events are, in microseconds of event time.
pub const BOUND: i64 = 2_000_000;
/// When the first event is, in microseconds since 1970.
const FIRST: i64 = 1_700_000_000_000_000;
/// From one event to the next, in microseconds of event time.
const STEP: i64 = 10;

/// A key and a value from 0 to 1000, in steps of 1/1024: sums of them are exact in any order, so that
/// two ways to add them up give the same to the last bit.
pub type Event = (u64, f64);

/// How many events there are, and of which keys.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many events.
    pub events: u64,
    /// How many keys they are spread over evenly.
    pub keys: u64,
    /// How many of a hundred events are of one key, whatever the others are.
    pub skew: u64,
}

impl Load {
    /// This part of the events, for what takes long.
    pub fn part(self, of: u64) -> Load {
        Load { events: self.events / of, ..self }
    }

    /// The event of this number, and when it is.
    #[inline]
    pub fn event(&self, number: u64) -> (i64, Event) {
        let made = Made::of(number);
        let hot = self.skew > 0 && (made.other >> 32) % 100 < self.skew;
        (made.time(number), (if hot { 0 } else { made.one % self.keys }, made.value()))
    }
}

/// The event of this number among so many keys, and when it is.
#[inline]
pub fn event(number: u64, keys: u64) -> (i64, Event) {
    let made = Made::of(number);
    (made.time(number), (made.one % keys, made.value()))
}

/// Two random numbers that an event is made from.
struct Made {
    one: u64,
    other: u64,
}

impl Made {
    #[inline]
    fn of(number: u64) -> Made {
        let one = mix(number);
        Made { one, other: mix(one) }
    }

    #[inline]
    fn time(&self, number: u64) -> i64 {
        let behind = (self.other % BOUND as u64) as i64;
        FIRST + number as i64 * STEP + BOUND - behind
    }

    #[inline]
    fn value(&self) -> f64 {
        (((self.one >> 32) * 1_024_000) >> 32) as f64 * (1.0 / 1_024.0)
    }
}

/// Splitmix64: numbers in a row become numbers that look random, no two the same.
#[inline]
pub fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_in_their_bounds() {
        let load = Load { events: 100_000, keys: 50, skew: 0 };
        let mut newest = i64::MIN;
        for number in 0..load.events {
            let (time, (key, value)) = load.event(number);
            assert!(key < 50 && (0.0..1_000.0).contains(&value));
            assert_eq!((value * 1_024.0).fract(), 0.0);
            assert!(time > newest.saturating_sub(BOUND), "further out of order than they may be");
            newest = newest.max(time);
            assert_eq!((time, (key, value)), event(number, 50));
        }
    }

    #[test]
    fn skew_is_the_share_of_one_key() {
        for skew in [10, 50, 100] {
            let load = Load { events: 100_000, keys: 1_000, skew };
            let hot = (0..load.events).filter(|&n| load.event(n).1.0 == 0).count() as u64;
            assert!(hot.abs_diff(load.events * skew / 100) < 1_000, "{hot} at {skew} %");
        }
    }
}
