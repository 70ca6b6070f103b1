//! Count, sum and maximum, as a bare loop keeps them and as the operators do.

use tiderace_operators::prelude::*;

use crate::Event;
use crate::tally::hash;

/// What is known of some events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    count: u64,
    sum: f64,
    max: f64,
}

impl Summary {
    /// One more event, of this value.
    #[inline]
    pub fn add(&mut self, value: f64) {
        *self = Summary { count: self.count + 1, sum: self.sum + value, max: self.max.max(value) };
    }

    /// Both together.
    #[inline]
    pub fn and(self, other: Summary) -> Summary {
        let (count, sum) = (self.count + other.count, self.sum + other.sum);
        Summary { count, sum, max: self.max.max(other.max) }
    }

    /// What the operators give.
    #[inline]
    pub fn of((count, sum, max): (u64, f64, Option<f64>)) -> Summary {
        Summary { count, sum, max: max.unwrap_or(f64::NAN) }
    }

    /// A number for this summary of a key's events from `start` on.
    #[inline]
    pub fn result(self, key: u64, start: i64) -> u64 {
        hash([key, start as u64, self.count, self.sum.to_bits(), self.max.to_bits()])
    }
}

/// The aggregates, with a sum that rounds as it goes.
pub fn fast() -> impl Aggregate<Event, Output = (u64, f64, Option<f64>)> {
    (Count, FastSum::of(value), Max::of(value))
}

/// The aggregates, with a sum that is rounded once, at the end.
pub fn exact() -> impl Aggregate<Event, Output = (u64, f64, Option<f64>)> {
    (Count, Sum::of(value), Max::of(value))
}

fn value(event: &Event) -> f64 {
    event.1
}
