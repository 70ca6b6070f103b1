//! Processes: for everything that no other operator does.
//!
//! A [`Process`] keeps one value per key, sees the rows of the key and sets timers. *In tick e a key
//! sees its rows of the tick and its event timers t with t ≤ f(e) − lateness, merged in the order of
//! their event times: a timer before the rows at its time, rows of one time in the order of their
//! canonical bytes.* A row is late, and goes to the late stream, iff t < F − lateness.
//!
//! ```text
//!  event time ──▶     1     2     3     4     5     6
//!  rows of the tick   a           b                 c
//!  timers                   x           y                 (those up to f(e) = 5)
//!  seen               a     x     b     y           c
//! ```
//!
//! What a row makes carries the row's event time, what a timer makes the timer's, and the output is
//! the lateness behind the input: an accepted row is not behind f(e−1) − lateness, nor is a timer,
//! which would have fired before or was set by such a row. Rows made by a processing-time timer are
//! at the event time at which it was set, or at the frontier if that has come farther.
//!
//! **Order across ticks.** Rows of a later tick come later, even where their event times are earlier:
//! what depends on the order of rows depends on where ticks end. Put a
//! [`sort`](crate::keyed::Keyed::sort) in front, and a process without processing-time timers is a
//! function of each partition's content alone.
//!
//! **Processing time** is what sources put on their marks: it is the same on all workers, but differs
//! from run to run. Such timers fire after everything else of the tick, at most once a tick. Once the
//! input has ended, all timers fire: none of what waits for one is lost.
//!
//! Cost: a tick's rows are sorted, and each takes a table lookup. State: an entry per key until it is
//! cleared, and one per timer. The method is that of Flink's `KeyedProcessFunction`, which leaves the
//! order of rows and timers to arrival.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::prelude::*;
//! use tiderace_operators::process::{Context, Process, Timer};
//!
//! /// Says when a machine has been silent for a minute.
//! struct Silence;
//!
//! impl Process<u32, u32> for Silence {
//!     type State = Option<EventTime>;
//!     type Out = (u32, &'static str);
//!
//!     fn row(
//!         &mut self,
//!         _: &u32,
//!         alarm: &mut Self::State,
//!         row: &Timed<u32>,
//!         context: &mut Context<'_, Self::Out>,
//!     ) {
//!         if let Some(before) = *alarm {
//!             context.delete_timer(Timer::Event(before));
//!         }
//!         let at = row.time.plus(mins(1).into());
//!         context.set_timer(Timer::Event(at));
//!         *alarm = Some(at);
//!     }
//!
//!     fn timer(
//!         &mut self,
//!         machine: &u32,
//!         _: &mut Self::State,
//!         _: Timer,
//!         context: &mut Context<'_, Self::Out>,
//!     ) {
//!         context.emit((*machine, "silent"));
//!         context.clear_state();
//!     }
//! }
//!
//! let seen = Arc::new(Mutex::new((Vec::new(), Vec::new())));
//! let (into, late) = (seen.clone(), seen.clone());
//! timely::execute_directly(move |worker| {
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let observer = Observer::default();
//!         let (input, signs) = EventInput::<u32>::new(scope, 0, Policy::ascending(), &observer);
//!         let silent = signs.key_by(|&machine| machine).process("silence", Silence);
//!         silent.inspect(move |row| into.lock().unwrap().0.push((row.time, row.data.0)));
//!         silent.late().inspect(move |row| late.lock().unwrap().1.push(row.data));
//!         input
//!     });
//!     for (machine, at) in [(1, 0), (2, 10), (1, 50), (2, 80), (1, 20), (1, 95)] {
//!         input.send(0, EventTime::from_secs(at), machine);
//!         input.end_tick();
//!     }
//!     input.finish();
//! });
//! let (silent, late) = seen.lock().unwrap().clone();
//! let at = EventTime::from_secs;
//! assert_eq!(silent, [(at(70), 2), (at(140), 2), (at(155), 1)]);
//! assert_eq!(late, [1], "at 20 s, when the frontier was at 80 s");
//! ```

mod alone;
mod context;
mod state;
mod timers;
mod z_score;

pub use alone::Alone;
pub use context::{Context, Timer};
pub use state::Processes;
pub use z_score::{Moments, Scored, ZScore};

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use timely::ExchangeData;

use crate::events::{Data, Events, Tick};
use crate::key::Key;
use crate::keyed::{self, Keyed};
use crate::tick::tick_operator;
use crate::time::{Span, Timed};
use crate::window::WithLate;

/// What is done with the rows and timers of a key.
///
/// All that it remembers belongs into the state: what it keeps in itself is not saved, and is
/// shared by the keys that happen to be on one worker.
pub trait Process<K, D>: 'static {
    /// What is remembered of a key. A key that is new, or cleared, has the default.
    type State: Serialize + DeserializeOwned + Default + 'static;
    /// What is sent.
    type Out: Data;

    /// A row has come.
    fn row(
        &mut self,
        key: &K,
        state: &mut Self::State,
        row: &Timed<D>,
        context: &mut Context<'_, Self::Out>,
    );

    /// A timer has fired.
    fn timer(
        &mut self,
        key: &K,
        state: &mut Self::State,
        timer: Timer,
        context: &mut Context<'_, Self::Out>,
    ) {
        let _ = (key, state, timer, context);
    }

    /// How far behind the frontier rows are still taken. Timers fire, and results come out, this
    /// much later.
    fn lateness(&self) -> Duration {
        Duration::ZERO
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data, F> Keyed<'scope, T, D, F> {
    /// Hands the rows of each key to a process, in order; see the [module](crate::process).
    pub fn process<K, P>(self, name: &str, logic: P) -> WithLate<'scope, T, P::Out, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        P: Process<K, D>,
    {
        let Keyed { events, key } = self;
        let (_, clock) = events.parts();
        let lateness = Span::from(logic.lateness()).max(clock.late());
        let counters = clock.observer().register(name, "process", events.scope().index());
        let pact = keyed::exchange(key.clone());
        let state = Processes::new(key, logic, lateness, counters.clone());
        let (results, late) = tick_operator(name, &events, pact, state, counters);
        WithLate::new(
            Events::from_parts(results, clock.clone().delayed(lateness).with_late(Span::ZERO)),
            Events::from_parts(late, clock),
        )
    }
}
