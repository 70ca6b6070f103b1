//! Triggers that fit most needs, and their combinations.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::logic::{PaneSoFar, TriggerLogic, Wake};
use crate::time::{EventTime, Span};

/// When a window gives early results.
///
/// All of these speak of one key in one window, and of what has come **since its last result**; every
/// result, for whatever reason, starts them anew. They are decided at the end of a tick, so that ten
/// rows in one tick fire a count of three once, with all ten.
///
/// ```
/// use tiderace_operators::time::{mins, secs};
/// use tiderace_operators::window::Trigger;
///
/// // The first result at once, the next after 100 more rows, then one a minute at most.
/// let _ = Trigger::after_each([
///     Trigger::each_change(),
///     Trigger::count(100),
///     Trigger::every(mins(1)),
/// ]);
/// // At least 50 new rows, but not before ten seconds are over.
/// let _ = Trigger::all([Trigger::count(50), Trigger::every(secs(10))]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger(Node);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    OnTime,
    Every(Span),
    EveryEventTime(Span),
    Count(u64),
    Any(Vec<Trigger>),
    All(Vec<Trigger>),
    AfterEach(Vec<Trigger>),
}

impl Trigger {
    /// No early result: the first comes when the frontier passes the window's end. Inside of other
    /// triggers this is a part that does not fire early: the last of
    /// [`after_each`](Trigger::after_each) to have it end.
    pub fn on_time() -> Self {
        Trigger(Node::OnTime)
    }

    /// When the first row has waited this long, in processing time: no row waits longer (to the
    /// tick), and results are at least this far apart.
    ///
    /// # Panics
    /// If the period is less than a microsecond.
    pub fn every(period: Duration) -> Self {
        Trigger(Node::Every(period_of(period)))
    }

    /// When the frontier passes the window's start and a multiple of this period: hourly results of a
    /// day are `every_event_time(hours(1))`.
    ///
    /// # Panics
    /// If the period is less than a microsecond.
    pub fn every_event_time(period: Duration) -> Self {
        Trigger(Node::EveryEventTime(period_of(period)))
    }

    /// At this many rows.
    ///
    /// # Panics
    /// If it is none.
    pub fn count(rows: u64) -> Self {
        assert!(rows > 0, "trigger: the count must be at least 1, and is {rows}");
        Trigger(Node::Count(rows))
    }

    /// At this many rows, or when the first has waited this long in processing time.
    ///
    /// # Panics
    /// If the count is none or the period less than a microsecond.
    pub fn count_or_time(rows: u64, period: Duration) -> Self {
        Self::any([Self::count(rows), Self::every(period)])
    }

    /// At the end of every tick in which a row came.
    pub fn each_change() -> Self {
        Self::count(1)
    }

    /// When one of these fires.
    ///
    /// # Panics
    /// If there are none.
    pub fn any(triggers: impl IntoIterator<Item = Trigger>) -> Self {
        Trigger(Node::Any(some(triggers)))
    }

    /// When all of these would fire.
    ///
    /// # Panics
    /// If there are none.
    pub fn all(triggers: impl IntoIterator<Item = Trigger>) -> Self {
        Trigger(Node::All(some(triggers)))
    }

    /// The first result when the first of these fires, the next when the second does, and so on; the
    /// last is repeated. Inside of another trigger it moves on with those results that are its own.
    /// When windows merge, the place that is further along counts.
    ///
    /// # Panics
    /// If there are none.
    pub fn after_each(triggers: impl IntoIterator<Item = Trigger>) -> Self {
        Trigger(Node::AfterEach(some(triggers)))
    }

    /// How many sequences are in it. They are numbered: each before those inside of it.
    fn sequences(&self) -> usize {
        match &self.0 {
            Node::Any(of) | Node::All(of) => of.iter().map(Trigger::sequences).sum(),
            Node::AfterEach(of) => 1 + of.iter().map(Trigger::sequences).sum::<usize>(),
            _ => 0,
        }
    }

    /// Its parts, with the number of the first sequence in each.
    fn parts(&self, first: usize) -> impl Iterator<Item = (usize, &Trigger)> {
        let (own, of) = match &self.0 {
            Node::Any(of) | Node::All(of) => (0, &of[..]),
            Node::AfterEach(of) => (1, &of[..]),
            _ => (0, &[][..]),
        };
        of.iter().scan(first + own, |next, part| {
            let first = *next;
            *next += part.sequences();
            Some((first, part))
        })
    }

    /// The part of a sequence that is next.
    fn current(&self, places: &Places, first: usize) -> (usize, &Trigger) {
        let place = places.get(first);
        let last = self.parts(first).take(place + 1).last();
        last.expect("a sequence has a part")
    }

