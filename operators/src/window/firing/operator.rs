//! Open windows that give results more than once. Plain data: no timely in here.
//!
//! ```text
//!  f(e) < end                early      keys the trigger fires for
//!  f(e−1) < end ≤ f(e)       on time    keys with rows since their last result
//!  end ≤ f(e−1)              late       keys with rows in this tick
//!  end + lateness ≤ f(e)     the window's state is dropped, after one of the above
//! ```

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};
use std::sync::Arc;

use super::accumulate::Accumulation;
use super::cell::{Cell, Firing, Place};
use super::logic::{TriggerLogic, Wake};
use super::state::Rule;
use super::timers::Timers;
use crate::aggregate::Aggregate;
use crate::events::Data;
use crate::key::{Key, StableHash};
use crate::observe::Counters;
use crate::state::{Epoch, Table};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::{EventTime, Span, Timed};
use crate::window::{Assigner, Window};

/// All keys in the windows with the same end.
pub(super) struct Bucket<K, C> {
    pub(super) cells: Table<Place<K>, C>,
    pub(super) timers: Timers<Place<K>>,
    /// Where the first of the windows starts.
    pub(super) oldest: EventTime,
}

/// All open windows of one worker, with a trigger `G` and a way `M` in which results go together.
pub struct Firings<K, D, W, F, A: Aggregate<D>, G: TriggerLogic, M: Accumulation<K, A::Output>> {
    pub(super) by: W,
    key: F,
    pub(super) firing: Firing<A, G>,
    /// Windows by end.
    pub(super) open: BTreeMap<EventTime, Bucket<K, Cell<A::State, G::State, M::Kept>>>,
    /// Keys to ask at the end of the tick.
    listed: Vec<(EventTime, Place<K>)>,
    /// The windows of a row.
    windows: Vec<Window>,
    /// The end of the tick has begun: keys whose time has come are listed.
    closing: bool,
    /// The last windows that have given their results on time in this tick, and how far the next
    /// ones have come.
    passed: (EventTime, usize),
    /// The latest processing time that is known, and whether a cut knows it.
    pub(super) wall: (EventTime, bool),
    pub(super) epoch: Epoch,
    /// Windows have been dropped that a cut holds.
    pub(super) dropped: bool,
    /// The frontier as of the last tick.
    pub(super) frontier: EventTime,
}

impl<K, D, W, F, A, G, M> Firings<K, D, W, F, A, G, M>
where
    A: Aggregate<D>,
    G: TriggerLogic,
    M: Accumulation<K, A::Output>,
{
    /// No window is open.
    pub fn new(
        (by, lateness): (W, Span),
        key: F,
        aggregate: A,
        rule: Rule<G>,
        counters: Arc<Counters>,
    ) -> Self {
        Firings {
            by,
            key,
            firing: Firing { aggregate, rule, lateness, counters },
            open: BTreeMap::new(),
            listed: Vec::new(),
            windows: Vec::new(),
            closing: false,
            passed: (EventTime::MIN, 0),
            wall: (EventTime::MIN, true),
            epoch: Epoch::default(),
            dropped: false,
            frontier: EventTime::MIN,
        }
    }

    /// What is known of time, where processing time never goes back: not over a restart either.
    fn begin(&mut self, now: Now) -> Now
    where
        K: Key,
    {
        if now.wall > self.wall.0 {
            self.wall = (now.wall, false);
        }
        let now = Now { wall: self.wall.0, ..now };
        if !self.closing {
            self.closing = true;
            self.frontier = now.frontier;
            self.passed = (now.before, 0);
            for (&end, bucket) in &mut self.open {
                for place in bucket.timers.due(now) {
                    let hash = place.stable_hash();
                    if let Some(cell) = bucket.cells.get_unsaved(hash, &place) {
                        cell.timers = cell.timers.after(now);
                        if !std::mem::replace(&mut cell.listed, true) {
                            self.listed.push((end, place));
                        }
                    }
                }
            }
        }
        now
    }

    /// Sends the result of a listed key if one is due.
    fn ask(&mut self, (end, place): (EventTime, Place<K>), now: Now, out: &mut Emit<M::Out, D>)
    where
        K: Key,
    {
        let Firings { firing, open, epoch, .. } = self;
        let passes = now.before < end && end <= now.frontier;
        if passes || now.frontier >= end.plus(firing.lateness) {
            // All keys of these windows are looked at below.
            return;
        }
        let Some(Bucket { cells, timers, .. }) = open.get_mut(&end) else { return };
        let (window, hash) = (Window { start: place.start, end }, place.stable_hash());
        // Whatever has rows in this tick is part of the next cut already.
        let Some(cell) = cells.get_unsaved(hash, &place) else { return };
        cell.listed = false;
        let fresh = std::mem::take(&mut cell.fresh);
        if end <= now.before {
            if cell.trigger.rows() > 0 {
                firing.fire::<_, _, M>(cell, place.key, window, now, out);
            }
            return;
        }
        if fresh > 0 {
            cell.trigger.came(&firing.rule, u64::from(fresh), window, now);
        }
        if cell.trigger.is_due(&firing.rule, window, now)
            && let Some(cell) = cells.get_mut(hash, &place, *epoch)
        {
            firing.fire::<_, _, M>(cell, place.key.clone(), window, now, out);
        }
        let Some(cell) = cells.get_unsaved(hash, &place) else { return };
        let wake = cell.trigger.wake(&firing.rule, window, now);
        timers.set(&mut cell.timers, wake, place);
    }

    /// Sends the results on time of windows that stay open, as far as the fuel reaches. Returns
    /// whether all are sent.
    fn pass(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<M::Out, D>) -> bool
    where
        K: Key,
    {
        let Firings { firing, open, epoch, passed, .. } = self;
        for (&end, bucket) in open.range_mut((Excluded(passed.0), Included(now.frontier))) {
            if now.frontier >= end.plus(firing.lateness) {
                continue;
            }
            if fuel.left() == 0 {
                return false;
            }
            bucket.timers = Timers::default();
            let (looked_at, done) =
                bucket.cells.visit_mut(&mut passed.1, fuel.left(), *epoch, |place, cell| {
                    (cell.listed, cell.fresh, cell.timers) = (false, 0, Wake::NEVER);
                    let fires = cell.trigger.rows() > 0 || firing.rule.fire_empty;
                    if fires {
                        let window = Window { start: place.start, end };
                        firing.fire::<_, _, M>(cell, place.key.clone(), window, now, out);
                    }
                    fires
                });
            fuel.burn(looked_at.max(1));
            if !done {
                return false;
            }
            *passed = (end, 0);
        }
        true
    }

    /// Sends the last results of windows whose time is over and drops them, as far as the fuel
    /// reaches. Returns whether all are gone.
    fn expire(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<M::Out, D>) -> bool
    where
        K: Key,
    {
        let Firings { firing, open, .. } = self;
        while let Some(mut first) = open.first_entry() {
            let end = *first.key();
            if now.frontier < end.plus(firing.lateness) {
                break;
            }
            if fuel.left() == 0 {
                return false;
            }
            let cells = &mut first.get_mut().cells;
            let most = cells.len().min(fuel.left());
            for (place, mut cell) in cells.drain_some(most) {
                if cell.trigger.rows() > 0 || firing.rule.fire_empty {
                    let window = Window { start: place.start, end };
                    firing.fire::<_, _, M>(&mut cell, place.key, window, now, out);
                }
            }
            fuel.burn(most.max(1));
            firing.counters.held.set(firing.counters.held.get() - most as u64);
            if cells.is_empty() {
                self.dropped |= cells.reset();
                first.remove();
                firing.counters.open.set(open.len() as u64);
            }
        }
        true
    }
}

