//! The source: what it reads, where it starts and ends, what it tells.

use std::collections::{BTreeMap, BTreeSet};

use tiderace::source::kafka::{KafkaSourceConfig, OnMissing, Start};
use tiderace::source::{PartitionEvent, Poll, Source, SourceContext, Waker};
use tiderace_operators::time::EventTime;

use crate::cluster::{Cluster, PATIENCE};
use crate::driven::Driven;

#[test]
fn a_bounded_read_gives_every_record_once_and_in_order() {
    Cluster::each("bounded read", |cluster| {
        let topic = cluster.topic("bounded", 3);
        cluster.produce(&topic, 3, 0, 700);
        let mut config = cluster.config(&topic);
        config.bounded = true;
        let mut driven = Driven::new(config);
        // What is written after the start does not belong to the read.
        driven.until("assigned", |d| d.assigned().len() == 3);
        cluster.produce(&topic, 3, 700, 50);
        driven.run_to_end();
        assert_eq!(driven.records.len(), 2100);
        for partition in 0..3 {
            let of: Vec<_> = driven.records.iter().filter(|r| r.partition == partition).collect();
            for (number, record) in of.iter().enumerate() {
                assert_eq!(record.offset, number as u64);
                assert_eq!(record.payload, Some(format!("{partition}:{number}")));
            }
            let last = driven.events.iter().rfind(|(p, _)| *p == partition).unwrap();
            assert_eq!(last.1, PartitionEvent::Finished);
        }
        assert_eq!(driven.step(10).unwrap(), Poll::Finished);
        driven.source.close();
    });
}

#[test]
fn an_empty_partition_of_a_bounded_read_ends_at_once() {
    Cluster::each("empty partitions", |cluster| {
        let topic = cluster.topic("empty", 2);
        let mut config = cluster.config(&topic);
        config.bounded = true;
        let mut driven = Driven::new(config);
        driven.run_to_end();
        assert_eq!(driven.assigned(), [(0, 0), (1, 0)]);
        assert!(driven.records.is_empty());
    });
}

#[test]
fn instances_share_the_partitions_without_gap_or_overlap() {
    Cluster::each("assignment", |cluster| {
        let topics = [cluster.topic("shared-a", 4), cluster.topic("shared-b", 3)];
        cluster.produce(&topics[0], 4, 0, 20);
        cluster.produce(&topics[1], 3, 0, 20);
        for peers in [1, 2, 5, 9] {
            let mut seen = BTreeSet::new();
            let mut records = 0;
            let mut labels = BTreeSet::new();
            for worker in 0..peers {
                let mut config = cluster.config(&topics[0]);
                config.topics.push(topics[1].clone());
                config.bounded = true;
                let mut driven = Driven::worker(config, worker, peers);
                driven.run_to_end();
                for (partition, _) in driven.assigned() {
                    assert!(seen.insert(partition), "{partition} is read twice");
                    labels.insert(driven.source.partition_label(partition));
                }
                records += driven.records.len();
            }
            assert_eq!((seen.len(), records), (7, 140), "{peers} instances");
            let label = |t: usize, p: i32| format!("{}/{p}", topics[t]);
            let all = (0..4).map(|p| label(0, p)).chain((0..3).map(|p| label(1, p)));
            assert_eq!(labels, all.collect());
        }
    });
}

#[test]
fn an_instance_without_partitions_says_so() {
    let cluster = Cluster::embedded();
    let topic = cluster.topic("single", 1);
    let polls: Vec<_> = (0..8)
        .map(|worker| {
            let mut driven = Driven::worker(cluster.config(&topic), worker, 8);
            driven.until_ready()
        })
        .collect();
    assert_eq!(polls.iter().filter(|p| **p == Poll::None).count(), 7, "{polls:?}");
}

#[test]
fn it_tells_when_it_has_caught_up_and_how_far_it_is_behind() {
    Cluster::each("caught up", |cluster| {
        let topic = cluster.topic("caught", 2);
        cluster.produce(&topic, 2, 0, 30);
        let mut driven = Driven::new(cluster.config(&topic));
        let caught =
            |d: &Driven| d.events.iter().filter(|(_, e)| *e == PartitionEvent::CaughtUp).count();
        driven.until("both caught up", |d| caught(d) == 2);
        assert_eq!(driven.records.len(), 60, "caught up before the last record");
        driven.until("no lag", |d| d.lag() == BTreeMap::from([(0, 0), (1, 0)]));
        driven.events.clear();
        cluster.produce(&topic, 1, 30, 5);
        driven.until("caught up again", |d| caught(d) == 1);
        assert_eq!(driven.records.len(), 65);
        assert!(driven.events.iter().all(|(p, e)| *p == 0 || *e != PartitionEvent::CaughtUp));
    });
}

