//! How long a record takes through Kafka: an open loop at a fixed rate.
//!
//! Events are due at fixed times and are written to a topic then, whatever becomes of them. A job copies
//! what passes a filter to another topic, and a reader takes the time at which each result comes. All of
//! it counts, from when the event was due: what waits unwritten or unread waits for its reader, too
//! (no coordinated omission). A second reader does the same with the events themselves: what producer,
//! brokers and reader take without the job.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::copy::copy;
use super::fill::checked;
use super::reader::{Plan, Reader, Shared, Side, ended, thread};
use super::report::OpenLoopReport;
use super::{Brokers, Topic, one_process};
use crate::bench::latency::percentiles;
use crate::bench::machine;
use crate::bench::reading::Readings;
use crate::bench::windowed::stopped;
use crate::error::{Error, Kind, Result};
use crate::kafka::config::Settings;
use crate::kafka::produce::Feeding;
use crate::runtime::{LaunchArgs, Process, execute_with};
use crate::sink::kafka::KafkaSinkConfig;
use crate::source::kafka::KafkaSourceConfig;

/// How long nothing happens before the memory of the idle job is looked at.
const IDLE: Duration = Duration::from_secs(2);
/// How long the last results may take, and the first ones.
const PATIENCE: Duration = Duration::from_secs(60);
/// Events for each partition that come before the first one that counts, so that all connections
/// are there.
const FIRST: u64 = 8;

/// What is run.
#[derive(Clone, Debug)]
pub struct OpenLoop {
    /// Events in a second.
    pub rate: f64,
    /// How long.
    pub lasting: Duration,
    /// How many keys.
    pub keys: u64,
    /// How many partitions each of the two topics has.
    pub partitions: usize,
}

impl OpenLoop {
    /// Runs it.
    pub fn run(&self, args: &LaunchArgs, brokers: &Brokers) -> Result<OpenLoopReport> {
        one_process(args)?;
        checked(self.partitions)?;
        let load = machine::load();
        let (from, to) =
            (brokers.topic("from", self.partitions)?, brokers.topic("to", self.partitions)?);
        let first = FIRST * self.partitions as u64;
        let plan = Plan {
            readings: Readings { keys: self.keys },
            rate: self.rate,
            first,
            events: first + (self.rate * self.lasting.as_secs_f64()) as u64,
        };
        let reader = Reader::start(&to, plan, Side::Results)?;
        let direct = Reader::start(&from, plan, Side::Events)?;
        let (job, process) = job(args, &from, &to, plan)?;
        let broken = || job.is_finished() || reader.is_finished() || direct.is_finished();
        let fed = self.feed(&from, plan, [&reader.shared, &direct.shared], broken);
        // However that went: everybody stops, and the first error is told.
        if let Ok(process) = process.recv() {
            process.stop();
        }
        ended(job)?;
        let (times, direct) = (reader.end()?, direct.end()?);
        let fed = fed?;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        Ok(OpenLoopReport {
            brokers: brokers.address().to_owned(),
            embedded: brokers.embedded(),
            partitions: self.partitions,
            workers: args.workers,
            tick: args.tick.as_secs_f64() * 1e3,
            load,
            rate: self.rate,
            events: plan.events - first,
            results: times.len(),
            due: percentiles(&times),
            direct: percentiles(&direct),
            nanos: fed.cpu.as_nanos() as f64 / (plan.events - first).max(1) as f64,
            idle: mib(fed.idle),
            quarters: fed.quarters.map(mib),
            peak: mib(fed.peak),
        })
    }

    /// Writes the events when they are due, and waits for the results.
    fn feed(
        &self,
        from: &Topic<'_>,
        plan: Plan,
        readers: [&Arc<Shared>; 2],
        broken: impl Fn() -> bool,
    ) -> Result<Fed> {
        let producer = Feeding::new("the benchmark", from.address(), &Settings::new())?;
        let mut json = Vec::new();
        let mut write = |number: u64| {
            json.clear();
            plan.readings.json(number, &mut json);
            producer.send_all(from.name(), (number % self.partitions as u64) as i32, &json)
        };
        let arrived = |before: u64| {
            let since = Instant::now();
            let due = [plan.results(0..before), before];
            let come = || readers.map(|reader| reader.come.load(SeqCst));
            while come().iter().zip(due).any(|(come, due)| *come < due) {
                if broken() {
                    // Whoever broke it tells more.
                    return Err(stopped());
                }
                if since.elapsed() > PATIENCE {
                    let ([results, events], [come, read]) = (due, come());
                    let message = format!(
                        "{results} results were due of {events} events, and {come} have come; \
                         {read} events were read directly"
                    );
                    return Err(Error::new(Kind::Failed, message));
                }
                producer.wait();
            }
            Ok(())
        };
        (0..plan.first).try_for_each(&mut write)?;
        arrived(plan.first)?;
        std::thread::sleep(IDLE);
        let idle = machine::memory();

        machine::forget_peak();
        let (begun, cpu) = (Instant::now(), machine::cpu());
        readers.iter().for_each(|reader| _ = reader.begun.set(begun));
        let (mut next, mut quarters) = (plan.first, [0; 4]);
        let quarter = |number: u64| (number - plan.first) * 4 / (plan.events - plan.first).max(1);
        while next < plan.events && !broken() {
            let due = plan.next(begun.elapsed());
            while next < due {
                write(next)?;
                next += 1;
                if quarter(next) > quarter(next - 1) {
                    quarters[quarter(next - 1) as usize] = machine::memory();
                }
            }
            producer.wait();
        }
        producer.flush(PATIENCE)?;
        arrived(plan.events)?;
        let (cpu, peak) = (machine::cpu().saturating_sub(cpu), machine::peak_memory());
        Ok(Fed { idle, quarters, peak, cpu })
    }
}

/// What was seen while the events were written.
struct Fed {
    idle: u64,
    quarters: [u64; 4],
    peak: u64,
    cpu: Duration,
}

type Running = (JoinHandle<Result<()>>, Receiver<Arc<Process>>);

/// Starts the job. Its process comes over the channel; none does if it has failed before.
fn job(args: &LaunchArgs, from: &Topic<'_>, to: &Topic<'_>, plan: Plan) -> Result<Running> {
    let (args, (told, process)) = (args.clone(), channel());
    let group = from.name().to_owned();
    let source = KafkaSourceConfig { bounded: false, commit: true, group, ..from.source("events") };
    let sink = KafkaSinkConfig::new("copies", to.address(), to.name());
    let told = Mutex::new(told);
    let job = thread("tiderace:job", move || {
        let outcome = execute_with(args, move |worker| {
            let told = told.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            // Whoever started this waits for it.
            let _ = told.send(worker.process().clone());
            worker.dataflow(|flow| copy(flow, &source, &sink, plan.readings.behind()));
            Ok(())
        });
        outcome.map(drop)
    })?;
    Ok((job, process))
}
