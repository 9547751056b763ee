//! What can go wrong with a source.

use std::error::Error;
use std::path::PathBuf;

use frazil_io::text::TextError;

/// A source that cannot be planned, opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A file cannot be listed, opened or read.
    #[error("cannot read {} (at byte {offset}): {source}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Offset in the file, in bytes.
        offset: u64,
        /// The reason.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The input is not the one that the checkpoint was made with, or changed while it was read.
    #[error(
        "{what} has changed: expected {expected}, found {found}; put the earlier input back, or \
         start anew with an empty checkpoint directory and an empty output folder"
    )]
    Changed {
        /// The source or the file.
        what: String,
        /// What it was.
        expected: String,
        /// What it is now.
        found: String,
    },
    /// A checkpoint holds a position or a split that this source did not write.
    #[error(
        "{name} cannot be read from a position of the checkpoint: expected {expected}, found the \
         bytes {found:02x?}; was the checkpoint made with another source in this place?"
    )]
    BadPosition {
        /// The source.
        name: String,
        /// What a position has to be.
        expected: String,
        /// The bytes of the checkpoint.
        found: Vec<u8>,
    },
    /// The source was set up in a way in which there is nothing to read.
    #[error("{0}")]
    NoInput(String),
    /// Any other reason, from a source outside of Frazil.
    #[error(transparent)]
    Custom(Box<dyn Error + Send + Sync>),
}

impl SourceError {
    /// The input of the source `name` is not that of the checkpoint, by their fingerprints.
    #[must_use]
    pub fn changed_fingerprint(name: &str, expected: u64, found: u64) -> Self {
        Self::Changed {
            what: format!("the input of source {name}"),
            expected: format!("fingerprint {expected:016x}"),
            found: format!("fingerprint {found:016x}"),
        }
    }

    /// `found` is no position (or split) of the source `name`, which has to be as `expected` says.
    #[must_use]
    pub fn bad_position(name: &str, expected: impl Into<String>, found: &[u8]) -> Self {
        Self::BadPosition {
            name: name.to_owned(),
            expected: expected.into(),
            found: found.to_vec(),
        }
    }
}

impl From<TextError> for SourceError {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Unreadable {
                path,
                offset,
                source,
                ..
            } => Self::Unreadable {
                path,
                offset,
                source: Box::new(source),
            },
            TextError::Shrunk {
                path,
                expected_bytes,
                found_bytes,
                ..
            } => Self::Changed {
                what: path.display().to_string(),
                expected: format!("{expected_bytes} bytes"),
                found: format!("{found_bytes} bytes"),
            },
            TextError::NotAFile { .. } | TextError::NoFiles { .. } => {
                Self::NoInput(error.to_string())
            }
            other => Self::Custom(Box::new(other)),
        }
    }
}
