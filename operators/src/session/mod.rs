//! Sessions: records of a key, grouped by the pauses between them.
//!
//! *Two neighbouring records of a key are in one session iff their event times are less than the gap
//! apart.* A session is from its first record, `start`, to `end` = its last record and the gap. With
//! [`inclusive_gap`](Session::inclusive_gap) records exactly the gap apart are in one session too.
//!
//! ```text
//!  gap       ├──────┤
//!  records   a   b    c        d            b to c is less than the gap, c to d is not
//!            ├── session ──┤   ├ session ┤
//!          start    last  end
//! ```
//!
//! A record at t is accepted iff `t ≥ F − lateness`, where F is the frontier of its own partition
//! when it was read, and leaves on the late stream otherwise. A session is kept until the operator's
//! frontier f is the lateness past its end. As f is never past F, and no record joins a session at or
//! after its end, every accepted record finds all sessions that it touches: **the final sessions
//! are those of all accepted records taken together**, and never overlap, however the input is cut
//! into ticks and partitions. Were a record judged by the session that it makes on its own, or by
//! the frontier when it arrives, this would not hold.
//!
//! There are two ways to get results:
//!
//! * [`aggregate`](Sessioned::aggregate): a session's one result is sent in the tick e with
//!   `f(e−1) < end + lateness ≤ f(e)`, to stay.
//! * [`retracting`](Sessioned::retracting): after every tick there stands a result for each session
//!   that is complete, `end ≤ f(e)`, or holds a record of one for which a result was given before. It
//!   is the result of all records accepted so far. In a tick in which records join such a session the
//!   old result is withdrawn as it was given and the new one given; where sessions have grown
//!   together, all their results are withdrawn, and the new one names their windows.
//!
//! A result's event time is the last instant at which a record still joins its session: `end − 1`,
//! or `end` with an inclusive gap, where all that is said of ends here holds a microsecond later. A
//! session that fires at e was incomplete at f(e−1), so that this instant is not before f(e−1) less
//! what the operator waits: results on time are on time downstream as well, with a delay of the
//! lateness for `aggregate` and none for `retracting`. Corrections lie behind that; their `behind`
//! says how far, which is the lateness at most.
//!
//! The idea of windows that merge is that of Akidau et al., *The Dataflow Model* (VLDB 2015).
//!
//! Cost: a hash and a table lookup for a record that extends the newest session of its key, as most
//! do; a search among the key's sessions for others. Keys are looked at again when the frontier
//! passes the end that a session had when they were last looked at: once per session and gap, at
//! most. State: an entry per session that is not over, in memory and at cuts.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::prelude::*;
//!
//! let results = Arc::new(Mutex::new(Vec::new()));
//! let (into, late) = (results.clone(), Arc::new(Mutex::new(0)));
//! let late_in = late.clone();
//! timely::execute_directly(move |worker| {
//!     let observer = Observer::default();
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let policy = Policy::bounded(secs(5));
//!         let (input, clicks) = EventInput::<u32>::new(scope, 0, policy, &observer);
//!         let visits = clicks
//!             .key_by(|&visitor| visitor)
//!             .session(Session::gap(secs(30)))
//!             .aggregate("visits", Count);
//!         visits.inspect(move |row| {
//!             let visit = &row.data;
//!             let seconds = |time: EventTime| time.millis() / 1000;
//!             let (start, end) = (seconds(visit.start), seconds(visit.end));
//!             into.lock().unwrap().push((visit.key, start, end, visit.value));
//!         });
//!         visits.late().inspect(move |_| *late_in.lock().unwrap() += 1);
//!         input
//!     });
//!     input.send(0, EventTime::from_secs(1), 7);
//!     input.send(0, EventTime::from_secs(31), 7); // as long as the gap: another session
//!     input.send(0, EventTime::from_secs(29), 7); // it was not: this one is near both
//!     input.end_tick();
//!     input.send(0, EventTime::from_secs(100), 7); // f = 95 s: the visit is over
//!     input.end_tick();
//!     input.send(0, EventTime::from_secs(60), 7); // late
//!     input.finish(); // so is the other one
//! });
//! let mut results = results.lock().unwrap().clone();
//! results.sort();
//! assert_eq!(results, [(7, 1, 61, 3), (7, 100, 130, 1)]);
//! assert_eq!(*late.lock().unwrap(), 1);
//! ```

