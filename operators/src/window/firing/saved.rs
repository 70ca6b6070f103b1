//! What is saved of open windows: the keys of each, in the bucket of its end.

use super::accumulate::Accumulation;
use super::cell::{Cell, Firing, Place};
use super::logic::{TriggerLogic, Wake};
use super::operator::Firings;
use crate::aggregate::Aggregate;
use crate::key::Key;
use crate::state::{Corrupt, Entry, Saver, Scope, Shape, State};
use crate::tick::Fuel;
use crate::time::EventTime;

/// The table of windows that end.
const BOUNDED: u8 = 0;
/// The table of the windows that reach to the end of time.
const UNBOUNDED: u8 = 1;
/// The table of the processing time that was last seen.
const WALL: u8 = 2;

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
        bucket.oldest = bucket.oldest.min(place.start);
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
