//! The flow of rows: where they go, and how many of them.

mod aside;

pub use aside::{Aside, Limited};
