//! The verbs of the binary.

pub mod check;
pub mod demo;
pub mod why;

/// Writes to stdout; a reader that has gone is no error.
pub(crate) fn print(text: &str) -> Result<i32, crate::error::Error> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(crate::error::Error::new(crate::error::Kind::Failed, "cannot write to stdout")
                .caused_by(error))
        }
        _ => Ok(0),
    }
}
