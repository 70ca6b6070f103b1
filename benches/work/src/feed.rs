//! Sources that make the events, and what a dataflow gets of them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tiderace_operators::events::{Clock, Events, SourceMarks};
use tiderace_operators::observe::Observer;
use tiderace_operators::time::{EventTime, Span, Timed};
use tiderace_operators::watermark::{Mark, SourceId, Standing};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe;
use timely::dataflow::operators::vec::Broadcast;

use crate::{BOUND, Event, Load};

/// Rows of one worker that may be in ticks which are not over everywhere. Generous, because workers
/// that wait for each other at every step do little else.
pub const IN_FLIGHT: u64 = 400_000;
/// Rows handed over in one activation.
pub const BATCH: u64 = 8_192;
/// Rows in a container: as much memory as timely fills before it sends one.
const CONTAINER: u64 = 256;
/// How long a source that may not go on waits before it looks again.
const LOOK: Duration = Duration::from_micros(100);

/// What a dataflow is fed with.
pub struct Feed<'scope> {
    scope: Scope<'scope, u64>,
    load: Load,
    tick: Duration,
}

impl<'scope> Feed<'scope> {
    /// So many events, in ticks that last so long.
    pub fn new(scope: Scope<'scope, u64>, load: Load, tick: Duration) -> Self {
        Feed { scope, load, tick }
    }

    /// How many events there are, and of which keys.
    pub fn load(&self) -> Load {
        self.load
    }

    /// All events.
    pub fn events(&self) -> Events<'scope, u64, Event> {
        self.share(Share::ALL)
    }

    /// The events with even numbers, and those with odd ones.
    pub fn halves(&self) -> [Events<'scope, u64, Event>; 2] {
        [0, 1].map(|number| self.share(Share { number, of: 2 }))
    }

    fn share(&self, share: Share) -> Events<'scope, u64, Event> {
        let in_flight = IN_FLIGHT / share.of;
        // As the engine's own sources do it.
        let ends = by_time(self.tick, in_flight / 4);
        let load = self.load;
        let make = move |number| load.event(number);
        source(self.scope, share, load.events, in_flight, make, ends, probe::Handle::new())
    }
}

/// One of several sources, which make the events in turns.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Which, from 0.
    pub number: u64,
    /// How many there are.
    pub of: u64,
}

impl Share {
    /// All events.
    pub const ALL: Share = Share { number: 0, of: 1 };
}

/// Ticks that end when their time is over, or with so many rows.
pub fn by_time(tick: Duration, rows: u64) -> impl FnMut(u64, bool) -> bool {
    let mut since: Option<Instant> = None;
    move |so_far, must| {
        let now = Instant::now();
        let ends = must || so_far >= rows || now - *since.get_or_insert(now) >= tick;
        if ends {
            since = None;
        }
        ends
    }
}

/// A source of which each worker makes the events that are its own, with the marks of a bounded
/// policy. `ends` is asked after every batch whether the tick ends, which has so many rows so far; it
/// is told if the tick must end, because these were the last rows or all that may be in flight.
pub fn source<'scope>(
    scope: Scope<'scope, u64>,
    share: Share,
    events: u64,
    in_flight: u64,
    make: impl Fn(u64) -> (i64, Event) + 'static,
    ends: impl FnMut(u64, bool) -> bool + 'static,
    done: probe::Handle<u64>,
) -> Events<'scope, u64, Event> {
    let index = scope.index() as u64;
    let (first, step) = (index * share.of + share.number, scope.peers() as u64 * share.of);
    let mut builder = OperatorBuilder::new("Events".to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let (rows, row_stream) = builder.new_output::<Vec<Timed<Event>>>();
    let (marks, mark_stream) = builder.new_output::<Vec<Mark>>();
    let mut rows = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(rows);
    let mut marks = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(marks);
    let id = SourceId(share.number);
    let (probe, mut ends) = (done.clone(), ends);
    builder.build(move |caps| {
        let mut caps = Some(caps);
        let (mut next, mut newest, mut batch) = (first, i64::MIN, Vec::new());
        // Rows of the current tick, and ticks that are not over everywhere with their rows.
        let (mut in_tick, mut open) = (0, VecDeque::<(u64, u64)>::new());
        move |_| {
            let Some(held) = caps.as_mut() else { return };
            let tick = *held[0].time();
            while open.front().is_some_and(|(ended, _)| !probe.less_equal(ended)) {
                open.pop_front();
            }
            let ahead: u64 = open.iter().map(|(_, rows)| rows).sum();
            if ahead >= in_flight {
                activator.activate_after(LOOK);
                return;
            }
            let until = events.min(next + BATCH * step);
            while next < until {
                let some = (until - next).div_ceil(step).min(CONTAINER);
                batch.extend((0..some).map(|at| {
                    let (time, data) = make(next + at * step);
                    let frontier = newest.saturating_sub(BOUND);
                    newest = newest.max(time);
                    let time = EventTime::from_micros(time);
                    let behind = time.behind(EventTime::from_micros(frontier));
                    Timed { time, behind, data }
                }));
                in_tick += some;
                next += some * step;
                rows.activate().session(&held[0]).give_container(&mut batch);
                batch.clear();
            }
            let ended = next >= events;
            let must = ended || ahead + in_tick >= in_flight;
            if ends(in_tick, must) | must {
                let (standing, frontier) = match ended {
                    true => (Standing::Finished, EventTime::MAX),
                    false => (Standing::Active, EventTime::from_micros(newest - BOUND)),
                };
                let (source, worker) = (id, index as u32);
                let (holder, excluded, cut, made_at) = (None, false, false, 0);
                let mark =
                    Mark { source, worker, standing, frontier, holder, excluded, cut, made_at };
                marks.activate().session(&held[1]).give(mark);
                held.iter_mut().for_each(|cap| cap.downgrade(&(tick + 1)));
                open.push_back((tick, in_tick));
                in_tick = 0;
            }
            if ended { caps = None } else { activator.activate() }
        }
    });
    let source = SourceMarks { id, marks: mark_stream.broadcast(), delay: Span::ZERO, done };
    Events::from_parts(row_stream, Clock::of_source(source, Observer::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_end_by_rows_and_by_time() {
        let mut by_rows = by_time(Duration::from_secs(3_600), 10);
        assert!(!by_rows(9, false) && by_rows(10, false) && !by_rows(1, false) && by_rows(2, true));
        let mut by_time = by_time(Duration::ZERO, u64::MAX);
        assert!(by_time(1, false) && by_time(2, false));
    }
}
