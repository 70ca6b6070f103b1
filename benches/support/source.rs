//! A source that makes events, and programs over it.

use std::time::Duration;

use tiderace_operators::events::{Clock, SourceMarks};
use tiderace_operators::prelude::*;
use tiderace_operators::time::{Span, Timed};
use tiderace_operators::watermark::{Mark, SourceId, Standing};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::probe;
use timely::dataflow::operators::vec::Broadcast;

use super::{BATCH, BOUND, Event, Load, Shared, TICK_ROWS, Tally, event, note_memory};

/// One of several sources, which make the events in turns.
#[derive(Clone, Copy)]
pub struct Share {
    pub number: u64,
    pub of: u64,
}

impl Share {
    /// All events.
    pub const ALL: Share = Share { number: 0, of: 1 };
}

/// A source of which each worker makes the events that are its own, with the marks of a bounded
/// policy.
pub fn source<'scope>(
    scope: Scope<'scope, u64>,
    share: Share,
    Load { events, keys }: Load,
    done: probe::Handle<u64>,
) -> Events<'scope, u64, Event> {
    let index = scope.index() as u64;
    let (first, step) = (index * share.of + share.number, scope.peers() as u64 * share.of);
    let mut builder = OperatorBuilder::new("Events".to_owned(), scope);
    let info = builder.operator_info();
    let activator = scope.activator_for(info.address);
    let (rows, row_stream) = builder.new_output::<Vec<Timed<Event>>>();
    let (marks, mark_stream) = builder.new_output::<Vec<Mark>>();
    let mut rows = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(rows);
    let mut marks = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(marks);
    let id = SourceId(share.number);
    let probe = done.clone();
    builder.build(move |caps| {
        let mut caps = Some(caps);
        let (mut next, mut in_tick, mut newest) = (first, 0, i64::MIN);
        move |_| {
            let Some(held) = caps.as_mut() else { return };
            let tick = *held[0].time();
            if tick >= 2 && probe.less_than(&(tick - 1)) {
                activator.activate_after(Duration::from_micros(100));
                return;
            }
            {
                let mut output = rows.activate();
                let mut session = output.session(&held[0]);
                let until = events.min(next + BATCH * step);
                while next < until {
                    let (time, data) = event(next, keys);
                    let frontier = newest.saturating_sub(BOUND);
                    newest = newest.max(time);
                    let time = EventTime::from_micros(time);
                    let behind = time.behind(EventTime::from_micros(frontier));
                    session.give(Timed { time, behind, data });
                    next += step;
                    in_tick += 1;
                }
            }
            let ended = next >= events;
            if ended || in_tick >= TICK_ROWS {
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
                in_tick = 0;
                note_memory();
            }
            if ended { caps = None } else { activator.activate() }
        }
    });
    let source = SourceMarks { id, marks: mark_stream.broadcast(), delay: Span::ZERO, done };
    Events::from_parts(row_stream, Clock::of_source(source, Observer::default()))
}

/// Runs a program over one source and returns the tally of its results.
pub fn program<B>(load: Load, build: B) -> (u64, u64)
where
    B: Fn(&Events<'_, u64, Event>, Tally) + Send + Sync + 'static,
{
    run(move |scope, into| {
        build(&source(scope, Share::ALL, load, probe::Handle::new()), into);
    })
}

/// Runs a program over two sources, of the events with even numbers and of those with odd ones.
pub fn program_2<B>(load: Load, build: B) -> (u64, u64)
where
    B: for<'s> Fn(&Events<'s, u64, Event>, &Events<'s, u64, Event>, Tally) + Send + Sync + 'static,
{
    run(move |scope, into| {
        let [even, odd] =
            [0, 1].map(|number| source(scope, Share { number, of: 2 }, load, probe::Handle::new()));
        build(&even, &odd, into);
    })
}

fn run(build: impl Fn(Scope<'_, u64>, Tally) + Send + Sync + 'static) -> (u64, u64) {
    let shared = Shared::default();
    let into = shared.clone();
    let guards = timely::execute(timely::Config::thread(), move |worker| {
        let tally = Tally::of(&into);
        worker.dataflow::<u64, _, _>(|scope| build(scope, tally));
    })
    .expect("timely starts");
    guards.join().into_iter().for_each(|guard| guard.expect("a worker panicked"));
    shared.get()
}
