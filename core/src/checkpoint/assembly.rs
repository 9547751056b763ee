//! One checkpoint while it is put together: the delta segment and the shards' reports.

use std::time::Instant;

use frazil_io::IoError;
use frazil_io::storage::{Segment, Storage};
use frazil_state::format::{Chunk, FrameAddress, SegmentEntry};

use super::budget::WriteBudget;
use super::history::CheckpointTrace;
use super::names;
use crate::shard::SnapshotReport;

/// Least reservation for a delta segment.
const SEGMENT_BYTES_MIN: u64 = 1 << 20;

/// A checkpoint between request and publish.
pub(crate) struct Assembly {
    pub(crate) epoch: u64,
    pub(crate) last: bool,
    pub(crate) requested: Instant,
    pub(crate) reports: Vec<Option<SnapshotReport>>,
    pub(crate) trace: CheckpointTrace,
    segment: Option<Box<dyn Segment>>,
    frame_count: u32,
    /// The files stay although the checkpoint is dropped.
    kept: bool,
}

impl Assembly {
    pub(crate) fn new(trace: CheckpointTrace) -> Self {
        Self {
            epoch: trace.checkpoint,
            last: trace.last,
            requested: trace.requested,
            reports: trace.shards.iter().map(|_| None).collect(),
            trace,
            segment: None,
            frame_count: 0,
            kept: false,
        }
    }

    /// Publishing ended undecided: what was written must stay until a later checkpoint is durable.
    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }

    /// Seals a chunk and appends it within the write budget. `expected_bytes` is reserved with the
    /// first one.
    ///
    /// # Errors
    /// The storage's: the segment may hold a part of the frame and must go.
    pub(crate) fn append(
        &mut self,
        storage: &dyn Storage,
        budget: &WriteBudget,
        shard: usize,
        chunk: &mut Chunk,
        expected_bytes: u64,
    ) -> Result<(), IoError> {
        let start = Instant::now();
        let segment = match &mut self.segment {
            Some(segment) => segment,
            None => {
                let expected_bytes = expected_bytes.max(SEGMENT_BYTES_MIN);
                let name = names::delta(self.epoch);
                self.segment.insert(storage.create(&name, expected_bytes)?)
            }
        };
        let frame = chunk.seal(FrameAddress {
            file_id: names::delta_id(self.epoch),
            epoch: self.epoch,
            frame_index: self.frame_count,
            shard: u16::try_from(shard).expect("shards are at most 65535"),
        });
        budget.append_delta(&mut **segment, frame)?;
        self.frame_count += 1;
        self.trace.shards[shard].wrote(start, frame.len() as u64);
        self.trace.bytes = segment.length_bytes();
        Ok(())
    }

    /// Takes a shard's report: all its chunks and rows are there.
    pub(crate) fn report(&mut self, shard: usize, report: SnapshotReport) {
        let trace = &mut self.trace.shards[shard];
        trace.freeze = Some(report.freeze);
        trace.capture = Some(report.capture);
        self.reports[shard] = Some(report);
    }

    /// True when every shard has reported.
    pub(crate) fn is_complete(&self) -> bool {
        self.reports.iter().all(Option::is_some)
    }

    /// Syncs the segment; `None` if nothing had changed.
    ///
    /// # Errors
    /// The storage's: the segment must go.
    pub(crate) fn sync(&mut self) -> Result<Option<SegmentEntry>, IoError> {
        let Some(segment) = &mut self.segment else {
            return Ok(None);
        };
        segment.sync()?;
        Ok(Some(SegmentEntry {
            file: names::delta(self.epoch),
            file_id: names::delta_id(self.epoch),
            epoch: self.epoch,
            length_bytes: segment.length_bytes(),
            frame_count: self.frame_count,
        }))
    }

    /// Bytes appended so far.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment.as_ref().map_or(0, |s| s.length_bytes())
    }

    /// Removes what was written, unless it must stay.
    pub(crate) fn discard(self, storage: &dyn Storage) {
        if self.segment.is_some() && !self.kept {
            drop(self.segment);
            if let Err(error) = storage.remove(&names::delta(self.epoch)) {
                tracing::warn!(%error, "a dropped checkpoint's segment stays until the next sweep");
            }
        }
    }
}
