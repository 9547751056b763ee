//! What `tracing` is told of a checkpoint's phases: spans around what takes time on helper threads,
//! and an event with checkpoint, shard, bytes and duration for each phase that is over.
//!
//! Shards emit nothing: what they did is told by the writer when their report arrives, so that a
//! subscriber never runs on the thread of the records. Durations are in ns.

use std::time::Duration;

use tracing::{Span, debug, debug_span, warn};

use super::history::{CheckpointTrace, PhaseTime};
use super::phase::Drop as Dropped;
use super::settings::CheckpointSettings;
use crate::shard::SnapshotReport;
use crate::statistics::nanos;

/// The checkpoint was requested from shards and writer.
pub(super) fn requested(checkpoint: u64, last: bool, settings: &CheckpointSettings) {
    debug!(checkpoint, last, %settings, "checkpoint requested");
}

/// A shard's sources have passed the barrier on, its stages have seen it, its state is frozen.
pub(super) fn frozen(trace: &CheckpointTrace, shard: usize, align: PhaseTime) {
    let checkpoint = trace.checkpoint;
    let after_ns = nanos(align.start.saturating_duration_since(trace.requested));
    debug!(checkpoint, shard, after_ns, "barrier injected");
    let duration_ns = nanos(align.duration());
    debug!(checkpoint, shard, duration_ns, "aligned");
    debug!(checkpoint, shard, "frozen");
}

/// A shard has handed over all that it had frozen.
pub(super) fn captured(checkpoint: u64, shard: usize, report: &SnapshotReport, bytes: u64) {
    let freeze_ns = nanos(report.freeze.duration());
    let duration_ns = nanos(report.capture.duration());
    debug!(checkpoint, shard, bytes, freeze_ns, duration_ns, "captured");
}

/// All shards' frames are written.
pub(super) fn written(checkpoint: u64, bytes: u64, since_requested: Duration) {
    let duration_ns = nanos(since_requested);
    debug!(checkpoint, bytes, duration_ns, "written");
}

/// Around syncing the segment and the output of sinks.
pub(super) fn sync_span(checkpoint: u64) -> Span {
    debug_span!("sync", checkpoint)
}

/// Around publishing the manifest.
pub(super) fn publish_span(checkpoint: u64) -> Span {
    debug_span!("publish", checkpoint)
}

/// Around the commit of all sinks.
pub(super) fn commit_span(checkpoint: u64) -> Span {
    debug_span!("commit", checkpoint)
}

/// Segment and output are synced, the manifest is published.
pub(super) fn published(checkpoint: u64, bytes: u64, sync: Duration, publish: Duration) {
    let duration_ns = nanos(sync);
    debug!(checkpoint, duration_ns, "synced");
    let duration_ns = nanos(publish);
    debug!(checkpoint, bytes, duration_ns, "published");
}

/// All sinks have committed.
pub(super) fn committed(checkpoint: u64, output_bytes: u64, commit: Duration) {
    let duration_ns = nanos(commit);
    debug!(checkpoint, output_bytes, duration_ns, "committed");
}

/// The checkpoint was given up.
pub(super) fn dropped(checkpoint: u64, why: Dropped, reason: &str) {
    let is_declined = why == Dropped::Declined;
    warn!(checkpoint, is_declined, reason, "checkpoint dropped");
}

/// The run ended before the checkpoint was decided.
pub(super) fn aborted(checkpoint: u64, reason: &str) {
    warn!(checkpoint, reason, "checkpoint aborted");
}
