//! What lies in a checkpoint directory, by its manifests alone.

use std::time::Duration;

use frazil_io::storage::Storage;

use super::beginning::Known;
use super::recovery::{is_damage, read_manifest};
use super::report::SkippedCheckpoint;
use super::settings::CheckpointSettings;
use super::settings_record::InForce;
use crate::error::Error;

/// A checkpoint or savepoint as its manifest describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredCheckpoint {
    /// Its number.
    pub checkpoint: u64,
    /// The job that made it.
    pub job: String,
    /// When its manifest was made, since 1970, by the machine's clock.
    pub created: Duration,
    /// Shards that made it.
    pub shard_count: usize,
    /// Bytes of state, as far as files hold them: images and the deltas that apply to them.
    pub bytes: u64,
    /// The job had ended with it.
    pub finished: bool,
    /// The settings in force when its manifest was made; `None` in one of before they were
    /// recorded.
    pub settings: Option<CheckpointSettings>,
    /// When these were changed while the job ran, since 1970; `None` if they were those of its
    /// start.
    pub settings_changed: Option<Duration>,
}

/// What lies in a checkpoint directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredCheckpoints {
    /// Checkpoints whose manifests are whole, oldest first; whether all their other files are too
    /// is for a start to find out.
    pub checkpoints: Vec<StoredCheckpoint>,
    /// Those whose manifests are damaged.
    pub damaged: Vec<SkippedCheckpoint>,
}

/// Reads the manifests that count.
///
/// # Errors
/// The storage's, and manifests of another version.
pub(crate) fn stored_checkpoints(storage: &dyn Storage) -> Result<StoredCheckpoints, Error> {
    let known = Known::new(&storage.list()?);
    let mut stored = StoredCheckpoints {
        checkpoints: Vec::new(),
        damaged: Vec::new(),
    };
    for checkpoint in known.checkpoints {
        match read_manifest(storage, checkpoint) {
            Ok(manifest) => {
                let images = manifest.shards.iter().flat_map(|shard| &shard.image);
                let images: u64 = images.map(|image| image.length_bytes).sum();
                let segments = manifest.segments.iter();
                let segments: u64 = segments.map(|segment| segment.length_bytes).sum();
                let in_force = InForce::recorded(&manifest.settings);
                let changed = in_force.as_ref().and_then(|it| it.changed_unix_ms);
                stored.checkpoints.push(StoredCheckpoint {
                    checkpoint,
                    job: manifest.job_name,
                    created: Duration::from_millis(manifest.created_unix_ms),
                    shard_count: manifest.shards.len(),
                    bytes: images + segments,
                    finished: manifest.finished,
                    settings: in_force.map(|it| it.settings),
                    settings_changed: changed.map(Duration::from_millis),
                });
            }
            // A running job may have retired it meanwhile, or it is damaged.
            Err(error) if is_damage(&error) => stored.damaged.push(SkippedCheckpoint {
                checkpoint,
                reason: error.to_string(),
            }),
            Err(error) => return Err(error),
        }
    }
    Ok(stored)
}
