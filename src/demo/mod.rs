//! The demo: a whole job that needs nothing installed.
//!
//! An embedded Kafka, a feeder whose events are out of order on purpose, some late and some twice,
//! and the pipeline that a user would write: deduplicate, window by second, summarise per sensor,
//! write to a topic. At the end the books must balance, and with `--verify` every window must be what
//! a batch computation makes of the same events.

mod feed;
mod limited;
mod screen;
mod verify;

use std::sync::{Arc, Once};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::decode::json::Json as Decoder;
use crate::encode::json::Json as Encoder;
use crate::error::{Error, Kind};
use crate::flow::Flow;
use crate::kafka::config::Settings;
use crate::kafka::embedded::EmbeddedKafka;
use crate::observe::{job_status, publish};
use crate::prelude::*;
use crate::runtime::{LaunchArgs, Outcome, execute_with};
use crate::sink::kafka::{KafkaSink, KafkaSinkConfig};
use crate::source::SourceOptions;
use crate::source::generate::{SensorEvent, Sensors};
use crate::source::kafka::{KafkaSource, KafkaSourceConfig};

/// The topic that is read.
const READINGS: &str = "readings";
/// The topic that is written.
const RESULTS: &str = "per-second";
/// The partitions of each topic. The embedded Kafka keeps 5 MiB of each.
const PARTITIONS: u32 = 16;
/// Tells the processes of the job where the embedded Kafka is.
const BOOTSTRAP: &str = "TIDERACE_DEMO_KAFKA";
/// Events of one second of event time.
const PER_SECOND: u64 = 20_000;
/// How much later than its time an event may still be told from its duplicates.
const LATENESS: Duration = secs(1);
/// The size of the windows.
const WINDOW: Duration = secs(1);
/// How long ids are remembered.
const REMEMBERED: Duration = mins(1);

/// What to run.
#[derive(Clone, Debug)]
pub struct Demo {
    /// Ends after so many events; without end if there is no number.
    pub events: Option<u64>,
    /// Events a second; as fast as they are taken if there is no number.
    pub rate: Option<f64>,
    /// Whether the results are compared with a batch computation.
    pub verify: bool,
}

/// A row of the results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerSecond {
    /// The sensor.
    pub sensor: u32,
    /// Start and end of the window, in milliseconds since 1970; the end is not in it.
    pub window: [i64; 2],
    /// How many readings.
    pub count: u64,
    /// Their mean, in degrees.
    pub mean: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl PerSecond {
    /// A row from whole hundredths of degrees.
    fn of(sensor: u32, start: i64, count: u64, [sum, min, max]: [i64; 3]) -> Self {
        let degrees = |hundredths: i64| hundredths as f64 / 100.0;
        let window = [start, start + WINDOW.as_millis() as i64];
        let mean = sum as f64 / (count as f64 * 100.0);
        PerSecond { sensor, window, count, mean, min: degrees(min), max: degrees(max) }
    }
}

impl Demo {
    /// The series of events: in the past for a fixed number, from now on for an endless one.
    fn sensors(&self, begin: Option<EventTime>) -> Sensors {
        let sensors = Sensors::default()
            .partitions(PARTITIONS)
            .step(Duration::from_micros(1_000_000 / PER_SECOND))
            .bound(secs(2))
            .late(0.005, secs(30))
            .duplicates(0.01);
        begin.map_or(sensors, |begin| sensors.start(begin))
    }

