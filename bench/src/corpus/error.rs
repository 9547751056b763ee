//! What can be wrong with the input.

use std::io;
use std::path::{Path, PathBuf};

/// Why the input cannot be used; each message ends with what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// The operating system refused a file or folder.
    #[error(
        "cannot read {path}: {source}; check the path and its permissions, or use `--input PATH`"
    )]
    Read {
        /// What was read.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Standard input could not be copied to a file.
    #[error("cannot spool standard input to {path}: {source}; free some space or use `--dir DIR`")]
    Spool {
        /// The file being written.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A TOML file is not what cargo writes.
    #[error("{path} is not readable as TOML: {source}; use `--input PATH` to count other files")]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// The workspace that this program was built from is not there any more.
    #[error(
        "the workspace of this build is gone: expected {lock_file}; \
         name the input with `--input PATH`"
    )]
    WorkspaceGone {
        /// The file that was looked for.
        lock_file: PathBuf,
    },
    /// A package needs another that the lock file does not name, or names more than once.
    #[error(
        "Cargo.lock gives `{package}` {found_count} packages `{dependency}` that fit, \
         expected 1; run `cargo fetch` or use `--input PATH`"
    )]
    Unlocked {
        /// The package with the dependency.
        package: String,
        /// The package that it needs.
        dependency: String,
        /// How many locked packages fit.
        found_count: usize,
    },
    /// A locked package is not in cargo's registry folder.
    #[error(
        "the source of {name} {version} is not in {searched}; \
         run `cargo fetch` or use `--input PATH`"
    )]
    NotFetched {
        /// Package name.
        name: String,
        /// Locked version.
        version: String,
        /// The folder pattern that was searched.
        searched: String,
    },
    /// A named input is neither a regular file nor a folder.
    #[error("{path} is neither a file nor a folder; to count a pipe use `--input -`")]
    NotAFile {
        /// The input.
        path: PathBuf,
    },
    /// There is not one byte of input.
    #[error(
        "the input holds no bytes ({path_count} paths given); name other files with `--input PATH`"
    )]
    Empty {
        /// How many paths were given.
        path_count: usize,
    },
}

impl CorpusError {
    /// Wraps what the operating system said about `path`.
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Read {
            path: path.to_path_buf(),
            source,
        }
    }
}
