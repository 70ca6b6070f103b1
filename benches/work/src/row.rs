//! What a work is made of.

use std::sync::Arc;
use std::time::Duration;

use timely::dataflow::Scope;

use crate::{Feed, Load, Shared, Tally, Totals, dedup, exchange, join, session, view, window};

/// Something to do, in several ways.
pub struct Work {
    /// Its name: `window`.
    pub name: &'static str,
    /// How many events it is given if nobody says, so that it takes some ten seconds on two cores.
    pub events: u64,
    /// Of how many keys, one number after the other.
    pub keys: &'static [u64],
    /// The ways, each after the one it is compared with. The first makes the events and no more.
    pub rows: fn() -> Vec<Row>,
}

/// All there are.
pub const WORKS: [Work; 6] =
    [window::WORK, dedup::WORK, join::WORK, session::WORK, view::WORK, exchange::WORK];

/// Keys of which some work is so much that it is done on fewer events.
const MANY: u64 = 100_000;

/// A way to do the work.
#[derive(Clone, Copy)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// How it is run.
    pub run: Run,
    /// Which row does the same work with bare means, and how what they give must agree.
    pub floor: Option<(&'static str, Agrees)>,
    /// Which row does other work that it is worth a comparison with.
    pub beside: Option<&'static str>,
    /// With 100,000 keys and more it is given the events by this number, because it takes long.
    pub part: u64,
    /// How long its ticks last, whatever is asked for.
    pub tick: Option<Duration>,
}

/// How a row is run.
#[derive(Clone, Copy)]
pub enum Run {
    /// As a loop on one thread.
    Loop(fn(Load) -> Totals),
    /// As a dataflow on all workers.
    Flow(for<'s> fn(&Feed<'s>, Tally)),
}

/// How much of what a row gives must be what its floor gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agrees {
    /// Everything.
    Wholly,
    /// What it adds up to, where results come in several parts.
    InSum,
    /// There are at most as many: the row may lose some.
    AtMost,
}

impl Agrees {
    /// Whether this is so.
    pub fn holds(self, row: Totals, floor: Totals) -> bool {
        match self {
            Agrees::Wholly => row == floor,
            Agrees::InSum => row.sum == floor.sum,
            Agrees::AtMost => row.results <= floor.results,
        }
    }
}

impl Row {
    /// A loop.
    pub(crate) fn bare(name: &'static str, run: fn(Load) -> Totals) -> Row {
        Row::new(name, Run::Loop(run))
    }

    /// A dataflow.
    pub(crate) fn flow(name: &'static str, build: for<'s> fn(&Feed<'s>, Tally)) -> Row {
        Row::new(name, Run::Flow(build))
    }

    fn new(name: &'static str, run: Run) -> Row {
        Row { name, run, floor: None, beside: None, part: 1, tick: None }
    }

    /// To be compared with this row, and to give the same.
    pub(crate) fn gives(self, floor: &'static str, agrees: Agrees) -> Row {
        Row { floor: Some((floor, agrees)), ..self }
    }

    /// To be shown beside this row, too.
    pub(crate) fn beside(self, other: &'static str) -> Row {
        Row { beside: Some(other), ..self }
    }

    /// Over a part of the events where there are many keys.
    pub(crate) fn part(self, of: u64) -> Row {
        Row { part: of, ..self }
    }

    /// In ticks that last so long.
    pub(crate) fn tick(self, tick: Duration) -> Row {
        Row { tick: Some(tick), ..self }
    }

    /// The part of the events that it is given.
    pub fn load(&self, all: Load) -> Load {
        if all.keys < MANY { all } else { all.part(self.part) }
    }

    /// Builds the dataflow of this row, or runs its loop: on the first worker, as there is only one.
    pub fn start(&self, scope: Scope<'_, u64>, load: Load, tick: Duration, into: &Arc<Shared>) {
        let load = self.load(load);
        match self.run {
            Run::Loop(run) if scope.index() == 0 => into.add(run(load)),
            Run::Loop(_) => (),
            Run::Flow(build) => {
                build(&Feed::new(scope, load, self.tick.unwrap_or(tick)), Tally::of(into));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_compared_with_rows_before_them() {
        for work in WORKS {
            let rows = (work.rows)();
            for (at, row) in rows.iter().enumerate() {
                let before = |name: &str| rows[..at].iter().find(|row| row.name == name);
                assert!(before(row.name).is_none(), "two rows are called {}", row.name);
                if let Some((floor, _)) = row.floor {
                    let floor = before(floor).expect("the floor is there");
                    assert_eq!(floor.part, row.part, "{} has other events", row.name);
                }
                assert!(row.beside.is_none_or(|other| before(other).is_some()), "{}", row.name);
                let compared = row.floor.is_some() || matches!(row.run, Run::Loop(_));
                assert!(compared, "{}: nobody looks at what it gives", row.name);
            }
        }
    }

    /// Every work on one and on three workers, with uneven keys, too.
    #[test]
    fn all_ways_give_the_same() {
        for work in WORKS {
            for (keys, skew) in [(20, 0), (5_000, 0), (500, 30), (200_000, 0)] {
                for workers in [1, 3] {
                    let load = Load { events: 60_000, keys, skew };
                    let rows = (work.rows)();
                    let gave: Vec<Totals> =
                        rows.iter().map(|row| run(row, load, workers)).collect();
                    for (row, totals) in rows.iter().zip(&gave) {
                        let Some((name, agrees)) = row.floor else { continue };
                        let at = rows.iter().position(|row| row.name == name).unwrap();
                        let what = format!("{}: {} / {name}, {keys} keys", work.name, row.name);
                        assert!(
                            agrees.holds(*totals, gave[at]),
                            "{what}: {totals:?} {:?}",
                            gave[at]
                        );
                        assert!(gave[at].results > 0, "{what}: nothing to compare");
                    }
                }
            }
        }
    }

    fn run(row: &Row, load: Load, workers: usize) -> Totals {
        let shared = Arc::new(Shared::default());
        let (into, tick) = (shared.clone(), Duration::from_millis(2));
        let row = *row;
        timely::execute(timely::Config::process(workers), move |worker| {
            worker.dataflow::<u64, _, _>(|scope| row.start(scope, load, tick, &into));
        })
        .expect("timely starts")
        .join()
        .into_iter()
        .for_each(|worker| worker.expect("no worker panics"));
        shared.totals()
    }

    #[test]
    fn what_differs_does_not_agree() {
        let (one, other) = (Totals { results: 3, sum: 7 }, Totals { results: 2, sum: 7 });
        assert!(Agrees::Wholly.holds(one, one) && !Agrees::Wholly.holds(one, other));
        assert!(Agrees::InSum.holds(one, other));
        assert!(!Agrees::InSum.holds(one, Totals { sum: 8, ..one }));
        assert!(Agrees::AtMost.holds(other, one) && !Agrees::AtMost.holds(one, other));
    }
}