impl<K, D, W, F, A, G, M> TickLogic<D> for Firings<K, D, W, F, A, G, M>
where
    K: Key,
    D: Data,
    W: Assigner,
    F: Fn(&D) -> K + 'static,
    A: Aggregate<D>,
    G: TriggerLogic,
    M: Accumulation<K, A::Output>,
{
    type Out = M::Out;
    type Side = D;

    fn apply(&mut self, before: EventTime, rows: &mut Vec<Timed<D>>, out: &mut Emit<M::Out, D>) {
        let Firings { by, key, firing, open, listed, windows, epoch, .. } = self;
        let Firing { aggregate, rule, lateness, counters } = firing;
        let fires_early = rule.trigger.fires_early();
        let (all, mut late, mut filtered, mut created, mut too_late) = (rows.len(), 0, 0, 0, 0);
        for row in rows.drain(..) {
            let seen = row.seen_frontier().max(before);
            windows.clear();
            by.assign(row.time, &mut |window| windows.push(window));
            let assigned = windows.len();
            if seen != EventTime::MIN {
                windows.retain(|window| seen < window.end.plus(*lateness));
            }
            if windows.is_empty() {
                if assigned == 0 {
                    filtered += 1;
                } else {
                    late += 1;
                    out.side.push(Timed { behind: row.time.behind(seen), ..row });
                }
                continue;
            }
            too_late += assigned - windows.len();
            let key = key(&row.data);
            let hash = key.stable_hash();
            for &Window { start, end } in &*windows {
                let bucket = open.entry(end).or_default();
                bucket.oldest = bucket.oldest.min(start);
                let place = Place { start, key: key.clone() };
                let (cell, new) =
                    bucket.cells.entry(hash, place, *epoch, || Cell::new(aggregate.create()));
                created += u64::from(new);
                aggregate.add_at(&mut cell.state, row.time, &row.data);
                cell.trigger.add();
                if fires_early || end <= before {
                    cell.fresh = cell.fresh.saturating_add(1);
                    if !std::mem::replace(&mut cell.listed, true) {
                        listed.push((end, Place { start, key: key.clone() }));
                    }
                }
            }
        }
        counters.kept.add((all - late - filtered) as u64);
        counters.late.add(late as u64);
        counters.filtered.add(filtered as u64);
        counters.late_windows.add(too_late as u64);
        counters.held.add(created);
        counters.open.set(open.len() as u64);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<M::Out, D>) -> bool {
        let now = self.begin(now);
        while let Some(listed) = self.listed.pop() {
            if fuel.left() == 0 {
                self.listed.push(listed);
                return false;
            }
            fuel.burn(1);
            self.ask(listed, now, out);
        }
        if !self.pass(now, fuel, out) || !self.expire(now, fuel, out) {
            return false;
        }
        self.closing = false;
        let oldest = self.open.values().map(|bucket| bucket.oldest).min();
        self.firing.counters.oldest.set(oldest);
        true
    }
}

impl<K: Key, C> Default for Bucket<K, C> {
    fn default() -> Self {
        Bucket { cells: Table::default(), timers: Timers::default(), oldest: EventTime::MAX }
    }
}
