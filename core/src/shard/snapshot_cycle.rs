//! A shard's part of one checkpoint: align, freeze, capture, then wait for the outcome.
//!
//! `Idle -> Aligning -> Capturing -> Sent -> Idle`. An abort leads from `Aligning` to `Idle` once
//! the barrier has passed, and from `Capturing` and `Sent` through `Merging` to `Idle`; both end
//! with a `Settled` to the writer. A shard that keeps no checkpoints goes from `Aligning` straight
//! to `Sent`.
//!
//! Where the barrier may overtake records the shard *cuts* (`Stage::cut`) when it freezes, and goes
//! through `Recording` before `Capturing`. An abort while it aligns makes it cut without a freeze,
//! so that nobody waits for queued records to settle.
#![deny(clippy::wildcard_enum_match_arm)]

use std::time::Instant;

use frazil_state::{CaptureStatus, Store};

use super::control::JobControl;
use super::pacing::Pacing;
use super::writer_link::{SnapshotReport, ToWriter, WriterLink};
use crate::checkpoint::PhaseTime;
use crate::flow::{Progress, Stage};
use crate::in_flight::{FlightStep, Recorder};
use crate::statistics::{Activity, ShardStatistics, nanos};

/// Pages taken back in one slice of merging.
const MERGE_SLICE_PAGES: usize = 256;
/// Bytes of records in flight encoded in one slice, give or take a batch.
const RECORD_SLICE_BYTES: usize = 64 << 10;
/// How long after a freeze records count as "after a barrier".
const AFTER_BARRIER_NS: u64 = 1_000_000;

enum Phase {
    Idle,
    Aligning {
        since: Instant,
    },
    /// Frozen by a cut: what is in flight in front of it is being recorded.
    Recording(Frozen),
    Capturing(Frozen),
    Sent,
    Merging,
}

/// What is noted at the freeze; the rest of the report is put together when records run again.
#[derive(Clone, Copy)]
struct Frozen {
    align: PhaseTime,
    page_count: u32,
}

/// Where the shard stands in the checkpoint protocol.
pub(crate) struct SnapshotCycle {
    phase: Phase,
    /// Newest epoch whose barrier was injected.
    epoch: u64,
    /// False where no checkpoints are kept: then nothing is frozen.
    persistent: bool,
    pacing: Pacing,
    frozen_at: Option<Instant>,
    /// Stages that were finished at the freeze.
    finished_stages: Vec<u32>,
    /// Those of them that emitted final records.
    final_stages: Vec<u32>,
    /// All stages have just cut.
    is_cut: bool,
    recorder: Recorder,
    /// When alignment was complete, until the next turn shows how long records stood still.
    pause_since: Option<Instant>,
    /// When records ran again after the last freeze.
    resumed_at: Option<Instant>,
}

/// What a step may touch.
pub(crate) struct CycleParts<'a> {
    pub(crate) stages: &'a mut [Box<dyn Stage>],
    pub(crate) store: &'a mut Store,
    pub(crate) link: &'a mut WriterLink,
    pub(crate) statistics: &'a mut ShardStatistics,
    pub(crate) control: &'a JobControl,
}

impl SnapshotCycle {
    pub(crate) fn new(restored_epoch: u64, persistent: bool, pacing: Pacing) -> Self {
        Self {
            phase: Phase::Idle,
            epoch: restored_epoch,
            persistent,
            pacing,
            frozen_at: None,
            finished_stages: Vec::new(),
            final_stages: Vec::new(),
            is_cut: false,
            recorder: Recorder::default(),
            pause_since: None,
            resumed_at: None,
        }
    }

    /// The epoch to inject at the sources now, and whether it is the last.
    pub(crate) fn take_request(&mut self, control: &JobControl) -> Option<(u64, bool)> {
        let (epoch, last) = control.requested();
        if epoch <= self.epoch || !matches!(self.phase, Phase::Idle) {
            return None;
        }
        self.epoch = epoch;
        self.phase = Phase::Aligning {
            since: Instant::now(),
        };
        Some((epoch, last))
    }

