//! Savepoints: one checkpoint as a directory of its own, which belongs to the user.
//!
//! `images written and synced <= their names durable <= manifest published`
//!
//! A savepoint is a checkpoint whose shards are images without a chain, so it needs no file outside
//! its directory and can be moved or copied whole. Base and chain are folded into it by the thread
//! that asked, from files that the ledger holds meanwhile. A crash in the middle leaves no
//! manifest, and so no savepoint. Nothing of the engine ever removes one.

use std::sync::Arc;
use std::time::Instant;

use frazil_io::storage::Storage;
use frazil_state::format::{Manifest, ShardEntry, encode};

use super::budget::WriteBudget;
use super::fold::FoldJob;
use super::names;
use super::recovery::read_manifest;
use super::report::SavepointReport;
use crate::error::Error;

/// Writes checkpoint `checkpoint` of `source` to `destination`, within the budget.
///
/// # Errors
/// A destination that holds a checkpoint or savepoint already, damage in the files read, and a
/// failed write; what was written is removed as far as that is possible.
pub(crate) fn write_savepoint(
    source: &Arc<dyn Storage>,
    checkpoint: u64,
    destination: &Arc<dyn Storage>,
    budget: &Arc<WriteBudget>,
) -> Result<SavepointReport, Error> {
    let begun = Instant::now();
    if destination.list()?.iter().any(|name| names::is_ours(name)) {
        return Err(Error::SavepointExists {
            location: destination.location(),
        });
    }
    let manifest = read_manifest(&**source, checkpoint)?;
    if !manifest.in_flight.is_empty() {
        return Err(Error::CheckpointDropped {
            checkpoint,
            reason: "a savepoint has no records in flight: make checkpoints less often".to_owned(),
        });
    }
    let shards = manifest.shards.iter();
    let images = FoldJob {
        storage: Arc::clone(source),
        destination: Arc::clone(destination),
        budget: Arc::clone(budget),
        epoch: checkpoint,
        shards: shards.map(|s| (s.image.clone(), s.page_count)).collect(),
        segments: manifest.segments.clone(),
    }
    .run()?;
    let bytes: u64 = images.iter().map(|image| image.length_bytes).sum();
    let shards = manifest.shards.iter().zip(images);
    let manifest = Manifest {
        shards: shards
            .map(|(shard, image)| ShardEntry {
                image: Some(image),
                page_count: shard.page_count,
            })
            .collect(),
        segments: Vec::new(),
        ..manifest
    };
    let archive = encode(&manifest);
    if let Err(error) = destination.publish(&names::manifest(checkpoint), &archive) {
        if !error.is_undecided() {
            remove_images(&**destination, &manifest);
        }
        return Err(error.into());
    }
    Ok(SavepointReport {
        checkpoint,
        location: destination.location(),
        bytes: bytes + archive.len() as u64,
        duration: begun.elapsed(),
    })
}

/// Whether a checkpoint can become a savepoint as it is.
///
/// # Errors
/// A missing or damaged manifest.
pub(crate) fn has_nothing_in_flight(source: &dyn Storage, checkpoint: u64) -> Result<bool, Error> {
    Ok(read_manifest(source, checkpoint)?.in_flight.is_empty())
}

/// What a full disk left is given back; failing at that changes nothing: without a manifest there
/// is no savepoint.
fn remove_images(destination: &dyn Storage, manifest: &Manifest) {
    for image in manifest.shards.iter().filter_map(|s| s.image.as_ref()) {
        let _ = destination.remove(&image.file);
    }
}
