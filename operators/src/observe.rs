//! The counters every operator keeps.
//!
//! Each instance of an operator has one [`Counters`]; whoever runs the dataflow holds them through
//! an [`Observer`] and adds them up when it likes. Operators add once per batch. For every operator
//! `input = kept + filtered + late + duplicate + rejected`: nothing is lost in silence.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::time::EventTime;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What one instance of an operator has seen. Written by its worker, read by anybody.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
            /// The event-time frontier up to which it is done, in microseconds.
            pub frontier: Frontier,
            /// Where the oldest window or session starts that is open, as of its last tick; that of
            /// a session is rounded down by up to a 32nd of the gap, or by a second if gaps differ.
            pub oldest: Oldest,
        }

        /// The values of [`Counters`] at one moment; they add up over workers and processes.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// The values now.
            pub fn counts(&self) -> Counts {
                Counts { $($name: self.$name.get(),)* }
            }
        }

        impl std::ops::AddAssign for Counts {
            fn add_assign(&mut self, other: Counts) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counters! {
    /// Rows that came in.
    input,
    /// Rows that went on as they are, or into the operator's state.
    kept,
    /// Rows that were dropped on purpose.
    filtered,
    /// Rows that were refused because their event time was behind; they are on the late stream.
    late,
    /// Rows that repeat an earlier one.
    duplicate,
    /// Rows that could not be used, with a reason; they are on the stream of rejects.
    rejected,
    /// Rows that went out.
    output,
    /// Rows whose event time was too far ahead to move the frontier. They are counted as kept too.
    implausible,
    /// Entries of state held now: keys in open windows, remembered keys.
    held,
    /// Windows open now.
    open,
    /// Windows of a row that were complete already while others of it were not.
    late_windows,
    /// Windows, per key, that have given a result.
    fired,
    /// Sessions that were taken in by others.
    merged,
    /// Bytes of state held now, what keys and values own elsewhere not counted.
    bytes,
}

impl Counts {
    /// Whether every row that came in has left through a counted door.
    pub fn balanced(&self) -> bool {
        self.input == self.kept + self.filtered + self.late + self.duplicate + self.rejected
    }
}

/// A number that one worker writes and anybody reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    #[inline]
    pub fn add(&self, n: u64) {
        if n != 0 {
            // One writer: a plain load and store is enough, and cheaper than a locked add.
            self.0.store(self.0.load(Relaxed) + n, Relaxed);
        }
    }

    /// Sets it, for numbers that go up and down.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// An event-time frontier that one worker writes and anybody reads.
#[derive(Debug)]
pub struct Frontier(AtomicI64);

impl Default for Frontier {
    fn default() -> Self {
        Frontier(AtomicI64::new(i64::MIN))
    }
}

impl Frontier {
    /// Sets it.
    pub fn set(&self, frontier: EventTime) {
        self.0.store(frontier.micros(), Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> EventTime {
        EventTime::from_micros(self.0.load(Relaxed))
    }
}

/// The start of the oldest open window, which one worker writes and anybody reads.
#[derive(Debug)]
pub struct Oldest(AtomicI64);

impl Oldest {
    /// No window starts at the end of time.
    const NONE: i64 = i64::MAX;

    /// Sets it; `None` if no window is open.
    pub fn set(&self, start: Option<EventTime>) {
        self.0.store(start.map_or(Self::NONE, EventTime::micros), Relaxed);
    }

    /// Its value; `None` if no window is open.
    pub fn get(&self) -> Option<EventTime> {
        let start = self.0.load(Relaxed);
        (start != Self::NONE).then_some(EventTime::from_micros(start))
    }
}

impl Default for Oldest {
    fn default() -> Self {
        Oldest(AtomicI64::new(Self::NONE))
    }
}

/// The counters of one operator on one worker, with its name.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The operator's name.
    pub name: Arc<str>,
    /// What kind of operator it is: `window`, `filter`, `dedup` …
    pub kind: &'static str,
    /// The worker it runs on.
    pub worker: usize,
    /// Its numbers.
    pub counters: Arc<Counters>,
}

/// Where the operators of a dataflow register their counters. Cheap to clone; shared by threads.
#[derive(Clone, Debug, Default)]
pub struct Observer(Arc<Mutex<Vec<Observed>>>);

impl Observer {
    /// Counters for a new operator instance.
    pub fn register(&self, name: &str, kind: &'static str, worker: usize) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        let entry = Observed { name: name.into(), kind, worker, counters: counters.clone() };
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(entry);
        counters
    }

    /// All operator instances that have registered, in order.
    pub fn all(&self) -> Vec<Observed> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// The numbers of an operator, added up over the workers of this process.
    pub fn counts(&self, name: &str) -> Counts {
        let mut sum = Counts::default();
        for entry in self.all().iter().filter(|entry| &*entry.name == name) {
            sum += entry.counters.counts();
        }
        sum
    }

    /// Where the oldest window of an operator starts that is open on a worker of this process.
    pub fn oldest(&self, name: &str) -> Option<EventTime> {
        let all = self.all();
        let of_name = all.iter().filter(|entry| &*entry.name == name);
        of_name.filter_map(|entry| entry.counters.oldest.get()).min()
    }
}
