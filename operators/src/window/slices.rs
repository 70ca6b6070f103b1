//! The slices of sliding windows, and how they are put together. Plain data: no timely in here.
//!
//! Rows are added up by **the windows they count in**, `first..=last` of the numbers of
//! [`Sliding`]. For a row on time that is its slice. For a row that is late for the earliest of its
//! windows it is the rest of them, a partial result of its own if there is none like it. So nothing
//! is ever added to a partial once its first window is complete, whatever comes late, and what was
//! made of it then stays right.
//!
//! When a window is complete, the partials whose first window it is are taken into [`Running`],
//! which holds what each key's windows are made from; every key in there has a result; then the
//! partials whose last window it is are let go.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ahead::{AHEAD, is_large};
use super::near::Near;
use super::pool::{Pool, bound_of};
use super::running::Running;
use super::sliding::Sliding;
use super::{Pane, WindowResult};
use crate::aggregate::Aggregate;
use crate::events::Data;
use crate::key::Key;
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Epoch, Packed, Saver, Shape, State};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::{EventTime, Span, Timed};

/// The first and the last window of a partial result.
type Interval = (i128, i128);

/// What becomes of a row.
enum Place {
    /// It counts, in the partials at this place.
    At(usize),
    /// It is in no window.
    Gap,
    /// It is late for all its windows.
    Late,
}

/// What is being done about a window that is complete.
#[derive(Clone, Copy)]
enum Step {
    /// Partials are taken into the running ones.
    Take,
    /// Results are given, up to this place of a table.
    Give(usize),
    /// Partials are let go.
    Drop,
}

/// The state of sliding windows on one worker.
pub struct Slices<K, F, A, S> {
    by: Sliding,
    /// State is kept until the frontier has passed a window's end by this much.
    lateness: Span,
    key: F,
    aggregate: A,
    /// Partials of windows that are all open yet.
    waiting: BTreeMap<Interval, usize>,
    /// Partials that have been taken, the last window first. They are kept to be saved.
    taken: BTreeMap<Interval, Packed<K, S>>,
    tables: Pool<K, S>,
    running: Running<K, S>,
    /// The slices of rows not long before.
    near: Near,
    /// Whether the tables are too large for the caches.
    large: bool,
    /// For a few rows to come, where they belong, and what they are found by.
    ahead: Vec<(Place, u64, K)>,
    /// The last window that has given its results.
    fired: i128,
    /// The window that is giving its results.
    firing: Option<(i128, Step)>,
    epoch: Epoch,
    /// Partials have been dropped that a cut holds.
    dropped: bool,
    /// The frontier as of the last tick.
    frontier: EventTime,
    counters: Arc<Counters>,
}

impl<K: Key, F, A, S> Slices<K, F, A, S> {
    /// No window is open.
    pub fn new(by: Sliding, lateness: Span, key: F, aggregate: A, counters: Arc<Counters>) -> Self {
        Slices {
            by,
            lateness,
            key,
            aggregate,
            waiting: BTreeMap::new(),
            taken: BTreeMap::new(),
            tables: Pool::default(),
            running: Running::default(),
            near: Near::new(&by),
            large: false,
            ahead: Vec::new(),
            fired: i128::MIN,
            firing: None,
            epoch: Epoch::default(),
            dropped: false,
            frontier: EventTime::MIN,
            counters,
        }
    }

    /// The place of the partials of some windows, made if they are not there.
    fn partials(&mut self, interval: Interval) -> usize {
        *self.waiting.entry(interval).or_insert_with(|| self.tables.take())
    }

    /// Where a row counts.
    #[inline(always)]
    fn place<D>(&mut self, row: &Timed<D>, before: EventTime, missed: &mut u64) -> Place {
        match self.near.place(row) {
            Some(place) => Place::At(place),
            None => self.find(row.time, row.seen_frontier().max(before), missed),
        }
    }

    /// The same for a row that is not in a slice of rows not long before, or is late.
    #[cold]
    fn find(&mut self, time: EventTime, seen: EventTime, missed: &mut u64) -> Place {
        let Some(slice) = self.by.slice_of(time) else {
            return Place::Gap;
        };
        let ripe = self.by.window(slice.first).end.plus(self.lateness);
        if seen < ripe {
            let place = self.partials((slice.first, slice.last));
            self.near.note(time, slice.time, ripe, place);
            return Place::At(place);
        }
        let first = self.by.complete(seen, self.lateness) + 1;
        if first > slice.last {
            return Place::Late;
        }
        *missed += u64::try_from(first - slice.first).unwrap_or(u64::MAX);
        Place::At(self.partials((first, slice.last)))
    }

