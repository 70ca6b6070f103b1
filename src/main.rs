//! The `tiderace` binary.
fn main() {}