    /// Called when records run again: ends the measurement of a freeze.
    #[inline]
    pub(crate) fn resumed(&mut self, statistics: &mut ShardStatistics) {
        if let Some(since) = self.pause_since.take() {
            let now = Instant::now();
            statistics.freeze.saturating_record(nanos(now - since));
            self.resumed_at = Some(now);
        }
    }

    /// Notes how far the stages came in the turn that began at `now_ns`.
    #[inline]
    pub(crate) fn turn(&mut self, progress: Progress, now_ns: u64) {
        self.pacing.turn(progress, now_ns);
    }

    /// The epoch to cut at now, if the shard is to: every stage first, then
    /// [`SnapshotCycle::step`].
    pub(crate) fn take_cut(
        &mut self,
        stages: &[Box<dyn Stage>],
        control: &JobControl,
    ) -> Option<u64> {
        let Phase::Aligning { since } = self.phase else {
            return None;
        };
        let after = control.overtake_after().filter(|_| self.persistent)?;
        if !stages.iter().all(|stage| stage.may_cut()) {
            return None;
        }
        let is_due = since.elapsed() >= after
            || control.is_aborted(self.epoch)
            || stages.iter().all(|stage| stage.is_aligned(self.epoch));
        is_due.then(|| {
            self.is_cut = true;
            self.epoch
        })
    }

    /// Does what the phase asks for; true if there was something to do.
    pub(crate) fn step(&mut self, mut parts: CycleParts<'_>) -> bool {
        let worked = match self.phase {
            Phase::Idle => false,
            Phase::Aligning { since } => self.try_freeze(since, &mut parts),
            Phase::Recording(frozen) => self.record(frozen, &mut parts),
            Phase::Capturing(frozen) => self.capture(frozen, &mut parts),
            Phase::Sent => self.await_outcome(&mut parts),
            Phase::Merging => self.merge(&mut parts),
        };
        parts.statistics.activity = self.activity();
        worked
    }

    fn activity(&self) -> Activity {
        let fresh = self
            .frozen_at
            .is_some_and(|at| nanos(at.elapsed()) < AFTER_BARRIER_NS);
        match self.phase {
            Phase::Idle => Activity::Steady,
            Phase::Aligning { .. } => Activity::Barrier,
            Phase::Recording(_) | Phase::Capturing(_) | Phase::Sent | Phase::Merging if fresh => {
                Activity::Barrier
            }
            Phase::Recording(_) | Phase::Capturing(_) | Phase::Merging => Activity::Capture,
            Phase::Sent => Activity::Sync,
        }
    }

    fn try_freeze(&mut self, since: Instant, parts: &mut CycleParts<'_>) -> bool {
        let aligned = Instant::now();
        let is_cut = std::mem::take(&mut self.is_cut);
        let mut stages = parts.stages.iter();
        if !is_cut && !stages.all(|stage| stage.is_aligned(self.epoch)) {
            return false;
        }
        if parts.control.is_aborted(self.epoch) {
            self.stop_recording(parts.stages);
            release(parts.stages);
            self.settle(parts);
            return true;
        }
        if self.persistent {
            parts.store.freeze();
        }
        self.note_finished(parts.stages, is_cut);
        release(parts.stages);
        self.frozen_at = Some(aligned);
        self.pause_since = Some(aligned);
        let align = PhaseTime {
            start: since,
            end: aligned,
        };
        parts.link.push(ToWriter::Frozen {
            epoch: self.epoch,
            align,
        });
        let frozen = Frozen {
            align,
            page_count: parts.store.page_count(),
        };
        self.phase = match is_cut {
            true => Phase::Recording(frozen),
            false => Phase::Capturing(frozen),
        };
        true
    }

    fn note_finished(&mut self, stages: &[Box<dyn Stage>], is_cut: bool) {
        // What a stage emitted last may be in flight, and is recorded, only behind a cut.
        let finished = stages.iter().filter(|stage| match is_cut {
            true => stage.is_done(),
            false => stage.is_finished(),
        });
        self.finished_stages.clear();
        self.finished_stages
            .extend(finished.map(|stage| stage.index()));
        let finals = stages.iter().filter(|stage| stage.has_emitted_finals());
        self.final_stages.clear();
        self.final_stages.extend(finals.map(|stage| stage.index()));
    }

