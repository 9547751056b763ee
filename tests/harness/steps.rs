//! What happens to a job on its way, and a run that takes it.

use std::sync::Arc;

use super::verified::VerifiedStorage;
use frazil::storage::Storage;
use frazil::{Error, JobHandle};
use frazil_io::storage::MemoryStorage;

/// What happens to the job.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Wait for a checkpoint.
    Checkpoint,
    /// Stop with a last checkpoint, start again.
    Stop,
    /// The process dies, start again.
    Kill,
    /// The power fails, start again.
    PowerLoss(u64),
}

/// Takes the steps with the job that `start` starts on a storage, then runs it to the end; gives
/// the disk. Every checkpoint on the way is verified.
///
/// # Panics
/// If the job cannot start, or ends badly.
#[must_use]
pub fn run_through(
    mut start: impl FnMut(Arc<dyn Storage>) -> Result<JobHandle, Error>,
    steps: &[Step],
) -> MemoryStorage {
    let verified = |disk: &MemoryStorage| Arc::new(VerifiedStorage::new(disk));
    let mut disk = MemoryStorage::new();
    let mut handle = start(verified(&disk)).expect("starts");
    for step in steps {
        let left = match step {
            Step::Checkpoint => {
                let asked = handle.checkpoint();
                let is_fine = matches!(
                    asked,
                    Ok(_) | Err(Error::CheckpointDropped { .. } | Error::Ended)
                );
                assert!(is_fine, "{asked:?}");
                continue;
            }
            Step::Stop => None,
            Step::Kill => Some(disk.after_process_crash()),
            Step::PowerLoss(seed) => Some(disk.after_power_loss(*seed)),
        };
        // What the old job does now happens on a disk that nobody looks at any more.
        handle.stop();
        handle.wait().expect("stops well");
        disk = left.unwrap_or(disk);
        handle = start(verified(&disk)).expect("starts again");
    }
    let ended = handle.wait();
    ended.expect("ends well");
    disk
}
