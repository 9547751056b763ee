//! What a job tells about its checkpoints.

use std::time::{Duration, Instant};

use super::restoring::Restoring;
use crate::source::Split;

/// A checkpoint that became durable.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckpointReport {
    /// Its number; numbers rise and may have gaps where checkpoints were dropped.
    pub checkpoint: u64,
    /// From the request until it was durable.
    pub duration: Duration,
    /// Bytes written for it: frames and manifest.
    pub bytes: u64,
    /// Bytes among them for records that its barrier overtook.
    pub in_flight_bytes: u64,
    /// Records that its barrier overtook.
    pub in_flight_records: u64,
    /// Bytes of output that sinks committed with it.
    pub output_bytes: u64,
    /// When it became durable.
    pub durable_at: Instant,
    /// The job ended with it.
    pub last: bool,
}

/// A savepoint that was written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SavepointReport {
    /// The checkpoint that it holds.
    pub checkpoint: u64,
    /// Where it is.
    pub location: String,
    /// Bytes written for it: images and manifest.
    pub bytes: u64,
    /// How long writing took, without the checkpoint.
    pub duration: Duration,
}

/// A checkpoint that recovery could not use.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SkippedCheckpoint {
    /// Its number.
    pub checkpoint: u64,
    /// File, place, expected and found.
    pub reason: String,
}

/// Where a split of a source is read on from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoredSplit {
    /// Name of the source.
    pub source: String,
    /// The split.
    pub split: Split,
    /// Where it is read on from, in the source's own encoding.
    pub position: Vec<u8>,
    /// The split was read to its end.
    pub finished: bool,
}

/// How a job came back.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The checkpoint that was restored.
    pub checkpoint: u64,
    /// From reading the directory until the state was restored (and verified, unless it was
    /// mapped) and the sinks had recovered.
    pub duration: Duration,
    /// The phase in which what was mapped is verified; `None` after an eager restore.
    pub restoring: Option<Restoring>,
    /// Bytes of state that were restored.
    pub state_bytes: u64,
    /// Shards that made the checkpoint; where this job has another number its key groups were
    /// spread anew, and the next checkpoint holds all state.
    pub shard_count: usize,
    /// The splits of all sources: what lies before their positions is in the restored state and is
    /// not read again.
    pub splits: Vec<RestoredSplit>,
    /// Newer checkpoints that were not whole.
    pub skipped: Vec<SkippedCheckpoint>,
    /// Newer checkpoints that count no more, since this one was chosen to start from.
    pub left_behind: Vec<u64>,
    /// The job had ended with this checkpoint: nothing is left to do.
    pub finished: bool,
}