mod gap;
mod open;
mod report;
mod result;
mod starts;
mod state;

#[cfg(test)]
mod tests;

pub use gap::{ByRow, Fixed, Session, SessionGap};
pub use result::SessionResult;
pub(crate) use {result::FinalOnly, state::Sessions};

use std::time::Duration;

use timely::ExchangeData;
use timely::dataflow::StreamVec;

use report::ResultOf;
use result::{Mode, Retracting};

use crate::aggregate::Aggregate;
use crate::change::Changes;
use crate::events::{Clock, Data, Events, Tick};
use crate::key::Key;
use crate::keyed::{self, Keyed};
use crate::limit::{BySession, limit};
use crate::tick::tick_operator;
use crate::time::{Span, Timed};
use crate::window::{Fired, WithLate};

/// A keyed stream cut into sessions, to be aggregated.
pub struct Sessioned<'scope, T: Tick, D: Data, F, G = Fixed> {
    keyed: Keyed<'scope, T, D, F>,
    session: Session<G>,
    lateness: Span,
    /// How late rows may be is settled.
    limited: bool,
}

/// What the operator is made on: results and late rows, as streams.
type Streams<'scope, T, O, D> = (StreamVec<'scope, T, Timed<O>>, StreamVec<'scope, T, Timed<D>>);

impl<'scope, T: Tick, D: Data, F> Keyed<'scope, T, D, F> {
    /// Groups each key's records by sessions: stretches of activity with a gap after each.
    pub fn session<G: SessionGap<D>>(self, session: Session<G>) -> Sessioned<'scope, T, D, F, G> {
        Sessioned { keyed: self, session, lateness: Span::ZERO, limited: false }
    }
}

