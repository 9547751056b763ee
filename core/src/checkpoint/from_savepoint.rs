//! A start from a savepoint: its state and positions, in a checkpoint directory that has none yet.
//!
//! The savepoint is only read. The job's own first checkpoint holds everything, so the savepoint
//! may go once it is durable; a crash before leads back here.

use std::time::Instant;

use frazil_io::storage::Storage;

use super::beginning::newest_checkpoint;
use super::identity::check_tables;
use super::ledger::Ledger;
use super::outlets::Outlets;
use super::recovery::{JobView, Recovered, next_epoch, restore};
use super::restore::RestoreMode;
use crate::error::Error;

/// A checkpoint to start from.
pub(crate) struct Savepoint<'a> {
    storage: &'a dyn Storage,
    checkpoint: u64,
}

impl<'a> Savepoint<'a> {
    /// The checkpoint of this number, or the newest.
    ///
    /// # Errors
    /// [`Error::NoSavepoint`] if there is none.
    pub(crate) fn find(storage: &'a dyn Storage, checkpoint: Option<u64>) -> Result<Self, Error> {
        let newest = newest_checkpoint(&storage.list()?).ok_or_else(|| Error::NoSavepoint {
            location: storage.location(),
        })?;
        Ok(Self {
            storage,
            checkpoint: checkpoint.unwrap_or(newest),
        })
    }
}

/// Restores a job from a savepoint; `storage` is the job's own, if it keeps checkpoints.
///
/// # Errors
/// Checkpoints in `storage`, a savepoint of another job or flow or a damaged one, changed input, or
/// a sink that cannot recover.
pub(crate) fn recover_from_savepoint(
    savepoint: &Savepoint<'_>,
    storage: Option<&dyn Storage>,
    job: JobView<'_>,
    outlets: &mut Outlets,
) -> Result<Recovered, Error> {
    let begun = Instant::now();
    let names = storage.map_or(Ok(Vec::new()), Storage::list)?;
    if let Some(checkpoint) = newest_checkpoint(&names) {
        return Err(Error::CheckpointsExist {
            location: storage.map_or_else(String::new, Storage::location),
            checkpoint,
            savepoint: savepoint.storage.location(),
        });
    }
    let checkpoint = savepoint.checkpoint;
    // All of it becomes dirty, so mapping would win nothing.
    let mode = RestoreMode::Eager;
    let mut chosen = restore(savepoint.storage, job, checkpoint, mode)?;
    let tables = &job.plan.tables;
    check_tables(checkpoint, &mut chosen.stores, tables, job.identity)?;
    for store in &mut chosen.stores {
        store.dirty_everything();
    }
    outlets.recover_from_savepoint(checkpoint, &chosen.manifest.sinks)?;
    let ledger = Ledger::new(job.configs.len(), job.identity.keep);
    if let Some(storage) = storage {
        ledger.sweep(storage)?;
    }
    let next_epoch = next_epoch(&names).max(checkpoint + 1);
    Ok(Recovered::from_checkpoint(
        chosen, ledger, next_epoch, begun,
    ))
}
