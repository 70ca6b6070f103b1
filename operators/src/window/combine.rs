//! Summing up before rows travel.
//!
//! With several workers, rows of a key meet on one of them. Where keys repeat within a tick, each
//! worker first adds up what it has itself, and sends one partial result for each key, tick and piece
//! of event time in which rows count alike. What a worker sends at a tick depends on the rows of that
//! tick alone, so there is nothing to be saved at a cut.
//!
//! Only rows on time are summed up, by their own partition's frontier and by that of the tick before:
//! which of the others are late is for the windows to say, row by row.
//!
//! Where keys hardly repeat, this costs more than it saves. So it is measured how many rows come to a
//! partial result; if there are too few, rows are passed on as they are for a while, and for longer if
//! that goes on.

use super::parts::{Part, Partial};
use super::pool::Pool;
use super::tumbling::Window;
use crate::aggregate::Aggregate;
use crate::events::Data;
use crate::key::Key;
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Epoch, Saver, Shape, State};
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::{EventTime, Timed};
use std::collections::BTreeMap;
use std::sync::Arc;

/// More partial results than this are sent before the tick is over: what they take should stay in a
/// cache of the processor.
const MOST: usize = 1 << 14;
/// How many rows must come to a partial result. With four, as sliding windows of 1,000 keys have them, it
/// was measured to take more time than it saves.
const WORTH: usize = 8;
/// With fewer rows nothing is concluded.
const ENOUGH: usize = 32;
/// For how many times as many rows none are summed up, once it was not worth it.
const REST: usize = 32;
/// The rest is twice as long each time that it is not worth it again, up to so many times.
const DOUBLINGS: u32 = 5;

/// What rows of a key in a piece come to, and how many they are.
type Sum<S> = (S, u32);

/// Sums up a tick's rows by key and piece of event time.
pub struct Combine<K, F, A, S, P> {
    /// The piece of event time around an instant in which rows on time count alike, if there is one.
    piece: P,
    key: F,
    aggregate: A,
    /// The tables of pieces, by their starts.
    pieces: BTreeMap<EventTime, (Window, usize)>,
    tables: Pool<K, Sum<S>>,
    /// The piece of the row before, and its table: rows come in runs.
    run: Option<(Window, usize)>,
    /// Rows that were summed up since partial results were sent, and how many there are of those.
    rows: usize,
    partials: usize,
    /// How many rows are still passed on as they are.
    resting: usize,
    /// How often in a row it was not worth it.
    failures: u32,
    counters: Arc<Counters>,
}

impl<K: Key, F, A, S, P> Combine<K, F, A, S, P> {
    pub fn new(piece: P, key: F, aggregate: A, counters: Arc<Counters>) -> Self {
        Combine {
            piece,
            key,
            aggregate,
            pieces: BTreeMap::new(),
            tables: Pool::default(),
            run: None,
            rows: 0,
            partials: 0,
            resting: 0,
            failures: 0,
            counters,
        }
    }

    /// The table of the piece around an instant.
    #[inline]
    fn table(&mut self, time: EventTime) -> Option<usize>
    where
        P: Fn(EventTime) -> Option<Window>,
    {
        match self.run {
            Some((piece, table)) if piece.contains(time) => Some(table),
            _ => {
                let piece = (self.piece)(time)?;
                let new = || (piece, self.tables.take());
                let found = *self.pieces.entry(piece.start).or_insert_with(new);
                self.run = Some(found);
                Some(found.1)
            }
        }
    }

    /// Sends all partial results, and sees whether it was worth it.
    fn send<D>(&mut self, before: EventTime, out: &mut Vec<Timed<Part<D, K, S>>>) {
        for (piece, table) in std::mem::take(&mut self.pieces).into_values() {
            // An instant that is in the piece, and on time as all of its rows are.
            let time = piece.start.max(before);
            let part = |(key, (state, rows))| {
                let partial = Box::new(Partial { key, state, rows });
                Timed::on_time(time, Part::Partial(partial))
            };
            out.extend(self.tables[table].drain_some(usize::MAX).map(part));
            self.tables.give_back(table);
        }
        if self.rows >= ENOUGH {
            if self.rows < WORTH * self.partials {
                self.resting = (REST * self.rows) << self.failures;
                self.failures = (self.failures + 1).min(DOUBLINGS);
            } else {
                self.failures = 0;
            }
        }
        (self.run, self.rows, self.partials) = (None, 0, 0);
    }
}

impl<K, D, F, A, P> TickLogic<D> for Combine<K, F, A, A::State, P>
where
    K: Key,
    D: Data,
    F: Fn(&D) -> K + 'static,
    A: Aggregate<D>,
    P: Fn(EventTime) -> Option<Window> + 'static,
{
    type Out = Part<D, K, A::State>;
    type Side = ();

    fn apply(
        &mut self,
        before: EventTime,
        rows: &mut Vec<Timed<D>>,
        out: &mut Emit<Self::Out, ()>,
    ) {
        self.counters.kept.add(rows.len() as u64);
        if self.resting > 0 {
            self.resting = self.resting.saturating_sub(rows.len());
            out.rows.extend(rows.drain(..).map(|row| row.map(Part::Row)));
            return;
        }
        for row in rows.drain(..) {
            let on_time = row.behind.is_zero() && row.time >= before;
            let Some(table) = (if on_time { self.table(row.time) } else { None }) else {
                out.rows.push(row.map(Part::Row));
                continue;
            };
            let key = (self.key)(&row.data);
            let hash = key.stable_hash();
            let create = || (self.aggregate.create(), 0);
            let ((state, rows), new) =
                self.tables[table].entry(hash, key, Epoch::default(), create);
            self.aggregate.add_at(state, row.time, &row.data);
            *rows += 1;
            self.rows += 1;
            self.partials += usize::from(new);
            if self.partials >= MOST {
                self.send(before, &mut out.rows);
            }
        }
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<Self::Out, ()>) -> bool {
        fuel.burn(self.partials);
        self.send(now.before, &mut out.rows);
        true
    }
}

