//! The frontier of an operator, from the marks of all source instances that feed it.
//!
//! *f(e) = max(f(e−1), the least frontier over the active instances).* As long as one instance is
//! unknown, or none is active but one is idle, it stays where it is. It is the end of time once all
//! instances have finished or read nothing, and at least one has finished.

use super::{Mark, SourceId, Standing};
use crate::events_time::Shift;
use crate::time::{EventTime, Span};

/// The marks of all source instances, and the frontier they add up to.
#[derive(Clone, Debug)]
pub struct Watermarks {
    /// One entry per source: where its frontier stands for the rows that come here, and the last
    /// mark of each worker's instance.
    sources: Vec<(SourceId, Shift, Vec<Option<Mark>>)>,
    /// f(e) of the last tick that was completed.
    frontier: EventTime,
    /// An instance has left a partition out of its frontier at some time.
    excluded: bool,
}

/// Who keeps a frontier where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// No mark has come from this instance yet.
    Silent(SourceId, u32),
    /// The instance that made this mark.
    Instance(Mark),
    /// All instances are idle or read nothing.
    AllIdle,
    /// Nobody: the input has ended.
    Nobody,
}

impl Watermarks {
    /// Nothing known yet about these sources. The delay of a source is how much later its rows may
    /// be than its own frontier, because of what lies between.
    pub fn new(sources: impl IntoIterator<Item = (SourceId, Span)>, workers: usize) -> Self {
        let shifts = sources.into_iter().map(|(id, delay)| (id, Shift::earlier(delay)));
        Self::shifted(shifts, workers)
    }

    /// The same where the rows of a source may also be shifted to later times, with its frontier.
    pub fn shifted(sources: impl IntoIterator<Item = (SourceId, Shift)>, workers: usize) -> Self {
        let sources =
            sources.into_iter().map(|(id, shift)| (id, shift, vec![None; workers])).collect();
        Watermarks { sources, frontier: EventTime::MIN, excluded: false }
    }

    /// Goes on from the frontier as of a cut: it never goes back from there.
    pub fn restore(&mut self, frontier: EventTime) {
        self.frontier = self.frontier.max(frontier);
    }

    /// Takes in a mark of the tick that is being completed.
    pub fn apply(&mut self, mark: Mark) {
        self.excluded |= mark.excluded;
        for (id, _, workers) in &mut self.sources {
            if *id == mark.source
                && let Some(slot) = workers.get_mut(mark.worker as usize)
            {
                *slot = Some(mark);
            }
        }
    }

    /// All marks of the tick are in: moves the frontier and returns it.
    pub fn advance(&mut self) -> EventTime {
        let (least, _) = self.least();
        self.frontier = self.frontier.max(least);
        self.frontier
    }

    /// The frontier as of the last tick that was completed.
    pub fn frontier(&self) -> EventTime {
        self.frontier
    }

    /// Whether a partition was ever left out of the frontier while it could still speak.
    pub fn excluded(&self) -> bool {
        self.excluded
    }

    /// Who keeps the frontier where it is.
    pub fn holder(&self) -> Holder {
        self.least().1
    }

    /// The frontier that the marks allow, and whose mark decides.
    fn least(&self) -> (EventTime, Holder) {
        let mut least: Option<(EventTime, Mark)> = None;
        let (mut idle, mut finished) = (false, false);
        for (id, shift, workers) in &self.sources {
            for (worker, mark) in workers.iter().enumerate() {
                let Some(mark) = mark else {
                    let worker = u32::try_from(worker).expect("there are at most 4096 workers");
                    return (EventTime::MIN, Holder::Silent(*id, worker));
                };
                match mark.standing {
                    Standing::Unknown => return (EventTime::MIN, Holder::Instance(*mark)),
                    Standing::Active => {
                        let frontier = shift.of(mark.frontier);
                        if least.is_none_or(|(least, _)| frontier < least) {
                            least = Some((frontier, *mark));
                        }
                    }
                    Standing::Idle => idle = true,
                    Standing::None => {}
                    Standing::Finished => finished = true,
                }
            }
        }
        match least {
            Some((frontier, mark)) => (frontier, Holder::Instance(mark)),
            None if finished && !idle => (EventTime::MAX, Holder::Nobody),
            None => (EventTime::MIN, Holder::AllIdle),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mark(source: u64, worker: u32, standing: Standing, micros: i64) -> Mark {
        let frontier = EventTime::from_micros(micros);
        Mark {
            source: SourceId(source),
            worker,
            standing,
            frontier,
            holder: None,
            excluded: false,
            cut: false,
            made_at: 0,
        }
    }

    #[test]
    fn a_finished_file_beside_an_idle_topic_does_not_run_to_the_end_of_time() {
        let mut table = Watermarks::new([(SourceId(1), Span::ZERO), (SourceId(2), Span::ZERO)], 1);
        table.apply(mark(1, 0, Standing::Active, 10));
        assert_eq!(table.advance(), EventTime::MIN, "source 2 has not spoken");
        table.apply(mark(1, 0, Standing::Finished, 0));
        table.apply(mark(2, 0, Standing::Idle, 0));
        assert_eq!(table.advance(), EventTime::MIN);
        assert_eq!(table.holder(), Holder::AllIdle);
        table.apply(mark(2, 0, Standing::Active, 7));
        assert_eq!(table.advance(), EventTime::from_micros(7));
        table.apply(mark(2, 0, Standing::Finished, 0));
        assert_eq!(table.advance(), EventTime::MAX);
    }

    #[test]
    fn a_delay_keeps_one_source_back() {
        let delay = Span::from_micros(5);
        let mut table = Watermarks::new([(SourceId(1), delay), (SourceId(2), Span::ZERO)], 1);
        table.apply(mark(1, 0, Standing::Active, 10));
        table.apply(mark(2, 0, Standing::Active, 8));
        assert_eq!(table.advance(), EventTime::from_micros(5));
    }

    fn standing() -> impl Strategy<Value = Standing> {
        prop_oneof![
            Just(Standing::Unknown),
            Just(Standing::Active),
            Just(Standing::Idle),
            Just(Standing::None),
            Just(Standing::Finished),
        ]
    }

    proptest! {
        /// The table of states, written down a second time as plain rules over the whole list.
        #[test]
        fn follows_the_table_of_states(
            ticks in prop::collection::vec(
                prop::collection::vec((0u64..2, 0u32..3, standing(), 0i64..50), 0..6),
                1..12,
            )
        ) {
            let ids = [(SourceId(0), Span::ZERO), (SourceId(1), Span::ZERO)];
            let mut table = Watermarks::new(ids, 3);
            let mut last: [Option<(Standing, i64)>; 6] = [None; 6];
            let mut expected = i64::MIN;
            for tick in ticks {
                for (source, worker, standing, time) in tick {
                    table.apply(mark(source, worker, standing, time));
                    last[source as usize * 3 + worker as usize] = Some((standing, time));
                }
                let all: Vec<_> = last.iter().map(|m| m.map_or(Standing::Unknown, |m| m.0)).collect();
                let active = last.iter().flatten().filter(|m| m.0 == Standing::Active).map(|m| m.1);
                let now = if all.contains(&Standing::Unknown) {
                    i64::MIN
                } else if let Some(least) = active.min() {
                    least
                } else if all.contains(&Standing::Finished) && !all.contains(&Standing::Idle) {
                    i64::MAX
                } else {
                    i64::MIN
                };
                expected = expected.max(now);
                prop_assert_eq!(table.advance(), EventTime::from_micros(expected));
            }
        }
    }
}
