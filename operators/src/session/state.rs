//! Open sessions of all keys. Plain data: no timely in here.

use std::marker::PhantomData;
use std::sync::Arc;

use super::gap::{Session, SessionGap};
use super::open::{OfKey, Open, Shown};
use super::report::{Report, ResultOf};
use super::result::Mode;
use super::starts::Starts;
use crate::aggregate::Aggregate;
use crate::events::Data;
use crate::key::Key;
use crate::observe::Counters;
use crate::state::{Corrupt, Entry, Epoch, Saver, Shape, State, Table};
use crate::tick::{Emit, Fuel, Now, TickLogic, Timer, Timers};
use crate::time::{EventTime, Span, Timed};
use crate::window::{Timing, Window};

/// All open sessions of one worker.
pub struct Sessions<K, D, F, G, A, M>
where
    A: Aggregate<D>,
{
    session: Session<G>,
    /// State is kept until the frontier has passed a session's end by this much.
    lateness: Span,
    key: F,
    aggregate: A,
    keys: Table<K, OfKey<A::State>>,
    timers: Timers<K>,
    /// Results that were withdrawn in this tick: key, and the start of the session.
    changed: Vec<(u64, K, EventTime)>,
    /// Sessions that are gone and part of the last cut.
    gone: Vec<(u64, K, EventTime)>,
    /// Where those start that are open.
    open: Starts,
    epoch: Epoch,
    /// The number of the current tick; it may start over.
    tick: u32,
    counters: Arc<Counters>,
    mode: PhantomData<fn(D) -> M>,
}

impl<K, D, F, G, A, M> Sessions<K, D, F, G, A, M>
where
    A: Aggregate<D>,
{
    /// No session is open.
    pub fn new(
        session: Session<G>,
        lateness: Span,
        key: F,
        aggregate: A,
        counters: Arc<Counters>,
    ) -> Self
    where
        G: SessionGap<D>,
    {
        let timers = Timers::new(session.granule());
        let open = Starts::new(session.granule());
        Sessions {
            session,
            lateness,
            key,
            aggregate,
            keys: Table::default(),
            timers,
            changed: Vec::new(),
            gone: Vec::new(),
            open,
            epoch: Epoch::default(),
            tick: 1,
            counters,
            mode: PhantomData,
        }
    }

    fn count(&self) {
        self.counters.open.set(self.open.len());
        self.counters.held.set(self.open.len());
    }
}

/// The frontier at which a session that takes rows until then is complete.
fn complete_at(until: EventTime) -> EventTime {
    EventTime::from_micros(until.micros().saturating_add(1))
}

/// The frontier at which no row can find the session any more.
pub(super) fn gone_at(until: EventTime, lateness: Span) -> EventTime {
    EventTime::from_micros(complete_at(until).micros().saturating_add(lateness.micros()))
}

/// The frontier at which something is to be done about a session.
fn due_at<S>(session: &Open<S>, lateness: Span, corrects: bool) -> EventTime {
    if corrects && session.shown.is_none() {
        complete_at(session.until)
    } else {
        gone_at(session.until, lateness)
    }
}

