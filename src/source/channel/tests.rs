//! The channel between threads, and by hand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::*;
use crate::source::{Batch, PartitionEvent, Poll, Source, SourceContext};

fn context(worker: usize, peers: usize) -> SourceContext {
    SourceContext { worker, peers, waker: Waker::new(|| {}) }
}

fn take<D: 'static>(source: &mut ChannelSource<D>, limit: usize) -> (Vec<D>, Poll) {
    let mut batch = Batch::default();
    let poll = source.consume(limit, &mut batch).unwrap();
    (batch.messages.into_iter().map(|message| message.record.unwrap()).collect(), poll)
}

#[test]
fn records_come_in_order_with_their_offsets_and_the_input_ends_once() {
    let (builder, sender) = ChannelSource::bounded(10);
    for n in 0..3 {
        sender.send(n).unwrap();
    }
    let mut source = builder.build(context(0, 1)).unwrap();
    let mut batch = Batch::default();
    assert_eq!(source.consume(2, &mut batch).unwrap(), Poll::Ready);
    assert_eq!(source.consume(2, &mut batch).unwrap(), Poll::Pending);
    assert_eq!(source.consume(2, &mut batch).unwrap(), Poll::Pending);
    drop(sender);
    assert_eq!(source.consume(2, &mut batch).unwrap(), Poll::Finished);
    assert_eq!(source.consume(2, &mut batch).unwrap(), Poll::Finished);
    assert_eq!(
        batch.events,
        [
            (0, 0, PartitionEvent::Assigned(0)),
            (3, 0, PartitionEvent::CaughtUp),
            (3, 0, PartitionEvent::Finished)
        ]
    );
    let seen = batch.messages.iter().map(|m| (m.next, *m.record.as_ref().unwrap()));
    assert_eq!(seen.collect::<Vec<_>>(), [(1, 0), (2, 1), (3, 2)]);
}

#[test]
fn close_ends_the_input_after_what_was_sent() {
    let (builder, sender) = ChannelSource::bounded(10);
    let other = sender.clone();
    sender.send('a').unwrap();
    other.close();
    assert_eq!(sender.send('b').unwrap_err().why, Refusal::Closed);
    let mut source = builder.build(context(0, 1)).unwrap();
    assert_eq!(take(&mut source, 9), (vec!['a'], Poll::Finished));
}

#[test]
fn the_last_sender_ends_the_input_and_no_earlier_one() {
    let (builder, sender) = ChannelSource::<u8>::bounded(1);
    let mut source = builder.build(context(0, 1)).unwrap();
    let other = sender.clone();
    drop(sender);
    assert_eq!(take(&mut source, 1).1, Poll::Pending);
    drop(other);
    assert_eq!(take(&mut source, 1).1, Poll::Finished);
}

#[test]
fn a_full_channel_gives_the_record_back_or_waits() {
    let (builder, sender) = ChannelSource::bounded(2);
    let mut source = builder.build(context(0, 1)).unwrap();
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    let refused = sender.try_send(3).unwrap_err();
    assert_eq!((refused.record, refused.why), (3, Refusal::Full));

    let sent = Arc::new(AtomicUsize::new(0));
    let thread = {
        let (sender, sent) = (sender.clone(), sent.clone());
        thread::spawn(move || {
            sender.send(3).unwrap();
            sent.store(1, Ordering::SeqCst);
        })
    };
    thread::sleep(Duration::from_millis(50));
    assert_eq!(sent.load(Ordering::SeqCst), 0, "it waits for room");
    assert_eq!(take(&mut source, 1).0, [1]);
    thread.join().unwrap();
    assert_eq!(take(&mut source, 9).0, [2, 3]);
    assert_eq!(sender.waiting(), 0);
}

#[test]
fn whoever_waits_is_let_go_when_the_reader_leaves() {
    let (builder, sender) = ChannelSource::bounded(1);
    let mut source = builder.build(context(0, 1)).unwrap();
    sender.send(1).unwrap();
    let thread = thread::spawn(move || sender.send(2).unwrap_err().why);
    thread::sleep(Duration::from_millis(20));
    source.close();
    assert_eq!(thread.join().unwrap(), Refusal::Closed);
}

#[test]
fn a_builder_dropped_unused_closes_the_channel() {
    let (builder, sender) = ChannelSource::bounded(1);
    let clone = builder.clone();
    drop(builder);
    sender.send(1).unwrap();
    drop(clone);
    assert_eq!(sender.send(2).unwrap_err().why, Refusal::Closed);
}