#[test]
fn several_topics_catch_up_each_for_itself() {
    Cluster::each("several topics", |cluster| {
        let topics = [cluster.topic("many-a", 1), cluster.topic("many-b", 1)];
        cluster.produce(&topics[1], 1, 0, 10);
        let mut config = cluster.config(&topics[0]);
        config.topics.push(topics[1].clone());
        let mut driven = Driven::new(config);
        driven.until("both caught up", |d| {
            let caught = d.events.iter().filter(|(_, e)| *e == PartitionEvent::CaughtUp);
            caught.map(|(p, _)| *p).collect::<BTreeSet<_>>().len() == 2
        });
        assert!(driven.records.iter().all(|r| r.partition == 1 << 20));
        assert_eq!(driven.records.len(), 10);
    });
}

#[test]
fn what_is_committed_is_where_the_next_run_starts() {
    Cluster::each("commit and resume", |cluster| {
        let topic = cluster.topic("commit", 2);
        cluster.produce(&topic, 2, 0, 40);
        let mut config = cluster.config(&topic);
        config.start = Start::Committed;
        let mut first = Driven::new(config.clone());
        // Nothing is committed yet: it starts at the oldest record.
        first.until("all read", |d| d.records.len() == 80);
        first.source.commit(&[(0, 25), (1, 40)]).unwrap();
        first.source.close();
        assert_eq!(first.source.counters().commit_failures, 0);

        config.bounded = true;
        let mut second = Driven::new(config);
        second.run_to_end();
        assert_eq!(second.assigned(), [(0, 25), (1, 40)]);
        assert_eq!(second.records.len(), 15);
        assert_eq!(second.records[0].offset, 25);
    });
}

#[test]
fn without_commit_nothing_is_committed() {
    let cluster = Cluster::embedded();
    let topic = cluster.topic("no-commit", 1);
    cluster.produce(&topic, 1, 0, 10);
    let mut config = cluster.config(&topic);
    (config.start, config.bounded, config.commit) = (Start::Committed, true, false);
    for _ in 0..2 {
        let mut driven = Driven::new(config.clone());
        driven.run_to_end();
        driven.source.commit(&[(0, 10)]).unwrap();
        driven.source.close();
        assert_eq!(driven.records.len(), 10);
    }
}

#[test]
fn latest_begins_behind_what_is_there() {
    Cluster::each("latest", |cluster| {
        let topic = cluster.topic("latest", 1);
        cluster.produce(&topic, 1, 0, 10);
        let mut config = cluster.config(&topic);
        config.start = Start::Latest;
        let mut driven = Driven::new(config);
        driven.until("assigned", |d| !d.assigned().is_empty());
        assert_eq!(driven.assigned(), [(0, 10)]);
        cluster.produce(&topic, 1, 10, 3);
        driven.until("the new ones", |d| d.records.len() == 3);
        assert_eq!(driven.payloads(), ["0:10", "0:11", "0:12"]);
    });
}

#[test]
fn it_starts_at_given_offsets() {
    Cluster::each("offsets", |cluster| {
        let topic = cluster.topic("offsets", 2);
        cluster.produce(&topic, 2, 0, 10);
        let mut config = cluster.config(&topic);
        config.start = Start::Offsets(vec![(topic.clone(), 1, 7)]);
        config.bounded = true;
        let mut driven = Driven::new(config);
        driven.run_to_end();
        assert_eq!(driven.assigned(), [(0, 0), (1, 7)]);
        assert_eq!(driven.records.len(), 13);
    });
}

#[test]
fn it_starts_at_a_time() {
    // The embedded cluster answers every such question with the end.
    let Some(cluster) = Cluster::real("start at a time") else { return };
    let topic = cluster.topic("time", 2);
    for (number, millis) in [(0, 1_000), (1, 2_000), (2, 3_000)] {
        cluster.produce_one(&topic, Some(&format!("{number}")), millis, "");
    }
    let read = |start| {
        let mut config = cluster.config(&topic);
        (config.start, config.bounded) = (Start::Timestamp(start), true);
        let mut driven = Driven::new(config);
        driven.run_to_end();
        // The other partition is empty, which is no error.
        assert_eq!(driven.assigned()[1], (1, 0));
        driven.payloads().join(" ")
    };
    assert_eq!(read(EventTime::from_millis(2_000)), "1 2");
    assert_eq!(read(EventTime::from_micros(2_000_001)), "2");
    assert_eq!(read(EventTime::from_millis(-5)), "0 1 2");
    assert_eq!(read(EventTime::from_millis(9_000)), "");
}

