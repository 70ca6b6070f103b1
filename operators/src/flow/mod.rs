//! The flow of rows: where they go, and how many of them.
//!
//! * [`split`]: each row goes one of several ways, by what is in it.
//! * [`sample`]: a part of the rows, chosen by hash and so the same in every run.
//! * [`rate`]: so many rows of each key in a stretch of event time, and no more.

mod aside;
pub mod rate;
pub mod sample;
pub mod split;

pub use aside::{Aside, Limited};
