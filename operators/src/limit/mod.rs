//! At most so many open windows, or sessions, of each key.
//!
//! A key whose event times are all over the place opens a window for each of them, and one of those
//! keys can take the memory of all the others. With a limit it cannot:
//!
//! *A row is taken iff its key then has no more than n windows open, or no more than before. A row
//! that is not taken is **over** the limit: it counts in none of its windows and leaves on a stream of
//! its own.* So what is open stays open and takes rows, and what is refused is what would be new:
//! nothing is evicted, and every result is of all rows that were taken for it. Over rows are counted
//! as rejected.
//!
//! * A window of a key is open from its first row on until the tick e with `f(e) ≥ end + lateness`. A
//!   row that is in several windows is taken for all of them or for none; one that is late for some
//!   opens the others only. A row that is late for all, or in none, opens nothing and passes: what
//!   follows refuses it, and counts it as it always does.
//! * A session of a key is open until `f(e)` is the lateness past its end. A row that joins sessions
//!   is always taken, as there are no more of them afterwards.
//!
//! The rows of a tick are judged when it is complete, in the order of (event time, canonical bytes).
//! Which rows are over is thus the same for any order of arrival in a tick and on any number of
//! workers; but it does depend on **where ticks end**, since it is at the end of a tick that windows
//! are known to be complete. As long as no row is over, the limit changes nothing.
//!
//! The limit stands before the windows as a step of its own, with its own name, counters and state,
//! so that it goes with everything that windows can do. Cost: a sort of each tick's rows; a hash, a
//! table lookup or two and a search among the key's open windows a row. State: an entry for each key with
//! something open, of 16 bytes for each window or session. The limit itself is not part of saved
//! state: it may be another after a restart. What is open beyond a lower one stays open.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::prelude::*;
//!
//! let seen = Arc::new(Mutex::new(Vec::new()));
//! let [counted, refused, too_late] = [seen.clone(), seen.clone(), seen.clone()];
//! timely::execute_directly(move |worker| {
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let (policy, observer) = (Policy::bounded(secs(60)), Observer::default());
//!         let (input, clicks) = EventInput::<char>::new(scope, 0, policy, &observer);
//!         let windows = clicks.key_by(|_| 0u8).window(Tumbling::every(secs(10)));
//!         let (windows, over) = windows.max_windows_per_key("at_most_two", 2);
//!         let counts = windows.aggregate("counts", Count);
//!         counts.inspect(move |row| {
//!             let start = row.data.window.start.millis() / 1000;
//!             counted.lock().unwrap().push(format!("{} from {start} s", row.data.value));
//!         });
//!         over.inspect(move |row| refused.lock().unwrap().push(format!("{} is over", row.data)));
//!         let late = counts.late();
//!         late.inspect(move |row| too_late.lock().unwrap().push(format!("{} is late", row.data)));
//!         input
//!     });
//!     let at = EventTime::from_secs;
//!     input.send(0, at(5), 'a');
//!     input.send(0, at(15), 'b');
//!     input.end_tick();
//!     input.send(0, at(25), 'c'); // it would open a third one
//!     input.send(0, at(16), 'd');
//!     input.end_tick();
//!     input.send(0, at(71), 'e'); // f = 11 s at the end of the tick: there is no room yet
//!     input.end_tick();
//!     input.send(0, at(72), 'f'); // now there is
//!     input.send(0, at(6), 'g');
//!     input.finish();
//! });
//! let mut seen = seen.lock().unwrap().clone();
//! seen.sort();
//! let counts = ["1 from 0 s", "1 from 70 s", "2 from 10 s"];
//! assert_eq!(seen[..3], counts);
//! assert_eq!(seen[3..], ["c is over", "e is over", "g is late"]);
//! ```

mod opens;
mod state;
#[cfg(test)]
mod tests;

use std::fmt::Debug;

use timely::ExchangeData;

pub(crate) use opens::{BySession, ByWindow};

use opens::Opens;
use state::Limit;

use crate::events::{Data, Events, Tick};
use crate::key::Key;
use crate::keyed::{self, Keyed};
use crate::tick::tick_operator;
use crate::time::Span;

/// Rows that are taken, and those that are over.
type Streams<'scope, T, D, F> = (Keyed<'scope, T, D, F>, Events<'scope, T, D>);

/// Puts a limit before an operator that keeps what rows open for the lateness.
pub(crate) fn limit<'scope, T, K, D, F, O>(
    keyed: Keyed<'scope, T, D, F>,
    name: &str,
    opens: O,
    most: usize,
    lateness: Span,
) -> Streams<'scope, T, D, F>
where
    T: Tick,
    K: Key,
    D: ExchangeData + Data,
    F: Fn(&D) -> K + Clone + 'static,
    O: Opens<D> + Debug,
{
    assert!(most > 0, "`{name}`: each key needs room for at least 1, and the limit is {most}");
    let Keyed { events, key } = keyed;
    let (_, clock) = events.parts();
    let lateness = lateness.max(clock.late());
    let counters = clock.observer().register(name, "limit", events.scope().index());
    let pact = keyed::exchange(key.clone());
    let state = Limit::new(opens, most, lateness, key.clone(), counters.clone());
    let (taken, over) = tick_operator(name, &events, pact, state, counters);
    // Rows pass as they came, and those behind are judged again by what follows.
    let taken = Keyed { events: Events::from_parts(taken, clock.clone()), key };
    (taken, Events::from_parts(over, clock))
}
