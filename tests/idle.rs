//! What an idle job costs. Alone in its file: it looks at the CPU time of the whole process.
#![cfg(feature = "kafka")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use tiderace::decode::json::Json;
use tiderace::kafka::embedded::EmbeddedKafka;
use tiderace::prelude::*;
use tiderace::source::generate::SensorEvent;
use tiderace::source::kafka::{KafkaSource, KafkaSourceConfig};

/// What a thread pays at most for waking up from a short sleep, in seconds, on a machine that is not
/// slow at it. Some virtual machines take several times as much, and all that an idle job does is to
/// wake up.
const WAKE_UP: f64 = 25e-6;

/// What waking up costs here.
fn wake_up() -> f64 {
    let measured = (0..3).map(|_| {
        let before = cpu();
        (0..300).for_each(|_| std::thread::sleep(Duration::from_millis(3)));
        (cpu() - before) / 300.0
    });
    measured.fold(f64::INFINITY, f64::min)
}

/// An idle job at the default tick uses less than two hundredths of a core, the Kafka client and the
/// embedded cluster included; where bare wake-ups cost more than usual, as many times that.
#[test]
fn an_idle_job_costs_next_to_nothing() {
    let wake_up = wake_up();
    let most = 0.02 * (wake_up / WAKE_UP).max(1.0);
    let cluster = EmbeddedKafka::start(1).unwrap();
    cluster.create_topic("idle", 4).unwrap();
    let address = cluster.bootstrap().to_owned();
    let spent = Arc::new(AtomicU32::new(u32::MAX));
    let measured = spent.clone();
    let outcome = tiderace::execute(["test", "-qq", "-w", "2"], move |worker| {
        let config = KafkaSourceConfig::new("idle", address.clone(), "idle");
        if worker.index() == 0 {
            let (process, measured) = (worker.process().clone(), measured.clone());
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(3));
                let mut least = u32::MAX;
                for _ in 0..3 {
                    let (begun, before) = (Instant::now(), cpu());
                    std::thread::sleep(Duration::from_secs(2));
                    let share = (cpu() - before) / begun.elapsed().as_secs_f64();
                    least = least.min((share * 1e6) as u32);
                }
                measured.store(least, SeqCst);
                process.stop();
            });
        }
        worker.dataflow(|flow| {
            let times = event_time(|event: &SensorEvent| EventTime::from_millis(event.at));
            let make = |context| KafkaSource::new(config, context, Json::<SensorEvent>::new());
            let events = flow.source("idle", make, times).events;
            let windows = events.key_by(|e| e.sensor).window(Tumbling::every(secs(1)));
            windows.aggregate("windows", Count).inspect(|_| ());
        });
        Ok(())
    });
    assert!(outcome.is_ok());
    let share = f64::from(spent.load(SeqCst)) / 1e6;
    let (percent, micros) = (share * 100.0, wake_up * 1e6);
    eprintln!("idle: {percent:.2} % of a core for two workers; a wake-up costs {micros:.0} us");
    assert!(share < most, "{share} of a core, and not less than {most}");
}

/// CPU seconds of this process so far, all its threads together.
fn cpu() -> f64 {
    let mut seconds = 0.0;
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let spent = stat.split_whitespace().next().and_then(|n| n.parse::<f64>().ok());
        seconds += spent.unwrap_or(0.0) / 1e9;
    }
    seconds
}
