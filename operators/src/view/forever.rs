//! An input of a view whose rows are held for ever. Plain data: no timely in here.
//!
//! The view itself holds the rows. What is held here are the changes since the last cut, added up,
//! and only where cuts are kept at all; they are written as changes of counts.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Element;
use super::row::Row;
use super::span::SetAside;
use crate::change::Change;
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Epoch, Saver, Shape, State, Table};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::{EventTime, Timed};

/// Passes changes on and remembers them until the next cut.
pub(super) struct Forever<D> {
    /// What has changed since the last cut, if cuts are kept.
    since: Option<Table<Row<D>, i64>>,
    /// What was saved, to be given to the view before anything else.
    restored: VecDeque<(D, i64)>,
    scratch: Vec<u8>,
    counters: Arc<Counters>,
}

impl<D> Forever<D> {
    pub fn new(keeps: bool, counters: Arc<Counters>) -> Self {
        let since = keeps.then(Table::default);
        Forever { since, restored: VecDeque::new(), scratch: Vec::new(), counters }
    }
}

/// Gives restored rows to the view, as much as fuel allows. Returns whether that is all.
pub(super) fn give_back<D, S>(
    restored: &mut VecDeque<(D, i64)>,
    fuel: &mut Fuel,
    out: &mut Emit<Change<D>, S>,
) -> bool {
    let some = restored.len().min(fuel.left());
    // Views have no event times, so that any will do.
    let change = |(data, diff)| Timed::on_time(EventTime::MAX, Change { data, diff });
    out.rows.extend(restored.drain(..some).map(change));
    fuel.burn(some);
    if restored.is_empty() {
        restored.shrink_to_fit();
    }
    restored.is_empty()
}

impl<D: Element> TickLogic<Change<D>> for Forever<D> {
    type Out = Change<D>;
    type Side = SetAside<D>;

    fn apply(
        &mut self,
        _: EventTime,
        rows: &mut Vec<Timed<Change<D>>>,
        out: &mut Emit<Change<D>, SetAside<D>>,
    ) {
        self.counters.kept.add(rows.len() as u64);
        if let Some(since) = &mut self.since {
            for Change { data, diff } in rows.iter().map(|row| &row.data) {
                let row = Row::new(data.clone(), &mut self.scratch);
                *since.entry(row.hash, row, Epoch::default(), || 0).0 += diff;
            }
            self.counters.held.set(since.len() as u64);
        }
        out.rows.append(rows);
    }

    fn close(&mut self, _: Now, fuel: &mut Fuel, out: &mut Emit<Change<D>, SetAside<D>>) -> bool {
        give_back(&mut self.restored, fuel, out)
    }
}

/// Entries are rows with their counts, in one bucket.
impl<D: Element> State for Forever<D> {
    fn shape(&self) -> Shape {
        Shape::of("view", &"forever").with::<D>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        let Some(since) = &mut self.since else { return true };
        let some = since.len().min(fuel.left());
        for (row, diff) in since.drain_some(some) {
            if diff != 0 {
                out.add(0, 0, row.hash, &row.data, diff);
            }
        }
        fuel.burn(some);
        let done = since.is_empty();
        if done {
            since.reset();
            self.counters.held.set(0);
        }
        done
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        self.restored.push_back((entry.key()?, entry.value()?));
        Ok(())
    }
}
