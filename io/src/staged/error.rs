//! What can go wrong with staged output.

use crate::IoError;

/// Output that cannot be staged, committed or recovered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StagedError {
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] IoError),
    /// A job without a checkpoint was pointed at the output of another run.
    #[error(
        "{location} holds {file_count} committed files of another run (the first is {first_file}); \
         choose an empty folder, or restore that run from its checkpoint directory"
    )]
    OtherRun {
        /// Where the output is.
        location: String,
        /// How many final files there are.
        file_count: usize,
        /// The first of them by name.
        first_file: String,
    },
    /// A file that the restored checkpoint lists is neither staged nor final.
    #[error(
        "{location} has neither {staged_file} nor {final_file}, which the restored checkpoint \
         lists; put the file back, or start with an empty folder and an empty checkpoint directory"
    )]
    Missing {
        /// Where the output is.
        location: String,
        /// Its name before the commit.
        staged_file: String,
        /// Its name after the commit.
        final_file: String,
    },
    /// A file that the restored checkpoint lists has other bytes than were synced.
    #[error(
        "{file} in {location} is damaged: expected {expected_bytes} bytes with crc \
         {expected_crc:08x}, found {found_bytes} bytes with crc {found_crc:08x}; put the file \
         back, or start with an empty folder and an empty checkpoint directory"
    )]
    Damaged {
        /// Where the output is.
        location: String,
        /// The file.
        file: String,
        /// Length when it was sealed.
        expected_bytes: u64,
        /// CRC when it was sealed.
        expected_crc: u32,
        /// Length now.
        found_bytes: u64,
        /// CRC now; 0 if the length is wrong already.
        found_crc: u32,
    },
    /// A sync failed and what was written cannot be read back either.
    #[error(
        "{location} has lost rows of {file}: after a failed sync, {expected_bytes} bytes with crc \
         {expected_crc:08x} were read back with crc {found_crc:08x}; stop the job, check that \
         disk, and start the job again: it recovers from its last checkpoint"
    )]
    Lost {
        /// Where the output is.
        location: String,
        /// The file.
        file: String,
        /// Length of what was written.
        expected_bytes: u64,
        /// CRC of what was written.
        expected_crc: u32,
        /// CRC of what was read back.
        found_crc: u32,
    },
    /// The list of a checkpoint is not one that this version wrote.
    #[error(
        "the checkpoint's list of output files is unusable: {reason}; restore another checkpoint"
    )]
    BadList {
        /// What was expected where, and what was found.
        reason: String,
    },
}

impl StagedError {
    /// True where freeing disk space may let the same work succeed later.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Storage(error) if error.is_full())
    }

    /// True where rows are gone that only a recovery can make again: the job must end.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }
}
