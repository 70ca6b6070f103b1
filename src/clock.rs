//! Wall time as a value that is passed in, so that tests can own it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tiderace_operators::time::EventTime;

/// What time it is: since some start, and by the wall.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System(Instant),
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Clock(Source::System(Instant::now()))
    }

    /// A clock that stands until it is moved, starting at this wall time.
    pub fn manual(start: EventTime) -> (Self, ManualClock) {
        let micros = u64::try_from(start.micros()).unwrap_or(0);
        let hands = Arc::new(AtomicU64::new(micros));
        (Clock(Source::Manual(hands.clone())), ManualClock(hands))
    }

    /// Time since some fixed instant; never goes back.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Source::System(start) => start.elapsed(),
            Source::Manual(hands) => Duration::from_micros(hands.load(SeqCst)),
        }
    }

    /// The wall clock, as an event time.
    pub fn wall(&self) -> EventTime {
        match &self.0 {
            Source::System(_) => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                EventTime::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
            Source::Manual(hands) => {
                EventTime::from_micros(i64::try_from(hands.load(SeqCst)).unwrap_or(i64::MAX))
            }
        }
    }
}

/// Moves a manual clock. Shared by all clones.
#[derive(Clone)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Lets this much time pass.
    pub fn pass(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), SeqCst);
    }
}
