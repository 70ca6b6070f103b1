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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::source::Waker;

    fn context(worker: usize, peers: usize) -> SourceContext {
        SourceContext { worker, peers, waker: Waker::new(|| {}) }
    }

    fn read_all(mut source: Generator) -> Vec<(Partition, Offset, SensorEvent)> {
        let mut batch = Batch::default();
        while source.consume(7, &mut batch).unwrap() != Poll::Finished {}
        source.close();
        let messages = batch.messages.into_iter();
        messages.map(|m| (m.partition, m.next, m.record.unwrap())).collect()
    }

    #[test]
    fn the_workers_together_make_the_series_once() {
        let sensors = Sensors::default().partitions(3);
        for peers in [1, 2, 5] {
            let builder = Generator::new("sensors", sensors).events(100);
            let mut all = Vec::new();
            for worker in 0..peers {
                all.extend(read_all(builder.build(context(worker, peers)).unwrap()));
            }
            all.sort_by_key(|(partition, next, _)| (next - 1) * 3 + u64::from(*partition));
            let events: Vec<_> = all.iter().map(|(_, _, event)| *event).collect();
            assert_eq!(events, (0..100).map(|index| sensors.event(index)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn it_goes_on_where_it_stopped() {
        let builder = Generator::new("sensors", Sensors::default()).events(50);
        let whole = read_all(builder.build(context(0, 1)).unwrap());
        let mut first = builder.build(context(0, 1)).unwrap();
        let mut batch = Batch::default();
        assert_eq!(first.consume(21, &mut batch).unwrap(), Poll::Ready);
        let mut positions = Positions::new();
        for partition in 0..4 {
            let own = batch.messages.iter().filter(|message| message.partition == partition);
            positions.push((partition, own.map(|message| message.next).max().unwrap()));
        }
        let rest = read_all(builder.start_at(positions).build(context(0, 1)).unwrap());
        let mut both: Vec<_> =
            batch.messages.into_iter().map(|m| (m.partition, m.next, m.record.unwrap())).collect();
        both.extend(rest);
        let sorted = |mut all: Vec<(Partition, Offset, SensorEvent)>| {
            all.sort_by_key(|(partition, next, _)| (*partition, *next));
            all
        };
        assert_eq!(both.len(), 50);
        assert_eq!(sorted(both), sorted(whole));
    }

    #[test]
    fn every_partition_is_announced_and_ends_also_an_empty_one() {
        let builder = Generator::new("sensors", Sensors::default()).events(2);
        let mut source = builder.build(context(0, 1)).unwrap();
        let mut batch = Batch::default();
        assert_eq!(source.consume(100, &mut batch).unwrap(), Poll::Finished);
        assert_eq!(batch.len(), 2);
        for partition in 0..4 {
            let events = batch.events.iter().filter(|(_, p, _)| *p == partition);
            let events: Vec<_> = events.map(|(_, _, event)| *event).collect();
            assert_eq!(events, [PartitionEvent::Assigned(0), PartitionEvent::Finished]);
        }
    }

    #[test]
    fn a_rate_holds_events_back() {
        let mut pace = Pace { rate: 1_000.0, begun: None, made: 0 };
        let begun = Instant::now();
        assert_eq!(pace.due(begun), 1);
        pace.made = 1;
        assert_eq!(pace.due(begun), 0);
        assert_eq!(pace.due(begun + Duration::from_millis(500)), 500);
        pace.made = 501;
        assert_eq!(pace.due(begun + Duration::from_millis(500)), 0);

        let builder = Generator::new("sensors", Sensors::default()).rate(0.001);
        let mut source = builder.build(context(0, 1)).unwrap();
        let mut batch = Batch::default();
        assert_eq!(source.consume(100, &mut batch).unwrap(), Poll::Pending);
        assert_eq!(source.consume(100, &mut batch).unwrap(), Poll::Pending);
        assert_eq!(batch.len(), 1);
    }

    #[test]
    fn a_rate_of_nothing_is_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let builder = Generator::new("sensors", Sensors::default()).rate(rate);
            assert_eq!(builder.build(context(0, 1)).err().unwrap().kind(), Kind::Config);
        }
    }
}