/// At the end of a tick it holds nothing.
impl<K, F, A, S, P> State for Combine<K, F, A, S, P> {
    fn shape(&self) -> Shape {
        Shape::nothing()
    }

    fn save(&mut self, _: &mut Fuel, _: &mut Saver) -> bool {
        true
    }

    fn load(&mut self, _: &Entry<'_>) -> Result<(), Corrupt> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tumbling;
    use super::*;
    use crate::aggregate::Count;
    use crate::time::Span;
    use std::time::Duration;

    type Row = (u64, i64);

    fn combine(
        size: u64,
    ) -> Combine<u64, fn(&Row) -> u64, Count, u64, impl Fn(EventTime) -> Option<Window>> {
        let by = Tumbling::every(Duration::from_secs(size));
        let key: fn(&Row) -> u64 = |row| row.0;
        Combine::new(move |time| Some(by.window_of(time)), key, Count, Arc::default())
    }

    fn row(key: u64, at: i64, behind: u64) -> Timed<Row> {
        let behind = Span::from(Duration::from_secs(behind));
        Timed { time: EventTime::from_secs(at), behind, data: (key, at) }
    }

    /// What is sent of a tick: rows as they are, and (key, time, count, rows) of partial results.
    fn tick(
        combine: &mut Combine<
            u64,
            fn(&Row) -> u64,
            Count,
            u64,
            impl Fn(EventTime) -> Option<Window> + 'static,
        >,
        before: i64,
        rows: &[Timed<Row>],
    ) -> (Vec<Timed<Row>>, Vec<(u64, i64, u64, u32)>) {
        let (mut out, before) = (Emit::default(), EventTime::from_secs(before));
        combine.apply(before, &mut rows.to_vec(), &mut out);
        let now = Now { before, frontier: before, wall: EventTime::MIN };
        assert!(combine.close(now, &mut Fuel::new(1), &mut out));
        let (mut rows, mut partials) = (Vec::new(), Vec::new());
        for Timed { time, behind, data } in out.rows {
            match data {
                Part::Row(data) => rows.push(Timed { time, behind, data }),
                Part::Partial(of) => {
                    assert!(behind.is_zero());
                    partials.push((of.key, time.millis() / 1_000, of.state, of.rows));
                }
            }
        }
        partials.sort_unstable();
        (rows, partials)
    }

    #[test]
    fn rows_on_time_are_summed_up_and_others_travel_alone() {
        let mut combine = combine(10);
        let all = [row(1, 3, 0), row(1, 12, 0), row(2, 4, 0), row(1, 4, 0), row(1, 5, 2)];
        let (rows, partials) = tick(&mut combine, 2, &all);
        assert_eq!(rows, [row(1, 5, 2)]);
        assert_eq!(partials, [(1, 2, 2, 2), (1, 10, 1, 1), (2, 2, 1, 1)]);
        // A partition that was left out may be behind without having been so when it was read.
        let (rows, partials) = tick(&mut combine, 13, &[row(1, 12, 0), row(1, 14, 0)]);
        assert_eq!(rows, [row(1, 12, 0)]);
        assert_eq!(partials, [(1, 13, 1, 1)]);
        assert_eq!(tick(&mut combine, 20, &[]), (vec![], vec![]));
    }

    #[test]
    fn it_rests_where_keys_hardly_repeat() {
        let mut combine = combine(10);
        let different: Vec<_> = (0..100).map(|key| row(key, 1, 0)).collect();
        let same: Vec<_> = (0..100).map(|_| row(7, 1, 0)).collect();
        // For longer and longer, but not for ever longer.
        for doublings in (0..=DOUBLINGS).chain([DOUBLINGS]) {
            assert_eq!(tick(&mut combine, 0, &different).1.len(), 100);
            for _ in 0..REST << doublings {
                assert_eq!(tick(&mut combine, 0, &same), (same.clone(), vec![]));
            }
        }
        assert_eq!(tick(&mut combine, 0, &same), (vec![], vec![(7, 0, 100, 100)]));
        // It was worth it: the next rest is a short one.
        assert_eq!(tick(&mut combine, 0, &different).1.len(), 100);
        for _ in 0..REST {
            assert_eq!(tick(&mut combine, 0, &same), (same.clone(), vec![]));
        }
        // Few rows do not say anything.
        assert_eq!(tick(&mut combine, 0, &different[..ENOUGH - 1]).0, []);
        assert_eq!(tick(&mut combine, 0, &same).0, []);
    }

    #[test]
    fn more_keys_than_fit_are_sent_before_the_tick_is_over() {
        let mut combine = combine(10);
        let (keys, each) = ((MOST + 1) as u64, (WORTH + 1) as u64);
        let all: Vec<_> = (0..each * keys).map(|n| row(n / each, 1, 0)).collect();
        let (rows, partials) = tick(&mut combine, 0, &all);
        assert_eq!(rows, []);
        let counted: u64 = partials.iter().map(|partial| partial.2).sum();
        assert_eq!(counted, each * keys);
        // The key at which it was full is sent twice.
        assert_eq!(partials.len(), keys as usize + 1);
        assert_eq!(combine.resting, 0);
    }
}
