//! The partials of one key, whose sum is known at any time.
//!
//! Partials come in at one end and leave at the other. To have their sum without adding all of them up, the
//! queue is two stacks: the **back** takes new partials and their running total, the **front** holds totals
//! from each of its partials up to its newest one, so that taking the oldest away leaves the total of the
//! others on top. When the front runs empty the back is turned over. Every partial is merged once on its way
//! in, once when the back is turned over, and a total is one merge more: three in all however many partials
//! there are. For invertible and other aggregates alike.
//!
//! ```text
//!        oldest  ◀─ front ─┃─ back ─▶  newest
//!  partials:    a   b   c  ┃  d   e
//!  kept:       abc  bc  c  ┃  d   e    and the total de
//! ```
//!
//! Partials that come late leave before others that came earlier; they are merged into each total
//! that they are part of. The method is known as two-stacks; Tangwongsan, Hirzel and Schneider,
//! *Low-latency sliding-window aggregation in worst-case constant time*, DEBS 2017, compare it.

use crate::prefetch::prefetch;

/// How many partials before it leaves the memory of one is asked for: some lines' worth.
const AHEAD: usize = 8;

/// The oldest and the newest of some partials, in this order; the other way round if there is none. They are
/// kept beside the key, so that partials which stay where they are need not be fetched from memory.
type Ends = (i64, i64);

const NONE: Ends = (i64::MAX, i64::MIN);

/// The partials of one key. A partial is told by the number of the last window it is in.
pub(super) struct Queue<K, S> {
    pub key: K,
    /// The total of the partials from this one on to the newest in here, newest first.
    front: Vec<(i64, S)>,
    front_ends: Ends,
    /// Partials, oldest first; none is older than those in front.
    back: Vec<(i64, S)>,
    back_ends: Ends,
    /// The total of those in back.
    total: Option<S>,
}

impl<K, S: Clone> Queue<K, S> {
    pub fn of(key: K) -> Self {
        let (front, back) = (Vec::new(), Vec::new());
        Queue { key, front, front_ends: NONE, back, back_ends: NONE, total: None }
    }

    pub fn is_empty(&self) -> bool {
        self.front.is_empty() && self.back.is_empty()
    }

    /// Takes in a partial. Returns how many there are more.
    #[inline]
    pub fn push(&mut self, last: i64, state: &S, merge: impl Fn(&mut S, &S)) -> usize {
        if last <= self.front_ends.1 && !self.front.is_empty() {
            return self.push_front(last, state, merge);
        }
        match &mut self.total {
            Some(total) => merge(total, state),
            None => self.total = Some(state.clone()),
        }
        // Nearly always it is newer than all others.
        let (oldest, newest) = self.back_ends;
        self.back_ends = (oldest.min(last), newest.max(last));
        if last > newest {
            self.back.push((last, state.clone()));
            return 1;
        }
        let at = self.back.partition_point(|&(other, _)| other < last);
        match self.back.get_mut(at).filter(|(other, _)| *other == last) {
            Some((_, same)) => {
                merge(same, state);
                0
            }
            None => {
                self.back.insert(at, (last, state.clone()));
                1
            }
        }
    }

    /// The same for one that is older than the newest in front.
    #[cold]
    fn push_front(&mut self, last: i64, state: &S, merge: impl Fn(&mut S, &S)) -> usize {
        let at = self.front.partition_point(|&(other, _)| other > last);
        let new = self.front.get(at).is_none_or(|&(other, _)| other != last);
        if new {
            // There is a newer one, or it would be the newest.
            let newer = self.front[at - 1].1.clone();
            self.front.insert(at, (last, newer));
            self.front_ends.0 = self.front_ends.0.min(last);
        }
        self.front[at..].iter_mut().for_each(|(_, total)| merge(total, state));
        usize::from(new)
    }

    /// Hands out the total of all partials.
    pub fn total(&self, merge: impl Fn(&mut S, &S), mut f: impl FnMut(&K, &S)) {
        match (self.front.last(), &self.total) {
            (Some((_, front)), Some(back)) => {
                let mut total = front.clone();
                merge(&mut total, back);
                f(&self.key, &total);
            }
            (Some((_, total)), None) | (None, Some(total)) => f(&self.key, total),
            (None, None) => {}
        }
    }

    /// Lets go of partials whose last window this was. Returns how many there are less.
    pub fn pop(&mut self, number: i64, merge: impl Fn(&mut S, &S)) -> usize {
        let mut gone = 0;
        loop {
            while self.front_ends.0 <= number && self.front.pop().is_some() {
                gone += 1;
                match self.front.last() {
                    Some(&(oldest, _)) => self.front_ends.0 = oldest,
                    None => self.front_ends = NONE,
                }
                // What is next to go is in another line of memory now and then.
                let next = self.front.len().saturating_sub(AHEAD);
                self.front.get(next).into_iter().for_each(prefetch);
            }
            // What is in front is older: the back has its turn when there is nothing.
            if !self.front.is_empty() || self.back_ends.0 > number || self.back.is_empty() {
                return gone;
            }
            self.front_ends = std::mem::replace(&mut self.back_ends, NONE);
            self.total = None;
            for (last, mut state) in self.back.drain(..).rev() {
                if let Some((_, newer)) = self.front.last() {
                    merge(&mut state, newer);
                }
                self.front.push((last, state));
            }
        }
    }
}
