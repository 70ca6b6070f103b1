//! Order: rows sorted by event time, and the best of a window.

mod canonical;
mod earliest;
mod gathered;
pub mod sort;
pub mod top_n;
mod waiting;

pub(crate) use canonical::{Element, canonical, in_order};
pub(crate) use earliest::Earliest;
pub(crate) use gathered::Gathered;
pub use sort::{Sort, Sorting};
pub use top_n::TopRow;
pub(crate) use waiting::Waiting;
