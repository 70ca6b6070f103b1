//! The generator as a source: each worker makes the events of its partitions, at a rate or as fast
//! as they are taken.

use std::sync::Arc;
use std::time::Instant;

use tiderace_operators::time::EventTime;

use super::{SensorEvent, Sensors};
use crate::error::{Error, Kind};
use crate::source::{
    Batch, Message, Offset, Partition, PartitionEvent, Poll, Positions, Replay, Source,
    SourceContext,
};

/// What makes the generators of all workers.
#[derive(Clone)]
pub struct GeneratorBuilder {
    name: Arc<str>,
    sensors: Sensors,
    events: Option<u64>,
    rate: Option<f64>,
    start: Positions,
}

impl GeneratorBuilder {
    /// Ends after so many events over all partitions; without end unless told.
    #[must_use]
    pub fn events(mut self, events: u64) -> Self {
        self.events = Some(events);
        self
    }

    /// So many events a second over all partitions; as fast as they are taken unless told.
    #[must_use]
    pub fn rate(mut self, per_second: f64) -> Self {
        self.rate = Some(per_second);
        self
    }

    /// Goes on at these positions instead of the beginning.
    #[must_use]
    pub fn start_at(mut self, positions: Positions) -> Self {
        self.start = positions;
        self
    }

    /// The source of one worker.
    pub fn build(&self, context: SourceContext) -> Result<Generator, Error> {
        self.sensors.check()?;
        if let Some(rate) = self.rate
            && !(rate > 0.0 && rate.is_finite())
        {
            let message =
                format!("source `{}`: a rate of {rate} events per second is none", self.name);
            return Err(Error::new(Kind::Config, message));
        }
        let partitions = self.sensors.partitions;
        let start = |partition| {
            self.start.iter().find(|(p, _)| *p == partition).map_or(0, |(_, offset)| *offset)
        };
        let own: Vec<_> = (0..partitions)
            .filter(|partition| *partition as usize % context.peers == context.worker)
            .map(|partition| (partition, start(partition)))
            .collect();
        let share = own.len() as f64 / f64::from(partitions);
        Ok(Generator {
            name: self.name.clone(),
            sensors: self.sensors,
            events: self.events,
            announce: own.clone(),
            live: own,
            turn: 0,
            pace: self.rate.map(|rate| Pace { rate: rate * share, begun: None, made: 0 }),
        })
    }
}

/// One worker's part of the generator.
pub struct Generator {
    name: Arc<str>,
    sensors: Sensors,
    events: Option<u64>,
    announce: Positions,
    /// The partitions that have not ended, with the offset of the next event.
    live: Positions,
    /// Which of them is next.
    turn: usize,
    pace: Option<Pace>,
}

/// Holds events back until they are due.
struct Pace {
    /// Events a second on this worker.
    rate: f64,
    /// When the first event was asked for.
    begun: Option<Instant>,
    made: u64,
}

impl Pace {
    /// How many events are due and not made yet.
    fn due(&mut self, now: Instant) -> u64 {
        let begun = *self.begun.get_or_insert(now);
        let due = now.duration_since(begun).as_secs_f64() * self.rate;
        (due as u64 + 1).saturating_sub(self.made)
    }
}

impl Generator {
    /// A source of the events of this series.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(name: impl Into<Arc<str>>, sensors: Sensors) -> GeneratorBuilder {
        let (name, start) = (name.into(), Positions::new());
        GeneratorBuilder { name, sensors, events: None, rate: None, start }
    }

    /// The next event of the partition whose turn it is, or the end of that partition.
    #[inline]
    fn step(&mut self, batch: &mut Batch<SensorEvent>) -> bool {
        let (partition, offset) = self.live[self.turn];
        let count = u64::from(self.sensors.partitions);
        let index = offset.checked_mul(count).and_then(|at| at.checked_add(partition.into()));
        let Some(index) = index.filter(|index| self.events.is_none_or(|end| *index < end)) else {
            batch.event(partition, PartitionEvent::Finished);
            self.live.remove(self.turn);
            self.turn = if self.turn < self.live.len() { self.turn } else { 0 };
            return false;
        };
        let event = self.sensors.event(index);
        batch.push(Message {
            partition,
            next: offset + 1,
            timestamp: Some(EventTime::from_millis(event.at)),
            bytes: size_of::<SensorEvent>() as u32,
            record: Ok(event),
        });
        self.live[self.turn].1 = offset + 1;
        self.turn = if self.turn + 1 < self.live.len() { self.turn + 1 } else { 0 };
        true
    }
}

impl Source for Generator {
    type Record = SensorEvent;

    fn name(&self) -> &str {
        &self.name
    }

    fn replay(&self) -> Replay {
        Replay::FromPosition
    }

    fn consume(&mut self, limit: usize, batch: &mut Batch<SensorEvent>) -> Result<Poll, Error> {
        for (partition, offset) in self.announce.drain(..) {
            batch.event(partition, PartitionEvent::Assigned(offset));
        }
        let due = self.pace.as_mut().map_or(u64::MAX, |pace| pace.due(Instant::now()));
        let mut left = usize::try_from(due).map_or(limit, |due| due.min(limit));
        let held_back = left < limit;
        while left > 0 && !self.live.is_empty() {
            if self.step(batch) {
                left -= 1;
                if let Some(pace) = &mut self.pace {
                    pace.made += 1;
                }
            }
        }
        Ok(match () {
            () if self.live.is_empty() => Poll::Finished,
            () if held_back => Poll::Pending,
            () => Poll::Ready,
        })
    }

    /// There is nobody to tell.
    fn commit(&mut self, _: &[(Partition, Offset)]) -> Result<(), Error> {
        Ok(())
    }

    fn close(&mut self) {
        self.live.clear();
    }
}
