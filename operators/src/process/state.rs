//! The values and timers of all keys of one worker. Plain data: no timely in here.

use std::sync::Arc;

use serde::Serialize;

use super::context::Ask;
use super::timers::Timers;
use super::{Context, Process, Timer};
use crate::events::Data;
use crate::key::Key;
use crate::observe::Counters;
use crate::order::Gathered;
use crate::state::{Corrupt, Entry, Epoch, Saver, Shape, State, Table};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::{EventTime, Span, Timed};

/// The tables of the saved state: values, event timers, processing-time timers.
const VALUES: u8 = 0;
const EVENT_TIMERS: u8 = 1;
const WALL_TIMERS: u8 = 2;

/// A process with the state of its keys.
pub struct Processes<K, D, F, P: Process<K, D>> {
    key: F,
    logic: P,
    lateness: Span,
    values: Table<K, P::State>,
    timers: Timers<K>,
    walls: Timers<K>,
    /// The rows of the tick that have not been handled.
    rows: Gathered<D>,
    /// Once the rows are handled: the processing-time timers that fire in this tick.
    due: Option<Vec<(EventTime, K)>>,
    asks: Vec<Ask>,
    epoch: Epoch,
    counters: Arc<Counters>,
}

/// When a callback runs.
struct Moment {
    /// The event time that counts as its own.
    time: EventTime,
    wall: EventTime,
    ended: bool,
}

impl<K: Key, D, F, P: Process<K, D>> Processes<K, D, F, P> {
    /// Nothing is kept yet.
    pub fn new(key: F, logic: P, lateness: Span, counters: Arc<Counters>) -> Self {
        Processes {
            key,
            logic,
            lateness,
            values: Table::default(),
            timers: Timers::default(),
            walls: Timers::default(),
            rows: Gathered::default(),
            due: None,
            asks: Vec::new(),
            epoch: Epoch::default(),
            counters,
        }
    }

    /// Runs a callback, and does what it asks for.
    fn call(
        &mut self,
        key: &K,
        moment: &Moment,
        timer: Option<Timer>,
        out: &mut Vec<Timed<P::Out>>,
        callback: impl FnOnce(&mut P, &K, &mut P::State, &mut Context<'_, P::Out>),
    ) {
        let (hash, epoch) = (key.stable_hash(), self.epoch);
        if self.values.get(hash, key).is_none() {
            self.values.entry(hash, key.clone(), epoch, P::State::default);
        }
        let value = self.values.get_mut(hash, key, epoch).expect("it was put there");
        let &Moment { time, wall, ended } = moment;
        let mut context = Context { time, wall, ended, out, asks: &mut self.asks };
        callback(&mut self.logic, key, value, &mut context);
        // A timer that fires makes way for later ones only, so that a tick comes to its end.
        let earliest = match timer {
            Some(Timer::Event(at)) => at.micros().checked_add(1).map(EventTime::from_micros),
            _ => Some(time),
        };
        let mut clear = false;
        for ask in self.asks.drain(..) {
            match ask {
                Ask::Set(Timer::Event(at)) => {
                    if let Some(earliest) = earliest {
                        self.timers.set(key, at.max(earliest), time, epoch);
                    }
                }
                Ask::Set(Timer::Wall(at)) => self.walls.set(key, at, time, epoch),
                Ask::Delete(Timer::Event(at)) => _ = self.timers.delete(key, at),
                Ask::Delete(Timer::Wall(at)) => _ = self.walls.delete(key, at),
                Ask::Clear => clear = true,
            }
        }
        if clear {
            self.values.remove(hash, key);
        }
    }

    fn fire(&mut self, key: &K, moment: &Moment, timer: Timer, out: &mut Vec<Timed<P::Out>>) {
        self.call(key, moment, Some(timer), out, |logic, key, value, context| {
            logic.timer(key, value, timer, context);
        });
    }
}

impl<K, D, F, P> TickLogic<D> for Processes<K, D, F, P>
where
    K: Key,
    D: Data + Serialize,
    F: Fn(&D) -> K + 'static,
    P: Process<K, D>,
{
    type Out = P::Out;
    type Side = D;

    fn apply(&mut self, before: EventTime, rows: &mut Vec<Timed<D>>, out: &mut Emit<P::Out, D>) {
        self.rows.take(before, self.lateness, rows, &mut out.side, &self.counters);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<P::Out, D>) -> bool {
        let complete = now.frontier.minus(self.lateness);
        let ended = now.frontier == EventTime::MAX;
        let moment = |time| Moment { time, wall: now.wall, ended };
        loop {
            if fuel.left() == 0 {
                return false;
            }
            let row_at = self.rows.next_at();
            let timer_at = self.timers.next().filter(|at| *at <= complete);
            if timer_at.is_some_and(|at| row_at.is_none_or(|row_at| at <= row_at)) {
                let (at, key, _) = self.timers.pop().expect("there is a next one");
                self.fire(&key, &moment(at), Timer::Event(at), &mut out.rows);
            } else if let Some(row) = self.rows.pop() {
                let key = (self.key)(&row.data);
                self.call(
                    &key,
                    &moment(row.time),
                    None,
                    &mut out.rows,
                    |logic, key, value, context| {
                        logic.row(key, value, &row, context);
                    },
                );
            } else {
                let last = if ended { EventTime::MAX } else { now.wall };
                let due = self.due.get_or_insert_with(|| self.walls.until(last));
                let Some((at, key)) = due.pop() else { break };
                // Those that have been deleted since do not fire.
                if let Some(set_at) = self.walls.delete(&key, at) {
                    let promised = now.before.minus(self.lateness);
                    let time =
                        if now.before == EventTime::MAX { set_at } else { set_at.max(promised) };
                    self.fire(&key, &moment(time), Timer::Wall(at), &mut out.rows);
                }
            }
            fuel.burn(1);
        }
        self.due = None;
        self.counters.held.set((self.values.len() + self.timers.len() + self.walls.len()) as u64);
        true
    }
}

impl<K: Key, D, F, P: Process<K, D>> State for Processes<K, D, F, P> {
    fn shape(&self) -> Shape {
        Shape::of("process", &self.lateness).with::<K>().with::<P::State>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        let done = self.values.save((VALUES, 0), self.epoch, fuel, out)
            && self.timers.save(EVENT_TIMERS, self.epoch, fuel, out)
            && self.walls.save(WALL_TIMERS, self.epoch, fuel, out);
        if done {
            self.epoch.advance();
        }
        done
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        match entry.table {
            VALUES => self.values.load(entry.key()?, entry.value()?),
            EVENT_TIMERS => self.timers.load(entry)?,
            _ => self.walls.load(entry)?,
        }
        self.counters.held.add(1);
        Ok(())
    }
}
