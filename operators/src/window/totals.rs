//! The running totals of cumulative windows. Plain data: no timely in here.
//!
//! Rows are added up by the step that they count from: their own, or the first that is not complete
//! for them. When a step is complete, what it has is merged into the totals of its period, and every
//! key with a total has a result. With the last step of the period the totals are gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::pool::{Pool, bound_of};
use super::{Cumulative, Pane, Window, WindowResult};
use crate::aggregate::Aggregate;
use crate::events::Data;
use crate::key::Key;
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Epoch, Saver, Shape, State, Table};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::{EventTime, Span, Timed};

/// The table of entries by step, in the bucket of the step.
const STEPS: u8 = 0;
/// The table of totals, in the bucket of the period.
const TOTALS: u8 = 1;

/// The step of a row, and the place of what it has while rows are on time for it.
struct Run {
    stretch: Window,
    /// From this frontier on a row is late for the step's window.
    ripe: EventTime,
    place: usize,
}

/// What is being done about a step that is complete.
#[derive(Clone, Copy)]
enum Phase {
    /// What it has is merged into the totals.
    Take,
    /// Results are given, up to this place of the totals.
    Give(usize),
    /// The totals are let go.
    Drop,
}

/// The state of cumulative windows on one worker.
pub struct Totals<K, F, A, S> {
    by: Cumulative,
    /// State is kept until the frontier has passed a window's end by this much.
    lateness: Span,
    key: F,
    aggregate: A,
    /// What the steps that are not complete have.
    steps: BTreeMap<i128, usize>,
    tables: Pool<K, S>,
    /// The totals of the period that is not over, as of its last step that is complete.
    totals: Table<K, S>,
    /// That period.
    period: i128,
    /// The step of the row before: rows come in runs.
    run: Option<Run>,
    /// The last step that has given its results.
    fired: i128,
    /// The step that is giving its results.
    firing: Option<(i128, Phase)>,
    epoch: Epoch,
    /// Entries of each table have been dropped that a cut holds.
    dropped: [bool; 2],
    /// The frontier as of the last tick.
    frontier: EventTime,
    counters: Arc<Counters>,
}

impl<K: Key, F, A, S> Totals<K, F, A, S> {
    /// No window is open.
    pub fn new(
        by: Cumulative,
        lateness: Span,
        key: F,
        aggregate: A,
        counters: Arc<Counters>,
    ) -> Self {
        Totals {
            by,
            lateness,
            key,
            aggregate,
            steps: BTreeMap::new(),
            tables: Pool::default(),
            totals: Table::default(),
            period: 0,
            run: None,
            fired: i128::MIN,
            firing: None,
            epoch: Epoch::default(),
            dropped: [false; 2],
            frontier: EventTime::MIN,
            counters,
        }
    }

    /// The place of what a step has, made if it is not there.
    fn step(&mut self, step: i128) -> usize {
        *self.steps.entry(step).or_insert_with(|| self.tables.take())
    }

    /// Where a row at this time counts; `None` if it is late for all its windows.
    #[inline]
    fn place(&mut self, time: EventTime, seen: EventTime, missed: &mut u64) -> Option<usize> {
        match &self.run {
            Some(run) if run.stretch.contains(time) && seen < run.ripe => Some(run.place),
            _ => self.find(time, seen, missed),
        }
    }

    /// The same for a row that is not in the step of the row before, or is late.
    fn find(&mut self, time: EventTime, seen: EventTime, missed: &mut u64) -> Option<usize> {
        let step = self.by.step_of(time);
        let stretch = self.by.stretch(step);
        let ripe = stretch.end.plus(self.lateness);
        if seen < ripe {
            let place = self.step(step);
            self.run = Some(Run { stretch, ripe, place });
            return Some(place);
        }
        let open = self.by.complete(seen, self.lateness) + 1;
        if self.by.period(open) > self.by.period(step) {
            return None;
        }
        *missed += u64::try_from(open - step).unwrap_or(u64::MAX);
        Some(self.step(open))
    }

    /// The next step whose window has records.
    fn next(&self, before: EventTime) -> Option<i128> {
        if !self.totals.is_empty() {
            // Totals that come from a cut are as of the frontier then.
            return Some(self.fired.max(self.by.complete(before, self.lateness)) + 1);
        }
        self.steps.first_key_value().map(|(&step, _)| step)
    }

    /// How many windows with records are not complete.
    fn open(&self) -> u64 {
        let done = self.fired.max(self.by.complete(self.frontier, self.lateness));
        let mut last = if self.totals.is_empty() { done } else { self.by.last_step(self.period) };
        let mut open = last - done;
        for &step in self.steps.keys() {
            if step > last {
                last = self.by.last_step(self.by.period(step));
                open += last - step + 1;
            }
        }
        u64::try_from(open.max(0)).unwrap_or(u64::MAX)
    }

    /// The first step whose window has records and is not complete.
    fn oldest(&self) -> Option<i128> {
        if !self.totals.is_empty() {
            // Totals that come from a cut are as of the frontier then.
            return Some(self.by.last_step(self.period));
        }
        self.steps.first_key_value().map(|(&step, _)| step)
    }

    fn measure(&self) {
        let steps = self.tables.bytes(self.steps.values());
        self.counters.bytes.set((steps + self.totals.bytes()) as u64);
        self.counters.open.set(self.open());
        self.counters.oldest.set(self.oldest().map(|step| self.by.window(step).start));
    }

    fn held(&self, less: usize) {
        self.counters.held.set(self.counters.held.get() - less as u64);
    }
}

