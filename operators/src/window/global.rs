//! One window of all time.
//!
//! *Every record is in the window of all time, which is complete when the input has ended.* No
//! record is late for it. For input that ends: what it holds of each key stays until then.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use tiderace_operators::prelude::*;
//!
//! let results = Arc::new(Mutex::new(Vec::new()));
//! let into = results.clone();
//! timely::execute_directly(move |worker| {
//!     let mut input = worker.dataflow::<u64, _, _>(|scope| {
//!         let (input, visits) =
//!             EventInput::<&str>::new(scope, 0, Policy::ascending(), &Observer::default());
//!         let visits = visits.key_by(|page| page.len()).window(Global).aggregate("visits", Count);
//!         visits.inspect(move |row| into.lock().unwrap().push((row.data.key, row.data.value)));
//!         input
//!     });
//!     input.send(0, EventTime::from_secs(50), "home");
//!     input.send(0, EventTime::from_secs(10), "news"); // behind, but late for nothing
//!     input.finish();
//! });
//! assert_eq!(*results.lock().unwrap(), [(4, 2)]);
//! ```

use super::{Assigner, SideBySide, Window};
use crate::time::EventTime;

/// One window of all time; it gives its results at the end of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Global;

impl Global {
    /// The window of all time.
    pub const WINDOW: Window = Window { start: EventTime::MIN, end: EventTime::MAX };
}

impl Assigner for Global {
    #[inline]
    fn assign(&self, _: EventTime, f: &mut impl FnMut(Window)) {
        f(Global::WINDOW);
    }
}

impl SideBySide for Global {
    #[inline]
    fn window_of(&self, _: EventTime) -> Window {
        Global::WINDOW
    }
}
