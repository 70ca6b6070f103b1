//! Giving the results of sessions, and taking them back.

use std::marker::PhantomData;

use super::gap::Session;
use super::open::{Open, Shown};
use super::result::{Mode, SessionResult};
use super::state::gone_at;
use crate::aggregate::Aggregate;
use crate::change::Change;
use crate::key::Key;
use crate::time::{EventTime, Span, Timed};
use crate::window::{Pane, Timing, Window};

/// The result of a session: key and value.
pub type ResultOf<K, D, A> = SessionResult<K, <A as Aggregate<D>>::Output>;

/// Writes results of sessions at the current tick.
pub struct Report<'a, K, D, G, A, M>
where
    A: Aggregate<D>,
    M: Mode<ResultOf<K, D, A>>,
{
    session: &'a Session<G>,
    aggregate: &'a A,
    lateness: Span,
    /// The frontier as of the tick before: results behind it are late.
    before: EventTime,
    out: &'a mut Vec<Timed<M::Out>>,
    /// How many sessions have given their first result.
    pub fired: u64,
    key: PhantomData<(K, D)>,
}

impl<'a, K, D, G, A, M> Report<'a, K, D, G, A, M>
where
    K: Key,
    A: Aggregate<D>,
    M: Mode<ResultOf<K, D, A>>,
{
    /// Nothing is written yet.
    pub fn new(
        (session, aggregate, lateness): (&'a Session<G>, &'a A, Span),
        before: EventTime,
        out: &'a mut Vec<Timed<M::Out>>,
    ) -> Self {
        Report { session, aggregate, lateness, before, out, fired: 0, key: PhantomData }
    }

    /// Gives the result of a session as of now.
    pub fn show(&mut self, key: &K, session: &mut Open<A::State>, frontier: EventTime) {
        let until = session.until;
        if !M::CORRECTS {
            self.fired += 1;
            let result = self.result(key, session, Pane::FINAL, Vec::new());
            self.out.push(Timed::on_time(until, M::sent(Change::add(result))));
            return;
        }
        let (index, mut merged_from) = match session.shown.take() {
            Some(shown) => (shown.index.saturating_add(1), shown.withdrawn),
            None => (0, Vec::new()),
        };
        merged_from.sort();
        if *merged_from == [self.window(session)] {
            merged_from.clear();
        }
        self.fired += u64::from(index == 0);
        let behind = until.behind(self.before);
        let on_time = index == 0 && behind.is_zero();
        let timing = if on_time { Timing::OnTime } else { Timing::Late };
        let last = gone_at(until, self.lateness) <= frontier;
        let result = self.result(key, session, Pane { index, timing, last }, merged_from.clone());
        let data = M::sent(Change::add(result));
        self.out.push(Timed { time: until, behind, data });
        let shown = Shown { index, timing, merged_from, withdrawn: Vec::new() };
        session.shown = Some(Box::new(shown));
        session.dirty = true;
    }

    /// Takes the result of a session back before it changes, if there is one. Returns the start that
    /// it had.
    pub fn withdraw(&mut self, key: &K, session: &mut Open<A::State>) -> Option<EventTime> {
        let window = self.window(session);
        let shown = session.shown.as_mut().filter(|shown| shown.withdrawn.is_empty())?;
        let (index, timing) = (shown.index, shown.timing);
        shown.withdrawn.push(window);
        let merged_from = std::mem::take(&mut shown.merged_from);
        // A session that is still here gave a result after which others could follow.
        let pane = Pane { index, timing, last: false };
        let result = self.result(key, session, pane, merged_from);
        let behind = session.until.behind(self.before);
        let data = M::sent(Change::remove(result));
        self.out.push(Timed { time: session.until, behind, data });
        Some(session.start)
    }

    fn window(&self, session: &Open<A::State>) -> Window {
        Window { start: session.start, end: self.session.end(session.until) }
    }

    fn result(
        &self,
        key: &K,
        session: &Open<A::State>,
        pane: Pane,
        merged_from: Vec<Window>,
    ) -> ResultOf<K, D, A> {
        let Window { start, end } = self.window(session);
        let value = self.aggregate.finish(&session.state);
        SessionResult { key: key.clone(), start, last: session.last, end, value, pane, merged_from }
    }
}
