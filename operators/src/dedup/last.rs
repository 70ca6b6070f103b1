//! Deduplication that keeps the last copy by event time, as changes.
//!
//! *A row at t is in the collection iff no copy of its key is later than t by less than `ttl`*; among
//! copies of one event time the one with the greatest canonical bytes counts as the later. Copies
//! that follow one another more closely than `ttl` are a chain, and the last one of it is what
//! stays. The definition knows no order of arrival: at every tick the changes so far add up to the last
//! copies among the rows so far.
//!
//! ```text
//!   copies of a key      a    b      c               d      e
//!   event time      ─────┼────┼──────┼───── ttl ─────┼──────┼────▶     stay: c and e
//! ```
//!
//! State is an entry per key and slot of time: the time of its first copy, and the last one whole.
//! Whether that one is in the collection depends on the first copy of the next slot only.

use std::ops::Deref;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use timely::ExchangeData;

use super::Horizon;
use super::by_time::canonical;
use super::mark::{Mark, Stamped};
use super::operator::in_time;
use super::slots::Slots;
use crate::change::{Change, Changes};
use crate::events::{Data, Events, Tick};
use crate::key::Key;
use crate::keyed::{self, Keyed};
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Saver, Shape, State};
use crate::tick::{Emit, Fuel, Now, TickLogic, tick_operator};
use crate::time::{EventTime, Span, Timed};

/// The last copies as changes, and the rows that came too late to take part.
///
/// It stands for the changes wherever they are asked for.
pub struct LastCopies<'scope, T: Tick, D: Data> {
    changes: Changes<'scope, T, D>,
    late: Events<'scope, T, D>,
}

impl<'scope, T: Tick, D: Data> LastCopies<'scope, T, D> {
    /// The last copy of every record: what is added and what is taken away again.
    pub fn changes(&self) -> Changes<'scope, T, D> {
        self.changes.clone()
    }

    /// The rows that were refused, as they came; `behind` says how far each was behind.
    pub fn late(&self) -> Events<'scope, T, D> {
        self.late.clone()
    }
}

impl<'scope, T: Tick, D: Data> Deref for LastCopies<'scope, T, D> {
    type Target = Changes<'scope, T, D>;

    fn deref(&self) -> &Self::Target {
        &self.changes
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data, F> Keyed<'scope, T, D, F> {
    /// Keeps the last copy of every record by event time, at once: a row is added at the tick in
    /// which it comes, and taken away in the tick in which a later copy does that is less than `ttl`
    /// away. Rows that never were the last one are counted as duplicates.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use tiderace_operators::prelude::*;
    ///
    /// let changes = Arc::new(Mutex::new(Vec::new()));
    /// let into = changes.clone();
    /// timely::execute_directly(move |worker| {
    ///     let mut input = worker.dataflow::<u64, _, _>(|scope| {
    ///         let policy = Policy::bounded(secs(5));
    ///         let (input, states) =
    ///             EventInput::<(u64, String)>::new(scope, 0, policy, &Observer::default());
    ///         let last = states.key_by(|row| row.0).dedup_last("last", Horizon::within(mins(1)));
    ///         last.inspect(move |row| {
    ///             into.lock().unwrap().push((row.data.diff, row.data.data.1.clone()));
    ///         });
    ///         last.late().inspect(|row| assert_eq!(row.data.1, "far too late"));
    ///         input
    ///     });
    ///     for (at, state) in [(10, "sent"), (12, "paid"), (11, "packed"), (99, "returned"), (20, "far too late")] {
    ///         input.send(0, EventTime::from_secs(at), (7, state.to_owned()));
    ///         input.end_tick();
    ///     }
    ///     input.finish();
    /// });
    /// let changes = changes.lock().unwrap().clone();
    /// let added = |state: &str| (1, state.to_owned());
    /// assert_eq!(changes, [added("sent"), (-1, "sent".into()), added("paid"), added("returned")]);
    /// ```
    ///
    /// Changes come out behind the frontier by up to `ttl` and lateness, and are on time there. Cost:
    /// a hash and up to six table lookups a row. State: a row per key and stretch of time as long as
    /// `ttl`, until the frontier is the horizon and the lateness past it.
    pub fn dedup_last<K>(self, name: &str, horizon: Horizon) -> LastCopies<'scope, T, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
    {
        let Keyed { events, key } = self;
        let (_, clock) = events.parts();
        let horizon = horizon.late_by_at_least(clock.late());
        assert!(
            !horizon.ttl().is_zero(),
            "deduplication `{name}`: with a horizon of zero there is no last copy"
        );
        let counters = clock.observer().register(name, "dedup", events.scope().index());
        let pact = keyed::exchange(key.clone());
        let logic = LastByTime::new(horizon, key, counters.clone());
        let (changes, late) = tick_operator(name, &events, pact, logic, counters);
        let later = clock.clone().delayed(horizon.reach()).with_late(Span::ZERO);
        LastCopies {
            changes: Changes::from_events(Events::from_parts(changes, later)),
            late: Events::from_parts(late, clock),
        }
    }
}

/// The copies of a key in a slot.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Copies<D> {
    first: Stamped,
    last: u64,
    /// The last of them.
    row: D,
    /// What was in the collection as of the tick before is noted.
    #[serde(skip)]
    noted: bool,
}

