//! A start from a savepoint: its state and positions, in a checkpoint directory that has none yet.
//!
//! The savepoint is only read. The job's own first checkpoint holds everything, so the savepoint
//! may go once it is durable; a crash before leads back here.

use std::time::Instant;

use frazil_io::storage::Storage;
use frazil_state::StoreConfig;

use super::beginning::newest_checkpoint;
use super::identity::{JobIdentity, check_tables};
use super::ledger::Ledger;
use super::outlets::Outlets;
use super::recovery::{Chosen, Recovered, next_epoch, restore};
use super::restore::{RestoreMode, RestoredShards};
use crate::error::Error;
use crate::flow::FlowPlan;

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
    identity: &JobIdentity,
    plan: &FlowPlan,
    configs: &[StoreConfig],
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
    let restored = restore(savepoint.storage, identity, plan, configs, checkpoint, mode);
    let (manifest, restored) = restored?;
    let RestoredShards {
        mut stores,
        in_flight,
        ..
    } = restored;
    check_tables(checkpoint, &mut stores, &plan.tables, identity)?;
    for store in &mut stores {
        store.dirty_everything();
    }
    outlets.recover_from_savepoint(checkpoint, &manifest.sinks)?;
    let ledger = Ledger::new(configs.len(), identity.keep);
    if let Some(storage) = storage {
        ledger.sweep(storage)?;
    }
    let chosen = Chosen {
        manifest,
        stores,
        unverified: Vec::new(),
        in_flight,
        skipped: Vec::new(),
    };
    let next_epoch = next_epoch(&names).max(checkpoint + 1);
    Ok(Recovered::from_checkpoint(
        chosen, ledger, next_epoch, begun,
    ))
}