impl<K, D, F, G, A, M> Sessions<K, D, F, G, A, M>
where
    K: Key,
    D: Data,
    F: Fn(&D) -> K + 'static,
    G: SessionGap<D>,
    A: Aggregate<D>,
    A::Output: Data,
    M: Mode<ResultOf<K, D, A>>,
{
    /// A row that does not just extend a session of its key.
    #[inline(never)]
    fn place(
        &mut self,
        (hash, key): (u64, K),
        (row, until): (&Timed<D>, EventTime),
        before: EventTime,
        out: &mut Vec<Timed<M::Out>>,
    ) {
        let fresh = |aggregate: &A, tick| {
            let mut session = Open::new(row.time, until, aggregate.create(), tick);
            aggregate.add_at(&mut session.state, row.time, &row.data);
            session
        };
        let Some(of_key) = self.keys.get_mut(hash, &key, self.epoch) else {
            let session = fresh(&self.aggregate, self.tick);
            let due = due_at(&session, self.lateness, M::CORRECTS);
            self.timers.push(Timer { due, hash, key: key.clone() });
            self.keys.entry(hash, key, self.epoch, || OfKey::of(session, due));
            self.open.insert(row.time);
            return;
        };
        let touched = of_key.touched(row.time, until);
        if touched.is_empty() {
            let session = fresh(&self.aggregate, self.tick);
            let due = due_at(&session, self.lateness, M::CORRECTS);
            of_key.insert(touched.start, session);
            self.open.insert(row.time);
            if due < of_key.timer {
                of_key.timer = due;
                self.timers.push(Timer { due, hash, key });
            }
            return;
        }
        let with = (&self.session, &self.aggregate, self.lateness);
        let mut report = Report::<K, D, G, A, M>::new(with, before, out);
        for at in touched.clone() {
            if let Some(start) = report.withdraw(&key, of_key.at(at)) {
                self.changed.push((hash, key.clone(), start));
            }
        }
        let (first, others) = (touched.start, touched.len() - 1);
        let taken: Vec<_> = of_key.older.drain(first..first + others).collect();
        let session = of_key.at(first);
        self.open.remove(session.start);
        for other in taken.into_iter().rev() {
            self.open.remove(other.start);
            // The earliest one gives the entry of them all its place.
            if other.saved.is_some()
                && let Some(start) = std::mem::replace(&mut session.saved, other.saved)
            {
                self.gone.push((hash, key.clone(), start));
            }
            // What came up in this tick counts as one with what takes it in, whatever came first.
            let merged = session.born != self.tick && other.born != self.tick;
            self.counters.merged.add(u64::from(merged));
            if session.born == self.tick {
                session.born = other.born;
            }
            session.absorb(other, |state, other| self.aggregate.merge(state, other));
        }
        session.extend(row.time, until);
        self.aggregate.add_at(&mut session.state, row.time, &row.data);
        self.open.insert(session.start);
    }

    /// Gives the results that take the place of what was withdrawn in this tick.
    fn correct(&mut self, now: Now, fuel: &mut Fuel, out: &mut Vec<Timed<M::Out>>) -> bool {
        let with = (&self.session, &self.aggregate, self.lateness);
        let mut report = Report::<K, D, G, A, M>::new(with, now.before, out);
        while fuel.left() > 0
            && let Some((hash, key, start)) = self.changed.pop()
        {
            fuel.burn(1);
            let of_key = self.keys.get_mut(hash, &key, self.epoch);
            let of_key = of_key.expect("a session that was withdrawn is still open");
            let place = of_key.touched(start, start).start;
            let session = of_key.at(place);
            // Another result that this session replaces may have brought us here before.
            if session.shown.as_ref().is_some_and(|shown| !shown.withdrawn.is_empty()) {
                report.show(&key, session, now.frontier);
            }
        }
        self.changed.is_empty()
    }

    /// Does what is due about the sessions of a key. Returns how many it has looked at.
    fn settle(&mut self, timer: Timer<K>, now: Now, out: &mut Vec<Timed<M::Out>>) -> usize {
        let Timer { due, hash, key } = timer;
        let Some(of_key) = self.keys.get(hash, &key).filter(|of_key| of_key.timer == due) else {
            // A timer that an earlier one has made superfluous.
            return 0;
        };
        let (lateness, frontier) = (self.lateness, now.frontier);
        let is_gone = |session: &Open<_>| gone_at(session.until, lateness) <= frontier;
        let all = is_gone(&of_key.newest);
        let with = (&self.session, &self.aggregate, lateness);
        let mut report = Report::<K, D, G, A, M>::new(with, now.before, out);
        let mut closed = 0;
        let mut close = |mut session: Open<A::State>| {
            closed += 1;
            self.open.remove(session.start);
            if session.shown.is_none() {
                report.show(&key, &mut session, frontier);
            }
            if let Some(start) = session.saved {
                self.gone.push((hash, key.clone(), start));
            }
        };
        if all {
            let of_key = self.keys.remove(hash, &key).expect("it was found above");
            of_key.into_all().for_each(&mut close);
        } else {
            let of_key = self.keys.get_mut(hash, &key, self.epoch).expect("it was found above");
            let leading = of_key.older.partition_point(is_gone);
            of_key.older.drain(..leading).for_each(&mut close);
            let mut next = EventTime::MAX;
            for session in of_key.iter_mut() {
                if M::CORRECTS && session.shown.is_none() && complete_at(session.until) <= frontier
                {
                    report.show(&key, session, frontier);
                }
                next = next.min(due_at(session, lateness, M::CORRECTS));
            }
            of_key.timer = next;
            self.timers.push(Timer { due: next, hash, key });
        }
        self.counters.fired.add(report.fired);
        closed
    }
}

