//! How many copies each record had, once no other can come.
//!
//! *A record that passes first by event time, at t, is sent when the frontier has passed the copies it
//! may have, with the number of rows of its key in `[t, t + ttl)`, itself included.* The number is final,
//! and a function of the input alone.

use serde::{Deserialize, Serialize};
use timely::ExchangeData;

use super::by_time::{FirstByTime, Judge};
use super::mark::{Mark, Stamped};
use super::slots::Slots;
use super::{Deduplicated, Horizon, SetAside, Verdict};
use crate::events::{Data, Tick};
use crate::key::Key;
use crate::keyed::{self, Keyed};
use crate::state::{Corrupt, Entry, Saver};
use crate::tick::{Emit, Fuel, tick_operator};
use crate::time::{EventTime, Span, Timed};

impl<'scope, T: Tick, D: ExchangeData + Data, F> Keyed<'scope, T, D, F> {
    /// The records that [`dedup_first_by_time`](Keyed::dedup_first_by_time) passes, each with how many
    /// copies there were of it, itself included; sent when no other copy can come.
    ///
    /// Results carry the event time of the record and come out behind the frontier by up to twice `ttl`
    /// and the lateness (where the lateness is more than a hundred times `ttl`, by up to a sixty-fourth of
    /// it more). State: that of `dedup_first_by_time` with the records that passed, whole. A cut writes
    /// the records that were counted up since the one before.
    pub fn dedup_counted<K>(
        self,
        name: &str,
        horizon: Horizon,
    ) -> Deduplicated<'scope, T, D, (D, u64)>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
    {
        let Keyed { events, key } = self;
        let (_, clock) = events.parts();
        let horizon = horizon.late_by_at_least(clock.late());
        assert!(
            !horizon.ttl().is_zero(),
            "deduplication `{name}`: with a horizon of zero there are no copies to count"
        );
        let counters = clock.observer().register(name, "dedup", events.scope().index());
        let pact = keyed::exchange(key.clone());
        let logic = FirstByTime::new(Counting::<K, D>(Slots::new(horizon)), key, counters.clone());
        let (counted, aside) = tick_operator(name, &events, pact, logic, counters);
        let later = clock.clone().delayed(horizon.until_forgotten()).with_late(Span::ZERO);
        Deduplicated::new((counted, later), (aside, clock.delayed(horizon.lateness())))
    }
}

/// A record and how many copies of it there were so far.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Counted<D> {
    time: Stamped,
    copies: u64,
    row: D,
}

impl<D: ExchangeData> Mark for Counted<D> {
    const HANDED_OUT: bool = true;

    #[inline]
    fn offset(&self) -> u64 {
        self.time.offset()
    }

    fn is_dirty(&self) -> bool {
        self.time.is_dirty()
    }

    fn clean(&mut self) {
        self.time.clean();
    }
}

/// The records that passed, and are counted.
struct Counting<K, D>(Slots<K, Counted<D>>);

impl<K: Key, D: ExchangeData + Data> Judge<D> for Counting<K, D> {
    type Key = K;
    type Out = (D, u64);
    const KIND: &'static str = "dedup counted";

    fn judge(
        &mut self,
        hash: u64,
        key: K,
        time: EventTime,
        row: D,
        out: &mut Emit<(D, u64), SetAside<D>>,
    ) -> Verdict {
        let slot = self.0.slot(time);
        let ttl = self.0.horizon().ttl().micros() as u64;
        // Rows come in the order of time: what passed before is not later.
        for near in [Some(slot), slot.checked_sub(1)].into_iter().flatten() {
            let passed = self.0.get(near, hash, &key).map(|c| self.0.time(near, c.offset()));
            if passed.is_some_and(|passed| passed.micros().abs_diff(time.micros()) < ttl)
                && let Some(counted) = self.0.get_mut(near, hash, &key)
            {
                counted.time = Stamped::dirty(counted.time.offset());
                counted.copies += 1;
                out.side.push(Timed::on_time(time, SetAside::Duplicate(row)));
                return Verdict::Duplicate;
            }
        }
        let time = Stamped::dirty(self.0.offset(slot, time));
        self.0.insert(slot, hash, key, Counted { time, copies: 1, row });
        Verdict::First
    }

    fn expire(
        &mut self,
        frontier: EventTime,
        fuel: usize,
        out: &mut Emit<(D, u64), SetAside<D>>,
    ) -> bool {
        self.0.expire(frontier, fuel, |time, _, Counted { row, copies, .. }| {
            out.rows.push(Timed::on_time(time, (row, copies)));
        })
    }

    fn horizon(&self) -> Horizon {
        self.0.horizon()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    fn save(&mut self, table: u8, fuel: &mut Fuel, out: &mut Saver) -> bool {
        self.0.save(table, fuel, out)
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        self.0.load(entry)
    }
}