#[test]
fn tombstones_headers_keys_and_timestamps_reach_the_decoder() {
    Cluster::each("parts of a message", |cluster| {
        let topic = cluster.topic("parts", 1);
        cluster.produce_one(&topic, Some("hello"), 1_234, "abc");
        cluster.produce_one(&topic, None, 5_678, "def");
        cluster.produce_one(&topic, Some(""), 5_679, "");
        cluster.produce_one(&topic, Some("!bad"), 5_680, "");
        let mut config = cluster.config(&topic);
        config.bounded = true;
        let mut driven = Driven::new(config);
        driven.run_to_end();
        let record = &driven.records[0];
        assert_eq!(record.payload.as_deref(), Some("hello"));
        assert_eq!(record.key.as_deref(), Some("the key"));
        assert_eq!(record.headers, [("trace".to_string(), "abc".to_string())]);
        assert_eq!(record.millis, Some(1_234));
        assert_eq!(driven.records[1].payload, None);
        assert_eq!(driven.records[1].millis, Some(5_678));
        // An empty payload is no tombstone.
        assert_eq!(driven.records[2].payload.as_deref(), Some(""));
        assert_eq!(driven.rejects.len(), 1);
        assert_eq!(driven.rejects[0].payload, b"!bad");
        assert_eq!(driven.next[&0], 4, "a reject has a position too");
    });
}

#[test]
fn a_position_that_is_gone_is_an_error_or_skipped_on_demand() {
    Cluster::each("missing position", |cluster| {
        let topic = cluster.topic("gone", 1);
        cluster.produce(&topic, 1, 0, 10);
        let mut config = cluster.config(&topic);
        config.start = Start::Offsets(vec![(topic.clone(), 0, 500)]);
        let error = Driven::new(config.clone()).failure();
        let text = error.to_string();
        for part in ["orders", "partition 0", "offset 500", "0 to 10"] {
            assert!(text.contains(part), "{text}");
        }
        (config.bounded, config.on_missing) = (true, OnMissing::Earliest);
        let mut driven = Driven::new(config.clone());
        driven.run_to_end();
        assert_eq!(driven.records.len(), 10);
        config.on_missing = OnMissing::Latest;
        let mut driven = Driven::new(config);
        driven.run_to_end();
        assert_eq!((driven.records.len(), driven.assigned()), (0, vec![(0, 10)]));
    });
}

#[test]
fn a_limit_of_one_steps_record_by_record() {
    let cluster = Cluster::embedded();
    let topic = cluster.topic("steps", 1);
    cluster.produce(&topic, 1, 0, 5);
    let mut config = cluster.config(&topic);
    config.bounded = true;
    let mut driven = Driven::new(config);
    let mut seen = 0;
    while driven.step(1).unwrap() != Poll::Finished {
        assert!(driven.records.len() <= seen + 1);
        seen = driven.records.len();
    }
    assert_eq!(driven.payloads(), ["0:0", "0:1", "0:2", "0:3", "0:4"]);
}

#[test]
fn aborted_records_are_not_read_and_markers_count_as_progress() {
    // The embedded cluster shows aborted records.
    let Some(cluster) = Cluster::real("transactions") else { return };
    let topic = cluster.topic("transactions", 1);
    cluster.transaction(&topic, 5, true);
    cluster.transaction(&topic, 5, false);
    let mut config = cluster.config(&topic);
    config.bounded = true;
    let mut driven = Driven::new(config.clone());
    driven.run_to_end();
    assert_eq!(driven.payloads(), ["0", "1", "2", "3", "4"]);
    // Two markers end the transactions: 5 + 1 + 5 + 1.
    driven.source.commit(&[(0, driven.next[&0])]).unwrap();
    driven.source.close();
    config.start = Start::Committed;
    let mut next = Driven::new(config);
    next.run_to_end();
    assert_eq!((next.assigned(), next.records.len()), (vec![(0, 12)], 0));
}

#[test]
fn the_waker_is_called_when_records_arrive() {
    let cluster = Cluster::embedded();
    let topic = cluster.topic("wake", 1);
    let (sender, woken) = std::sync::mpsc::channel();
    let context =
        SourceContext { worker: 0, peers: 1, waker: Waker::new(move || _ = sender.send(())) };
    let mut driven = Driven::with_context(cluster.config(&topic), context);
    driven.until("caught up", |d| d.has(PartitionEvent::CaughtUp));
    while woken.try_recv().is_ok() {}
    cluster.produce(&topic, 1, 0, 1);
    woken.recv_timeout(PATIENCE).expect("woken by the record");
    driven.until("the record", |d| d.records.len() == 1);
}

/// Run by [`another_process_reads_the_embedded_cluster`] in a process of its own.
#[test]
#[ignore = "a part of another test"]
fn child_counts_records() {
    let place = std::env::var("TIDERACE_TEST_CHILD").expect("started by its parent");
    let (bootstrap, topic) = place.split_once(' ').unwrap();
    let mut config = KafkaSourceConfig::new("child", bootstrap, topic);
    config.bounded = true;
    let mut driven = Driven::new(config);
    driven.run_to_end();
    assert_eq!(driven.records.len(), 100);
}

#[test]
fn another_process_reads_the_embedded_cluster() {
    let cluster = Cluster::embedded();
    let topic = cluster.topic("process", 2);
    cluster.produce(&topic, 2, 0, 50);
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "source::child_counts_records", "--ignored"])
        .env("TIDERACE_TEST_CHILD", format!("{} {topic}", cluster.bootstrap))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && text.contains("1 passed"), "{text}");
}
