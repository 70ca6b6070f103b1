//! Jobs on Kafka through the library: the same answer however they are laid out, kept books, offsets
//! committed, nothing left behind. Against the embedded cluster always, and against a real broker
//! where `KAFKA_BOOTSTRAP` names one.
#![cfg(feature = "kafka")]

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use tiderace::decode::json::Json;
use tiderace::kafka::config::Settings;
use tiderace::kafka::embedded::EmbeddedKafka;
use tiderace::observe::{ProcessStatus, Status};
use tiderace::prelude::*;
use tiderace::runtime::Outcome;
use tiderace::sink::memory::Collected;
use tiderace::source::SourceOptions;
use tiderace::source::generate::{SensorEvent, Sensors};
use tiderace::source::kafka::{KafkaSource, KafkaSourceConfig};

const PARTITIONS: u32 = 6;
const EVENTS: u64 = 6_000;

/// A topic with the events of the series in it.
fn fill(bootstrap: &str, topic: &str, sensors: &Sensors, events: u64) {
    let mut config = ClientConfig::new();
    let producer: BaseProducer =
        config.set("bootstrap.servers", bootstrap).set("linger.ms", "5").create().unwrap();
    for i in 0..events {
        let json = serde_json::to_vec(&sensors.event(i)).unwrap();
        let partition = sensors.partition_of(i) as i32;
        let record = BaseRecord::<(), [u8]>::to(topic).payload(&json).partition(partition);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(20)).unwrap();
}

/// What the group has committed, by partition.
fn committed(bootstrap: &str, topic: &str, group: &str) -> Vec<i64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition(topic, partition as i32);
    }
    let list = consumer.committed_offsets(list, Duration::from_secs(20)).unwrap();
    let offsets = list.elements().into_iter().map(|element| match element.offset() {
        Offset::Offset(offset) => offset,
        other => panic!("nothing committed: {other:?}"),
    });
    offsets.collect()
}

fn sensors() -> Sensors {
    Sensors::default().partitions(PARTITIONS).keys(7).late(0.02, secs(40)).duplicates(0.03)
}

/// Runs the pipeline on a topic; the rows as sorted lines, and the status at the end.
fn run(bootstrap: &str, topic: &str, group: &str, args: &[&str], poll: usize) -> (String, Status) {
    let out = Collected::new();
    let into = out.clone();
    let (bootstrap, topic, group) = (bootstrap.to_owned(), topic.to_owned(), group.to_owned());
    let args = ["test", "-qq", "--tick", "3ms"].iter().chain(args).copied().collect::<Vec<_>>();
    let outcome = tiderace::execute(args, move |worker| {
        let into = into.clone();
        worker.dataflow(|flow| {
            let config = KafkaSourceConfig {
                group: group.clone(),
                bounded: true,
                settings: Settings::new().with("fetch.wait.max.ms", "10"),
                ..KafkaSourceConfig::new("readings", bootstrap.clone(), topic.clone())
            };
            let times = event_time(|event: &SensorEvent| EventTime::from_millis(event.at))
                .behind(sensors().disorder())
                .never_idle();
            let options = SourceOptions { max_poll_records: poll, ..SourceOptions::default() };
            let make = |context| KafkaSource::new(config, context, Json::<SensorEvent>::new());
            let readings = flow.source_with("readings", options, make, times);
            let once = readings
                .events
                .key_by(|event| event.id)
                .dedup("once", Horizon::within(mins(5)).late_by(secs(1)));
            let of = Of::<SensorEvent>::rows();
            let windows = once
                .key_by(|event| event.sensor)
                .window(Tumbling::every(secs(1)))
                .allow_late(secs(2))
                .aggregate("windows", (of.count(), of.mean(|e| e.celsius), of.sum(|e| e.celsius)));
            let line = |kind: &str, row: &dyn std::fmt::Debug| format!("{kind} {row:?}");
            let results = windows.map(move |row| line("result", &row));
            let late = windows.late().union(&once.late()).map(move |row| line("late", &row));
            flow.sink("out", &results.union(&late), |_| Ok(into.sink("out")));
        });
        Ok(())
    })
    .expect("it runs");
    let Outcome::Finished { process, .. } = outcome else { panic!("one process works itself") };
    let status = Status::merge([ProcessStatus::take(process.observer(), process.board())]);
    (out.sorted().join("\n"), status)
}

