//! Runs a program on scripted input: on several workers and processes, over cuts and restores.
//!
//! A [`Feed`] says what its sources read, in which order, and where ticks end. [`run`] builds a
//! program over it on some [`Workers`] and gathers what the program hands out. [`run_cut`] takes a cut
//! in the middle **while rows of later ticks have already arrived**, kills the whole dataflow, builds
//! it again from the saved bytes on other workers and goes on from the positions of the cut.
//!
//! ```
//! use tiderace_operators::prelude::*;
//! use tiderace_operators::testing::{Feed, Workers, run, run_cut, sorted};
//!
//! let mut feed = Feed::new(secs(0));
//! for second in 0..40 {
//!     feed.row(0, second as u32 % 3, EventTime::from_secs(second), second as u64 % 5);
//!     feed.end_tick_after(second % 4 == 3);
//! }
//! let program = |inputs: &[Events<'_, u64, u64>], out: &tiderace_operators::testing::Out<_>| {
//!     let windows = inputs[0].key_by(|&key| key).window(Tumbling::every(secs(10)));
//!     let counts = windows.aggregate("counts", Count);
//!     out.gather(&counts, |row| (row.data.key, row.data.window.start, row.data.value));
//! };
//! let whole = run(&feed, Workers::threads(1), program);
//! for workers in [2, 5] {
//!     assert_eq!(sorted(run(&feed, Workers::threads(workers), program).rows), sorted(whole.rows.clone()));
//! }
//! let cut = run_cut(&feed, &[(17, Workers::threads(1)), (23, Workers::threads(2))], Workers::threads(5), program);
//! assert_eq!(sorted(cut.rows), sorted(whole.rows));
//! ```

mod feed;
mod out;
mod random;
mod run;

pub use feed::{Feed, Step};
pub use out::Out;
pub use random::{Row, cases, cuts, feeds, feeds_of, judged};
pub use run::{Cut, Ran, Workers, run, run_cut};

/// How many bytes large tables have now that no allocator knows of, as they are mapped apart.
pub fn mapped() -> usize {
    crate::huge::mapped()
}

/// Sorted, so that multisets compare.
pub fn sorted<R: Ord>(mut rows: Vec<R>) -> Vec<R> {
    rows.sort();
    rows
}
