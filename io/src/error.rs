//! What can go wrong between Frazil and the machine.

use std::io;
use std::path::{Path, PathBuf};

/// A failed call to the file system, the kernel or the machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IoError {
    /// An operating system call on a file or directory failed.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb phrase: `create`, `append to`, `sync`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The disk (or the quota) is full.
    #[error(
        "no space left to {action} {} ({needed_bytes} bytes needed); free space on that disk",
        path.display()
    )]
    Full {
        /// What was tried.
        action: &'static str,
        /// The file that would have grown.
        path: PathBuf,
        /// Bytes that the call asked for; 0 where only a directory entry was to be made.
        needed_bytes: u64,
    },
    /// A file that must not exist yet is there.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file that must exist is missing.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the lock of a directory.
    #[error(
        "{} is in use by process {holder}; stop that process or choose another directory",
        path.display()
    )]
    Locked {
        /// The locked directory.
        path: PathBuf,
        /// Process id of the holder, or `unknown`.
        holder: String,
    },
    /// A file is shorter than the range that was asked for.
    #[error(
        "{} is too short: expected at least {expected_bytes} bytes, found {found_bytes}",
        path.display()
    )]
    Short {
        /// The file.
        path: PathBuf,
        /// End of the range that was asked for.
        expected_bytes: u64,
        /// Length of the file.
        found_bytes: u64,
    },
    /// An earlier sync or write of this file failed, so nothing more may be written to it.
    #[error("{} is poisoned by an earlier failure: {reason}", path.display())]
    Poisoned {
        /// The file.
        path: PathBuf,
        /// The first failure.
        reason: String,
    },
    /// A publish was renamed into place but its directory could not be synced.
    #[error(
        "publishing {} is undecided: renamed, but the directory sync failed: {source}",
        path.display()
    )]
    Undecided {
        /// The published file.
        path: PathBuf,
        /// Why the sync failed.
        source: io::Error,
    },
    /// A name that is not a plain relative file name.
    #[error("{name:?} is not a valid storage name (relative, no `..`, not empty)")]
    BadName {
        /// The name as given.
        name: String,
    },
    /// A pinned thread could not be started.
    #[error("cannot start thread {name}: {reason}")]
    Thread {
        /// Name of the thread.
        name: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A driver was asked for by name that this machine does not support.
    #[error("the {driver} driver cannot run here: {reason}")]
    DriverUnavailable {
        /// The driver's name.
        driver: &'static str,
        /// The finding of the preflight, with the next step.
        reason: String,
    },
}

impl IoError {
    /// Classifies a failed call on `path` that asked for `needed_bytes` of disk: a full disk or
    /// quota becomes [`IoError::Full`], everything else [`IoError::File`].
    pub(crate) fn from_call(
        action: &'static str,
        path: &Path,
        needed_bytes: u64,
        source: io::Error,
    ) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full {
                action,
                path,
                needed_bytes,
            },
            _ => Self::File {
                action,
                path,
                source,
            },
        }
    }

    /// True where freeing disk space may let the same work succeed later.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// True where a publish may or may not survive a power loss.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        matches!(self, Self::Undecided { .. })
    }
}
