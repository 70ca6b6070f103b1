//! The client alone: batches from the queue that the Kafka source reads, and nothing else.

use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;

use super::Topic;
use crate::error::{Error, Kind, Result};
use crate::kafka::queue::Taken;
use crate::source::kafka::{KafkaSourceConfig, Log, Opened, open};
use crate::source::{SourceContext, SourceOptions, Waker};

/// How long a thread without messages waits before it looks again.
const LOOK: Duration = Duration::from_millis(10);

/// Reads a topic to its end on so many threads, each with a client and its share of the partitions
/// as the workers of a job have it. Returns how many messages there were, and their bytes.
pub fn consume(topic: &Topic<'_>, threads: usize) -> Result<(u64, u64)> {
    let config = &topic.source("client");
    let counts: Vec<Result<(u64, u64)>> = std::thread::scope(|scope| {
        let read = |worker| move || share(config, worker, threads);
        let threads: Vec<_> = (0..threads).map(|worker| scope.spawn(read(worker))).collect();
        let panicked = |_| Err(Error::new(Kind::Bug, "a thread that read panicked"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    });
    counts.into_iter().try_fold((0, 0), |(messages, bytes), count| {
        let (more, larger) = count?;
        Ok((messages + more, bytes + larger))
    })
}

fn share(config: &KafkaSourceConfig, worker: usize, peers: usize) -> Result<(u64, u64)> {
    let mut client = Client::open(config, worker, peers)?;
    let left = |log: &Log| log.end.map_or(0, |end| end.saturating_sub(log.next));
    let all: u64 = client.opened.logs.iter().map(left).sum();
    let (mut messages, mut bytes) = (0, 0);
    while messages < all {
        client.take(|message| {
            messages += 1;
            bytes += message.payload().map_or(0, <[u8]>::len) as u64;
        })?;
    }
    client.close();
    Ok((messages, bytes))
}

/// A client that reads on this thread.
pub struct Client {
    opened: Opened,
    limit: usize,
}

impl Client {
    /// Opens it with the partitions of a worker, as a source does.
    pub fn open(config: &KafkaSourceConfig, worker: usize, peers: usize) -> Result<Client> {
        let waker = Waker::of(std::thread::current());
        let opened = open(config, &SourceContext { worker, peers, waker })?;
        Ok(Client { opened, limit: SourceOptions::default().max_poll_records })
    }

    /// Shows what messages there are, and waits a little if there are none.
    pub fn take(&mut self, mut each: impl FnMut(Taken<'_>)) -> Result<()> {
        let taken = self.opened.queue.take(self.limit, |message| match message.error() {
            None => {
                each(message);
                Ok(())
            }
            Some(RDKafkaErrorCode::PartitionEOF) => Ok(()),
            Some(_) => Err(Error::new(Kind::Failed, message.error_text())),
        })?;
        if taken == 0 {
            // Its statistics and errors wait to be served.
            let _ = self.opened.queue.consumer().poll(Duration::ZERO);
            std::thread::park_timeout(LOOK);
        }
        Ok(())
    }

    /// Lets go of the partitions, then of the client.
    pub fn close(self) {
        if let Err(error) = self.opened.queue.consumer().unassign() {
            tracing::debug!("unassign: {error}");
        }
    }
}
