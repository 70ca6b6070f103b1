//! Pipeline files: read, checked as a whole, and made ready to be built.
//!
//! A file goes through four steps. [`tree`] parses YAML into nodes that know their place,
//! `interpolate` puts environment variables into scalars, [`pipeline`] gives the nodes their
//! types, and `check` looks at the graph. Every step collects its mistakes and goes on, so that
//! one run of `tiderace check` shows all of them ([`report`]).

mod build;
mod check;
mod de;
mod delivery;
mod fields;
mod graph;
mod interpolate;
pub mod load;
pub mod pipeline;
pub mod plan;
pub mod quantity;
pub mod report;
#[cfg(test)]
mod tests;
pub mod tree;

pub use load::{load, load_text};
pub use plan::Checked;
pub use report::{Mistake, Report, Severity};