    /// Records what is in flight, a slice at a time, within the staging pool.
    fn record(&mut self, frozen: Frozen, parts: &mut CycleParts<'_>) -> bool {
        if parts.control.is_aborted(self.epoch) {
            self.stop_recording(parts.stages);
            parts.store.abort_snapshot();
            self.phase = Phase::Merging;
            return true;
        }
        if !parts.store.is_capturing() {
            // A first write found no chunk: `capture` says so.
            self.stop_recording(parts.stages);
            self.phase = Phase::Capturing(frozen);
            return true;
        }
        let mut recording = self
            .recorder
            .slice(parts.store, self.epoch, RECORD_SLICE_BYTES);
        let mut is_done = true;
        for stage in parts.stages.iter_mut() {
            is_done &= stage.in_flight(&mut FlightStep::Record(&mut recording));
        }
        is_done &= recording.flush();
        let has_worked = recording.has_worked();
        if is_done {
            parts.store.finish_in_flight();
            self.phase = Phase::Capturing(frozen);
        }
        send_chunks(parts, self.epoch);
        is_done || has_worked
    }

    fn stop_recording(&mut self, stages: &mut [Box<dyn Stage>]) {
        self.recorder.end();
        for stage in stages {
            stage.in_flight(&mut FlightStep::Stop);
        }
    }

    fn capture(&mut self, frozen: Frozen, parts: &mut CycleParts<'_>) -> bool {
        if self.persistent {
            if parts.control.is_aborted(self.epoch) {
                parts.store.abort_snapshot();
                self.phase = Phase::Merging;
                return true;
            }
            let begin = Instant::now();
            let slice_bytes = self.pacing.slice_bytes(parts.store.must_wait());
            let status = parts.store.capture(slice_bytes);
            let slice = nanos(begin.elapsed());
            send_chunks(parts, self.epoch);
            match status {
                CaptureStatus::More => {
                    parts.statistics.capture_slice.saturating_record(slice);
                    return true;
                }
                CaptureStatus::NeedsChunk => return false,
                CaptureStatus::Declined => {
                    parts.link.push(ToWriter::Declined { epoch: self.epoch });
                    self.phase = Phase::Merging;
                    return true;
                }
                CaptureStatus::Done => parts.statistics.capture_slice.saturating_record(slice),
            }
        }
        // Positions stay those of the barrier until the next one is injected.
        let positions = parts.stages.iter().flat_map(|stage| stage.positions());
        parts.link.push(ToWriter::Snapshot(Box::new(SnapshotReport {
            epoch: self.epoch,
            page_count: frozen.page_count,
            positions: positions.cloned().collect(),
            finished_stages: self.finished_stages.clone(),
            final_stages: self.final_stages.clone(),
            in_flight_records: self.recorder.end(),
            freeze: PhaseTime {
                start: frozen.align.end,
                end: self.resumed_at.unwrap_or(frozen.align.end),
            },
            capture: PhaseTime::since(frozen.align.end),
        })));
        self.phase = Phase::Sent;
        true
    }

    fn await_outcome(&mut self, parts: &mut CycleParts<'_>) -> bool {
        if parts.control.is_durable(self.epoch) {
            if self.persistent {
                parts.store.forget_snapshot();
            }
            self.phase = Phase::Idle;
            return true;
        }
        if parts.control.is_aborted(self.epoch) {
            parts.store.abort_snapshot();
            self.phase = Phase::Merging;
            return true;
        }
        false
    }

    fn merge(&mut self, parts: &mut CycleParts<'_>) -> bool {
        // A declined snapshot keeps its lines until the coordinator knows: the epoch is settled
        // once.
        if parts.store.merge(MERGE_SLICE_PAGES) && parts.control.is_aborted(self.epoch) {
            self.settle(parts);
        }
        true
    }

    fn settle(&mut self, parts: &mut CycleParts<'_>) {
        parts.link.push(ToWriter::Settled { epoch: self.epoch });
        self.phase = Phase::Idle;
    }
}

fn release(stages: &mut [Box<dyn Stage>]) {
    for stage in stages {
        stage.release();
    }
}

fn send_chunks(parts: &mut CycleParts<'_>, epoch: u64) {
    while let Some(chunk) = parts.store.take_chunk() {
        parts.link.push(ToWriter::Chunk { epoch, chunk });
    }
}
