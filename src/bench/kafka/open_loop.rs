//! How long a record takes through Kafka: an open loop at a fixed rate.
//!
//! Events are due at fixed times and are written to a topic then, whatever becomes of them. A job copies
//! what passes a filter to another topic, and a reader takes the time at which each result comes. All of
//! it counts, from when the event was due: what waits unwritten or unread waits for its reader, too
//! (no coordinated omission).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::copy::{Event, copy, mapped, passes};
use super::fill::checked;
use super::floor::{Client, config};
use super::report::OpenLoopReport;
use super::{Brokers, Topic, one_process};
use crate::bench::latency::{histogram, percentiles};
use crate::bench::machine;
use crate::bench::reading::Readings;
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

/// What is due when, and what should come of it.
#[derive(Clone, Copy)]
struct Plan {
    readings: Readings,
    rate: f64,
    /// Events before the first one that counts.
    first: u64,
    /// All events.
    events: u64,
}

impl Plan {
    fn passes(&self, number: u64) -> bool {
        passes(self.readings.get(number).value)
    }

    /// How many results there should be of the events up to a number.
    fn results(&self, numbers: std::ops::Range<u64>) -> u64 {
        numbers.filter(|&number| self.passes(number)).count() as u64
    }

    /// When an event is due, since the beginning.
    fn due(&self, number: u64) -> Duration {
        Duration::from_secs_f64((number - self.first) as f64 / self.rate)
    }

    /// The number of the first event that is not due yet.
    fn next(&self, since: Duration) -> u64 {
        self.events.min(self.first + (since.as_secs_f64() * self.rate) as u64)
    }
}

/// What producer, reader and job know of each other.
#[derive(Default)]
struct Shared {
    begun: OnceLock<Instant>,
    /// Results that have come.
    results: AtomicU64,
    over: AtomicBool,
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
        let shared = Arc::new(Shared::default());
        let reader = reader(&to, plan, shared.clone())?;
        let (job, process) = job(args, &from, &to, plan)?;
        let fed = self.feed(&from, plan, &shared, || job.is_finished() || reader.is_finished());
        // However that went: everybody stops, and the first error is told.
        shared.over.store(true, SeqCst);
        if let Ok(process) = process.recv() {
            process.stop();
        }
        ended(job)?;
        let times = ended(reader)?;
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
        shared: &Shared,
        broken: impl Fn() -> bool,
    ) -> Result<Fed> {
        let quick = Settings::new().with("linger.ms", "1");
        let producer = Feeding::new("the benchmark", from.address(), &quick)?;
        let mut json = Vec::new();
        let mut write = |number: u64| {
            json.clear();
            plan.readings.json(number, &mut json);
            producer.send_all(from.name(), (number % self.partitions as u64) as i32, &json)
        };
        let arrived = |results: u64| {
            let since = Instant::now();
            while shared.results.load(SeqCst) < results && !broken() {
                if since.elapsed() > PATIENCE {
                    let come = shared.results.load(SeqCst);
                    let message = format!("{results} results were due, and {come} have come");
                    return Err(Error::new(Kind::Failed, message));
                }
                producer.wait();
            }
            Ok(())
        };
        (0..plan.first).try_for_each(&mut write)?;
        let before = plan.results(0..plan.first);
        arrived(before)?;
        std::thread::sleep(IDLE);
        let idle = machine::memory();

        machine::forget_peak();
        let (begun, cpu) = (*shared.begun.get_or_init(Instant::now), machine::cpu());
        let (mut next, mut quarters) = (plan.first, [0; 4]);
        let quarter = |number: u64| (number - plan.first) * 4 / (plan.events - plan.first).max(1);
        while next < plan.events && !broken() {
            for number in next..plan.next(begun.elapsed()) {
                write(number)?;
                next = number + 1;
                if quarter(next) > quarter(number) {
                    quarters[quarter(number) as usize] = machine::memory();
                }
            }
            producer.wait();
        }
        producer.flush(PATIENCE)?;
        arrived(before + plan.results(plan.first..plan.events))?;
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

fn ended<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    let panicked = |_| Err(Error::new(Kind::Bug, "a thread of the benchmark panicked"));
    thread.join().unwrap_or_else(panicked)
}

fn thread<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<JoinHandle<Result<T>>> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| Error::new(Kind::Failed, "no thread could be started").caused_by(error))
}

type Running = (JoinHandle<Result<()>>, Receiver<Arc<Process>>);

/// Starts the job. Its process comes over the channel; none does if it has failed before.
fn job(args: &LaunchArgs, from: &Topic<'_>, to: &Topic<'_>, plan: Plan) -> Result<Running> {
    let (args, (told, process)) = (args.clone(), channel());
    let source = KafkaSourceConfig {
        group: from.name().to_owned(),
        ..KafkaSourceConfig::new("events", from.address(), from.name())
    };
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

/// Starts to read results, and to take their times in microseconds.
fn reader(
    to: &Topic<'_>,
    plan: Plan,
    shared: Arc<Shared>,
) -> Result<JoinHandle<Result<Histogram<u64>>>> {
    let config = KafkaSourceConfig { bounded: false, ..config(to, "results") };
    thread("tiderace:reader", move || {
        let mut client = Client::open(&config, 0, 1)?;
        let mut times = histogram();
        let mut seen = vec![false; plan.events as usize];
        let mut wrong = None;
        while !shared.over.load(SeqCst) && wrong.is_none() {
            let mut come = 0;
            client.take(|message| {
                let now = Instant::now();
                let payload = message.payload().unwrap_or_default();
                let Some(event) = right(payload, &plan, &mut seen) else {
                    wrong.get_or_insert_with(|| String::from_utf8_lossy(payload).into_owned());
                    return;
                };
                come += 1;
                if let Some(begun) = shared.begun.get()
                    && event.id >= plan.first
                {
                    let late = now.saturating_duration_since(*begun + plan.due(event.id));
                    times.saturating_record((late.as_micros() as u64).max(1));
                }
            })?;
            shared.results.fetch_add(come, SeqCst);
        }
        client.close();
        match wrong {
            None => Ok(times),
            Some(what) => {
                Err(Error::new(Kind::Bug, format!("a result is wrong, or twice: {what}")))
            }
        }
    })
}

/// The result, if it is what should come of its event, for the first time.
fn right(payload: &[u8], plan: &Plan, seen: &mut [bool]) -> Option<Event> {
    let result: Event = serde_json::from_slice(payload).ok()?;
    let seen = seen.get_mut(usize::try_from(result.id).ok()?)?;
    let of = plan.readings.get(result.id);
    let due = Event { id: result.id, at: of.at, key: of.key, value: mapped(of.value) };
    (plan.passes(result.id) && due == result && !std::mem::replace(seen, true)).then_some(result)
}
