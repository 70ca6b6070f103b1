//! A process by itself, for unit tests.

use std::sync::Arc;

use serde::Serialize;

use super::{Process, Processes};
use crate::events::Data;
use crate::key::Key;
use crate::observe::Counters;
use crate::tick::{Emit, Fuel, Now, TickLogic};
use crate::time::{EventTime, Timed};

/// Runs a [`Process`] without threads, without a dataflow and without a clock: each call is a tick
/// of its own and returns what the process sends.
///
/// ```
/// use tiderace_operators::process::{Alone, Context, Process};
/// use tiderace_operators::time::{EventTime, Timed};
///
/// /// Numbers the rows of each key.
/// struct Number;
///
/// impl Process<char, char> for Number {
///     type State = u32;
///     type Out = u32;
///
///     fn row(&mut self, _: &char, seen: &mut u32, _: &Timed<char>, context: &mut Context<'_, u32>) {
///         *seen += 1;
///         context.emit(*seen);
///     }
/// }
///
/// let mut number = Alone::new(|row: &char| *row, Number);
/// let at = EventTime::from_secs;
/// assert_eq!(number.row(at(1), 'a'), [Timed::on_time(at(1), 1)]);
/// assert_eq!(number.row(at(2), 'b'), [Timed::on_time(at(2), 1)]);
/// assert_eq!(number.row(at(0), 'a'), [Timed::on_time(at(0), 2)], "the frontier is not there yet");
/// number.advance(at(10));
/// assert_eq!(number.row(at(9), 'a'), []);
/// assert_eq!(number.late(), ['a']);
/// ```
pub struct Alone<K, D, F, P: Process<K, D>> {
    processes: Processes<K, D, F, P>,
    now: Now,
    late: Vec<D>,
}

impl<K, D, F, P> Alone<K, D, F, P>
where
    K: Key,
    D: Data + Serialize,
    F: Fn(&D) -> K + 'static,
    P: Process<K, D>,
{
    /// Nothing has come yet, and nothing is known of time.
    pub fn new(key: F, logic: P) -> Self {
        let lateness = logic.lateness().into();
        let (min, counters) = (EventTime::MIN, Arc::<Counters>::default());
        let processes = Processes::new(key, logic, lateness, counters);
        Alone { processes, now: Now { before: min, frontier: min, wall: min }, late: Vec::new() }
    }

    /// One row comes. Returns what is sent.
    pub fn row(&mut self, time: EventTime, row: D) -> Vec<Timed<P::Out>> {
        self.tick(vec![Timed::on_time(time, row)])
    }

    /// The frontier comes this far: no row before it can come, and what is due is done.
    pub fn advance(&mut self, frontier: EventTime) -> Vec<Timed<P::Out>> {
        self.now.frontier = self.now.frontier.max(frontier);
        self.tick(Vec::new())
    }

    /// Processing time comes this far.
    pub fn wall(&mut self, wall: EventTime) -> Vec<Timed<P::Out>> {
        self.now.wall = self.now.wall.max(wall);
        self.tick(Vec::new())
    }

    /// The rows that were refused so far, because they came too late.
    pub fn late(&mut self) -> Vec<D> {
        std::mem::take(&mut self.late)
    }

    fn tick(&mut self, mut rows: Vec<Timed<D>>) -> Vec<Timed<P::Out>> {
        let mut out = Emit::default();
        self.processes.apply(self.now.before, &mut rows, &mut out);
        while !self.processes.close(self.now, &mut Fuel::new(1 << 16), &mut out) {}
        self.now.before = self.now.frontier;
        self.late.extend(out.side.into_iter().map(|row| row.data));
        out.rows
    }
}
