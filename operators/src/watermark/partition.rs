//! The frontiers of the partitions that one source instance reads.
//!
//! *Let m be the greatest event time of a partition among the records read from it that may move its
//! frontier. Then its frontier is m less the bound.* A record is judged against the frontier as it
//! was just before the record was read, so the verdict is a function of the partition's contents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Mark, Policy, SourceId, Standing};
use crate::time::{EventTime, Span};

/// Which records must not move the frontier, because their event time cannot be true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// Records further than this in the future of the wall clock do not move the frontier.
    pub max_future_skew: Option<Span>,
    /// Records further than this after the greatest event time of their partition do not move the
    /// frontier. Depends on the partition's contents alone.
    pub max_jump: Option<Span>,
}

/// How a partition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartitionState {
    /// Neither a record nor the end of its log has been seen.
    Unknown,
    /// It counts for the frontier.
    Active,
    /// Silent, and read to the end of its log: it does not hold the frontier.
    Idle,
    /// Nothing will ever come from it.
    Finished,
}

/// The event time of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionClock {
    /// How it stands.
    pub state: PartitionState,
    /// Every record still to come, and not late, has at least this event time.
    pub frontier: EventTime,
    /// The greatest event time that moved the frontier.
    pub newest: EventTime,
}

/// The verdict on one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// How far it is behind its partition's frontier; zero for a record on time.
    pub behind: Span,
    /// Its event time is too far ahead to be believed; it did not move the frontier.
    pub implausible: bool,
}

/// The partitions of one source instance, and what it last told about them.
#[derive(Debug)]
pub struct SourceClock {
    source: SourceId,
    worker: u32,
    policy: Policy,
    guard: Guard,
    partitions: BTreeMap<u32, PartitionClock>,
    /// All partitions that this instance will read are known, and have ended.
    ended: bool,
    /// A partition was left out of the frontier at some time.
    excluded: bool,
    /// The last mark that was made.
    told: Option<Mark>,
}

impl SourceClock {
    /// No partitions yet.
    pub fn new(source: SourceId, worker: usize, policy: Policy, guard: Guard) -> Self {
        SourceClock {
            source,
            worker: u32::try_from(worker).expect("there are at most 4096 workers"),
            policy,
            guard,
            partitions: BTreeMap::new(),
            ended: false,
            excluded: false,
            told: None,
        }
    }

    /// A partition is read by this instance from now on.
    pub fn assign(&mut self, partition: u32) {
        let late_comer = self.told.is_some_and(|mark| mark.standing != Standing::Unknown);
        self.excluded |= late_comer;
        self.partitions.entry(partition).or_insert(PartitionClock {
            state: PartitionState::Unknown,
            frontier: EventTime::MIN,
            newest: EventTime::MIN,
        });
    }

    /// A record of a partition was read; see [`PartitionClock::observe`].
    #[inline]
    pub fn observe(
        &mut self,
        partition: u32,
        time: EventTime,
        announces: bool,
        now: Option<EventTime>,
    ) -> Observed {
        let rules = self.rules();
        self.partition(partition).observe(rules, time, announces, now)
    }

    /// One partition, for records of it in a row: it is looked up once.
    pub fn partition(&mut self, partition: u32) -> &mut PartitionClock {
        if !self.partitions.contains_key(&partition) {
            self.assign(partition);
        }
        self.partitions.get_mut(&partition).expect("assigned above")
    }

    /// The rules that records are judged by.
    pub fn rules(&self) -> (Policy, Guard) {
        (self.policy, self.guard)
    }

    /// The log of a partition is read to its end. One that was silent from the start does not hold
    /// the frontier until its first record.
    pub fn caught_up(&mut self, partition: u32) {
        if let Some(clock) = self.partitions.get_mut(&partition)
            && clock.state == PartitionState::Unknown
        {
            clock.state = PartitionState::Idle;
            self.excluded = true;
        }
    }

    /// A partition has been silent at the end of its log for long enough.
    pub fn idle(&mut self, partition: u32) {
        if let Some(clock) = self.partitions.get_mut(&partition)
            && clock.state == PartitionState::Active
        {
            clock.state = PartitionState::Idle;
            self.excluded = true;
        }
    }

