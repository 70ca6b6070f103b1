//! How rows travel between the processes of a job.
//!
//! Workers of one process hand rows to each other as they are. Between processes they are bytes, and
//! an operator that brings the rows of a key together sends them as `bincode` writes them, one field
//! after the other, which every type with `serde` can do. A stream of many rows may travel in another
//! form before that: [`exchange_as`](Keyed::exchange_as) brings the rows of a key to one worker by a
//! [`Codec`] of its own, and the operator that follows finds them where they belong.
//!
//! | codec | what it asks of rows | how they travel |
//! |---|---|---|
//! | [`Serial`] | `serde` | as they travel anyway |
//! | [`Columns`] | `columnar::Columnar` | a column for each field |
//! | `Abomonated` (feature `abomonation`) | plain memory without padding | as they lie in memory |
//!
//! It makes no difference within a process, and none to the results.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::prelude::*;
//! use tiderace_operators::wire::Columns;
//!
//! let sums = Arc::new(Mutex::new(Vec::new()));
//! let into = sums.clone();
//! timely::execute(timely::Config::process(2), move |worker| {
//!     let into = into.clone();
//!     let observer = Observer::default();
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let policy = Policy::bounded(secs(0));
//!         let (input, rows) = EventInput::<(u64, i64)>::new(scope, 0, policy, &observer);
//!         rows.key_by(|row| row.0)
//!             .exchange_as("shipped", Columns)
//!             .window(Tumbling::every(secs(10)))
//!             .aggregate("sums", Sum::of(|row: &(u64, i64)| row.1))
//!             .inspect(move |row| into.lock().unwrap().push((row.data.key, row.data.value)));
//!         input
//!     });
//!     if worker.index() == 0 {
//!         for n in 0..10 {
//!             input.send(0, EventTime::from_secs(1), (n % 2, n as i64));
//!         }
//!     }
//!     input.finish();
//! })
//! .unwrap();
//! let mut sums = sums.lock().unwrap().clone();
//! sums.sort();
//! assert_eq!(sums, [(0, 20), (1, 25)]);
//! ```

#[cfg(feature = "abomonation")]
mod abomonated;
mod columns;
mod container;

#[cfg(feature = "abomonation")]
pub use abomonated::Abomonated;
pub use columns::Columns;

use container::Wire;
use serde::Serialize;
use serde::de::DeserializeOwned;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{ExchangeCore, Pipeline};
use timely::dataflow::operators::generic::Operator;

use crate::events::{Data, Tick};
use crate::key::{Key, route};
use crate::keyed::Keyed;
use crate::time::Timed;

/// A way to write rows as bytes for another process of the same job, and to read them there.
///
/// Both processes are the same program on machines of the same byte order. Law: what was written is
/// read as it was.
pub trait Codec<D>: Clone + Send + 'static {
    /// Appends rows.
    fn encode(rows: &[Timed<D>], out: &mut Vec<u8>);

    /// The rows that were written as these bytes, after which there may be up to seven zeros. The
    /// message says what is wrong with them.
    fn decode(bytes: &[u8]) -> Result<Vec<Timed<D>>, String>;
}

/// What timely does by itself: `bincode`, one field after the other.
#[derive(Clone, Copy, Debug)]
pub struct Serial;

impl<D: Serialize + DeserializeOwned + 'static> Codec<D> for Serial {
    fn encode(rows: &[Timed<D>], out: &mut Vec<u8>) {
        bincode::serialize_into(out, rows).expect("rows can be written to memory");
    }

    fn decode(bytes: &[u8]) -> Result<Vec<Timed<D>>, String> {
        // Reads what it needs, and leaves the zeros.
        bincode::deserialize_from(bytes).map_err(|error| error.to_string())
    }
}

impl<'scope, T: Tick, D: Data + Send, F> Keyed<'scope, T, D, F> {
    /// Brings the rows of a key to one worker, in a form of their own between processes. Operators that
    /// follow and need the rows of this key together find them there.
    ///
    /// Cost: a hash a row, and what the codec does; no state.
    ///
    /// # Panics
    /// While it runs, if bytes that come from another process are damaged.
    #[must_use]
    pub fn exchange_as<K, C>(self, name: &str, codec: C) -> Self
    where
        K: Key,
        F: Fn(&D) -> K + Clone + 'static,
        C: Codec<D>,
    {
        let _ = codec;
        let Keyed { events, key } = self;
        let of = key.clone();
        let hash = move |row: &Timed<D>| route(of(&row.data).stable_hash());
        let events = events.rows(|rows| {
            let wrapped = rows.unary::<CapacityContainerBuilder<Wire<D, C>>, _, _, _>(
                Pipeline,
                &format!("{name}: out"),
                |_, _| {
                    move |input, output| {
                        input.for_each(|tick, rows| {
                            let mut rows = Wire::<D, C>::from(std::mem::take(rows));
                            output.session(&tick).give_container(&mut rows);
                        });
                    }
                },
            );
            let pact = ExchangeCore::<CapacityContainerBuilder<Wire<D, C>>, _>::new(hash);
            wrapped.unary::<CapacityContainerBuilder<Vec<Timed<D>>>, _, _, _>(pact, name, |_, _| {
                move |input, output| {
                    input.for_each(|tick, rows| {
                        output.session(&tick).give_container(&mut rows.take());
                    });
                }
            })
        });
        Keyed { events, key }
    }
}

#[cfg(test)]
mod tests;
