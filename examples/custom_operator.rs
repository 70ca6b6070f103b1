//! An event-time operator of one's own: the gaps in each sensor's readings.
//!
//! *A gap (sensor, from, to) is in the output iff `from` and `to` are neighbours among the event
//! times of the sensor's readings and at least [`LONGEST`] apart.* It is sent in the tick in which
//! the frontier passes `to`, because only then nothing can come between. Readings behind the
//! frontier are too late to matter and are set aside. Its state can be cut and restored.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tiderace::prelude::*;
use tiderace::runtime::{Outcome, finish};
use tiderace::sink::memory::Collected;
use tiderace::source::iter::IterSource;
use tiderace_operators::key::{StableHash, route};
use tiderace_operators::observe::Counters;
use tiderace_operators::state::{Corrupt, Entry, Epoch, Saver, Shape, State, Table};
use tiderace_operators::tick::{Emit, Fuel, Now, TickLogic, tick_operator};
use tiderace_operators::time::Span;
use timely::dataflow::channels::pact::Exchange;

/// From here on a silence is a gap.
const LONGEST: i64 = 30_000_000;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Gap {
    sensor: u32,
    from: EventTime,
    to: EventTime,
}

/// Plain state: it needs no timely to be tested.
struct Gaps {
    /// What becomes of every reading.
    counters: Arc<Counters>,
    /// Readings that the frontier has not passed, by event time.
    ahead: BTreeMap<EventTime, BTreeSet<u32>>,
    /// Those that have come since the last cut.
    fresh: Vec<(EventTime, u32)>,
    /// The newest reading of each sensor that the frontier has passed.
    newest: Table<u32, EventTime>,
    /// What changes now is part of this cut.
    epoch: Epoch,
    frontier: EventTime,
}

impl TickLogic<u32> for Gaps {
    type Out = Gap;
    type Side = u32;

    fn apply(&mut self, before: EventTime, rows: &mut Vec<Timed<u32>>, out: &mut Emit<Gap, u32>) {
        let all = rows.len() as u64;
        for row in rows.drain(..) {
            if row.time < before || !row.behind.is_zero() {
                out.side.push(row);
            } else {
                self.ahead.entry(row.time).or_default().insert(row.data);
                self.fresh.push((row.time, row.data));
            }
        }
        // The books balance: every reading is kept or late.
        self.counters.kept.add(all - out.side.len() as u64);
        self.counters.late.add(out.side.len() as u64);
    }

    fn close(&mut self, now: Now, fuel: &mut Fuel, out: &mut Emit<Gap, u32>) -> bool {
        self.frontier = now.frontier;
        while let Some(entry) = self.ahead.first_entry()
            && *entry.key() < now.frontier
        {
            if fuel.left() == 0 {
                return false; // There is more: the worker comes back after it has let others run.
            }
            let (to, sensors) = entry.remove_entry();
            fuel.burn(sensors.len());
            for sensor in sensors {
                let hash = sensor.stable_hash();
                let (newest, _) = self.newest.entry(hash, sensor, self.epoch, || to);
                let from = std::mem::replace(newest, to);
                if from.behind(to) >= Span::from_micros(LONGEST) {
                    out.rows.push(Timed::on_time(to, Gap { sensor, from, to }));
                }
            }
        }
        true
    }
}

/// The tables of saved state.
const AHEAD: u8 = 0;
const NEWEST: u8 = 1;

impl State for Gaps {
    fn shape(&self) -> Shape {
        Shape::of("gaps", &LONGEST).with::<(u32, EventTime)>()
    }

    fn save(&mut self, fuel: &mut Fuel, out: &mut Saver) -> bool {
        if !self.newest.save((NEWEST, 0), self.epoch, fuel, out) {
            return false;
        }
        for (time, sensor) in self.fresh.drain(..).filter(|(time, _)| *time >= self.frontier) {
            out.put(AHEAD, time.micros(), sensor.stable_hash(), &sensor, &());
        }
        // Readings that the frontier has passed are not needed again, on any worker.
        out.drop_below(AHEAD, self.frontier.micros());
        self.epoch.advance();
        true
    }

