//! What as-of and lookup joins have in common: each left row meets one version of its key.

mod history;
mod state;

#[cfg(test)]
mod tests;

pub use state::{Pick, Plan, VersionJoin};
