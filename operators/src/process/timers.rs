//! The timers of all keys, in the order of their times.

use std::collections::BinaryHeap;

use crate::key::{Key, StableHash};
use crate::order::{Earliest, Element};
use crate::state::{Corrupt, Entry, Epoch, Saver, Table};
use crate::tick::Fuel;
use crate::time::EventTime;

/// Timers, each of a key and for a time. A key has at most one for each time.
#[derive(Debug)]
pub(super) struct Timers<K> {
    /// Those that are set, with the event time at which they were.
    set: Table<Element<K, EventTime>, EventTime>,
    /// Their keys by time, and those of some that have been deleted since.
    queue: BinaryHeap<Earliest<K>>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Timers { set: Table::default(), queue: BinaryHeap::new() }
    }
}

impl<K: Key> Timers<K> {
    /// Sets the timer of a key. One that is set for this time already stays, as set now.
    pub fn set(&mut self, key: &K, at: EventTime, now: EventTime, epoch: Epoch) {
        let element = Element { key: key.clone(), element: at };
        let (set_at, new) = self.set.entry(element.stable_hash(), element, epoch, || now);
        *set_at = now.max(*set_at);
        if new {
            self.queue.push(Earliest { time: at, it: key.clone() });
        }
    }

    /// Deletes a timer. Returns the event time at which it was set, if it was.
    pub fn delete(&mut self, key: &K, at: EventTime) -> Option<EventTime> {
        let element = Element { key: key.clone(), element: at };
        self.set.remove(element.stable_hash(), &element)
    }

    /// The time of the first timer.
    pub fn next(&mut self) -> Option<EventTime> {
        while let Some(Earliest { time, it: key }) = self.queue.peek() {
            let element = Element { key: key.clone(), element: *time };
            if self.set.get(element.stable_hash(), &element).is_some() {
                return Some(*time);
            }
            self.queue.pop();
        }
        None
    }

    /// Takes a first timer out: its time, its key, and the event time at which it was set.
    pub fn pop(&mut self) -> Option<(EventTime, K, EventTime)> {
        self.next()?;
        let Earliest { time, it: key } = self.queue.pop()?;
        let set_at = self.delete(&key, time)?;
        Some((time, key, set_at))
    }

    /// The timers for times up to this one, last first, each once. They stay set, and whoever asks
    /// deletes them.
    pub fn until(&mut self, last: EventTime) -> Vec<(EventTime, K)> {
        let mut due = Vec::new();
        while self.next().is_some_and(|at| at <= last) {
            due.extend(self.queue.pop().map(|Earliest { time, it }| (time, it)));
        }
        due.reverse();
        due
    }

    /// How many are set.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    pub fn save(&mut self, table: u8, epoch: Epoch, fuel: &mut Fuel, out: &mut Saver) -> bool {
        self.set.save((table, 0), epoch, fuel, out)
    }

    pub fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        let element: Element<K, EventTime> = entry.key()?;
        self.queue.push(Earliest { time: element.element, it: element.key.clone() });
        self.set.load(element, entry.value()?);
        Ok(())
    }
}
