//! Windows of any shape, by an [`Assigner`] of one's own.
//!
//! *A record at t is in the windows that the assigner gives for t: none, one or many.* Records in no
//! window are counted as filtered; a record is late if it is late for all its windows.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::prelude::*;
//!
//! /// The first ten seconds of every minute, and the whole minute.
//! #[derive(Clone, Debug)]
//! struct Starts;
//!
//! impl Assigner for Starts {
//!     fn assign(&self, time: EventTime, f: &mut impl FnMut(Window)) {
//!         let minute = time.micros().div_euclid(60_000_000) * 60;
//!         let till = |second| Window {
//!             start: EventTime::from_secs(minute),
//!             end: EventTime::from_secs(minute + second),
//!         };
//!         [till(10), till(60)].into_iter().filter(|w| w.contains(time)).for_each(f);
//!     }
//! }
//!
//! let results = Arc::new(Mutex::new(Vec::new()));
//! let late = Arc::new(Mutex::new(0));
//! let (into, late_in) = (results.clone(), late.clone());
//! timely::execute_directly(move |worker| {
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let (input, calls) =
//!             EventInput::<u32>::new(scope, 0, Policy::ascending(), &Observer::default());
//!         let windows = calls.key_by(|&who| who).window(Custom::by(Starts));
//!         let counts = windows.aggregate("starts", Count);
//!         counts.inspect(move |row| {
//!             let end = row.data.window.end.millis() / 1000;
//!             into.lock().unwrap().push((end, row.data.value));
//!         });
//!         counts.late().inspect(move |_| *late_in.lock().unwrap() += 1);
//!         input
//!     });
//!     input.send(0, EventTime::from_secs(2), 7);
//!     input.send(0, EventTime::from_secs(20), 7);
//!     input.send(0, EventTime::from_secs(3), 7); // late for the ten seconds, not for the minute
//!     input.send(0, EventTime::from_secs(61), 7);
//!     input.send(0, EventTime::from_secs(4), 7); // late for both
//!     input.finish();
//! });
//! let mut results = results.lock().unwrap().clone();
//! results.sort();
//! assert_eq!(results, [(10, 1), (60, 3), (70, 1), (120, 1)]);
//! assert_eq!(*late.lock().unwrap(), 1);
//! ```

use super::{Assigner, Window};
use crate::time::EventTime;

/// Windows by an assigner.
#[derive(Clone, Copy, Debug)]
pub struct Custom<A> {
    pub(super) assigner: A,
}

impl<A: Assigner> Custom<A> {
    /// Windows by this assigner. It gives each window of an instant once. What its `Debug` says
    /// tells saved state of one from that of another: it has to hold all parameters.
    pub fn by(assigner: A) -> Self {
        Custom { assigner }
    }
}

impl<A: Assigner> Assigner for Custom<A> {
    fn assign(&self, time: EventTime, f: &mut impl FnMut(Window)) {
        self.assigner.assign(time, f);
    }

    fn most_at_once(&self) -> u64 {
        self.assigner.most_at_once()
    }

    fn check(&self, name: &str) {
        self.assigner.check(name);
    }
}
