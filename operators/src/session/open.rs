//! The open sessions of one key, in the order of time.
//!
//! Most keys have one: it stands in the table itself, and a row that extends it needs no second
//! look-up and no memory. Sessions are disjoint, so they are in the order of their starts and of
//! their ends alike.

use std::ops::Range;

use crate::time::EventTime;
use crate::window::{Timing, Window};

/// A session that may still grow.
#[derive(Clone, Debug)]
pub struct Open<S> {
    pub start: EventTime,
    pub last: EventTime,
    /// The last instant at which another row joins.
    pub until: EventTime,
    /// The aggregate of its rows.
    pub state: S,
    /// What was given of it, if anything was.
    pub shown: Option<Box<Shown>>,
    /// It has changed since the last cut.
    pub dirty: bool,
    /// The start that it has in the saved state, if it is part of it.
    pub saved: Option<EventTime>,
    /// The tick that it came up in.
    pub born: u32,
}

/// The result that stands for a session at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub index: u32,
    pub timing: Timing,
    pub merged_from: Vec<Window>,
    /// The windows of results that were withdrawn in this tick, and that the next one replaces. If
    /// there are any, no result stands at present.
    pub withdrawn: Vec<Window>,
}

impl<S> Open<S> {
    /// A session of one row, or of none so far.
    pub fn new(time: EventTime, until: EventTime, state: S, born: u32) -> Self {
        Open { start: time, last: time, until, state, shown: None, dirty: true, saved: None, born }
    }

    /// A row has come.
    #[inline]
    pub fn extend(&mut self, time: EventTime, until: EventTime) {
        self.start = self.start.min(time);
        self.last = self.last.max(time);
        self.until = self.until.max(until);
        self.dirty = true;
    }

    /// Whether a row at this time joins the session and leaves its start as it is, and no result
    /// stands that would have to be taken back.
    #[inline]
    fn takes(&self, time: EventTime) -> bool {
        self.start <= time && time <= self.until && self.shown.is_none()
    }

    /// Takes in another session, whose results have been withdrawn.
    pub fn absorb(&mut self, other: Open<S>, merge: impl FnOnce(&mut S, &S)) {
        merge(&mut self.state, &other.state);
        self.start = self.start.min(other.start);
        self.last = self.last.max(other.last);
        self.until = self.until.max(other.until);
        self.dirty = true;
        self.shown = match (self.shown.take(), other.shown) {
            (Some(mut ours), Some(theirs)) => {
                ours.index = ours.index.max(theirs.index);
                ours.withdrawn.extend(theirs.withdrawn);
                Some(ours)
            }
            (ours, theirs) => ours.or(theirs),
        };
    }
}

/// The open sessions of a key.
#[derive(Clone, Debug)]
pub struct OfKey<S> {
    pub newest: Open<S>,
    /// The others, in order.
    pub older: Vec<Open<S>>,
    /// When the key is looked at again. Not after anything that is due with one of its sessions.
    pub timer: EventTime,
}

impl<S> OfKey<S> {
    /// A key with one session.
    pub fn of(session: Open<S>, timer: EventTime) -> Self {
        OfKey { newest: session, older: Vec::new(), timer }
    }

    /// The session that a row just extends, if it does nothing else.
    #[inline]
    pub fn extended(&mut self, time: EventTime, until: EventTime) -> Option<&mut Open<S>> {
        if self.newest.takes(time) {
            return Some(&mut self.newest);
        }
        let next = self.older.partition_point(|session| session.start <= time);
        let open = self.older.get(next).map_or(self.newest.start, |next| next.start) > until;
        let session = self.older.get_mut(next.checked_sub(1)?)?;
        (open && session.takes(time)).then_some(session)
    }

    /// How many sessions it has.
    pub fn len(&self) -> usize {
        self.older.len() + 1
    }

    /// The sessions that a span, its ends included, has to do with; if there are none, the place
    /// where it would be.
    pub fn touched(&self, from: EventTime, until: EventTime) -> Range<usize> {
        let (older, newest) = (&self.older, &self.newest);
        let first = older.partition_point(|session| session.until < from);
        let end = older.partition_point(|session| session.start <= until);
        if first < older.len() {
            let newest = usize::from(end == older.len() && newest.start <= until);
            return first..(end + newest).max(first);
        }
        match (newest.until < from, newest.start <= until) {
            (true, _) => self.len()..self.len(),
            (false, touched) => first..first + usize::from(touched),
        }
    }

    /// The session at a place.
    pub fn at(&mut self, place: usize) -> &mut Open<S> {
        self.older.get_mut(place).unwrap_or(&mut self.newest)
    }

    /// Puts a session at its place.
    pub fn insert(&mut self, place: usize, session: Open<S>) {
        if place == self.len() {
            self.older.push(std::mem::replace(&mut self.newest, session));
        } else {
            self.older.insert(place, session);
        }
    }

    /// All sessions, in order, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Open<S>> {
        self.older.iter_mut().chain([&mut self.newest])
    }

    /// All sessions, in order, for good.
    pub fn into_all(self) -> impl Iterator<Item = Open<S>> {
        self.older.into_iter().chain([self.newest])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(micros: i64) -> EventTime {
        EventTime::from_micros(micros)
    }

    proptest! {
        #![proptest_config(crate::testing::cases(2_000))]

        /// The sessions that a span touches, or its place, found the plain way.
        #[test]
        fn a_span_finds_what_it_touches(
            cuts in prop::collection::btree_set(0i64..60, 2..14),
            from in -3i64..63,
            length in 0i64..30,
        ) {
            let cuts: Vec<_> = cuts.into_iter().collect();
            let spans: Vec<_> = cuts.chunks_exact(2).map(|c| (c[0], c[1] - 1)).collect();
            let mut sessions = spans.iter().map(|&(a, b)| Open::new(at(a), at(b), (), 0));
            let mut of_key = OfKey::of(sessions.next().unwrap(), EventTime::MIN);
            for session in sessions {
                of_key.insert(of_key.len(), session);
            }
            let until = from + length;
            let touched: Vec<_> = (0..spans.len())
                .filter(|&i| spans[i].0 <= until && from <= spans[i].1)
                .collect();
            let range = of_key.touched(at(from), at(until));
            if touched.is_empty() {
                let before = spans.iter().filter(|span| span.1 < from).count();
                prop_assert_eq!(range, before..before);
            } else {
                prop_assert_eq!(range.collect::<Vec<_>>(), touched);
            }
        }
    }
}