    /// Whether the log of a partition is read to its end is not known any more: an idle partition
    /// counts again.
    pub fn unconfirmed(&mut self, partition: u32) {
        if let Some(clock) = self.partitions.get_mut(&partition)
            && clock.state == PartitionState::Idle
        {
            let heard_of = clock.newest != EventTime::MIN;
            clock.state = if heard_of { PartitionState::Active } else { PartitionState::Unknown };
        }
    }

    /// Nothing will ever come from a partition.
    pub fn finish(&mut self, partition: u32) {
        if let Some(clock) = self.partitions.get_mut(&partition) {
            clock.state = PartitionState::Finished;
        }
    }

    /// Nothing will ever come from any partition, nor from any that is not known yet. An instance
    /// that reads none says so by this; until then it may still get one, and holds the frontier.
    pub fn finish_all(&mut self) {
        self.ended = true;
        for clock in self.partitions.values_mut() {
            clock.state = PartitionState::Finished;
        }
    }

    /// The partitions and how each stands.
    pub fn partitions(&self) -> impl Iterator<Item = (u32, &PartitionClock)> {
        self.partitions.iter().map(|(&partition, clock)| (partition, clock))
    }

    /// How the instance stands as a whole, where its frontier is, and which partition holds it.
    pub fn standing(&self) -> (Standing, EventTime, Option<u32>) {
        let mut least: Option<(EventTime, u32)> = None;
        let mut idle = false;
        for (&partition, clock) in &self.partitions {
            match clock.state {
                PartitionState::Unknown => {
                    return (Standing::Unknown, EventTime::MIN, Some(partition));
                }
                PartitionState::Active => {
                    let this = (clock.frontier, partition);
                    least = Some(least.map_or(this, |least| least.min(this)));
                }
                PartitionState::Idle => idle = true,
                PartitionState::Finished => {}
            }
        }
        match least {
            Some((frontier, partition)) => (Standing::Active, frontier, Some(partition)),
            None if idle => (Standing::Idle, EventTime::MIN, None),
            None if !self.partitions.is_empty() => (Standing::Finished, EventTime::MAX, None),
            None if self.ended => (Standing::None, EventTime::MIN, None),
            None => (Standing::Unknown, EventTime::MIN, None),
        }
    }

    /// The mark for the end of a tick: `None` if nothing has changed since the last one, unless
    /// `always` asks for one.
    pub fn mark(&mut self, made_at: i64, always: bool) -> Option<Mark> {
        let (standing, frontier, holder) = self.standing();
        let mark = Mark {
            source: self.source,
            worker: self.worker,
            standing,
            frontier,
            holder,
            excluded: self.excluded,
            cut: false,
            made_at,
        };
        let same = self.told.is_some_and(|told| Mark { made_at, ..told } == mark);
        if same && !always {
            return None;
        }
        self.told = Some(mark);
        Some(mark)
    }

    /// The mark for the end of a tick that is a cut.
    pub fn cut(&mut self, made_at: i64) -> Mark {
        let mark = self.mark(made_at, true).expect("one was asked for");
        Mark { cut: true, ..mark }
    }

    /// What the instance has to know again to go on from here: its partitions, and whether one of
    /// them was ever left out of the frontier.
    pub fn saved(&self) -> (Vec<(u32, PartitionClock)>, bool) {
        (self.partitions.iter().map(|(&id, clock)| (id, *clock)).collect(), self.excluded)
    }

    /// Takes a partition back as it was at a cut. `excluded` is that of the instance which read it.
    pub fn restore(&mut self, partition: u32, clock: PartitionClock, excluded: bool) {
        self.partitions.insert(partition, clock);
        self.excluded |= excluded;
    }

    /// The last mark that was made.
    pub fn told(&self) -> Option<Mark> {
        self.told
    }
}