fn balanced(status: &Status, events: u64) {
    assert_eq!(status.unbalanced(), BTreeMap::new());
    let [readings, once, windows, out] =
        ["readings", "once", "windows", "out"].map(|name| status.counts(name));
    assert_eq!(readings.input, events);
    assert_eq!(readings.kept, once.input);
    assert_eq!(once.kept, windows.input);
    assert_eq!(events, windows.kept + windows.late + once.late + once.duplicate);
    assert_eq!(windows.output + windows.late + once.late, out.kept);
    assert_eq!(windows.held, 0, "all windows have fired");
    assert_eq!(status.lag, Some(0));
}

/// Bar: equal sorted output on any number of workers, for small and large polls, every time.
#[test]
fn twenty_runs_give_the_same_rows() {
    let cluster = EmbeddedKafka::start(2).unwrap();
    cluster.create_topic("readings", PARTITIONS as usize).unwrap();
    fill(cluster.bootstrap(), "readings", &sensors(), EVENTS);
    let mut first: Option<String> = None;
    for run_number in 0..20 {
        let workers = ["1", "2", "5"][run_number % 3];
        let poll = [1, 500][run_number / 3 % 2];
        let group = format!("run-{run_number}");
        let (rows, status) = run(cluster.bootstrap(), "readings", &group, &["-w", workers], poll);
        balanced(&status, EVENTS);
        let end = i64::try_from(EVENTS / u64::from(PARTITIONS)).unwrap();
        let offsets = committed(cluster.bootstrap(), "readings", &group);
        assert_eq!(offsets, [end; PARTITIONS as usize], "run {run_number}");
        let known = status.sources.iter().flat_map(|s| &s.partitions);
        assert!(known.clone().all(|p| p.committed == Some(end as u64)), "{known:?}");
        assert!(rows.contains("result") && rows.contains("late"));
        match &first {
            None => first = Some(rows),
            Some(first) => assert!(*first == rows, "run {run_number}: -w {workers}, poll {poll}"),
        }
    }
}

/// Bar: the same pipeline against real Kafka and the embedded one.
#[test]
fn a_real_broker_gives_the_same_rows() {
    let Ok(real) = std::env::var("KAFKA_BOOTSTRAP") else {
        eprintln!("SKIPPED: equal rows from a real broker: KAFKA_BOOTSTRAP is not set");
        return;
    };
    let topic = format!("readings-{}", std::process::id());
    let admin: AdminClient<_> =
        ClientConfig::new().set("bootstrap.servers", &real).create().unwrap();
    // Event times are old: a broker that keeps by time would delete the records at once.
    let new = NewTopic::new(&topic, PARTITIONS as i32, TopicReplication::Fixed(1))
        .set("retention.ms", "-1");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin.create_topics([&new], &AdminOptions::new())).unwrap();
    fill(&real, &topic, &sensors(), EVENTS);
    let (real_rows, status) = run(&real, &topic, &topic, &["-w", "2"], 500);
    balanced(&status, EVENTS);
    let end = i64::try_from(EVENTS / u64::from(PARTITIONS)).unwrap();
    assert_eq!(committed(&real, &topic, &topic), [end; PARTITIONS as usize]);

    let cluster = EmbeddedKafka::start(1).unwrap();
    cluster.create_topic(&topic, PARTITIONS as usize).unwrap();
    fill(cluster.bootstrap(), &topic, &sensors(), EVENTS);
    let (rows, _) = run(cluster.bootstrap(), &topic, &topic, &["-w", "3"], 500);
    assert!(rows == real_rows, "the embedded cluster gives other rows than the real broker");
}