    /// Takes in a row of which it is known where it belongs. Whether its key is new there.
    #[inline(always)]
    fn add<D>(&mut self, place: usize, hash: u64, key: K, row: &Timed<D>) -> bool
    where
        A: Aggregate<D, State = S>,
    {
        let create = || self.aggregate.create();
        let (state, new) = self.tables[place].entry(hash, key, self.epoch, create);
        self.aggregate.add_at(state, row.time, &row.data);
        new
    }

    /// The next window that has records.
    fn next(&self, before: EventTime) -> Option<i128> {
        if !self.running.is_empty() {
            return Some(self.fired + 1);
        }
        // Partials that come from a cut may have had some of their windows before it.
        let done = self.by.complete(before, self.lateness);
        self.waiting.first_key_value().map(|(&(first, _), _)| first.max(done + 1))
    }

    /// How many windows with records are not complete.
    fn open(&self) -> u64 {
        let done = self.fired.max(self.by.complete(self.frontier, self.lateness));
        let mut last = self.taken.last_key_value().map_or(done, |(&(last, _), _)| last);
        let mut open = last - done;
        for &(from, to) in self.waiting.keys() {
            open += (to - last.max(from - 1)).max(0);
            last = last.max(to);
        }
        u64::try_from(open).unwrap_or(u64::MAX)
    }

    /// The first window with records that is not complete.
    fn oldest(&self) -> Option<i128> {
        let done = self.fired.max(self.by.complete(self.frontier, self.lateness));
        if self.taken.last_key_value().is_some_and(|(&(last, _), _)| last > done) {
            return Some(done + 1);
        }
        let open = self.waiting.keys().filter(|&&(_, last)| last > done);
        open.map(|&(first, _)| first.max(done + 1)).next()
    }

    fn measure(&mut self) {
        let bytes = self.tables.bytes(self.waiting.values());
        let taken: usize = self.taken.values().map(Packed::bytes).sum();
        // Rows go to a few of the slices at a time.
        let largest = self.waiting.values().map(|&place| self.tables[place].bytes()).max();
        self.large = largest.is_some_and(is_large);
        self.counters.bytes.set((bytes + taken + self.running.bytes()) as u64);
        self.counters.open.set(self.open());
        self.counters.oldest.set(self.oldest().map(|number| self.by.window(number).start));
    }
}

impl<K, D, F, A> TickLogic<D> for Slices<K, F, A, A::State>
where
    K: Key,
    D: Data,
    F: Fn(&D) -> K + 'static,
    A: Aggregate<D>,
    A::Output: Data,
{
    type Out = WindowResult<K, A::Output>;
    type Side = D;

    fn apply(&mut self, before: EventTime, rows: &mut Vec<Timed<D>>, out: &mut Emit<Self::Out, D>) {
        let (all, mut late, mut filtered, mut missed, mut created) =
            (rows.len() as u64, 0, 0, 0, 0);
        let mut leave = |row: Timed<D>| {
            late += 1;
            out.side
                .push(Timed { behind: row.time.behind(row.seen_frontier().max(before)), ..row });
        };
        self.near.advance(before);
        let mut rows = rows.drain(..);
        let mut ahead = std::mem::take(&mut self.ahead);
        while self.large && rows.len() > 0 {
            for row in rows.as_slice().iter().take(AHEAD) {
                let key = (self.key)(&row.data);
                let place = self.place(row, before, &mut missed);
                let hash = key.stable_hash();
                if let Place::At(place) = place {
                    self.tables[place].ask(hash);
                }
                ahead.push((place, hash, key));
            }
            for (place, hash, _) in &ahead {
                if let Place::At(place) = *place {
                    self.tables[place].warm(*hash);
                }
            }
            for ((place, hash, key), row) in ahead.drain(..).zip(rows.by_ref()) {
                match place {
                    Place::At(place) => created += u64::from(self.add(place, hash, key, &row)),
                    Place::Gap => filtered += 1,
                    Place::Late => leave(row),
                }
            }
        }
        self.ahead = ahead;
        for row in rows {
            match self.place(&row, before, &mut missed) {
                Place::At(place) => {
                    let key = (self.key)(&row.data);
                    created += u64::from(self.add(place, key.stable_hash(), key, &row));
                }
                Place::Gap => filtered += 1,
                Place::Late => leave(row),
            }
        }
        self.counters.kept.add(all - late - filtered);
        self.counters.late.add(late);
        self.counters.filtered.add(filtered);
        self.counters.late_windows.add(missed);
        self.counters.held.add(created);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<Self::Out, D>) -> bool {
        self.frontier = now.frontier;
        let due = self.by.complete(now.frontier, self.lateness);
        loop {
            let (number, step) = match self.firing {
                Some(firing) => firing,
                None => match self.next(now.before).filter(|&next| next <= due) {
                    Some(next) => (next, Step::Take),
                    None => break,
                },
            };
            self.firing = Some((number, step));
            if fuel.left() == 0 {
                return false;
            }
            let next = match step {
                Step::Take => self.take(number, fuel),
                Step::Give(from) => self.give(number, from, fuel, out),
                Step::Drop => self.let_go(number, fuel),
            };
            self.firing = next.map(|step| (number, step));
            if next.is_none() {
                self.fired = number;
            }
        }
        self.measure();
        true
    }
}

