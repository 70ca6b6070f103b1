//! One error type for the engine: what went wrong, whose it is, and what to do about it.
//!
//! The exit code of the process follows from the [`Kind`]; the message is a sentence for a person
//! and the hint, if there is one, says the way out.

use std::fmt;

/// Whose failure it is. Each kind has one exit code, the same in every verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The run failed, or a question was answered with no. Exit code 1.
    Failed,
    /// The command line is wrong. Exit code 2.
    Usage,
    /// Input data was refused under a policy that stops the run. Exit code 65.
    Data,
    /// Something outside could not be reached after the retries. Exit code 69.
    Unreachable,
    /// A bug in this program. Exit code 70.
    Bug,
    /// A disk or state store failed. Exit code 74.
    Storage,
    /// A peer process was lost, or a newer generation took over; restarting helps. Exit code 75.
    PeerLost,
    /// The pipeline file or the settings are wrong. Exit code 78.
    Config,
}

impl Kind {
    /// The exit code of a process that ends with this kind of error.
    pub fn exit_code(self) -> i32 {
        match self {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Data => 65,
            Kind::Unreachable => 69,
            Kind::Bug => 70,
            Kind::Storage => 74,
            Kind::PeerLost => 75,
            Kind::Config => 78,
        }
    }
}

/// An error of the engine: a kind, a sentence, and perhaps a hint and a cause.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of an operation of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind with a message that names the place and the value.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), hint: None, cause: None }
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the error that led to this one.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Whose failure it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the user can do about it, if anything is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
