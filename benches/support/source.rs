//! A source that makes events, and programs over it.

use tiderace_operators::prelude::*;
use timely::dataflow::Scope;
use timely::dataflow::operators::probe;

use super::{Event, Load, Share, Shared, TICK, Tally, event, note_memory};

/// A source of which each worker makes the events that are its own, with as many rows in every tick.
pub fn source<'scope>(
    scope: Scope<'scope, u64>,
    share: Share,
    Load { events, keys }: Load,
    done: probe::Handle<u64>,
) -> Events<'scope, u64, Event> {
    let ends = |rows, must| {
        let ends = must || rows >= TICK;
        if ends {
            note_memory();
        }
        ends
    };
    let make = move |number| event(number, keys);
    tiderace_work::source(scope, share, events, 2 * TICK, make, ends, done)
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