    /// Runs the demo and returns the exit code.
    pub fn run(self, mut args: LaunchArgs) -> Result<i32, Error> {
        args.job = "tiderace-demo".to_owned();
        let given = std::env::var(BOOTSTRAP).ok();
        let server = match &given {
            Some(_) => None,
            None => Some(EmbeddedKafka::start(1)?),
        };
        let bootstrap = match (&given, &server) {
            (Some(address), _) => address.clone(),
            (None, Some(server)) => server.bootstrap().to_owned(),
            (None, None) => unreachable!("it is started if it is not given"),
        };
        let now = self.events.is_none().then(|| crate::clock::Clock::system().wall());
        let sensors = self.sensors(now);
        let feeder = match &server {
            Some(server) => {
                server.create_topic(READINGS, PARTITIONS as usize)?;
                server.create_topic(RESULTS, PARTITIONS as usize)?;
                args.environment.push((BOOTSTRAP.to_owned(), bootstrap.clone()));
                screen::welcome(&self, &args);
                Some(feed::start(&bootstrap, sensors, self.events, self.rate)?)
            }
            None => None,
        };
        let outcome = self.launch(args, &bootstrap)?;
        if let Some(feeder) = feeder {
            feeder.stop()?;
        }
        if let Outcome::Finished { process, .. } = &outcome
            && process.index() == 0
        {
            screen::ledger(&job_status(process))?;
        }
        match (self.verify, self.events, server) {
            (true, Some(events), Some(server)) => {
                verify::verify(&sensors, events, server.bootstrap())
            }
            (true, None, Some(_)) => Err(Error::new(
                Kind::Usage,
                "--verify needs an end: say how many --events or --seconds",
            )),
            _ => Ok(0),
        }
    }

    /// Runs the pipeline on the workers that the launch arguments ask for.
    fn launch(&self, args: LaunchArgs, bootstrap: &str) -> Result<Outcome<()>, Error> {
        let (bootstrap, events, once) = (bootstrap.to_owned(), self.events, Arc::new(Once::new()));
        let latest = screen::Latest::default();
        let shown = latest.clone();
        let outcome = execute_with(args, move |worker| {
            let process = worker.process().clone();
            let mut begun = Ok(());
            once.call_once(|| {
                begun = publish(&process).and_then(|()| screen::start(&process, latest.clone()));
            });
            begun?;
            worker.dataflow(|flow| pipeline(flow, &bootstrap, events, &latest));
            Ok(())
        });
        shown.end();
        outcome
    }
}

/// The pipeline: what a user would write.
fn pipeline(flow: &Flow<'_>, bootstrap: &str, events: Option<u64>, latest: &screen::Latest) {
    let times = event_time(|event: &SensorEvent| EventTime::from_millis(event.at)).behind(secs(2));
    // All partitions of a finite series have their share of it, however long one is silent.
    let times = if events.is_some() { times.never_idle() } else { times.idle_after(secs(10)) };
    let commits = SourceOptions { commit_every: millis(20), ..SourceOptions::default() };
    let quick = Settings::new().with("fetch.wait.max.ms", "10");
    let source = KafkaSourceConfig {
        settings: quick,
        ..KafkaSourceConfig::new(READINGS, bootstrap, READINGS)
    };
    let readings = flow.source_with(
        READINGS,
        commits,
        |context| {
            let mine = limited::ends(&context, READINGS, PARTITIONS, events);
            let kafka = KafkaSource::new(source, context, Decoder::<SensorEvent>::new())?;
            Ok(limited::Limited::new(kafka, mine))
        },
        times,
    );
    let once = readings
        .events
        .key_by(|event| event.id)
        .dedup("once", Horizon::within(REMEMBERED).late_by(LATENESS));
    let of = Of::<SensorEvent>::rows();
    let results = once
        .key_by(|event| event.sensor)
        .window(Tumbling::every(WINDOW))
        .aggregate(
            RESULTS,
            (
                of.count(),
                of.sum(SensorEvent::hundredths),
                of.min(SensorEvent::hundredths),
                of.max(SensorEvent::hundredths),
            ),
        )
        .map(|WindowResult { key, window, value: (count, sum, min, max), .. }| {
            let sum = i64::try_from(sum).expect("hundredths of a second's readings fit");
            let [min, max] = [min, max].map(|bound| bound.expect("a window is never empty"));
            PerSecond::of(key, window.start.millis(), count, [sum, min, max])
        });
    let latest = latest.clone();
    let results = results.inspect(move |row| latest.show(&row.data));
    let sink = KafkaSinkConfig::new("results", bootstrap, RESULTS);
    flow.sink("results", &results, |context| {
        let key = |row: &PerSecond, key: &mut Vec<u8>| {
            key.extend_from_slice(row.sensor.to_string().as_bytes());
        };
        KafkaSink::new(sink, context, Encoder::keyed_by(key))
    });
}
