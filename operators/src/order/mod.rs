//! Order: rows sorted by event time, and the best of a window.

mod canonical;
pub mod sort;
pub mod top_n;
mod waiting;

pub(crate) use canonical::{Element, canonical, in_order};
pub use sort::{Sort, Sorting};
pub use top_n::TopRow;
pub(crate) use waiting::Waiting;
