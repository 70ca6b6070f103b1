//! When to look at a key again.
//!
//! A key waits in a bucket of event time, and the buckets in order. The bucket that the frontier is
//! in is kept as a heap, so that nothing is looked at before it is due: what the frontier passes
//! costs its part of the work and nothing else does. A key whose session has grown meanwhile is put
//! back by whoever looks: a row that extends a session touches no timer.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use super::Fuel;
use crate::time::{EventTime, Span};

/// A key that is to be looked at when the frontier has come this far.
#[derive(Clone, Debug)]
pub struct Timer<K> {
    pub due: EventTime,
    pub hash: u64,
    pub key: K,
}

/// The earliest is the greatest: a heap has its greatest on top.
impl<K> Ord for Timer<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.cmp(&self.due)
    }
}

impl<K> PartialOrd for Timer<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> PartialEq for Timer<K> {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl<K> Eq for Timer<K> {}

/// All timers of one worker.
#[derive(Debug)]
pub struct Timers<K> {
    /// A bucket is two to the power of this many microseconds.
    shift: u32,
    far: BTreeMap<i64, Vec<Timer<K>>>,
    /// What is due within the bucket that the frontier is in.
    near: BinaryHeap<Timer<K>>,
}

impl<K> Timers<K> {
    /// Buckets are at most this long.
    pub fn new(granule: Span) -> Self {
        let shift = granule.micros().max(1).ilog2();
        Timers { shift, far: BTreeMap::new(), near: BinaryHeap::new() }
    }

    /// Sets a timer.
    pub fn push(&mut self, timer: Timer<K>) {
        let bucket = timer.due.micros() >> self.shift;
        self.far.entry(bucket).or_default().push(timer);
    }

    /// Takes out a timer that is due; `None` if there is none, or if the fuel is used up.
    pub fn pop(&mut self, frontier: EventTime, fuel: &mut Fuel) -> Option<Timer<K>> {
        let current = frontier.micros() >> self.shift;
        while fuel.left() > 0 {
            let Some(mut first) = self.far.first_entry().filter(|first| *first.key() <= current)
            else {
                break;
            };
            fuel.burn(1);
            let past = *first.key() < current;
            match first.get_mut().pop() {
                Some(timer) if past => return Some(timer),
                Some(timer) => self.near.push(timer),
                None => _ = first.remove(),
            }
        }
        if fuel.left() == 0 || self.near.peek()?.due > frontier {
            return None;
        }
        fuel.burn(1);
        self.near.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::testing::cases(2_000))]

        /// What comes out at a frontier is what is due, whenever it was put in.
        #[test]
        fn what_is_due_comes_out(
            steps in prop::collection::vec(
                (prop::collection::vec(-300i64..300, 0..12), -300i64..300, 1usize..6),
                1..8,
            ),
            granule in 0i64..200,
        ) {
            let mut timers = Timers::new(Span::from_micros(granule));
            let mut waiting = Vec::new();
            for (dues, frontier, fuel) in steps {
                for due in dues {
                    let due = EventTime::from_micros(due);
                    timers.push(Timer { due, hash: 0, key: () });
                    waiting.push(due);
                }
                let frontier = EventTime::from_micros(frontier);
                let (mut out, mut idle) = (Vec::new(), 0);
                // One turn after another, until a whole turn with fuel to spare gives nothing.
                while idle < 2 {
                    let mut fuel = Fuel::new(fuel);
                    while let Some(timer) = timers.pop(frontier, &mut fuel) {
                        out.push(timer.due);
                    }
                    idle = if fuel.left() > 0 { idle + 1 } else { 0 };
                }
                out.sort();
                waiting.sort();
                let due = waiting.partition_point(|&due| due <= frontier);
                prop_assert_eq!(out, waiting.drain(..due).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn the_ends_of_time_are_instants_like_others() {
        let mut timers = Timers::new(Span::from_micros(1 << 20));
        for due in [EventTime::MAX, EventTime::MIN] {
            timers.push(Timer { due, hash: 0, key: due });
        }
        let mut at = |frontier| timers.pop(frontier, &mut Fuel::new(9)).map(|timer| timer.key);
        assert_eq!(at(EventTime::MIN), Some(EventTime::MIN));
        assert_eq!(at(EventTime::from_micros(i64::MAX - 1)), None);
        assert_eq!(at(EventTime::MAX), Some(EventTime::MAX));
    }
}