/// Fifty starts on one topic in order: no start-up race makes a record late.
#[test]
fn many_starts_lose_nothing() {
    let cluster = EmbeddedKafka::start(1).unwrap();
    cluster.create_topic("readings", PARTITIONS as usize).unwrap();
    let ordered = sensors().late(0.0, secs(1)).duplicates(0.0);
    fill(cluster.bootstrap(), "readings", &ordered, 600);
    for start in 0..50 {
        let workers = ["1", "2", "3", "8"][start % 4];
        let group = format!("start-{start}");
        let (_, status) = run(cluster.bootstrap(), "readings", &group, &["-w", workers], 500);
        balanced(&status, 600);
        assert_eq!(status.ledger.late, 0, "start {start} on {workers} workers");
    }
}

/// Bar: eight workers on one partition finish, and read everything.
#[test]
fn more_workers_than_partitions_finish() {
    let cluster = EmbeddedKafka::start(1).unwrap();
    cluster.create_topic("one", 1).unwrap();
    let one = sensors().partitions(1);
    fill(cluster.bootstrap(), "one", &one, 500);
    let (rows, status) = run(cluster.bootstrap(), "one", "one", &["-w", "8"], 500);
    balanced(&status, 500);
    assert!(rows.contains("result"));
}

/// The binary on a pipeline file; the rows its file sinks have written, sorted.
fn run_file(folder: &std::path::Path, bootstrap: &str, args: &[&str], poll: usize) -> Vec<String> {
    let name = format!("{}-{poll}", args.join(""));
    let out = folder.join(format!("{name}-{{worker}}.ndjson"));
    let late = folder.join(format!("{name}-late-{{worker}}.ndjson"));
    let pipeline = format!(
        "name: jobs{name}
sources:
  readings:
    kafka: {{ brokers: '{bootstrap}', topic: readings, start: earliest, until: end,
              settings: {{ fetch.wait.max.ms: '10' }} }}
    time: {{ field: at, unit: ms, behind: 5s, idle_after: off, max_future_skew: off }}
    max_poll_records: {poll}
steps:
  once: {{ from: readings, dedup: {{ key: [id], within: 5m }}, lateness: 1s }}
  windows:
    from: once
    key: sensor
    window: {{ tumbling: 1s }}
    lateness: 2s
    aggregate: {{ n: count(), mean: mean(celsius), sum: sum(celsius), low: min(celsius) }}
sinks:
  out: {{ from: windows, file: {{ path: '{}' }} }}
  late: {{ from: [windows.late, once.late], file: {{ path: '{}' }} }}
",
        out.display(),
        late.display()
    );
    let file = folder.join(format!("{name}.yaml"));
    std::fs::write(&file, pipeline).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tiderace"));
    let done = command.arg("run").arg(&file).args(["--http", "off"]).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{args:?}: {said}");
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let here = path.file_name().unwrap().to_string_lossy().into_owned();
        if here.starts_with(&format!("{name}-")) {
            let text = std::fs::read_to_string(&path).unwrap();
            let kind = if here.contains("-late-") { "late" } else { "out" };
            rows.extend(text.lines().map(|line| format!("{kind} {line}")));
        }
    }
    rows.sort();
    rows
}

/// Bar: equal sorted output of the binary on threads and on processes, for small and large polls.
#[test]
fn threads_and_processes_give_the_same_rows() {
    let cluster = EmbeddedKafka::start(1).unwrap();
    cluster.create_topic("readings", PARTITIONS as usize).unwrap();
    fill(cluster.bootstrap(), "readings", &sensors(), EVENTS);
    let folder = tempfile::tempdir().unwrap();
    let wanted = run_file(folder.path(), cluster.bootstrap(), &["-w", "1"], 500);
    assert!(wanted.iter().any(|row| row.starts_with("late")));
    assert!(wanted.iter().filter(|row| row.starts_with("out")).count() > 20);
    let layouts: [&[&str]; 4] =
        [&["-w", "2"], &["-w", "5"], &["-n", "2", "-w", "1"], &["-n", "2", "-w", "2"]];
    for poll in [1, 500] {
        for layout in layouts {
            let rows = run_file(folder.path(), cluster.bootstrap(), layout, poll);
            assert!(rows == wanted, "{layout:?}, polls of {poll}");
        }
    }
}