#[test]
fn partitions_go_to_their_workers_also_what_was_sent_before_the_start() {
    let (builder, sender) = ChannelSource::partitioned("test", 5, 100);
    for n in 0..5_u32 {
        sender.send_to(n, n * 10).unwrap();
    }
    let mut sources: Vec<_> =
        (0..2).map(|worker| builder.build(context(worker, 2)).unwrap()).collect();
    for n in 0..5 {
        sender.send_to(n, n * 10 + 1).unwrap();
    }
    assert_eq!(take(&mut sources[0], 9).0, [0, 20, 40, 1, 21, 41]);
    assert_eq!(take(&mut sources[1], 9).0, [10, 30, 11, 31]);
    assert_eq!(sender.send_to(5, 0).unwrap_err().why, Refusal::UnknownPartition);
}

#[test]
fn a_worker_without_a_partition_is_finished_at_once() {
    let (builder, _sender) = ChannelSource::<u8>::bounded(1);
    let mut sources: Vec<_> =
        (0..2).map(|worker| builder.build(context(worker, 2)).unwrap()).collect();
    assert_eq!(take(&mut sources[1], 9).1, Poll::Finished);
    assert_eq!(take(&mut sources[0], 9).1, Poll::Pending);
}

#[test]
fn it_can_be_read_once_only() {
    let (builder, _sender) = ChannelSource::<u8>::bounded(1);
    let _source = builder.build(context(0, 1)).unwrap();
    for (worker, peers) in [(0, 1), (0, 2), (1, 2)] {
        let error = builder.build(context(worker, peers)).err().unwrap();
        assert!(error.to_string().contains("has been read before"), "{error}");
    }
}

#[test]
fn a_sleeping_worker_is_woken_once() {
    let (builder, sender) = ChannelSource::bounded(10);
    let woken = Arc::new(AtomicUsize::new(0));
    let count = woken.clone();
    let waker = Waker::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let mut source = builder.build(SourceContext { worker: 0, peers: 1, waker }).unwrap();
    let woken = || woken.load(Ordering::SeqCst);
    sender.send(1).unwrap();
    assert_eq!(woken(), 0, "it has not been told that nothing waits");
    assert_eq!(take(&mut source, 9).1, Poll::Pending);
    sender.send(2).unwrap();
    sender.send(3).unwrap();
    assert_eq!(woken(), 1);
    assert_eq!(take(&mut source, 1).1, Poll::Ready);
    sender.send(4).unwrap();
    assert_eq!(woken(), 1, "it asks again by itself");
    drop(sender);
    assert_eq!(woken(), 2, "the end wakes it too");
}

#[test]
fn nothing_is_lost_between_many_threads() {
    let (builder, sender) = ChannelSource::partitioned("test", 3, 7);
    let senders: Vec<_> = (0..4_u64)
        .map(|thread| {
            let sender = sender.clone();
            thread::spawn(move || {
                for n in 0..2_000 {
                    let partition = (n % 3) as Partition;
                    sender.send_to(partition, thread * 10_000 + n).unwrap();
                }
            })
        })
        .collect();
    drop(sender);
    let readers: Vec<_> = (0..2)
        .map(|worker| {
            let mut source = builder.build(context(worker, 2)).unwrap();
            thread::spawn(move || {
                let mut all = Vec::new();
                loop {
                    let (records, poll) = take(&mut source, 5);
                    all.extend(records);
                    match poll {
                        Poll::Finished | Poll::None => return all,
                        Poll::Pending => thread::yield_now(),
                        Poll::Ready => {}
                    }
                }
            })
        })
        .collect();
    senders.into_iter().for_each(|thread| thread.join().unwrap());
    let mut all: Vec<u64> = readers.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    all.sort_unstable();
    let sent = (0..4).flat_map(|thread| (0..2_000).map(move |n| thread * 10_000 + n));
    assert_eq!(all, sent.collect::<Vec<_>>());
}

#[test]
fn a_sender_can_see_what_was_committed() {
    let (builder, sender) = ChannelSource::bounded(9);
    let mut source = builder.build(context(0, 1)).unwrap();
    sender.send(1).unwrap();
    take(&mut source, 9);
    assert_eq!(sender.committed(0), 0);
    source.commit(&[(0, 1)]).unwrap();
    assert_eq!(sender.committed(0), 1);
    assert_eq!(sender.committed(7), 0);
}

#[test]
fn a_silent_partition_is_told_empty_once_while_another_is_busy() {
    let (builder, sender) = ChannelSource::partitioned("test", 2, 9);
    let mut source = builder.build(context(0, 1)).unwrap();
    let mut told = |sent: &[Partition]| {
        sent.iter().for_each(|partition| sender.send_to(*partition, ()).unwrap());
        let mut batch = Batch::default();
        source.consume(2, &mut batch).unwrap();
        let caught_up = batch.events.iter().filter(|e| e.2 == PartitionEvent::CaughtUp);
        caught_up.map(|(_, partition, _)| *partition).collect::<Vec<_>>()
    };
    assert_eq!(told(&[]), [0, 1]);
    assert_eq!(told(&[1]), [1]);
    assert!(told(&[1, 1, 1]).is_empty(), "one more waits");
    assert_eq!(told(&[0]), [0, 1]);
    assert!(told(&[]).is_empty());
}
