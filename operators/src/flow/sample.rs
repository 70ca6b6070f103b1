//! A part of the rows, chosen by hash: the same in every run, on any number of workers.
//!
//! * [`Events::sample_keys`]: all rows of a part of the keys. *A row stays iff the hash of its key
//!   is less than the fraction of all hashes*, so that of two streams with the same keys the same
//!   keys stay, and those of a smaller fraction are among those of a larger one.
//! * [`Events::sample`]: a part of the rows. *A row stays iff the hash of the seed, its event time and
//!   its canonical bytes is less than the fraction.* Rows that are equal in all stay or go together.
//! * [`Windowed::reservoir`]: at most `k` rows of each key and window, each of the window's different
//!   rows with the same chance: those with the least hashes (bottom-k sampling; Cohen and Kaplan,
//!   *Summarizing data using bottom-k sketches*, 2007). Rows that are equal in all count once.
//!
//! Rows that do not stay are counted as filtered. None of the three depends on the order of rows.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::prelude::*;
//!
//! let seen = Arc::new(Mutex::new((Vec::new(), Vec::new())));
//! let (into, late) = (seen.clone(), seen.clone());
//! let observer = Observer::default();
//! let counts = observer.clone();
//! timely::execute_directly(move |worker| {
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let (input, rows) = EventInput::<u32>::new(scope, 0, Policy::ascending(), &observer);
//!         rows.sample_keys("some_users", 0.25, |&row| row % 100);
//!         let three = rows.key_by(|_| 0u8).window(Tumbling::every(secs(1))).reservoir("three", 3, 7);
//!         three.inspect(move |row| into.lock().unwrap().0.push(row.data.value.len()));
//!         three.late().inspect(move |row| late.lock().unwrap().1.push(row.data));
//!         input
//!     });
//!     for n in 0..1_000 {
//!         input.send(0, EventTime::from_millis(i64::from(n)), n);
//!     }
//!     input.send(0, EventTime::from_millis(1_500), 1_000);
//!     input.end_tick();
//!     input.send(0, EventTime::from_millis(999), 1_001);
//!     input.finish();
//! });
//! let (sizes, late) = seen.lock().unwrap().clone();
//! assert_eq!((sizes, late), (vec![3, 1], vec![1_001]));
//! let counts = counts.counts("some_users");
//! assert!(counts.kept % 10 < 3 && (150..350).contains(&counts.kept) && counts.balanced());
//! ```

use std::cell::Cell;
use std::cmp::Ordering;

use serde::Serialize;
use serde::de::DeserializeOwned;
use timely::ExchangeData;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use crate::aggregate::Aggregate;
use crate::events::{Data, Events, Tick};
use crate::key::{Key, Parts, StableHash};
use crate::order::canonical;
use crate::time::{EventTime, Timed};
use crate::window::{WindowResult, Windowed, WithLate};

/// Tells the hash that samples keys from the one that places them, which is fixed.
const KEYS: u64 = 0x7469_6465_7361_6d70;

/// The hashes that are less than a fraction of all.
#[derive(Clone, Copy, Debug)]
struct Below(u128);

impl Below {
    fn fraction(name: &str, fraction: f64) -> Self {
        assert!(
            (0.0..=1.0).contains(&fraction),
            "`{name}`: the fraction of a sample must be from 0 to 1, and is {fraction}"
        );
        Below((fraction * 2f64.powi(64)) as u128)
    }

    #[inline]
    fn has(self, hash: u64) -> bool {
        u128::from(hash) < self.0
    }
}

