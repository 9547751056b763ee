//! What can go wrong with text input.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A text input that cannot be listed or read; can be cloned, as a failed reader repeats it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The operating system refused to list, open or read a file.
    #[error("cannot {action} {} (at byte {offset}): {source}", path.display())]
    Unreadable {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Offset in the file, in bytes.
        offset: u64,
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// A file lost bytes after it was listed.
    #[error(
        "{} became shorter while it was being read: expected {expected_bytes} bytes, found \
         {found_bytes} (reading at byte {offset}); input files must not change during a job",
        path.display()
    )]
    Shrunk {
        /// The file.
        path: PathBuf,
        /// Offset in the file that was to be read, in bytes.
        offset: u64,
        /// Length when the input was listed.
        expected_bytes: u64,
        /// Length now.
        found_bytes: u64,
    },
    /// A path was given that can neither be read from the start again nor be listed.
    #[error("{} is neither a regular file nor a folder; copy it to a file first", path.display())]
    NotAFile {
        /// The path as given.
        path: PathBuf,
    },
    /// The paths given hold no file at all.
    #[error("there is no regular file in {paths}; name at least one file, or a folder with files")]
    NoFiles {
        /// The paths as given.
        paths: String,
    },
    /// The read-ahead thread could not be started.
    #[error("cannot start a thread to read text ahead: {source}")]
    Thread {
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
}
