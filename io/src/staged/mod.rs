//! Output files that appear exactly once: staged, listed by a checkpoint, renamed when it is
//! durable.
//!
//! The rows of generation n go to one hidden file, whoever wrote them. Its way:
//!
//! `staged <= sealed <= listed in a durable checkpoint <= renamed <= rename durable`
//!
//! 1. A file takes rows only while it is staged. [`StagedFiles::pre_commit`] seals it: data synced,
//!    name durable. Rows are never in two files.
//! 2. The list that `pre_commit` returns holds every sealed file whose rename is not durable. So
//!    the newest durable list and the directory together tell what to do after any crash.
//! 3. A file is renamed only after a list with it became durable, which the caller says by
//!    [`StagedFiles::commit`].
//! 4. Recovery finishes the renames of exactly the restored list, whose files it checks by length
//!    and CRC first; removes all other staged files, which hold rows that will be made again; and
//!    moves final files of later generations to `.retracted/`. It never deletes a final file.
//! 5. A file whose sync failed is never synced again: its rows are read back, checked by CRC, and
//!    written to a new file. If the disk has lost them the job must recover from its last
//!    checkpoint.
//!
//! | file | says |
//! |---|---|
//! | `names` | staged, final and retracted names, and back |
//! | `list` | the bytes of the list that goes into a checkpoint |
//! | `file` | one staged file: rows in, sealed, rescued |
//! | `files` | all files of one sink: stage, pre-commit, commit |
//! | `recover` | what a crash left, and what is done about it |

mod error;
mod file;
mod files;
mod list;
mod names;
mod recover;

pub use error::StagedError;
pub use files::StagedFiles;
pub use names::StagedNames;
