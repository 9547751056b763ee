//! Restore onto another number of shards, by key groups.
//!
//! The shards of the checkpoint are restored one after another, each as it was written; every new
//! shard takes over the key groups that are now its own, page by page; then the old one is given
//! up. Memory: the whole state once, plus the largest old shard. The new stores are dirty through
//! and through, so the first checkpoint needs no file of the old layout; until it is durable, a
//! crash recovers from the old checkpoint again.

use frazil_io::storage::Storage;
use frazil_state::format::{FormatError, HEADER_BYTES, Manifest};
use frazil_state::{KeyGroups, StagingSize, Store, StoreConfig};

use super::names;
use super::restore::{Based, RestoreMode, no_such_shard, read_segment, restore_image};
use crate::error::Error;

/// The least that a store works with; what is given up again captures nothing.
const NO_STAGING: StagingSize = StagingSize {
    chunk_count: 1,
    chunk_bytes: 8 << 10,
};

/// Restores a checkpoint of any number of shards into one store for each of `configs`.
///
/// # Errors
/// Missing, short or damaged files, or state that does not fit.
pub(crate) fn rescale_shards(
    storage: &dyn Storage,
    manifest: &Manifest,
    configs: &[StoreConfig],
) -> Result<Vec<Store>, Error> {
    let new = |(shard, config)| Store::new(config).map_err(|source| Error::State { shard, source });
    let mut stores: Vec<Store> = configs
        .iter()
        .enumerate()
        .map(new)
        .collect::<Result<_, _>>()?;
    check_shard_count(manifest)?;
    for old in 0..manifest.shards.len() {
        let source = restore_alone(storage, manifest, old)?;
        for (shard, store) in stores.iter_mut().enumerate() {
            let adopted = store.adopt(&source);
            adopted.map_err(|source| Error::State { shard, source })?;
        }
    }
    Ok(stores)
}

fn check_shard_count(manifest: &Manifest) -> Result<(), Error> {
    let shard_count = manifest.shards.len();
    if shard_count <= manifest.key_group_count as usize {
        return Ok(());
    }
    Err(Error::Format(FormatError::Corrupt {
        file: names::manifest(manifest.checkpoint),
        offset: HEADER_BYTES as u64,
        what: "shard count",
        expected: format!("at most {} key groups", manifest.key_group_count),
        found: shard_count.to_string(),
    }))
}

/// One shard as it was written, in just the memory that it takes.
fn restore_alone(storage: &dyn Storage, manifest: &Manifest, shard: usize) -> Result<Store, Error> {
    let entry = &manifest.shards[shard];
    let config = StoreConfig {
        key_groups: KeyGroups::new(manifest.key_group_count),
        shard,
        shard_count: manifest.shards.len(),
        budget_bytes: StoreConfig::budget_for_pages(u64::from(entry.page_count), NO_STAGING),
        staging: NO_STAGING,
        ..StoreConfig::default()
    };
    let refused = |source| Error::State { shard, source };
    let Based {
        mut restore,
        base_epoch,
        ..
    } = restore_image(storage, manifest, &config, shard, RestoreMode::Eager)?;
    // Frames of shards that do not exist are read too: nobody else would miss them.
    let wanted = |found: u16| {
        let found = usize::from(found);
        found == shard || found >= config.shard_count
    };
    for segment in manifest.segments.iter().filter(|s| s.epoch > base_epoch) {
        read_segment(storage, segment, wanted, |offset, frame| {
            let found = usize::from(frame.shard());
            if found != shard {
                return Err(no_such_shard(segment, offset, config.shard_count, found));
            }
            let mut pages = frame.pages();
            pages.try_for_each(|delta| restore.apply(&delta).map_err(refused))
        })?;
    }
    restore.finish().map_err(refused)
}
