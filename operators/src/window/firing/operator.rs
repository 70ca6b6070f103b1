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

use serde::{Deserialize, Serialize};

use super::accumulate::Accumulation;
use super::logic::{TriggerLogic, Wake};
use super::state::{Rule, TriggerState};
use super::timers::Timers;
use crate::aggregate::Aggregate;
use crate::events::Data;
use crate::key::{Key, StableHash};
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Epoch, Saver, Scope, Shape, State, Table};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::{EventTime, Span, Timed};
use crate::window::{Assigner, Pane, Timing, Window, WindowResult};

/// The table of windows that end.
const BOUNDED: u8 = 0;
/// The table of the windows that reach to the end of time.
const UNBOUNDED: u8 = 1;
/// The table of the processing time that was last seen.
const WALL: u8 = 2;

/// A key in one of the windows with the same end. It is placed by its key alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place<K> {
    start: EventTime,
    key: K,
}

impl<K: StableHash> StableHash for Place<K> {
    #[inline]
    fn stable_hash(&self) -> u64 {
        self.key.stable_hash()
    }
}

/// What is kept of a key in a window.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cell<S, G, P> {
    state: S,
    trigger: TriggerState<G>,
    /// How many results there were.
    panes: u32,
    kept: P,
    /// It is among those to ask at the end of this tick.
    #[serde(skip)]
    listed: bool,
    /// How many rows have come in this tick, where it matters.
    #[serde(skip)]
    fresh: u32,
    /// The times at which it is to be asked.
    #[serde(skip)]
    timers: Wake,
}

/// All keys in the windows with the same end.
struct Bucket<K, C> {
    cells: Table<Place<K>, C>,
    timers: Timers<Place<K>>,
}

/// How a window fires.
struct Firing<A, G> {
    aggregate: A,
    rule: Rule<G>,
    /// State is kept until the frontier has passed a window's end by this much.
    lateness: Span,
    counters: Arc<Counters>,
}

/// All open windows of one worker, with a trigger `G` and a way `M` in which results go together.
pub struct Firings<K, D, W, F, A: Aggregate<D>, G: TriggerLogic, M: Accumulation<K, A::Output>> {
    by: W,
    key: F,
    firing: Firing<A, G>,
    /// Windows by end.
    open: BTreeMap<EventTime, Bucket<K, Cell<A::State, G::State, M::Kept>>>,
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
    wall: (EventTime, bool),
    epoch: Epoch,
    /// Windows have been dropped that a cut holds.
    dropped: bool,
    /// The frontier as of the last tick.
    frontier: EventTime,
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
        let Some(Bucket { cells, timers }) = open.get_mut(&end) else { return };
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

impl<A, G> Firing<A, G> {
    /// Sends a result of a key in a window.
    fn fire<K, D, M>(
        &self,
        cell: &mut Cell<A::State, G::State, M::Kept>,
        key: K,
        window: Window,
        now: Now,
        out: &mut Emit<M::Out, D>,
    ) where
        A: Aggregate<D>,
        G: TriggerLogic,
        M: Accumulation<K, A::Output>,
    {
        let timing = match (now.frontier < window.end, now.before < window.end) {
            (true, _) => Timing::Early,
            (false, true) => Timing::OnTime,
            (false, false) => Timing::Late,
        };
        let last = now.frontier >= window.end.plus(self.lateness);
        let pane = Pane { index: cell.panes, timing, last };
        let value = self.aggregate.finish(&cell.state);
        let time = window.last();
        let behind = if timing == Timing::Late { time.behind(now.before) } else { Span::ZERO };
        M::send(&mut cell.kept, WindowResult { key, window, value, pane }, |data| {
            out.rows.push(Timed { time, behind, data });
        });
        cell.panes += 1;
        cell.trigger.fired(&self.rule, window, now);
        if M::STARTS_ANEW {
            cell.state = self.aggregate.create();
        }
        self.counters.fired.add(1);
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
        true
    }
}

impl<S, G: Default, P: Default> Cell<S, G, P> {
    fn new(state: S) -> Self {
        let (trigger, kept) = (TriggerState::default(), P::default());
        Cell { state, trigger, panes: 0, kept, listed: false, fresh: 0, timers: Wake::NEVER }
    }
}

impl<K: Key, C> Default for Bucket<K, C> {
    fn default() -> Self {
        Bucket { cells: Table::default(), timers: Timers::default() }
    }
}

/// Where the windows with an end are saved.
fn saved_at(end: EventTime) -> (u8, i64) {
    match end {
        EventTime::MAX => (UNBOUNDED, i64::MAX - 1),
        end => (BOUNDED, end.micros()),
    }
}

/// Entries are the keys of each window, in the bucket of its end.
impl<K, D, W, F, A, G, M> State for Firings<K, D, W, F, A, G, M>
where
    K: Key,
    W: std::fmt::Debug,
    A: Aggregate<D>,
    G: TriggerLogic,
    M: Accumulation<K, A::Output>,
{
    fn shape(&self) -> Shape {
        let Firing { rule, lateness, .. } = &self.firing;
        let parameters = (&self.by, lateness, M::NAME, rule);
        let shape = Shape::of("firings", &parameters).with::<K>().with::<A::State>();
        shape.with::<M::Kept>().with::<G::State>()
    }

    fn scope(&self, table: u8) -> Scope {
        if table == WALL { Scope::Broadcast } else { Scope::Keyed }
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        for (end, bucket) in &mut self.open {
            if !bucket.cells.save(saved_at(*end), self.epoch, fuel, out) {
                return false;
            }
        }
        if std::mem::take(&mut self.dropped) {
            let first = self.frontier.minus(self.firing.lateness).micros().saturating_add(1);
            out.drop_below(BOUNDED, first);
            out.drop_below(UNBOUNDED, first);
        }
        if !std::mem::replace(&mut self.wall.1, true) {
            out.put_shared(WALL, 0, 0, &(), &self.wall.0);
        }
        self.epoch.advance();
        true
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        if entry.table == WALL {
            self.wall = (entry.value()?, true);
            return Ok(());
        }
        let end = match entry.table {
            UNBOUNDED => EventTime::MAX,
            _ => EventTime::from_micros(entry.bucket),
        };
        let place: Place<K> = entry.key()?;
        let mut cell: Cell<A::State, G::State, M::Kept> = entry.value()?;
        let Firing { rule, counters, .. } = &self.firing;
        let bucket = self.open.entry(end).or_default();
        if rule.trigger.fires_early() && (cell.trigger.rows() > 0 || rule.fire_empty) {
            // It is asked at the next tick, which is when it says what it waits for.
            let soon = Wake { wall: EventTime::MIN, frontier: EventTime::MAX };
            bucket.timers.set(&mut cell.timers, soon, place.clone());
        }
        bucket.cells.load(place, cell);
        counters.held.add(1);
        counters.open.set(self.open.len() as u64);
        Ok(())
    }
}
