//! Left rows that wait until their version is known, and the versions of all keys. Plain data: no
//! timely in here.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::history::{History, Retain};
use crate::events::Data;
use crate::join::kind::Kind;
use crate::key::{Key, group};
use crate::observe::Counters;
use crate::order::Waiting;
use crate::state::{Corrupt, Entry, Saver, Scope, Shape, State};
use crate::tick::{Emit, Fuel, Now, Side, Sides, TickLogic};
use crate::time::{EventTime, Span, Timed};

/// Which version of its key a row at an instant meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The newest one at or before the instant, if it is not further away than this.
    Backward(Option<Span>),
    /// The first one at or after the instant, if it is not further away than this.
    Forward(Span),
    /// The nearest one, if it is not further away than this; of two the earlier one.
    Nearest(Span),
    /// The newest one that has come, whatever the instant.
    Latest,
}

impl Pick {
    /// How long after a row its version may be.
    pub fn ahead(self) -> Span {
        match self {
            Pick::Backward(_) | Pick::Latest => Span::ZERO,
            Pick::Forward(within) | Pick::Nearest(within) => within,
        }
    }

    fn retain(self) -> Retain {
        match self {
            Pick::Backward(None) | Pick::Latest => Retain::Newest,
            Pick::Forward(_) => Retain::Within(Span::ZERO),
            Pick::Backward(Some(within)) | Pick::Nearest(within) => Retain::Within(within),
        }
    }

    fn of<'a, K, V>(
        self,
        history: &'a History<K, V>,
        time: EventTime,
        key: (u64, &K),
    ) -> Option<(EventTime, &'a V)>
    where
        K: Key,
        V: Serialize + DeserializeOwned,
    {
        let before = |within: Span| {
            history.at(time, key).filter(|(version, _)| version.behind(time) <= within)
        };
        let after = |within: Span| {
            history.after(time, key).filter(|(version, _)| time.behind(*version) <= within)
        };
        match self {
            Pick::Backward(None) => history.at(time, key),
            Pick::Backward(Some(within)) => before(within),
            Pick::Forward(within) => after(within),
            Pick::Latest => history.at(EventTime::MAX, key),
            Pick::Nearest(within) => match (before(within), after(within)) {
                (Some(earlier), Some(later)) => {
                    let nearer = time.behind(later.0) < earlier.0.behind(time);
                    Some(if nearer { later } else { earlier })
                }
                (one, other) => one.or(other),
            },
        }
    }
}

/// How a version join is set up.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Which version is met.
    pub pick: Pick,
    /// How far behind its frontier a row of the left and the right side is accepted.
    pub late: (Span, Span),
    /// All workers hold all versions: this is the worker, and how many there are.
    pub shared: Option<(usize, usize)>,
}

impl Plan {
    /// How far a result may be behind the lesser frontier.
    pub fn delay(&self) -> Span {
        let waited = self.late.1.micros().saturating_add(self.pick.ahead().micros());
        self.late.0.max(Span::from_micros(waited))
    }
}

/// Rows that wait, and versions. `split` takes a right row apart into its key and what that is worth.
pub struct VersionJoin<K, L, R, V, FL, S, J> {
    plan: Plan,
    key: FL,
    split: S,
    waiting: Waiting<L>,
    /// The waiting rows are written, the versions not yet.
    waiting_saved: bool,
    history: History<K, V>,
    frontier: Sides,
    counters: Arc<Counters>,
    kind: PhantomData<(R, J)>,
}

impl<K, L, R, V, FL, S, J> VersionJoin<K, L, R, V, FL, S, J>
where
    K: Key,
    V: Serialize + DeserializeOwned,
{
    /// Nothing has come.
    pub fn new(plan: Plan, key: FL, split: S, counters: Arc<Counters>) -> Self {
        VersionJoin {
            plan,
            key,
            split,
            waiting: Waiting::default(),
            waiting_saved: false,
            history: History::new(plan.pick.retain()),
            frontier: Sides { left: EventTime::MIN, right: EventTime::MIN },
            counters,
            kind: PhantomData,
        }
    }

    /// Left rows before this instant meet their version now.
    fn due(&self) -> EventTime {
        match self.plan.pick {
            Pick::Latest => EventTime::MAX,
            pick => self.frontier.right.minus(self.plan.late.1).minus(pick.ahead()),
        }
    }

    /// No left row before this instant asks any more, and no right row before it comes.
    fn limit(&self) -> EventTime {
        let Sides { left, right } = self.frontier;
        match self.plan.pick {
            // Rows ask for the newest version as long as there are rows.
            Pick::Latest if left != EventTime::MAX => {
                let last = EventTime::from_micros(i64::MAX - 1);
                right.minus(self.plan.late.1).min(last)
            }
            Pick::Latest => right,
            _ => left.minus(self.plan.late.0).min(self.due()),
        }
    }

    fn count(&self) {
        self.counters.held.set((self.waiting.len() + self.history.len) as u64);
    }
}