impl PartitionClock {
    /// Judges one record and moves the frontier. `announces` says that a punctuated record moves it;
    /// `now` is the wall clock, if there is a guard against the future.
    #[inline]
    pub fn observe(
        &mut self,
        (policy, guard): (Policy, Guard),
        time: EventTime,
        announces: bool,
        now: Option<EventTime>,
    ) -> Observed {
        let behind = time.behind(self.frontier);
        self.state = PartitionState::Active;
        if time <= self.newest {
            return Observed { behind, implausible: false };
        }
        let too_far = |limit: Option<Span>, from: EventTime| {
            limit.is_some_and(|span| from != EventTime::MIN && time > from.plus(span))
        };
        let implausible = too_far(guard.max_jump, self.newest)
            || now.is_some_and(|now| too_far(guard.max_future_skew, now));
        if !implausible {
            match policy {
                Policy::Bounded(bound) => {
                    self.newest = time;
                    self.frontier = self.frontier.max(time.minus(bound));
                }
                Policy::Punctuated if announces => {
                    self.newest = time;
                    self.frontier = time;
                }
                Policy::Punctuated => {}
            }
        }
        Observed { behind, implausible }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> EventTime {
        EventTime::from_micros(micros)
    }

    fn clock(bound: i64, guard: Guard) -> SourceClock {
        SourceClock::new(SourceId(1), 0, Policy::Bounded(Span::from_micros(bound)), guard)
    }

    #[test]
    fn exactly_the_bound_behind_is_on_time() {
        let mut clock = clock(10, Guard::default());
        assert_eq!(clock.observe(0, at(100), false, None).behind, Span::ZERO);
        assert_eq!(clock.observe(0, at(90), false, None).behind, Span::ZERO);
        assert_eq!(clock.observe(0, at(89), false, None).behind, Span::from_micros(1));
    }

    #[test]
    fn partitions_are_judged_alone_and_the_least_holds() {
        let mut clock = clock(10, Guard::default());
        clock.observe(0, at(3_600_000_000), false, None);
        assert_eq!(clock.observe(1, at(100), false, None).behind, Span::ZERO);
        assert_eq!(clock.observe(1, at(95), false, None).behind, Span::ZERO);
        assert_eq!(clock.standing(), (Standing::Active, at(90), Some(1)));
    }

    #[test]
    fn a_future_record_flows_but_does_not_move_the_frontier() {
        let guard = Guard { max_future_skew: Some(Span::from_micros(50)), max_jump: None };
        let mut clock = clock(10, guard);
        let now = Some(at(1_000));
        clock.observe(0, at(990), false, now);
        let far = clock.observe(0, at(1_051), false, now);
        assert!(far.implausible && far.behind.is_zero());
        assert_eq!(clock.standing().1, at(980));
        assert!(!clock.observe(0, at(1_050), false, now).implausible);
        assert_eq!(clock.standing().1, at(1_040));
    }

    #[test]
    fn a_jump_is_judged_by_content_alone() {
        let guard = Guard { max_future_skew: None, max_jump: Some(Span::from_micros(100)) };
        let mut clock = clock(0, guard);
        assert!(!clock.observe(0, at(5_000_000), false, None).implausible, "the first is free");
        assert!(clock.observe(0, at(5_000_101), false, None).implausible);
        assert!(!clock.observe(0, at(5_000_100), false, None).implausible);
    }

    #[test]
    fn an_unknown_partition_holds_and_an_empty_one_does_not() {
        let mut clock = clock(0, Guard::default());
        assert_eq!(clock.standing().0, Standing::Unknown, "it may still get partitions");
        clock.assign(0);
        clock.assign(1);
        clock.observe(0, at(5), false, None);
        assert_eq!(clock.standing().0, Standing::Unknown);
        clock.caught_up(1);
        assert_eq!(clock.standing(), (Standing::Active, at(5), Some(0)));
        clock.idle(0);
        assert_eq!(clock.standing().0, Standing::Idle);
        clock.observe(0, at(6), false, None);
        assert_eq!(clock.standing(), (Standing::Active, at(6), Some(0)));
        clock.finish_all();
        assert_eq!(clock.standing().0, Standing::Finished);
        assert!(clock.mark(0, false).expect("first").excluded);
        assert_eq!(clock.mark(1, false), None, "nothing has changed");
    }

    #[test]
    fn an_instance_that_reads_nothing_says_so_once_it_knows() {
        let mut clock = clock(0, Guard::default());
        assert_eq!(clock.standing().0, Standing::Unknown);
        clock.finish_all();
        assert_eq!(clock.standing().0, Standing::None);
    }

    #[test]
    fn punctuated_records_move_the_frontier_only_when_they_say_so() {
        let mut clock = SourceClock::new(SourceId(1), 0, Policy::Punctuated, Guard::default());
        clock.observe(0, at(50), false, None);
        assert_eq!(clock.standing().1, EventTime::MIN);
        clock.observe(0, at(40), true, None);
        assert_eq!(clock.standing().1, at(40));
        assert_eq!(clock.observe(0, at(39), false, None).behind, Span::from_micros(1));
    }
}
