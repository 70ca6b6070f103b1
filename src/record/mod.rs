//! Dynamic records: what a pipeline file works on. Programs use their own types instead.

pub mod expr;
pub mod json;
mod reject;
pub mod row;
pub mod schema;
pub mod time;
pub mod value;

pub use expr::Expr;
pub use reject::{REJECT_FIELDS, reject, reject_row};
pub use row::Row;
pub use schema::Schema;
pub use value::Value;