impl<'scope, T, D, F, G> Sessioned<'scope, T, D, F, G>
where
    T: Tick,
    D: ExchangeData + Data,
    G: SessionGap<D>,
{
    /// Takes records up to this far behind. [`aggregate`](Self::aggregate) gives its results this
    /// much later; [`retracting`](Self::retracting) corrects those that it has given.
    ///
    /// # Panics
    /// After [`max_sessions_per_key`](Self::max_sessions_per_key), which has to know it.
    #[must_use]
    pub fn allow_late(mut self, lateness: Duration) -> Self {
        assert!(!self.limited, "session window: allow_late comes before max_sessions_per_key");
        self.lateness = lateness.into();
        self
    }

    /// Lets each key have at most so many sessions open. Rows that would open one more are on the
    /// second stream, and counted as rejected under this name; rows that join sessions are always
    /// taken. See [`limit`](crate::limit).
    ///
    /// # Panics
    /// If the limit is zero.
    pub fn max_sessions_per_key<K>(self, name: &str, most: usize) -> (Self, Events<'scope, T, D>)
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
    {
        let Sessioned { keyed, session, lateness, .. } = self;
        let opens = BySession(session.clone());
        let (keyed, over) = limit(keyed, name, opens, most, lateness);
        (Sessioned { keyed, session, lateness, limited: true }, over)
    }

    /// One result for each session, sent once when no record can change it any more: when the
    /// frontier is the lateness past its end.
    ///
    /// Rows are exchanged so that all of a key meet on one worker. Cost: one hash and one table
    /// lookup a row. State: one entry per open session.
    pub fn aggregate<K, A>(
        self,
        name: &str,
        aggregate: A,
    ) -> WithLate<'scope, T, SessionResult<K, A::Output>, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        A: Aggregate<D>,
        A::Output: Data,
    {
        let (lateness, clock) = self.time();
        let (results, late) = self.build::<K, A, FinalOnly>(name, aggregate);
        WithLate::new(
            Events::from_parts(results, clock.clone().delayed(lateness).with_late(Span::ZERO)),
            Events::from_parts(late, clock),
        )
    }

    /// A result for each session as soon as the frontier has passed its end, and a better one for
    /// each that late records change: the old one is withdrawn, and the new one given, in the same
    /// tick. If sessions grow together, the results of all of them are withdrawn.
    ///
    /// Cost and state as with [`aggregate`](Self::aggregate), and a small block of memory for each
    /// session whose result stands; these are kept for the lateness. A value must follow from the
    /// aggregate's state alone, since what is withdrawn is made from it once more.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use tiderace_operators::prelude::*;
    ///
    /// let changes = Arc::new(Mutex::new(Vec::new()));
    /// let (into, late) = (changes.clone(), Arc::new(Mutex::new(0)));
    /// let late_in = late.clone();
    /// timely::execute_directly(move |worker| {
    ///     let observer = Observer::default();
    ///     let mut input = worker.dataflow::<u64, _, _>(|scope| {
    ///         let policy = Policy::ascending();
    ///         let (input, clicks) = EventInput::<u32>::new(scope, 0, policy, &observer);
    ///         let by_visitor = clicks.key_by(|&visitor| visitor);
    ///         let visits = by_visitor.session(Session::gap(secs(30))).allow_late(secs(120));
    ///         let visits = visits.retracting("visits", Count);
    ///         visits.inspect(move |row| {
    ///             let Change { data: visit, diff } = &row.data;
    ///             let start = visit.start.millis() / 1000;
    ///             let (value, from) = (visit.value, visit.merged_from.len());
    ///             into.lock().unwrap().push((*diff, start, value, from));
    ///         });
    ///         visits.late().inspect(move |_| *late_in.lock().unwrap() += 1);
    ///         input
    ///     });
    ///     input.send(0, EventTime::from_secs(0), 7);
    ///     input.send(0, EventTime::from_secs(50), 7);
    ///     input.send(0, EventTime::from_secs(130), 8);
    ///     input.end_tick(); // f = 130 s: both visits of 7 are over
    ///     input.send(0, EventTime::from_secs(25), 7); // late, and near both
    ///     input.end_tick();
    ///     input.send(0, EventTime::from_secs(5), 7); // too late
    /// });
    /// let mut changes = changes.lock().unwrap().clone();
    /// changes[..2].sort(); // one tick
    /// assert_eq!(changes[..2], [(1, 0, 1, 0), (1, 50, 1, 0)]);
    /// changes[2..5].sort(); // the next one
    /// assert_eq!(changes[2..5], [(-1, 0, 1, 0), (-1, 50, 1, 0), (1, 0, 3, 2)]);
    /// assert_eq!(*late.lock().unwrap(), 1);
    /// ```
    pub fn retracting<K, A>(
        self,
        name: &str,
        aggregate: A,
    ) -> Fired<'scope, T, Changes<'scope, T, SessionResult<K, A::Output>>, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        A: Aggregate<D>,
        A::Output: Data,
    {
        let (lateness, clock) = self.time();
        let (changes, late) = self.build::<K, A, Retracting>(name, aggregate);
        let changes = Events::from_parts(changes, clock.clone().with_late(lateness));
        Fired::new(Changes::from_events(changes), Events::from_parts(late, clock))
    }

    /// How long sessions are kept, and the clock of the input.
    fn time(&self) -> (Span, Clock<'scope, T>) {
        let clock = self.keyed.events.clock();
        (self.lateness.max(clock.late()), clock)
    }

    fn build<K, A, M>(self, name: &str, aggregate: A) -> Streams<'scope, T, M::Out, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        A: Aggregate<D>,
        A::Output: Data,
        M: Mode<ResultOf<K, D, A>>,
    {
        let (lateness, clock) = self.time();
        let Keyed { events, key } = self.keyed;
        let counters = clock.observer().register(name, "session", events.scope().index());
        let pact = keyed::exchange(key.clone());
        let counted = counters.clone();
        let state: Sessions<K, D, F, G, A, M> =
            Sessions::new(self.session, lateness, key, aggregate, counted);
        tick_operator(name, &events, pact, state, counters)
    }
}
