//! Runs an operator on random input: shuffled, cut into ticks at random, on several workers.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tiderace_operators::prelude::*;
use timely::worker::Worker;

/// A record of the test input.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct Row {
    pub partition: u32,
    pub time: i64,
    pub key: u8,
    pub value: i32,
}

/// What an operator is fed with: records in the order of their reading, and where ticks end.
#[derive(Clone, Debug)]
pub struct Feed {
    pub partitions: u32,
    pub bound: u64,
    /// Each with whether the tick of its worker ends after it.
    pub rows: Vec<(Row, bool)>,
}

/// Feeds around 1970, with times on both sides of it, some far behind.
pub fn feeds() -> impl Strategy<Value = Feed> {
    (1u32..4, 0u64..40, 0.0f64..1.0).prop_flat_map(|(partitions, bound, cut)| {
        let row = (0..partitions, -150i64..150, 0u8..4, -50i32..50);
        let row = row.prop_map(|(partition, time, key, value)| Row { partition, time, key, value });
        let rows = prop::collection::vec((row, prop::bool::weighted(cut)), 0..80);
        let ordered = (rows, any::<bool>()).prop_map(|(mut rows, drift)| {
            // Half of the feeds drift forward in time as real ones do, the others jump about.
            if drift {
                let n = rows.len() as i64;
                for (at, (row, _)) in rows.iter_mut().enumerate() {
                    row.time = row.time / 4 + (at as i64 - n / 2) * 4;
                }
            }
            rows
        });
        ordered.prop_map(move |rows| Feed { partitions, bound, rows })
    })
}

/// Each record of the feed with the frontier of its partition just before it was read: the model of
/// bounded out-of-orderness, written once more in the plainest way.
pub fn judged(feed: &Feed) -> Vec<(Row, i64)> {
    let mut newest = vec![i64::MIN; feed.partitions as usize];
    let mut judged = Vec::new();
    for (row, _) in &feed.rows {
        let newest = &mut newest[row.partition as usize];
        let frontier = if *newest == i64::MIN { i64::MIN } else { *newest - feed.bound as i64 };
        judged.push((*row, frontier));
        *newest = row.time.max(*newest);
    }
    judged
}

/// Runs a program on some workers; each reads the partitions that are its own.
pub fn run<R: Send + 'static>(
    feed: &Feed,
    workers: usize,
    build: impl Fn(&Events<'_, u64, Row>, Sink<R>) + Send + Sync + 'static,
) -> (Vec<R>, Observer) {
    let results: Sink<R> = Arc::default();
    let into = results.clone();
    let observer = Observer::default();
    let observed = observer.clone();
    let feed = feed.clone();
    let config = match workers {
        1 => timely::Config::thread(),
        n => timely::Config::process(n),
    };
    let guards = timely::execute(config, move |worker: &mut Worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let policy = Policy::bounded(std::time::Duration::from_micros(feed.bound));
        let mut input = worker.dataflow::<u64, _, _>(|scope| {
            let (input, events) = EventInput::<Row>::new(scope, 0, policy, &observed);
            build(&events, into.clone());
            input
        });
        let mine = |partition: u32| partition as usize % peers == index;
        (0..feed.partitions).filter(|&p| mine(p)).for_each(|p| input.assign(p));
        if !(0..feed.partitions).any(mine) {
            input.reads_nothing();
        }
        for (row, cut) in feed.rows.iter().filter(|(row, _)| mine(row.partition)) {
            input.send(row.partition, EventTime::from_micros(row.time), *row);
            if *cut {
                input.end_tick();
                worker.step();
            }
        }
        input.finish();
    })
    .expect("timely starts");
    for guard in guards.join() {
        guard.expect("a worker panicked");
    }
    let results = std::mem::take(&mut *results.lock().expect("no worker panicked"));
    (results, observer)
}

/// Where results are gathered.
pub type Sink<R> = Arc<Mutex<Vec<R>>>;

/// Sorted, so that multisets compare.
pub fn sorted<R: Ord>(mut rows: Vec<R>) -> Vec<R> {
    rows.sort();
    rows
}
