//! Checkpoints one after the other, each beside a plain file of as many bytes.

use crate::costs::CostHistograms;
use crate::limits::disk::bandwidth;
use crate::measure_error::MeasureError;
use crate::pairs::PairValue;
use crate::result::Spread;
use crate::workload::{KeyedJob, Keys, RecordBytes, Triggered};
use frazil::storage::Storage;
use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

/// Between two checkpoints under full load.
pub(super) const LOADED_INTERVAL: Duration = Duration::from_millis(100);

/// Checkpoints of a job that stands still meanwhile.
pub(super) struct Cycles {
    /// Bytes written (a) and unique dirty record bytes (b).
    pub(super) bytes: Vec<PairValue>,
    /// From the request until durable (a), and writing and syncing a file of as many bytes the same
    /// way (b), in ms.
    pub(super) durable_ms: Vec<PairValue>,
    pub(super) costs: CostHistograms,
}

/// Makes `count` checkpoints with `dirty_count` updates ahead of each; `raw` is a storage of the
/// same kind beside the job's.
pub(super) fn cycles(
    job: &KeyedJob,
    keys: Keys,
    dirty_count: u64,
    count: u32,
    raw: &dyn Storage,
) -> Result<Cycles, MeasureError> {
    let before = CostHistograms::of(&job.statistics());
    let (mut bytes, mut durable_ms) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let positions = job.advance(dirty_count)?;
        let report = job.checkpoint()?;
        // A fold would share the disk with the plain file.
        job.settle();
        let written = report.bytes as f64;
        let raw_ms = written / bandwidth(raw, report.bytes)? * 1e3;
        bytes.push(pair(written, dirty_record_bytes(keys, &positions) as f64));
        durable_ms.push(pair(report.duration.as_secs_f64() * 1e3, raw_ms));
    }
    Ok(Cycles {
        bytes,
        durable_ms,
        costs: CostHistograms::of(&job.statistics()).since(&before),
    })
}

/// The same job at full speed, with `count` checkpoints, one every 100 ms.
pub(super) fn under_load(
    job: &KeyedJob,
    count: u32,
) -> Result<(CostHistograms, Triggered), MeasureError> {
    let before = CostHistograms::of(&job.statistics());
    let (_, made) = job.run_with_checkpoints(LOADED_INTERVAL * count, LOADED_INTERVAL)?;
    let costs = CostHistograms::of(&job.statistics()).since(&before);
    Ok((costs, made))
}

fn pair(a: f64, b: f64) -> PairValue {
    PairValue { a, b, ratio: a / b }
}

/// Median, least and largest of what `of` takes from each pair.
pub(super) fn spread(pairs: &[PairValue], of: fn(&PairValue) -> f64) -> Spread {
    Spread::of(pairs.iter().map(of).collect()).expect("at least one checkpoint was made")
}

/// Bytes of the records that changed, each counted once.
pub(crate) fn dirty_record_bytes(keys: Keys, positions: &Range<u64>) -> u64 {
    let unique: HashSet<u64> = positions
        .clone()
        .map(|position| keys.at(position))
        .collect();
    unique.len() as u64 * RecordBytes::SixtyFour.bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_changes_twice_counts_once() {
        assert_eq!(dirty_record_bytes(Keys::new(3), &(0..1_000)), 3 * 64);
    }
}
