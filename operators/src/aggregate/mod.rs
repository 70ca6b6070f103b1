//! Aggregates: what is kept of the rows of a window, and what is made of it.
//!
//! An [`Aggregate`] holds a small state per key and window. Rows are added one by one, states are
//! merged (slices of sliding windows, partial results of other workers, sessions that grow
//! together), and the result is made from the state. All aggregates here give **the same result
//! for every order of rows and every way of splitting and merging**, floats included, but for those
//! with *fast* in their name.
//!
//! A tuple of aggregates is an aggregate:
//!
//! ```
//! use tiderace_operators::aggregate::{Aggregate, Count, Max, Mean};
//!
//! struct Reading { celsius: f64 }
//!
//! let summary = (
//!     Count,
//!     Mean::of(|r: &Reading| r.celsius),
//!     Max::of(|r: &Reading| r.celsius),
//! );
//! let mut state = summary.create();
//! for celsius in [19.5, 20.0, 23.5] {
//!     summary.add(&mut state, &Reading { celsius });
//! }
//! assert_eq!(summary.finish(&state), (3, 21.0, Some(23.5)));
//! ```
//!
//! Where the type of the rows is known from elsewhere, [`Of`] saves writing it again.
//!
//! | to find | exactly | in little memory or time |
//! |---|---|---|
//! | how many, how much | [`Count`], [`CountIf`], [`Sum`], [`Mean`] | [`FastSum`], [`FastMean`] |
//! | the spread | [`VarPop`], [`VarSample`], [`StdPop`], [`StdSample`] | [`FastVarPop`] and so on, [`ZScore`] |
//! | the least and the greatest | [`Min`], [`Max`], [`MinBy`], [`MaxBy`], [`TopK`], [`BottomK`] | |
//! | percentiles | [`Percentile`], [`Percentiles`], [`PercentileCont`], [`Median`] | [`ApproxPercentile`] |
//! | different values | [`Distinct`], [`Mode`], [`Frequent`], [`CollectSet`] | [`ApproxDistinct`], [`FastFrequent`] |
//! | what came when | [`First`], [`Last`], [`Collect`], [`LastN`], [`Ema`] | |
//!
//! [`Composite`] finds several of these under names, [`When`] takes some of the rows, [`Mapped`]
//! changes the result and [`Choose`] takes other aggregates for other keys. From those that are
//! [`Retract`] rows can be taken out again.

mod approx;
mod bag;
mod by;
mod choose;
mod collect;
mod combine;
mod composite;
mod count;
mod count_distinct;
mod distinct;
mod ema;
mod exact;
mod extreme;
mod fast;
mod first;
mod of;
pub mod percentile;
mod signed;
mod spread;
mod sum;
mod top;
mod tuple;
mod zscore;

pub use approx::{ApproxDistinct, Estimate};
pub use by::{MaxBy, MinBy};
pub use choose::Choose;
pub use collect::{Collect, LastN};
pub use combine::{Mapped, When};
pub use composite::{Composite, Named};
pub use count::{Count, CountIf};
pub use count_distinct::{Countable, Counts, Distinct};
pub use distinct::{CollectSet, Frequent, Mode, TooMany};
pub use ema::Ema;
pub use exact::ExactSum;
pub use extreme::{Max, Min, Ranked, RetractableMax, RetractableMin};
pub use fast::{
    FastFrequent, FastMean, FastStdPop, FastStdSample, FastSum, FastVarPop, FastVarSample,
    FrequentValues,
};
pub use first::{First, Last};
pub use of::Of;
pub use percentile::{
    ApproxPercentile, ApproxPercentiles, Median, Percentile, PercentileCont, PercentileUpTo,
    Percentiles, PercentilesUpTo, Quantile,
};
pub use signed::Signed;
pub use spread::{StdPop, StdSample, VarPop, VarSample};
pub use sum::{Mean, Number, Sum};
pub use top::{BottomK, RetractableBottomK, RetractableTopK, TopK};
pub use zscore::ZScore;

use ema::average_over;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::time::EventTime;

/// A summary of rows of type `D`.
///
/// Laws: merging with a fresh state changes nothing, and the result must not depend on how the
/// rows are split into states that are merged, in any order.
///
/// ```
/// use tiderace_operators::aggregate::Aggregate;
///
/// /// How many bytes the longest line has, and how many lines there are.
/// #[derive(Clone)]
/// struct Lines;
///
/// impl Aggregate<String> for Lines {
///     type State = (u64, u64);
///     type Output = String;
///
///     fn create(&self) -> (u64, u64) { (0, 0) }
///     fn add(&self, state: &mut (u64, u64), line: &String) {
///         *state = (state.0.max(line.len() as u64), state.1 + 1);
///     }
///     fn merge(&self, state: &mut (u64, u64), other: &(u64, u64)) {
///         *state = (state.0.max(other.0), state.1 + other.1);
///     }
///     fn finish(&self, state: &(u64, u64)) -> String {
///         format!("{} lines of up to {} bytes", state.1, state.0)
///     }
/// }
///
/// let (mut a, mut b) = (Lines.create(), Lines.create());
/// Lines.add(&mut a, &"one".to_string());
/// Lines.add(&mut b, &"three".to_string());
/// Lines.merge(&mut a, &b);
/// assert_eq!(Lines.finish(&a), "2 lines of up to 5 bytes");
/// ```
pub trait Aggregate<D>: Clone + 'static {
    /// What is kept per key and window. It goes into checkpoints and between workers.
    type State: Clone + Serialize + DeserializeOwned + Send + 'static;
    /// The result.
    type Output: Clone + 'static;

    /// The state of no rows.
    fn create(&self) -> Self::State;
    /// Takes one row in.
    fn add(&self, state: &mut Self::State, row: &D);
    /// Takes one row in, with its event time: this is what operators call. Aggregates that ask for
    /// the time, and those made of others, have a body of their own here.
    #[inline]
    fn add_at(&self, state: &mut Self::State, time: EventTime, row: &D) {
        let _ = time;
        self.add(state, row);
    }
    /// Takes in all rows of another state.
    fn merge(&self, state: &mut Self::State, other: &Self::State);
    /// The result of the rows so far; more may follow.
    fn finish(&self, state: &Self::State) -> Self::Output;
    /// Whether a state is small however many rows it holds, and as quickly merged as a few rows are
    /// added. With several workers, rows of a key are then summed up before they travel to the worker
    /// that has it; a state that holds on to its rows travels no more cheaply than they do.
    fn is_small(&self) -> bool {
        true
    }
}

/// An aggregate that rows can be taken out of again.
///
/// Law: taking out a row that was taken in leaves what the other rows make, in any order.
pub trait Retract<D>: Aggregate<D> {
    /// Takes out one row that was taken in before, at the same time.
    fn retract(&self, state: &mut Self::State, time: EventTime, row: &D);
}

#[cfg(test)]
mod tests;
