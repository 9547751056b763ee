//! The child's first life: state, a base image, and a chain of deltas of half the base's size.

use super::child::ChildJob;
use super::files::CheckpointFiles;
use super::protocol::ChildEvent;
use crate::measure_error::MeasureError;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Deltas of a chain.
const DELTA_COUNT: u64 = 8;
/// A chain of half the base's size is folded; this part of that is not.
const CHAIN_PART_OF_HALF: f64 = 0.97;
/// About what one changed record takes in a delta.
const BYTES_A_RECORD: u64 = 80;
/// States below this have no base: their one delta is not folded.
const FOLDED_BYTES_MIN: u64 = 40 << 20;
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(5);

pub(super) fn build(job: &ChildJob, directory: &Path) -> Result<ChildEvent, MeasureError> {
    advance(job, job.keys.count())?;
    let first = job.handle.checkpoint()?;
    if first.bytes > FOLDED_BYTES_MIN {
        await_fold(job)?;
    }
    // The first one that refers to the image.
    job.handle.checkpoint()?;
    let base_bytes = CheckpointFiles::of(directory)?.base_bytes;
    let wanted_bytes = if base_bytes == 0 {
        first.bytes / 2
    } else {
        base_bytes / 2
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a part of a number of bytes"
    )]
    let wanted_bytes = (wanted_bytes as f64 * CHAIN_PART_OF_HALF) as u64;
    let (mut chain_bytes, mut update_count) = (0, wanted_bytes / DELTA_COUNT / BYTES_A_RECORD);
    loop {
        advance(job, update_count.max(1))?;
        let newest = job.handle.checkpoint()?;
        chain_bytes += newest.bytes;
        let left_bytes = wanted_bytes.saturating_sub(chain_bytes);
        if left_bytes < newest.bytes / 4 {
            let checkpoint = newest.checkpoint;
            return Ok(ChildEvent::Built { checkpoint });
        }
        if left_bytes < newest.bytes {
            // The last one fills what is left.
            update_count = update_count * left_bytes / newest.bytes;
        }
    }
}

fn advance(job: &ChildJob, record_count: u64) -> Result<(), MeasureError> {
    let end = job.seen.records() + record_count;
    job.gate.allow(end);
    wait(job, end, || job.seen.records() >= end)
}

fn await_fold(job: &ChildJob) -> Result<(), MeasureError> {
    let is_folded = || job.handle.statistics().checkpoints.fold_count > 0;
    wait(job, job.seen.records(), is_folded)
}

fn wait(job: &ChildJob, expected: u64, is_over: impl Fn() -> bool) -> Result<(), MeasureError> {
    let begun = Instant::now();
    while !is_over() {
        thread::sleep(LOOK);
        if begun.elapsed() > PATIENCE || job.handle.is_finished() {
            return Err(MeasureError::StoodStill {
                done: job.seen.records(),
                expected,
                seconds: begun.elapsed().as_secs(),
            });
        }
    }
    Ok(())
}
