//! Deduplication by event time: which copies of a record pass.
//!
//! Two records with one key are copies of each other if their event times are less than `ttl`
//! apart. Only one of them passes; which one is the mode:
//!
//! * [`DedupState`], **first seen** (the default): the first copy to arrive passes at once. Where
//!   all copies carry the same event time, as they do when a message is delivered twice, what
//!   passes is a function of the input alone. Where they differ it depends on arrival.
//! * [`FirstByTime`]: the first copy by event time passes, once no earlier one can come. Always
//!   deterministic, later by the lateness and the disorder of the input.
//!
//! Event time alone decides. The frontier says only what is too late, and when memory may go.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::prelude::*;
//!
//! let passed = Arc::new(Mutex::new(Vec::new()));
//! let (into, observer) = (passed.clone(), Observer::default());
//! let counts = observer.clone();
//! timely::execute_directly(move |worker| {
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let policy = Policy::bounded(secs(5));
//!         let (input, orders) = EventInput::<u64>::new(scope, 0, policy, &observer);
//!         let once = orders.key_by(|&id| id).dedup("once", Horizon::within(mins(10)));
//!         once.inspect(move |row| into.lock().unwrap().push((row.data, row.time.millis() / 1000)));
//!         once.duplicates().inspect(|row| assert_eq!(row.data, 7));
//!         once.late().inspect(|row| assert_eq!(row.data, 9));
//!         input
//!     });
//!     for (id, at) in [(7, 100), (8, 101), (7, 100), (7, 700), (9, 10)] {
//!         input.send(0, EventTime::from_secs(at), id);
//!         input.end_tick();
//!     }
//!     input.finish();
//! });
//! // The second copy of 7 is a duplicate, the third came ten minutes later, and 9 came too late.
//! assert_eq!(*passed.lock().unwrap(), [(7, 100), (8, 101), (7, 700)]);
//! assert_eq!(counts.counts("once").duplicate, 1);
//! assert_eq!(counts.counts("once").late, 1);
//! ```

mod bloom;
mod by_time;
mod content;
mod horizon;
mod last;
mod operator;
mod slots;
mod state;

pub use bloom::Bloom;
pub use content::{ContentHash, content_hash};
pub use horizon::Horizon;
pub use last::LastCopies;
pub use operator::{Deduplicated, SetAside};
pub use state::{DedupState, Verdict};