impl<K, D, F, A> TickLogic<D> for Totals<K, F, A, A::State>
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
        let (all, mut late, mut missed, mut created) = (rows.len() as u64, 0, 0, 0);
        for row in rows.drain(..) {
            let seen = row.seen_frontier().max(before);
            let Some(place) = self.place(row.time, seen, &mut missed) else {
                late += 1;
                let behind = row.time.behind(seen);
                out.side.push(Timed { behind, ..row });
                continue;
            };
            let key = (self.key)(&row.data);
            let hash = key.stable_hash();
            let create = || self.aggregate.create();
            let (state, new) = self.tables[place].entry(hash, key, self.epoch, create);
            self.aggregate.add_at(state, row.time, &row.data);
            created += u64::from(new);
        }
        self.counters.kept.add(all - late);
        self.counters.late.add(late);
        self.counters.late_windows.add(missed);
        self.counters.held.add(created);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<Self::Out, D>) -> bool {
        self.frontier = now.frontier;
        let due = self.by.complete(now.frontier, self.lateness);
        loop {
            let (step, phase) = match self.firing {
                Some(firing) => firing,
                None => match self.next(now.before).filter(|&next| next <= due) {
                    Some(next) => (next, Phase::Take),
                    None => break,
                },
            };
            self.firing = Some((step, phase));
            if fuel.left() == 0 {
                return false;
            }
            let next = match phase {
                Phase::Take => self.take(step, fuel),
                Phase::Give(from) => self.give(step, from, fuel, out),
                Phase::Drop => self.let_go(fuel),
            };
            self.firing = next.map(|phase| (step, phase));
            if next.is_none() {
                self.fired = step;
            }
        }
        self.measure();
        true
    }
}

impl<K: Key, F, A, S: Clone> Totals<K, F, A, S> {
    /// Merges what a step has into the totals.
    fn take<D>(&mut self, step: i128, fuel: &mut Fuel) -> Option<Phase>
    where
        A: Aggregate<D, State = S>,
    {
        let Some(entry) = self.steps.first_entry().filter(|entry| *entry.key() <= step) else {
            return Some(Phase::Give(0));
        };
        self.period = self.by.period(step);
        self.run = None;
        let table = &mut self.tables[*entry.get()];
        let (mut taken, mut merged) = (0, 0);
        for (key, state) in table.drain_some(fuel.left()) {
            taken += 1;
            let (hash, mut state) = (key.stable_hash(), Some(state));
            let create = || state.take().expect("it is made once");
            let (total, _) = self.totals.entry(hash, key, self.epoch, create);
            if let Some(state) = state {
                self.aggregate.merge(total, &state);
                merged += 1;
            }
        }
        fuel.burn(taken.max(1));
        if table.is_empty() {
            self.dropped[usize::from(STEPS)] |= self.tables.give_back(entry.remove());
        }
        self.held(merged);
        Some(Phase::Take)
    }

    /// Gives the results of the window up to a step.
    fn give<D>(
        &mut self,
        step: i128,
        from: usize,
        fuel: &mut Fuel,
        out: &mut Emit<WindowResult<K, A::Output>, D>,
    ) -> Option<Phase>
    where
        A: Aggregate<D, State = S>,
    {
        let (window, aggregate) = (self.by.window(step), &self.aggregate);
        let last = window.last();
        let before = out.rows.len();
        let on = self.totals.visit(from, fuel.left(), |key, state| {
            let value = aggregate.finish(state);
            let result = WindowResult { key: key.clone(), window, value, pane: Pane::FINAL };
            out.rows.push(Timed::on_time(last, result));
        });
        let fired = out.rows.len() - before;
        fuel.burn(fired.max(1));
        self.counters.fired.add(fired as u64);
        match on {
            Some(on) => Some(Phase::Give(on)),
            None if step == self.by.last_step(self.period) => Some(Phase::Drop),
            None => None,
        }
    }

    /// Lets go of the totals of a period.
    fn let_go(&mut self, fuel: &mut Fuel) -> Option<Phase> {
        let gone = self.totals.drain_some(fuel.left()).count();
        fuel.burn(gone.max(1));
        self.held(gone);
        if !self.totals.is_empty() {
            return Some(Phase::Drop);
        }
        self.dropped[usize::from(TOTALS)] |= self.totals.reset();
        None
    }
}

/// Entries are the keys of each step, and each key's total. Which windows have given results
/// follows from the frontier.
impl<K: Key, F, A, S> State for Totals<K, F, A, S>
where
    S: Serialize + DeserializeOwned,
{
    fn shape(&self) -> Shape {
        Shape::of("window", &(self.by, self.lateness)).with::<K>().with::<S>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        for (&step, &place) in &self.steps {
            let bucket = bound_of(step).min(i64::MAX - 1);
            if !self.tables[place].save((STEPS, bucket), self.epoch, fuel, out) {
                return false;
            }
        }
        let bucket = bound_of(self.period).min(i64::MAX - 1);
        if !self.totals.save((TOTALS, bucket), self.epoch, fuel, out) {
            return false;
        }
        let open = self.by.complete(self.frontier, self.lateness) + 1;
        let [steps, totals] = std::mem::take(&mut self.dropped);
        if steps {
            out.drop_below(STEPS, bound_of(open));
        }
        if totals {
            out.drop_below(TOTALS, bound_of(self.by.period(open)));
        }
        self.epoch.advance();
        true
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        let (key, value, number) = (entry.key()?, entry.value()?, i128::from(entry.bucket));
        if entry.table == TOTALS {
            self.period = number;
            self.totals.load(key, value);
        } else {
            let place = self.step(number);
            self.tables[place].load(key, value);
        }
        self.counters.held.add(1);
        Ok(())
    }
}
