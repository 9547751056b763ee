//! Why the main job could not be done.

use crate::child::ChildError;
use crate::committed_rows::RowError;
use crate::corpus::error::CorpusError;
use crate::exit::Exit;
use crate::reference::ReferenceError;
use crate::result::WriteError;
use crate::work_folder::WorkFolderError;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why the main job could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The input cannot be used.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// The input cannot be counted.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The child cannot be run or understood.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// Committed rows cannot be read.
    #[error(transparent)]
    Rows(#[from] RowError),
    /// The result cannot be stored.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The work folder cannot be used.
    #[error(transparent)]
    WorkFolder(#[from] WorkFolderError),
    /// A job cannot start or go on.
    #[error(transparent)]
    Job(#[from] frazil::Error),
    /// A measured job counted nothing.
    #[error("a measured job counted nothing for {0:?}; is another program taking all cores?")]
    StoodStill(Duration),
    /// The child's settings cannot be read.
    #[error("{path}: {source}; `demo-child` is for `demo` to start")]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The report cannot be printed.
    #[error("cannot print the report: {0}")]
    Print(#[from] io::Error),
    /// The child gave up; it has said why on standard error.
    #[error("the counting process ended with {0}; its message above says why")]
    ChildFailed(ExitStatus),
    /// The child ended well without having said that it finished.
    #[error("the counting process ended before it had finished; run the command again")]
    Unfinished,
    /// The job was over before it could be killed.
    #[error(
        "the job ended before {checkpoint_count_min} checkpoints had committed rows and the kill \
         was due, so no recovery was shown; use more `--rounds` or a shorter `--checkpoint-every`"
    )]
    NotKilled {
        /// Checkpoints with committed rows that a kill waits for.
        checkpoint_count_min: u32,
    },
    /// The child was killed and then did not say from which checkpoint it went on.
    #[error("the job was killed, and started from the beginning instead of a checkpoint")]
    NotRecovered,
}

impl DemoError {
    /// The exit status that says the same; a child's own status is passed on.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Corpus(_) | Self::NotKilled { .. } => Exit::BadConfiguration,
            Self::Job(error) => Exit::from(error),
            Self::NotRecovered => Exit::Corrupt,
            Self::ChildFailed(status) => match status.code() {
                Some(2) => Exit::Corrupt,
                Some(3) => Exit::BadConfiguration,
                Some(4) => Exit::UnfitEnvironment,
                _ => Exit::Failed,
            },
            _ => Exit::Failed,
        }
    }
}
