//! Event streams from the hand: for tests, and for timely programs without the engine.
//!
//! An [`EventInput`] is one worker's end of a source. Records go in with their partition and event
//! time; the watermark policy judges them; `end_tick` completes a slice of processing and broadcasts
//! how far event time has come.

use timely::dataflow::InputHandleVec;
use timely::dataflow::Scope;
use timely::dataflow::operators::vec::Broadcast;
use timely::dataflow::operators::{Input, probe};

use crate::events::{Clock, Data, Events, SourceMarks};
use crate::observe::Observer;
use crate::time::{EventTime, Timed};
use crate::watermark::{Guard, Mark, Observed, PartitionClock, Policy, SourceClock, SourceId};

/// One worker's end of a source that is driven by hand. Dropping it stops the source: windows that
/// are open stay open. [`EventInput::finish`] ends it: every window fires.
pub struct EventInput<D: Data> {
    rows: InputHandleVec<u64, Timed<D>>,
    marks: InputHandleVec<u64, Mark>,
    clock: SourceClock,
    done: probe::Handle<u64>,
    wall: i64,
    told_wall: i64,
    /// Marks that are kept back, with their ticks.
    held: Option<Vec<(u64, Mark)>>,
}

impl<D: Data> EventInput<D> {
    /// A source and its event stream. To be called in the same order on every worker; `id` is the
    /// source's number, different from that of every other source of the dataflow.
    pub fn new<'scope>(
        scope: Scope<'scope, u64>,
        id: u64,
        policy: Policy,
        observer: &Observer,
    ) -> (Self, Events<'scope, u64, D>) {
        let (rows, row_stream) = scope.new_input::<Vec<Timed<D>>>();
        let (marks, mark_stream) = scope.new_input::<Vec<Mark>>();
        let done = probe::Handle::new();
        let id = SourceId(id);
        let source = SourceMarks {
            id,
            marks: mark_stream.broadcast(),
            delay: crate::time::Span::ZERO,
            done: done.clone(),
        };
        let events = Events::from_parts(row_stream, Clock::of_source(source, observer.clone()));
        let clock = SourceClock::new(id, scope.index(), policy, Guard::default());
        (EventInput { rows, marks, clock, done, wall: 0, told_wall: 0, held: None }, events)
    }

    /// Declares a partition before its first record: until then nothing can be promised.
    pub fn assign(&mut self, partition: u32) {
        self.clock.assign(partition);
    }

    /// This worker reads no partition and holds nothing back.
    pub fn reads_nothing(&mut self) {
        self.clock.finish_all();
    }

    /// A record. Returns how it was judged.
    pub fn send(&mut self, partition: u32, time: EventTime, data: D) -> Observed {
        let observed = self.clock.observe(partition, time, false, None);
        self.rows.send(Timed { time, behind: observed.behind, data });
        observed
    }

    /// The partition is silent and does not hold the others back until its next record.
    pub fn idle(&mut self, partition: u32) {
        self.clock.caught_up(partition);
        self.clock.idle(partition);
    }

    /// Starts with this tick, after a cut at an earlier one. To be called before anything is sent.
    pub fn start_at(&mut self, tick: u64) {
        self.rows.advance_to(tick);
        self.marks.advance_to(tick);
    }

    /// Keeps marks back from here on, as if they took longer to arrive than rows.
    pub fn hold_marks(&mut self) {
        self.held.get_or_insert_default();
    }

    /// Sends all marks that were kept back.
    pub fn release_marks(&mut self) {
        for (tick, mark) in self.held.take().unwrap_or_default() {
            self.marks.advance_to(tick);
            self.marks.send(mark);
        }
        self.marks.advance_to(*self.rows.time());
    }

    /// Takes a partition over as it was at a cut, instead of assigning it. `excluded` is what
    /// [`SourceClock::saved`](crate::watermark::SourceClock::saved) said of the instance that read it.
    pub fn restore(&mut self, partition: u32, clock: PartitionClock, excluded: bool) {
        self.clock.restore(partition, clock, excluded);
    }

    /// How the partitions of this instance stand.
    pub fn clock(&self) -> &SourceClock {
        &self.clock
    }

    /// Wall time from now on, as operators that ask for processing time see it.
    pub fn set_wall(&mut self, wall: EventTime) {
        self.wall = self.wall.max(wall.micros());
    }

    /// Completes the current tick, which is a cut: operators save their state as of its end.
    pub fn cut(&mut self) {
        let next = *self.rows.time() + 1;
        let mark = self.clock.cut(self.wall);
        self.tell(mark);
        self.step_to(next);
    }

    /// Completes the current tick.
    pub fn end_tick(&mut self) {
        let next = *self.rows.time() + 1;
        self.advance_to(next);
    }

    /// Completes all ticks before this one.
    pub fn advance_to(&mut self, tick: u64) {
        if let Some(mark) = self.clock.mark(self.wall, self.wall != self.told_wall) {
            self.tell(mark);
        }
        self.step_to(tick);
    }

    fn tell(&mut self, mark: Mark) {
        self.told_wall = self.wall;
        match &mut self.held {
            Some(held) => held.push((*self.rows.time(), mark)),
            None => self.marks.send(mark),
        }
    }

    fn step_to(&mut self, tick: u64) {
        self.rows.advance_to(tick);
        if self.held.is_none() {
            self.marks.advance_to(tick);
        }
    }

    /// Nothing will ever come from here.
    pub fn finish(mut self) {
        self.release_marks();
        self.clock.finish_all();
        if let Some(mark) = self.clock.mark(self.wall, true) {
            self.marks.send(mark);
        }
    }

    /// The tick that is being filled.
    pub fn tick(&self) -> u64 {
        *self.rows.time()
    }

    /// Moves with whatever watches the stream.
    pub fn done(&self) -> &probe::Handle<u64> {
        &self.done
    }
}
