//! Which keys of a window are to be asked when.

use std::collections::BTreeMap;

use super::logic::Wake;
use crate::tick::Now;
use crate::time::EventTime;

/// Places by the time at which they are to be asked. They are not saved: they follow from the state
/// of each place.
#[derive(Clone, Debug)]
pub struct Timers<P> {
    wall: BTreeMap<EventTime, Vec<P>>,
    frontier: BTreeMap<EventTime, Vec<P>>,
}

impl<P> Default for Timers<P> {
    fn default() -> Self {
        Timers { wall: BTreeMap::new(), frontier: BTreeMap::new() }
    }
}

impl<P: Clone> Timers<P> {
    /// A place is to be asked at these times, and was before at those of `set`, which is updated. A
    /// time that is later than the one before is noted when that one has come, so that a place is in
    /// here no more often than its time has come closer.
    pub fn set(&mut self, set: &mut Wake, wake: Wake, place: P) {
        if wake.wall < set.wall {
            set.wall = wake.wall;
            self.wall.entry(wake.wall).or_default().push(place.clone());
        }
        if wake.frontier < set.frontier {
            set.frontier = wake.frontier;
            self.frontier.entry(wake.frontier).or_default().push(place);
        }
    }

    /// Takes out the places whose time has come.
    pub fn due(&mut self, now: Now) -> Vec<P> {
        let mut due = Vec::new();
        for (timers, now) in [(&mut self.wall, now.wall), (&mut self.frontier, now.frontier)] {
            while let Some(first) = timers.first_entry() {
                if *first.key() > now {
                    break;
                }
                due.append(&mut first.remove());
            }
        }
        due
    }
}