impl<K, L, R, V, FL, S, J> TickLogic<Side<L, R>, Sides> for VersionJoin<K, L, R, V, FL, S, J>
where
    K: Key,
    L: Data + Serialize + DeserializeOwned,
    R: Data,
    V: Data + Serialize + DeserializeOwned,
    FL: Fn(&L) -> K + 'static,
    S: Fn(R) -> (K, Option<V>) + 'static,
    J: Kind<L, V>,
{
    type Out = J::Out;
    type Side = Side<L, R>;

    fn apply(
        &mut self,
        before: Sides,
        rows: &mut Vec<Timed<Side<L, R>>>,
        out: &mut Emit<J::Out, Side<L, R>>,
    ) {
        let (all, mut late) = (rows.len() as u64, 0);
        for Timed { time, behind, data } in rows.drain(..) {
            let row = Timed { time, behind, data: () };
            let (frontier, lateness) = match data {
                Side::Left(_) => (before.left, self.plan.late.0),
                Side::Right(_) => (before.right, self.plan.late.1),
            };
            let seen = row.seen_frontier().max(frontier);
            let refused = time < seen.minus(lateness);
            late += u64::from(refused);
            match data {
                Side::Left(row) if !refused => {
                    let hash = (self.key)(&row).stable_hash();
                    self.waiting.push(time, hash, row);
                }
                Side::Right(row) if !refused => {
                    let (key, value) = (self.split)(row);
                    self.history.put(time, (key.stable_hash(), key), value);
                }
                // Of a row that all workers have, one of them says that it is late.
                Side::Right(row)
                    if self.plan.shared.is_some_and(|(worker, peers)| {
                        let hash = (self.split)(row.clone()).0.stable_hash();
                        group(hash) as usize % peers != worker
                    }) => {}
                data => out.side.push(Timed { time, behind: time.behind(seen), data }),
            }
        }
        self.counters.kept.add(all - late);
        self.counters.late.add(late);
        self.count();
    }

    fn close(
        &mut self,
        now: Now<Sides>,
        fuel: &mut Fuel,
        out: &mut Emit<J::Out, Side<L, R>>,
    ) -> bool {
        self.frontier = now.frontier;
        let (due, pick) = (self.due(), self.plan.pick);
        while let Some((time, hash, row)) = self.waiting.pop(due) {
            let key = (self.key)(&row);
            let (time, result) = match pick.of(&self.history, time, (hash, &key)) {
                Some((_, value)) if pick == Pick::Latest => (time, J::pair(&row, value)),
                Some((version, value)) => (time.max(version), J::pair(&row, value)),
                None => (time.plus(pick.ahead()), J::left(&row)),
            };
            out.rows.extend(result.map(|result| Timed::on_time(time, result)));
            fuel.burn(1);
            if fuel.left() == 0 {
                self.count();
                return false;
            }
        }
        let done = self.history.expire(self.limit(), fuel);
        self.count();
        done
    }
}

/// Rows that wait are in table 0, in buckets of their time; versions are in table 1.
impl<K, L, R, V, FL, S, J> State for VersionJoin<K, L, R, V, FL, S, J>
where
    K: Key,
    L: Serialize + DeserializeOwned,
    V: Serialize + DeserializeOwned,
    FL: Fn(&L) -> K,
{
    fn shape(&self) -> Shape {
        let parameters = (self.plan.pick, self.plan.late, self.plan.shared.is_some());
        Shape::of("version_join", &parameters).with::<K>().with::<L>().with::<V>()
    }

    fn scope(&self, table: u8) -> Scope {
        match (table, self.plan.shared) {
            (1, Some(_)) => Scope::Broadcast,
            _ => Scope::Keyed,
        }
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        let due = self.due();
        self.waiting_saved = self.waiting_saved || self.waiting.save(0, due, fuel, out);
        if !self.waiting_saved || !self.history.save((1, self.plan.shared.is_some()), fuel, out) {
            return false;
        }
        self.waiting_saved = false;
        true
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        match entry.table {
            0 => _ = self.waiting.load(entry, |row| (self.key)(row).stable_hash())?,
            1 => self.history.load(entry)?,
            table => return Err(Corrupt(format!("a join with versions has no table {table}"))),
        }
        self.count();
        Ok(())
    }
}
