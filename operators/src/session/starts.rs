//! Where open sessions start.

use std::collections::BTreeMap;

use crate::time::{EventTime, Span};

/// How many sessions start in each short stretch of event time. To know the oldest start of all is
/// worth no search and no entry per session, so that starts are told apart only so finely.
#[derive(Debug)]
pub struct Starts {
    /// A stretch is two to the power of this many microseconds.
    shift: u32,
    stretches: BTreeMap<i64, u64>,
    len: u64,
}

impl Starts {
    /// No session is open. Starts are told apart at least this finely.
    pub fn new(granule: Span) -> Self {
        let shift = granule.micros().max(1).ilog2();
        Starts { shift, stretches: BTreeMap::new(), len: 0 }
    }

    /// A session that starts here is open.
    pub fn insert(&mut self, start: EventTime) {
        *self.stretches.entry(start.micros() >> self.shift).or_default() += 1;
        self.len += 1;
    }

    /// A session that started here is not open any more.
    pub fn remove(&mut self, start: EventTime) {
        let stretch = start.micros() >> self.shift;
        let left = self.stretches.get_mut(&stretch).expect("the session was open");
        *left -= 1;
        if *left == 0 {
            self.stretches.remove(&stretch);
        }
        self.len -= 1;
    }

    /// How many sessions are open.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The beginning of the stretch in which the oldest session starts.
    pub fn oldest(&self) -> Option<EventTime> {
        let (stretch, _) = self.stretches.first_key_value()?;
        Some(EventTime::from_micros(stretch << self.shift))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_rounded_down() {
        let mut starts = Starts::new(Span::from_micros(100));
        let at = EventTime::from_micros;
        assert_eq!(starts.oldest(), None);
        [700, -1, 65].into_iter().for_each(|micros| starts.insert(at(micros)));
        assert_eq!((starts.oldest(), starts.len()), (Some(at(-64)), 3));
        starts.remove(at(-1));
        assert_eq!(starts.oldest(), Some(at(64)));
        starts.insert(at(100));
        starts.remove(at(65));
        assert_eq!(starts.oldest(), Some(at(64)), "another one is in that stretch");
        starts.remove(at(100));
        starts.remove(at(700));
        assert_eq!((starts.oldest(), starts.len()), (None, 0));
        starts.insert(EventTime::MIN);
        assert_eq!(starts.oldest(), Some(EventTime::MIN));
    }
}
