//! Deduplication by event time: which copies of a record pass.
//!
//! Two records with one key are copies of each other if their event times are less than `ttl`
//! apart. Only one of them passes; which one is the mode:
//!
//! | mode | which copy | when | deterministic |
//! |---|---|---|---|
//! | [`dedup`](Keyed::dedup) | the first to arrive | at once | where copies carry one event time |
//! | [`dedup_refreshing`](Keyed::dedup_refreshing) | the first to arrive; a duplicate prolongs `ttl` | at once | where copies carry one event time |
//! | [`dedup_first_by_time`](Keyed::dedup_first_by_time) | the first by event time | once no earlier one can come | always |
//! | [`dedup_counted`](Keyed::dedup_counted) | the same, with the number of copies | once no other copy can come | always |
//! | [`dedup_last`](Keyed::dedup_last) | the last by event time, as changes | at once, retracted when a later one comes | always |
//! | [`dedup_bloom`](Keyed::dedup_bloom) | the first to arrive; **loses records** | at the end of the tick | up to what came in which tick |
//!
//! Copies carry one event time when a message is delivered twice: then what passes is a function of
//! the input alone in every mode. `dedup` passes one of the copies of a tick, and where these differ
//! in more than their key, either.
//!
//! Event time alone decides what is a copy. The frontier says only what is too late, and when memory
//! may go: at kept time + `ttl` + lateness. A row behind the frontier by more than the lateness is on
//! the late stream, never silently passed.
//!
//! **Keys** are an id, several fields (`|o| (o.client.clone(), o.request)`), or the contents in 16
//! bytes ([`content_hash`]). A key of eight bytes takes about 30 bytes in `dedup` (29 to 33 from 100,000
//! keys on), of which 16 are key and time, and 2 to 3 as a Bloom filter of a rate of loss of one in a
//! hundred. There is no Bloom filter in front of the exact tables: these are in memory and little more than
//! half full, so that a key never seen is found missing by one look, as a filter would.
//!
//! **Cuts**: every mode saves what it remembers, and at a cut writes what is new since the one before.
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
mod bucket;
mod buckets;
mod by_time;
mod content;
mod counted;
mod horizon;
mod last;
mod mark;
mod operator;
mod slots;
mod state;
mod store;

pub use bloom::Bloom;
pub use content::{ContentHash, content_hash};
pub use horizon::Horizon;
pub use last::LastCopies;
pub use operator::{Deduplicated, SetAside};
pub use state::{DedupState, Verdict};

#[cfg(doc)]
use crate::keyed::Keyed;