    fn load(&mut self, entry: &Entry<'_>) -> Result<(), Corrupt> {
        if entry.table == NEWEST {
            self.newest.load(entry.key()?, entry.value()?);
        } else {
            let time = EventTime::from_micros(entry.bucket);
            self.ahead.entry(time).or_default().insert(entry.key()?);
        }
        Ok(())
    }
}

/// The gaps of a stream of sensor numbers, and the readings that came too late.
fn gaps<'scope>(
    name: &str,
    readings: &Events<'scope, u64, u32>,
) -> WithLate<'scope, u64, Gap, u32> {
    let clock = readings.parts().1;
    let counters = clock.observer().register(name, "gaps", readings.scope().index());
    // All readings of a sensor meet on one worker.
    let by_sensor = Exchange::new(|row: &Timed<u32>| route(row.data.stable_hash()));
    let state = Gaps {
        counters: counters.clone(),
        ahead: BTreeMap::new(),
        fresh: Vec::new(),
        newest: Table::default(),
        epoch: Epoch::default(),
        frontier: EventTime::MIN,
    };
    let (gaps, late) = tick_operator(name, readings, by_sensor, state, counters);
    WithLate::new(Events::from_parts(gaps, clock.clone()), Events::from_parts(late, clock))
}

/// Sensor `s` reads once a second, but every `10 (s + 3)` seconds it falls silent for as long as it
/// has read; pairs of neighbouring readings arrive in reverse.
fn readings() -> impl Iterator<Item = (i64, u32)> {
    let reads = |(at, sensor): &(i64, u32)| at / (10 * (i64::from(*sensor) + 3)) % 2 == 0;
    (0..600).map(|n| n ^ 1).flat_map(|at| (0..4).map(move |sensor| (at, sensor))).filter(reads)
}

fn main() -> ExitCode {
    finish(run())
}

fn run() -> Result<(), Error> {
    let found = Collected::new();
    let seen = found.clone();
    let outcome = tiderace::execute(std::env::args(), move |worker| {
        worker.dataflow(|flow| {
            let share = |worker, peers| readings().skip(worker).step_by(peers);
            let source = IterSource::new("readings", share);
            let times = event_time(|r: &(i64, u32)| EventTime::from_secs(r.0)).behind(secs(2));
            let readings = flow.source("readings", |context| source.build(context), times);
            let gaps = gaps("gaps", &readings.events.map(|(_, sensor)| sensor));
            gaps.late().inspect(|row| panic!("nothing is late here, but sensor {} is", row.data));
            flow.sink("gaps", &gaps, |_| Ok(seen.sink("gaps")));
        });
        Ok(())
    })?;

    let found = found.sorted();
    for Gap { sensor, from, to } in &found {
        println!("sensor {sensor} was silent from {from} to {to}");
    }
    if matches!(&outcome, Outcome::Finished { process, .. } if process.processes() == 1) {
        assert_eq!(found, sorted_and_compared(readings().collect()));
    }
    Ok(())
}

/// The same, the slow and obvious way.
fn sorted_and_compared(mut readings: Vec<(i64, u32)>) -> Vec<Gap> {
    readings.sort_by_key(|&(at, sensor)| (sensor, at));
    let neighbours = readings.windows(2).filter(|pair| pair[0].1 == pair[1].1);
    let gaps = neighbours.filter(|pair| (pair[1].0 - pair[0].0) * 1_000_000 >= LONGEST);
    let gap = |pair: &[(i64, u32)]| Gap {
        sensor: pair[0].1,
        from: EventTime::from_secs(pair[0].0),
        to: EventTime::from_secs(pair[1].0),
    };
    gaps.map(gap).collect()
}
