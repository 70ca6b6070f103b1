//! The secret by which the processes of a job tell each other from strangers.

use std::fmt;
use std::path::Path;

use crate::error::{Error, Kind, Result};

/// A secret that is larger than this is not one.
const MOST_BYTES: usize = 4096;

/// Bytes that are never printed.
#[derive(Clone, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The secret in the file, else in `TIDERACE_SECRET`, else an empty one.
    pub fn of(file: Option<&Path>) -> Result<Secret> {
        let Some(file) = file else {
            let secret = std::env::var_os("TIDERACE_SECRET").unwrap_or_default();
            return Ok(Secret::trimmed(secret.as_encoded_bytes()));
        };
        let wrong = |why: &str| {
            Error::new(Kind::Config, format!("--secret-file {}: {why}", file.display()))
        };
        let bytes = std::fs::read(file).map_err(|error| wrong(&error.to_string()))?;
        let secret = Secret::trimmed(&bytes);
        if secret.is_empty() {
            return Err(wrong("the file is empty"));
        }
        if secret.0.len() > MOST_BYTES {
            return Err(wrong("a secret has at most 4096 bytes"));
        }
        Ok(secret)
    }

    /// A secret nobody can guess, for a job that lives on one machine.
    pub fn random() -> Result<Secret> {
        let mut bytes = vec![0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::new(Kind::Failed, format!("no random numbers: {error}")))?;
        Ok(Secret(bytes))
    }

    /// These bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Secret {
        Secret(bytes)
    }

    /// The bytes, for a proof.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Files end in a line break that nobody means.
    fn trimmed(bytes: &[u8]) -> Secret {
        Secret(bytes.trim_ascii().to_vec())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "Secret(none)" } else { "Secret(…)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_trimmed_and_never_printed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        std::fs::write(&file, "hunter2\n").unwrap();
        let secret = Secret::of(Some(&file)).unwrap();
        assert_eq!(secret.bytes(), b"hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
        std::fs::write(&file, "\n").unwrap();
        assert!(Secret::of(Some(&file)).unwrap_err().to_string().contains("is empty"));
    }
}