impl<K, D, F, G, A, M> TickLogic<D> for Sessions<K, D, F, G, A, M>
where
    K: Key,
    D: Data,
    F: Fn(&D) -> K + 'static,
    G: SessionGap<D>,
    A: Aggregate<D>,
    A::Output: Data,
    M: Mode<ResultOf<K, D, A>>,
{
    type Out = M::Out;
    type Side = D;

    fn apply(&mut self, before: EventTime, rows: &mut Vec<Timed<D>>, out: &mut Emit<M::Out, D>) {
        let (all, mut late) = (rows.len() as u64, 0);
        for row in rows.drain(..) {
            let seen = row.seen_frontier().max(before);
            if row.time < seen.minus(self.lateness) {
                late += 1;
                let behind = row.time.behind(seen);
                out.side.push(Timed { behind, ..row });
                continue;
            }
            let key = (self.key)(&row.data);
            let hash = key.stable_hash();
            let until = self.session.until(row.time, &row.data);
            if let Some(of_key) = self.keys.get_mut(hash, &key, self.epoch)
                && let Some(session) = of_key.extended(row.time, until)
            {
                session.extend(row.time, until);
                self.aggregate.add_at(&mut session.state, row.time, &row.data);
            } else {
                self.place((hash, key), (&row, until), before, &mut out.rows);
            }
        }
        self.counters.kept.add(all - late);
        self.counters.late.add(late);
        self.count();
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<M::Out, D>) -> bool {
        if !self.correct(now, fuel, &mut out.rows) {
            return false;
        }
        while let Some(timer) = self.timers.pop(now.frontier, fuel) {
            let looked_at = self.settle(timer, now, &mut out.rows);
            fuel.burn(looked_at);
        }
        self.count();
        if fuel.left() == 0 {
            return false;
        }
        self.counters.oldest.set(self.open.oldest());
        self.tick = self.tick.wrapping_add(1);
        true
    }
}

/// What is saved of a session beside its key and its start.
type Saved<S> = (EventTime, EventTime, S, Option<(u32, Timing, Vec<Window>)>);

/// An entry is a session, by key and start. As its end moves with every row, so would any bucket
/// made of it: all are in one bucket, and those that are gone are removed one by one. A session that
/// comes and goes between two cuts is never written.
impl<K, D, F, G, A, M> State for Sessions<K, D, F, G, A, M>
where
    K: Key,
    G: SessionGap<D>,
    A: Aggregate<D>,
    M: Mode<ResultOf<K, D, A>>,
{
    fn shape(&self) -> Shape {
        let parameters = (&self.session, self.lateness, M::CORRECTS);
        Shape::of("session", &parameters).with::<(K, EventTime)>().with::<Saved<A::State>>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        while let Some((hash, key, start)) = self.gone.pop() {
            out.remove(0, 0, hash, &(key, start));
            fuel.burn(1);
            if fuel.left() == 0 {
                return false;
            }
        }
        let done = self.keys.each_touched(self.epoch, fuel, |hash, key, of_key| {
            for session in of_key.iter_mut().filter(|session| session.dirty) {
                session.dirty = false;
                let Open { start, last, until, .. } = *session;
                if let Some(was) = session.saved.replace(start).filter(|&was| was != start) {
                    out.remove(0, 0, hash, &(key, was));
                }
                let shown = session.shown.as_ref();
                let shown = shown.map(|shown| (shown.index, shown.timing, &shown.merged_from));
                out.put(0, 0, hash, &(key, start), &(last, until, &session.state, shown));
            }
        });
        if done {
            self.epoch.advance();
        }
        done
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        let (key, start): (K, EventTime) = entry.key()?;
        let (last, until, state, shown): Saved<A::State> = entry.value()?;
        let shown = shown.map(|(index, timing, merged_from)| {
            Box::new(Shown { index, timing, merged_from, withdrawn: Vec::new() })
        });
        let (dirty, saved, born) = (false, Some(start), 0);
        let session = Open { start, last, until, state, shown, dirty, saved, born };
        let due = due_at(&session, self.lateness, M::CORRECTS);
        let hash = key.stable_hash();
        if let Some(of_key) = self.keys.get_mut(hash, &key, self.epoch) {
            of_key.insert(of_key.touched(start, until).start, session);
            if due < of_key.timer {
                of_key.timer = due;
                self.timers.push(Timer { due, hash, key });
            }
        } else {
            self.timers.push(Timer { due, hash, key: key.clone() });
            self.keys.load(key, OfKey::of(session, due));
        }
        self.open.insert(start);
        self.count();
        Ok(())
    }
}
