//! Rows from JSON objects and back.

mod decode;
mod encode;

pub use decode::JsonDecoder;
pub use encode::JsonEncoder;
