//! The loop of one shard, and the turn that it is made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, TryLockError};
use std::time::Instant;

use frazil_io::runtime::{PinnedLoop, Turn};
use frazil_state::{PopulateJob, Store};

use super::clock::Clock;
use super::context::Context;
use super::control::JobControl;
use super::pacing::Pacing;
use super::progress::JobProgress;
use super::snapshot_cycle::{CycleParts, SnapshotCycle};
use super::writer_link::{ToWriter, WriterLink};
use crate::checkpoint::Notice;
use crate::error::Error;
use crate::flow::{Progress, Stage};
use crate::statistics::{ShardStatistics, nanos};

/// Populated memory kept ahead of the arena's end, so that growth takes no page fault.
const POPULATED_AHEAD_BYTES: usize = 16 << 20;

/// Why a shard's loop ended.
#[derive(Debug)]
pub(crate) enum ShardEnd {
    /// It was told to.
    Exited,
    /// An operator, source or sink could not go on.
    Failed(Box<Error>),
    /// It is unwinding; the thread's end carries the message.
    Panicked,
}

/// Everything that a shard is made of.
pub(crate) struct ShardParts {
    pub(crate) shard: usize,
    pub(crate) stages: Vec<Box<dyn Stage>>,
    pub(crate) store: Store,
    pub(crate) link: WriterLink,
    pub(crate) control: Arc<JobControl>,
    pub(crate) progress: JobProgress,
    pub(crate) probe: Arc<ShardProbe>,
    pub(crate) notices: Sender<Notice>,
    pub(crate) populate: Sender<PopulateJob>,
    pub(crate) started: Instant,
    pub(crate) clock: Clock,
    pub(crate) restored_epoch: u64,
    pub(crate) persistent: bool,
    pub(crate) paced_capture: bool,
    pub(crate) failure: Option<Error>,
}

/// What other threads can see of a running shard.
pub(crate) struct ShardProbe {
    /// The stage that runs, to name the operator if it panics.
    pub(crate) stage: AtomicU32,
    /// An empty set of histograms laid out for the shard, which leaves its filled one in exchange.
    pub(crate) empty: Mutex<Option<Box<ShardStatistics>>>,
    /// What the shard left, until it is collected.
    #[expect(
        clippy::vec_box,
        reason = "a shard hands over a pointer, not hundreds of KiB"
    )]
    pub(crate) filled: Mutex<Vec<Box<ShardStatistics>>>,
}

impl ShardProbe {
    pub(crate) fn new() -> Self {
        Self {
            stage: AtomicU32::new(0),
            empty: Mutex::new(None),
            filled: Mutex::new(Vec::new()),
        }
    }
}

/// A running shard.
pub(crate) struct Shard {
    parts: ShardParts,
    statistics: Box<ShardStatistics>,
    cycle: SnapshotCycle,
    finished: bool,
    drained: bool,
    populating: Option<PopulateJob>,
    reported: [u64; 3],
    /// Records in the histograms that were handed over.
    records_reported: u64,
    noticed: bool,
}

impl Shard {
    pub(crate) fn new(parts: ShardParts) -> Self {
        let cycle = SnapshotCycle::new(
            parts.restored_epoch,
            parts.persistent,
            Pacing::new(parts.paced_capture),
        );
        Self {
            statistics: Box::new(ShardStatistics::new()),
            cycle,
            finished: false,
            drained: false,
            populating: None,
            reported: [0; 3],
            records_reported: 0,
            noticed: false,
            parts,
        }
    }

