//! What can go wrong with a sink.

use std::error::Error;

use frazil_io::IoError;
use frazil_io::staged::StagedError;

/// A sink that cannot be opened, written to or committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The output files cannot be written or recovered.
    #[error(transparent)]
    Files(#[from] StagedError),
    /// A record has no row in the sink's format.
    #[error("a record cannot be written as {format}: {reason}; map it to a simpler type first")]
    Row {
        /// The format.
        format: &'static str,
        /// What stands in the way.
        reason: String,
    },
    /// Nobody takes the records of a channel any more.
    #[error("the receiver of a channel sink was dropped; keep it until the job has ended")]
    ReceiverGone,
    /// A channel sink got a row that was not made for it.
    #[error("a channel sink is used by two jobs at a time; make one for each")]
    ForeignRow,
    /// Any other reason, from a sink outside of Frazil.
    #[error(transparent)]
    Custom(Box<dyn Error + Send + Sync>),
}

impl SinkError {
    /// True where freeing disk space may let the same call succeed later.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Files(error) if error.is_full())
    }

    /// True where repeating is of no use, since rows are gone that only a recovery can make again.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Files(error) => error.is_fatal(),
            Self::Row { .. } | Self::ReceiverGone | Self::ForeignRow => true,
            Self::Custom(_) => false,
        }
    }
}

impl From<IoError> for SinkError {
    fn from(error: IoError) -> Self {
        Self::Files(StagedError::Storage(error))
    }
}