thread_local! {
    /// Room for the bytes of a row, so that none is allocated for each.
    static BYTES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The hash of a row, by a seed.
fn row_hash<D: Serialize>(seed: u64, time: EventTime, row: &D) -> u64 {
    let mut bytes = BYTES.take();
    bytes.clear();
    let written = postcard::to_extend(row, bytes);
    let bytes = written.expect("a row can be written down: sequences have lengths");
    let hash = Parts::of(3).with(&seed).with(&time).with(&bytes[..]).hash();
    BYTES.set(bytes);
    hash
}

impl<'scope, T: Tick, D: Data> Events<'scope, T, D> {
    /// All rows of this fraction of the keys; see the [module](crate::flow::sample).
    ///
    /// # Panics
    /// If the fraction is not from 0 to 1.
    pub fn sample_keys<K: StableHash>(
        &self,
        name: &str,
        fraction: f64,
        key: impl Fn(&D) -> K + 'static,
    ) -> Self {
        let below = Below::fraction(name, fraction);
        self.sampled(name, move |row| {
            below.has(Parts::of(2).with(&KEYS).with(&key(&row.data)).hash())
        })
    }

    /// This fraction of the rows; see the [module](crate::flow::sample).
    ///
    /// # Panics
    /// If the fraction is not from 0 to 1.
    pub fn sample(&self, name: &str, fraction: f64, seed: u64) -> Self
    where
        D: Serialize,
    {
        let below = Below::fraction(name, fraction);
        self.sampled(name, move |row| below.has(row_hash(seed, row.time, &row.data)))
    }

    fn sampled(&self, name: &str, keep: impl FnMut(&Timed<D>) -> bool + 'static) -> Self {
        let mut keep = keep;
        let counters = self.clock().observer().register(name, "sample", self.scope().index());
        self.rows(|rows| {
            rows.unary(Pipeline, name, |_, _| {
                move |input, output| {
                    input.for_each(|tick, rows| {
                        let all = rows.len() as u64;
                        rows.retain(&mut keep);
                        let kept = rows.len() as u64;
                        counters.input.add(all);
                        counters.kept.add(kept);
                        counters.output.add(kept);
                        counters.filtered.add(all - kept);
                        output.session(&tick).give_container(rows);
                    });
                }
            })
        })
    }
}

impl<'scope, T: Tick, D: ExchangeData + Data, F> Windowed<'scope, T, D, F> {
    /// At most `most` rows of each key and window, sent in the order of their event times when the
    /// window is complete; see the [module](crate::flow::sample). All rows are counted as kept.
    ///
    /// # Panics
    /// If `most` is zero.
    pub fn reservoir<K>(
        self,
        name: &str,
        most: usize,
        seed: u64,
    ) -> WithLate<'scope, T, WindowResult<K, Vec<Timed<D>>>, D>
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
    {
        assert!(most > 0, "`{name}`: a reservoir must have room for 1 row, and has for {most}");
        self.aggregate(name, Reservoir { most, seed })
    }
}

/// Keeps the rows with the least hashes: a sample of the different rows. The result has them in the
/// order of (event time, canonical bytes).
///
/// State: the rows of the sample. Cost: a hash of the row's bytes, and more only where it comes into
/// the sample, which of n rows about k · ln(n / k) do.
#[derive(Clone, Copy, Debug)]
pub struct Reservoir {
    /// How many rows at most.
    pub most: usize,
    /// Which of all possible samples.
    pub seed: u64,
}

impl Reservoir {
    fn take<D: Serialize + Clone>(
        self,
        state: &mut Vec<(u64, EventTime, D)>,
        (hash, time): (u64, EventTime),
        row: &D,
    ) {
        let compare = |kept: &(u64, EventTime, D)| {
            let order = (kept.0, kept.1).cmp(&(hash, time));
            // Bytes are compared only where the hash says that they are equal.
            order.then_with(|| canonical(&kept.2).cmp(&canonical(row)))
        };
        if state.len() == self.most
            && state.last().is_some_and(|last| compare(last) == Ordering::Less)
        {
            return;
        }
        if let Err(place) = state.binary_search_by(compare) {
            state.insert(place, (hash, time, row.clone()));
            state.truncate(self.most);
        }
    }
}

impl<D> Aggregate<D> for Reservoir
where
    D: Data + Serialize + DeserializeOwned + Send,
{
    type State = Vec<(u64, EventTime, D)>;
    type Output = Vec<Timed<D>>;

    fn create(&self) -> Self::State {
        Vec::new()
    }

    fn add(&self, state: &mut Self::State, row: &D) {
        self.add_at(state, EventTime::MIN, row);
    }

    fn add_at(&self, state: &mut Self::State, time: EventTime, row: &D) {
        let hash = row_hash(self.seed, time, row);
        self.take(state, (hash, time), row);
    }

    fn merge(&self, state: &mut Self::State, other: &Self::State) {
        for (hash, time, row) in other {
            self.take(state, (*hash, *time), row);
        }
    }

    fn finish(&self, state: &Self::State) -> Vec<Timed<D>> {
        let rows = state.iter().map(|(_, time, row)| Timed::on_time(*time, row.clone()));
        let mut rows: Vec<_> = rows.collect();
        crate::order::in_order(&mut rows);
        rows
    }
}