impl<D: Serialize + DeserializeOwned> Mark for Copies<D> {
    #[inline]
    fn offset(&self) -> u64 {
        self.last
    }

    fn is_dirty(&self) -> bool {
        self.first.is_dirty()
    }

    fn clean(&mut self) {
        self.first.clean();
    }
}

/// What an entry had in the collection as of the end of the tick before.
#[derive(Debug)]
struct Noted<K, D> {
    slot: i64,
    hash: u64,
    key: K,
    shown: Option<(EventTime, D)>,
}

/// The last copies, and what has changed about them in this tick.
struct LastByTime<K, F, D> {
    key: F,
    slots: Slots<K, Copies<D>>,
    noted: Vec<Noted<K, D>>,
    /// Rows of this tick that are in time.
    accepted: u64,
    /// Those of them that were added.
    added: u64,
    counters: Arc<Counters>,
}

impl<K: Key, F, D: ExchangeData + Data> LastByTime<K, F, D> {
    fn new(horizon: Horizon, key: F, counters: Arc<Counters>) -> Self {
        let slots = Slots::new(horizon);
        LastByTime { key, slots, noted: Vec::new(), accepted: 0, added: 0, counters }
    }

    /// The time of the last copy in a slot.
    fn last(&self, slot: i64, hash: u64, key: &K) -> Option<EventTime> {
        self.slots.get(slot, hash, key).map(|copies| self.slots.time(slot, copies.last))
    }

    /// The last copy of a slot, if there is no later one less than `ttl` away.
    fn shown(&self, slot: i64, hash: u64, key: &K) -> Option<(EventTime, D)> {
        let copies = self.slots.get(slot, hash, key)?;
        let last = self.slots.time(slot, copies.last);
        let next = slot.checked_add(1).and_then(|next| {
            let first = self.slots.get(next, hash, key)?.first.offset();
            Some(self.slots.time(next, first))
        });
        let replaced = next.is_some_and(|next| self.replaces(last, next));
        (!replaced).then(|| (last, copies.row.clone()))
    }

    /// Whether a copy is later than another one by less than `ttl`.
    fn replaces(&self, one: EventTime, later: EventTime) -> bool {
        let ttl = self.slots.horizon().ttl().micros() as u64;
        one <= later && one.micros().abs_diff(later.micros()) < ttl
    }

    /// Notes what an entry has in the collection, before it changes for the first time in a tick.
    fn note(&mut self, slot: i64, hash: u64, key: &K) {
        let shown = match self.slots.get(slot, hash, key) {
            Some(copies) if copies.noted => return,
            _ => self.shown(slot, hash, key),
        };
        if let Some(copies) = self.slots.get_mut(slot, hash, key) {
            copies.noted = true;
        }
        self.noted.push(Noted { slot, hash, key: key.clone(), shown });
    }