impl<K: Key, F, A, S: Clone> Slices<K, F, A, S> {
    /// Takes in what the window is the first for.
    fn take<D>(&mut self, number: i128, fuel: &mut Fuel) -> Option<Step>
    where
        A: Aggregate<D, State = S>,
    {
        let first = self.waiting.first_entry().filter(|entry| entry.key().0 <= number);
        let Some(entry) = first else {
            return Some(Step::Give(0));
        };
        let ((first, last), place) = (*entry.key(), *entry.get());
        let (aggregate, running) = (&self.aggregate, &mut self.running);
        let (table, taken) = (&mut self.tables[place], self.taken.entry((last, first)));
        let moved = taken.or_default().take(table, fuel.left(), |key, state| {
            running.take(key, state, last, |to, from| aggregate.merge(to, from));
        });
        fuel.burn(moved.max(1));
        if table.is_empty() {
            // Rows are late for it from here on: whoever takes them in has forgotten the place by then.
            entry.remove();
            self.tables.give_back(place);
        }
        Some(Step::Take)
    }

    /// Gives the results of a window.
    fn give<D>(
        &mut self,
        number: i128,
        from: usize,
        fuel: &mut Fuel,
        out: &mut Emit<WindowResult<K, A::Output>, D>,
    ) -> Option<Step>
    where
        A: Aggregate<D, State = S>,
    {
        let (window, aggregate) = (self.by.window(number), &self.aggregate);
        let last = window.last();
        let before = out.rows.len();
        out.rows.reserve(self.running.keys().min(fuel.left()));
        let merge = |to: &mut S, from: &S| aggregate.merge(to, from);
        let on = self.running.give(number, from, fuel, merge, |key, state| {
            let value = aggregate.finish(state);
            let result = WindowResult { key: key.clone(), window, value, pane: Pane::FINAL };
            out.rows.push(Timed::on_time(last, result));
        });
        self.counters.fired.add((out.rows.len() - before) as u64);
        Some(on.map_or(Step::Drop, Step::Give))
    }

    /// Lets go of the partials whose last window it was.
    fn let_go(&mut self, number: i128, fuel: &mut Fuel) -> Option<Step> {
        let first = self.taken.first_entry().filter(|entry| entry.key().0 <= number);
        let mut entry = first?;
        let partials = entry.get_mut();
        let gone = partials.let_go(fuel.left());
        fuel.burn(gone.max(1));
        self.counters.held.set(self.counters.held.get() - gone as u64);
        if partials.is_empty() {
            self.dropped |= entry.remove().was_saved();
        }
        Some(Step::Drop)
    }
}

/// Entries are the keys of each partial, in the bucket of its last window, under the number of
/// windows before that one. What is running is made from them again; which windows have given
/// results follows from the frontier.
impl<K: Key, F, A, S> State for Slices<K, F, A, S>
where
    S: Serialize + DeserializeOwned,
{
    fn shape(&self) -> Shape {
        Shape::of("window", &(self.by, self.lateness)).with::<K>().with::<S>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        let at = |last| (0, bound_of(last).min(i64::MAX - 1));
        let under = |first, last| u64::try_from(last - first).expect("windows are in order");
        for (&(first, last), &place) in &self.waiting {
            let (table, under) = (&mut self.tables[place], under(first, last));
            if !table.save_under(at(last), &under, self.epoch, fuel, out, |state| state) {
                return false;
            }
        }
        for (&(last, first), taken) in &mut self.taken {
            if !taken.save_under(at(last), &under(first, last), self.epoch, fuel, out) {
                return false;
            }
        }
        if std::mem::take(&mut self.dropped) {
            out.drop_below(0, bound_of(self.by.complete(self.frontier, self.lateness) + 1));
        }
        self.epoch.advance();
        true
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        let (before, key): (u64, K) = entry.key()?;
        let last = i128::from(entry.bucket);
        let place = self.partials((last - i128::from(before), last));
        self.tables[place].load(key, entry.value()?);
        self.counters.held.add(1);
        Ok(())
    }
}
