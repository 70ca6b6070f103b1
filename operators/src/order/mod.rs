//! Order: rows sorted by event time, and the best of a window.

mod canonical;
pub mod sort;
mod waiting;

pub(crate) use canonical::{Element, canonical, in_order};
pub use sort::{Sort, Sorting};
pub(crate) use waiting::Waiting;