    fn insert(&mut self, time: EventTime, key: K, row: D) {
        let hash = key.stable_hash();
        let slot = self.slots.slot(time);
        if let Some(before) = slot.checked_sub(1)
            && let Some(last) = self.last(before, hash, &key)
            && self.replaces(last, time)
        {
            self.note(before, hash, &key);
        }
        let offset = self.slots.offset(slot, time);
        let Some(copies) = self.slots.get(slot, hash, &key) else {
            self.note(slot, hash, &key);
            let copies = Copies { first: Stamped::dirty(offset), last: offset, row, noted: true };
            self.slots.insert(slot, hash, key, copies);
            return;
        };
        let wins = offset > copies.last
            || offset == copies.last && canonical(&row) > canonical(&copies.row);
        let (first, last) = (copies.first.offset(), copies.last);
        if !wins && offset >= first {
            return;
        }
        if wins {
            self.note(slot, hash, &key);
        }
        let copies = self.slots.get_mut(slot, hash, &key).expect("it was there just now");
        copies.first = Stamped::dirty(first.min(offset));
        if wins {
            copies.last = last.max(offset);
            copies.row = row;
        }
    }
}

impl<K, D, F> TickLogic<D> for LastByTime<K, F, D>
where
    K: Key,
    D: ExchangeData + Data,
    F: Fn(&D) -> K + 'static,
{
    type Out = Change<D>;
    type Side = D;

    fn apply(&mut self, before: EventTime, rows: &mut Vec<Timed<D>>, out: &mut Emit<Change<D>, D>) {
        let all = rows.len() as u64;
        let mut late = 0;
        for row in rows.drain(..) {
            match in_time(row, before, self.slots.horizon()) {
                Ok(row) => self.insert(row.time, (self.key)(&row.data), row.data),
                Err(row) => {
                    late += 1;
                    out.side.push(row);
                }
            }
        }
        self.accepted += all - late;
        self.counters.late.add(late);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<Change<D>, D>) -> bool {
        while fuel.left() > 0
            && let Some(Noted { slot, hash, key, shown }) = self.noted.pop()
        {
            fuel.burn(1);
            let shows = self.shown(slot, hash, &key);
            if let Some(copies) = self.slots.get_mut(slot, hash, &key) {
                copies.noted = false;
            }
            let same = match (&shown, &shows) {
                (Some((before, was)), Some((after, is))) => {
                    before == after && canonical(was) == canonical(is)
                }
                (None, None) => true,
                _ => false,
            };
            if same {
                continue;
            }
            if let Some((time, row)) = shown {
                out.rows.push(Timed::on_time(time, Change::remove(row)));
            }
            if let Some((time, row)) = shows {
                self.added += 1;
                out.rows.push(Timed::on_time(time, Change::add(row)));
            }
        }
        if !self.noted.is_empty() {
            return false;
        }
        // A row is added in the tick in which it comes, or never.
        let added = std::mem::take(&mut self.added);
        self.counters.kept.add(added);
        self.counters.duplicate.add(std::mem::take(&mut self.accepted) - added);
        let held = self.slots.len();
        let done = self.slots.expire(now.frontier, fuel.left(), |_, _, _| ());
        fuel.burn(held - self.slots.len());
        self.counters.held.set(self.slots.len() as u64);
        self.counters.bytes.set(self.slots.bytes() as u64);
        done
    }
}

/// Entries are the copies of each key and slot.
impl<K: Key, F, D: ExchangeData + Data> State for LastByTime<K, F, D> {
    fn shape(&self) -> Shape {
        Shape::of("dedup last", &self.slots.horizon()).with::<K>().with::<D>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        self.slots.save(0, fuel, out)
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        self.slots.load(entry)?;
        self.counters.held.set(self.slots.len() as u64);
        Ok(())
    }
}