    /// Shows every stage to `visit`, downstream first, with what it may touch; gives the time of
    /// this.
    fn for_each_stage(&mut self, mut visit: impl FnMut(&mut dyn Stage, &mut Context<'_>)) -> u64 {
        let now_ns = nanos(self.parts.started.elapsed());
        let now_ms = self.parts.clock.now_ms(now_ns);
        let parts = &mut self.parts;
        let sources_held = parts.control.holds_sources();
        parts.store.set_time(now_ms);
        for stage in parts.stages.iter_mut().rev() {
            // Relaxed: read after this thread has ended.
            parts.probe.stage.store(stage.index(), Ordering::Relaxed);
            let mut cx = Context {
                store: &mut parts.store,
                rows: &mut parts.link,
                statistics: &mut self.statistics,
                failure: &mut parts.failure,
                sources_held,
                now_ns,
                now_ms,
                stamp_ns: now_ns,
            };
            visit(&mut **stage, &mut cx);
        }
        now_ns
    }

    /// Tells the sources, once, that their input ends here.
    fn drain(&mut self) {
        if !self.drained && self.parts.control.is_draining() {
            self.drained = true;
            self.parts.stages.iter_mut().for_each(|stage| stage.drain());
        }
    }

    fn run_stages(&mut self) -> bool {
        let mut progress = Progress::Waiting;
        let now_ns = self.for_each_stage(|stage, cx| progress = progress.max(stage.run(cx)));
        self.cycle.turn(progress, now_ns);
        progress != Progress::Waiting
    }

    fn inject(&mut self) -> bool {
        let Some((epoch, last)) = self.cycle.take_request(&self.parts.control) else {
            return false;
        };
        let patient = self.parts.control.is_patient();
        self.parts.store.set_patient(patient);
        self.for_each_stage(|stage, cx| stage.inject(epoch, last, cx));
        true
    }

    fn step_snapshot(&mut self) -> bool {
        let cut = self.cycle.take_cut(&self.parts.stages, &self.parts.control);
        if let Some(epoch) = cut {
            self.for_each_stage(|stage, cx| stage.cut(epoch, cx));
        }
        let parts = &mut self.parts;
        let store = &mut parts.store;
        parts.link.take_back(|chunk| store.give_chunk(chunk));
        self.cycle.step(CycleParts {
            stages: &mut parts.stages,
            store: &mut parts.store,
            link: &mut parts.link,
            statistics: &mut self.statistics,
            control: &parts.control,
        })
    }

    fn report_finish(&mut self) {
        if !self.finished && self.parts.stages.iter().all(|stage| stage.is_finished()) {
            self.finished = true;
            self.parts.link.push(ToWriter::Finished);
        }
    }

    fn report_progress(&mut self) {
        let record_count = self.records_reported + self.statistics.record_count;
        let progress = self.parts.progress.of(self.parts.shard);
        progress.report(record_count, self.parts.store.dirty_bytes());
    }

    /// Asks a helper for memory ahead of the arena's end, one job at a time.
    fn populate(&mut self) {
        if self.populating.as_ref().is_some_and(|job| !job.is_done()) {
            return;
        }
        self.populating = self.parts.store.populate_ahead(POPULATED_AHEAD_BYTES);
        if let Some(job) = &self.populating {
            let _ = self.parts.populate.send(job.clone());
        }
    }

    /// Leaves the histograms where they are asked for. Never waits: an asker that is just looking
    /// is served next turn.
    fn exchange_statistics(&mut self) {
        if let Some(empty) = taken(&self.parts.probe.empty) {
            self.hand_over(empty);
        }
    }

    fn hand_over(&mut self, empty: Box<ShardStatistics>) {
        let mut filled = std::mem::replace(&mut self.statistics, empty);
        self.statistics.activity = filled.activity;
        let (store, reported) = (&self.parts.store, &mut self.reported);
        let counted = [
            store.captured_on_first_write_count(),
            store.expired_record_count(),
            store.expired_bytes(),
        ];
        filled.captured_on_first_write_count = counted[0] - reported[0];
        filled.expired_record_count = counted[1] - reported[1];
        filled.expired_bytes = counted[2] - reported[2];
        *reported = counted;
        self.records_reported += filled.record_count;
        if let Ok(mut slot) = self.parts.probe.filled.lock() {
            slot.push(filled);
        }
    }

    fn notice(&mut self, end: ShardEnd) {
        if !self.noticed {
            self.noticed = true;
            let shard = self.parts.shard;
            let _ = self.parts.notices.send(Notice::ShardEnded { shard, end });
        }
    }
}

fn taken<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    match slot.try_lock() {
        Ok(mut slot) => slot.take(),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
    }
}

impl PinnedLoop for Shard {
    fn turn(&mut self) -> Turn {
        self.cycle.resumed(&mut self.statistics);
        self.drain();
        let mut worked = self.run_stages();
        worked |= self.inject();
        worked |= self.step_snapshot();
        self.report_finish();
        self.report_progress();
        self.populate();
        self.exchange_statistics();
        if let Some(error) = self.parts.failure.take() {
            self.notice(ShardEnd::Failed(Box::new(error)));
            return Turn::Done;
        }
        if self.parts.control.is_exiting() {
            self.notice(ShardEnd::Exited);
            return Turn::Done;
        }
        if worked { Turn::Busy } else { Turn::Idle }
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.hand_over(Box::new(ShardStatistics::new()));
        if std::thread::panicking() {
            self.notice(ShardEnd::Panicked);
        }
    }
}
