//! One checkpoint while it is put together: the delta segment and the shards' reports.

use std::time::Instant;

use frazil_io::IoError;
use frazil_io::storage::{Segment, Storage};
use frazil_state::format::{Chunk, FrameAddress, InFlightEntry, SegmentEntry};

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
    /// Frames of records in flight.
    pub(crate) in_flight: Vec<InFlightEntry>,
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
            in_flight: Vec::new(),
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
        let is_in_flight = chunk.is_in_flight();
        let address = FrameAddress {
            file_id: names::delta_id(self.epoch),
            epoch: self.epoch,
            frame_index: self.frame_count,
            shard: u16::try_from(shard).expect("shards are at most 65535"),
        };
        let frame = chunk.seal(address);
        let offset = segment.length_bytes();
        budget.append_delta(&mut **segment, frame)?;
        if is_in_flight {
            self.in_flight.push(InFlightEntry {
                offset,
                length_bytes: u32::try_from(frame.len()).expect("a frame is bounded"),
                frame_index: self.frame_count,
                shard: address.shard,
            });
        }
        self.frame_count += 1;
        let trace = &mut self.trace.shards[shard];
        trace.wrote(start, frame.len() as u64);
        if is_in_flight {
            trace.in_flight_bytes += frame.len() as u64;
        }
        self.trace.bytes = segment.length_bytes();
        Ok(())
    }

    /// Takes a shard's report: all its chunks and rows are there.
    pub(crate) fn report(&mut self, shard: usize, report: SnapshotReport) {
        let trace = &mut self.trace.shards[shard];
        trace.freeze = Some(report.freeze);
        trace.capture = Some(report.capture);
        trace.in_flight_records = report.in_flight_records;
        self.reports[shard] = Some(report);
    }

    /// True when every shard has reported.
    pub(crate) fn is_complete(&self) -> bool {
        self.reports.iter().all(Option::is_some)
    }

    /// Whether a stage has emitted its final records on some shards and not on others: a restore
    /// could neither repeat them nor leave them out.
    pub(crate) fn is_amid_finals(&self) -> bool {
        let mut reports = self.reports.iter().flatten().map(|it| &it.final_stages);
        let first = reports.next();
        reports.any(|stages| Some(stages) != first)
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