    fn is_due(&self, places: &Places, first: usize, pane: &PaneSoFar) -> bool {
        match &self.0 {
            Node::OnTime => false,
            Node::Every(period) => pane.waited() >= *period,
            Node::EveryEventTime(period) => {
                steps(pane, *period, pane.now.frontier) > steps(pane, *period, pane.since.frontier)
            }
            Node::Count(rows) => pane.rows >= *rows,
            Node::Any(_) => self.parts(first).any(|(first, of)| of.is_due(places, first, pane)),
            Node::All(_) => self.parts(first).all(|(first, of)| of.is_due(places, first, pane)),
            Node::AfterEach(_) => {
                let (first, of) = self.current(places, first);
                of.is_due(places, first, pane)
            }
        }
    }

    /// Moves those sequences on that were due.
    fn advance(&self, places: &mut Places, first: usize, pane: &PaneSoFar) {
        match &self.0 {
            Node::Any(_) | Node::All(_) => {
                self.parts(first).for_each(|(first, of)| of.advance(places, first, pane));
            }
            Node::AfterEach(of) => {
                let (inner, part) = self.current(places, first);
                if part.is_due(places, inner, pane) {
                    part.advance(places, inner, pane);
                    if places.get(first) + 1 < of.len() {
                        places.step(first);
                    }
                }
            }
            _ => {}
        }
    }

    fn next(&self, places: &Places, first: usize, pane: &PaneSoFar) -> Wake {
        match &self.0 {
            Node::OnTime | Node::Count(_) => Wake::NEVER,
            Node::Every(period) => Wake::at_wall(pane.since.wall.plus(*period)),
            Node::EveryEventTime(period) => {
                let start = pane.window.start.micros();
                let step =
                    (steps(pane, *period, pane.since.frontier) + 1).saturating_mul(period.micros());
                Wake::at_frontier(EventTime::from_micros(start.saturating_add(step)))
            }
            Node::Any(_) | Node::All(_) => {
                let parts = self.parts(first).map(|(first, of)| of.next(places, first, pane));
                parts.map(|wake| wake.after(pane.now)).fold(Wake::NEVER, Wake::or)
            }
            Node::AfterEach(_) => {
                let (first, of) = self.current(places, first);
                of.next(places, first, pane)
            }
        }
    }
}

impl TriggerLogic for Trigger {
    type State = Places;

    fn fires_early(&self) -> bool {
        match &self.0 {
            Node::OnTime => false,
            Node::Any(of) | Node::AfterEach(of) => of.iter().any(Trigger::fires_early),
            Node::All(of) => of.iter().all(Trigger::fires_early),
            Node::Every(_) | Node::EveryEventTime(_) | Node::Count(_) => true,
        }
    }

    fn fires(&self, places: &Places, pane: &PaneSoFar) -> bool {
        self.is_due(places, 0, pane)
    }

    fn fired(&self, places: &mut Places, pane: &PaneSoFar) {
        self.advance(places, 0, pane);
    }

    fn wake(&self, places: &Places, pane: &PaneSoFar) -> Wake {
        self.next(places, 0, pane)
    }

    fn merge(&self, places: &mut Places, other: &Places) {
        for (at, &place) in other.0.iter().enumerate() {
            while places.get(at) < place as usize {
                places.step(at);
            }
        }
    }
}

/// How far each [`after_each`](Trigger::after_each) of a trigger has come. Nothing is allocated
/// before one of them moves on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places(Vec<u32>);

impl Places {
    fn get(&self, sequence: usize) -> usize {
        self.0.get(sequence).map_or(0, |&place| place as usize)
    }

    fn step(&mut self, sequence: usize) {
        if self.0.len() <= sequence {
            self.0.resize(sequence + 1, 0);
        }
        self.0[sequence] += 1;
    }
}

/// How many whole periods of a window are before a frontier.
fn steps(pane: &PaneSoFar, period: Span, frontier: EventTime) -> i64 {
    let start = pane.window.start;
    if frontier <= start { 0 } else { start.behind(frontier).micros() / period.micros() }
}

fn period_of(period: Duration) -> Span {
    assert!(!period.is_zero(), "trigger: the period must be at least 1 us, and is {period:?}");
    period.into()
}

fn some(triggers: impl IntoIterator<Item = Trigger>) -> Vec<Trigger> {
    let triggers: Vec<_> = triggers.into_iter().collect();
    assert!(!triggers.is_empty(), "trigger: a combination needs at least one trigger, and has 0");
    triggers
}
