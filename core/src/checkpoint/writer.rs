//! The checkpoint writer: one thread that takes what shards hand over and makes it durable.
//!
//! It alone decides an epoch's outcome. Durable: segment and staged output synced, manifest published, then sinks commit.
//! Dropped: anything before the publish failed, a shard declined, or the coordinator gave up. After an outcome the
//! shards learn it from [`JobControl`], the coordinator from a notice.
//!
//! The thread polls the shards' rings: every millisecond while a checkpoint is in flight or rows came lately, rarely
//! otherwise. A shard never makes a system call to wake it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use frazil_io::storage::Storage;
use frazil_state::format::{
    ImageEntry, Manifest, SegmentEntry, ShardEntry, SinkEntry, SourceEntry, SplitEntry, encode,
};

use super::assembly::Assembly;
use super::coordinator::Notice;
use super::fold::FoldJob;
use super::ledger::Ledger;
use super::names;
use super::outlets::{Outlets, StagedRows};
use super::phase::Drop as Dropped;
use super::report::CheckpointReport;
use crate::error::Error;
use crate::shard::{FromWriter, JobControl, ShardLink, ToWriter};
use crate::statistics::{CheckpointStatistics, nanos};

/// Pause between looks at the rings while something is expected.
const POLL_BUSY: Duration = Duration::from_millis(1);
/// Pause otherwise; bounds how long rows and the end of the input lie unseen.
const POLL_IDLE: Duration = Duration::from_millis(5);
/// Pause before rows that a sink refused are offered again.
const RETRY_ROWS: Duration = Duration::from_millis(100);

/// From the coordinator (and the folder) to the writer.
pub(crate) enum WriterCommand {
    /// A checkpoint was requested.
    Begin { epoch: u64, last: bool },
    /// The checkpoint takes too long.
    GiveUp { epoch: u64 },
    /// A fold has ended.
    Folded(Box<Result<Vec<ImageEntry>, Error>>),
    /// The job is over.
    Exit,
}

/// What the writer is made of.
pub(crate) struct WriterParts {
    /// `None` where no checkpoints are kept: then only sinks are served.
    pub(crate) storage: Option<Arc<dyn Storage>>,
    pub(crate) links: Vec<ShardLink>,
    pub(crate) outlets: Outlets,
    pub(crate) ledger: Ledger,
    /// What is the same in every manifest of the job.
    pub(crate) template: Manifest,
    pub(crate) stage_count: usize,
    pub(crate) control: Arc<JobControl>,
    pub(crate) commands: Receiver<WriterCommand>,
    pub(crate) notices: Sender<Notice>,
    pub(crate) folds: Sender<FoldJob>,
    pub(crate) statistics: Arc<Mutex<CheckpointStatistics>>,
}

/// The thread's state.
pub(crate) struct Writer {
    parts: WriterParts,
    assembly: Option<Assembly>,
    /// Size of the last delta: what the next one reserves.
    last_delta_bytes: u64,
    rows_refused_at: Option<Instant>,
}

impl Writer {
    pub(crate) fn new(parts: WriterParts) -> Self {
        Self {
            parts,
            assembly: None,
            last_delta_bytes: 0,
            rows_refused_at: None,
        }
    }

    /// Runs until the job is over.
    pub(crate) fn run(mut self) {
        if let Err(error) = self.serve() {
            let _ = self.parts.notices.send(Notice::Fatal(Box::new(error)));
        }
    }

    fn serve(&mut self) -> Result<(), Error> {
        loop {
            let worked = self.drain_links()?;
            self.retry_rows()?;
            self.complete()?;
            let pause = if worked || self.assembly.is_some() {
                POLL_BUSY
            } else {
                POLL_IDLE
            };
            match self.parts.commands.recv_timeout(pause) {
                Ok(WriterCommand::Exit) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(command) => self.obey(command),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn obey(&mut self, command: WriterCommand) {
        match command {
            WriterCommand::Begin { epoch, last } => {
                let shard_count = self.parts.links.len();
                self.assembly = Some(Assembly::new(epoch, last, shard_count));
            }
            WriterCommand::GiveUp { epoch } => {
                if self.assembly.as_ref().is_some_and(|a| a.epoch == epoch) {
                    self.drop_checkpoint(Dropped::Failed, "it took longer than its timeout".into());
                }
            }
            WriterCommand::Folded(result) => self.folded(*result),
            WriterCommand::Exit => unreachable!("handled by the loop"),
        }
    }

    fn folded(&mut self, result: Result<Vec<ImageEntry>, Error>) {
        match result {
            Ok(images) => {
                let bytes = images.iter().map(|image| image.length_bytes).sum::<u64>();
                self.measure(|statistics| {
                    statistics.fold_count += images.len() as u64;
                    statistics.folded_bytes += bytes;
                });
                self.parts.ledger.unpin(Some(images));
            }
            Err(error) => {
                tracing::warn!(%error, "folding failed; the chain goes on growing");
                self.parts.ledger.unpin(None);
            }
        }
    }

    fn measure(&self, change: impl FnOnce(&mut CheckpointStatistics)) {
        if let Ok(mut statistics) = self.parts.statistics.lock() {
            change(&mut statistics);
        }
    }

    fn drain_links(&mut self) -> Result<bool, Error> {
        let mut worked = false;
        for shard in 0..self.parts.links.len() {
            while let Ok(message) = self.parts.links[shard].from_shard.pop() {
                worked = true;
                self.take(shard, message)?;
            }
        }
        Ok(worked)
    }

    fn take(&mut self, shard: usize, message: ToWriter) -> Result<(), Error> {
        match message {
            ToWriter::Chunk { epoch, chunk } => self.take_chunk(shard, epoch, chunk),
            ToWriter::Rows { sink, epoch, rows } => {
                let staged = self.parts.outlets.stage(StagedRows {
                    shard,
                    sink,
                    epoch,
                    rows,
                })?;
                self.give_rows_back(staged);
            }
            ToWriter::Snapshot(report) => {
                if let Some(assembly) = self.assembly.as_mut().filter(|a| a.epoch == report.epoch) {
                    assembly.reports[shard] = Some(*report);
                }
            }
            ToWriter::Declined { epoch } => {
                if self.assembly.as_ref().is_some_and(|a| a.epoch == epoch) {
                    let reason = format!("shard {shard} ran out of staging memory");
                    self.drop_checkpoint(Dropped::Declined, reason);
                }
            }
            ToWriter::Settled { epoch } => self.notify(Notice::Settled { epoch }),
            ToWriter::Finished => self.notify(Notice::ShardFinished),
        }
        Ok(())
    }

    fn take_chunk(&mut self, shard: usize, epoch: u64, mut chunk: frazil_state::format::Chunk) {
        let expected_bytes = self.last_delta_bytes + self.last_delta_bytes / 4;
        let assembly = self.assembly.as_mut().filter(|a| a.epoch == epoch);
        let written = match (assembly, &self.parts.storage) {
            (Some(assembly), Some(storage)) => {
                assembly.append(&**storage, shard, &mut chunk, expected_bytes)
            }
            // Of a dropped checkpoint.
            _ => Ok(()),
        };
        self.parts.links[shard].give_back(FromWriter::Chunk(chunk));
        if let Err(error) = written {
            self.drop_checkpoint(Dropped::Failed, error.to_string());
        }
    }

    fn give_rows_back(&mut self, staged: Vec<StagedRows>) {
        for rows in staged {
            self.parts.links[rows.shard].give_back(FromWriter::Rows(rows.rows));
        }
    }

    fn retry_rows(&mut self) -> Result<(), Error> {
        if !self.parts.outlets.is_waiting() {
            self.rows_refused_at = None;
            return Ok(());
        }
        let refused_at = *self.rows_refused_at.get_or_insert_with(Instant::now);
        if refused_at.elapsed() >= RETRY_ROWS {
            self.rows_refused_at = None;
            let staged = self.parts.outlets.retry()?;
            self.give_rows_back(staged);
        }
        Ok(())
    }

    fn notify(&self, notice: Notice) {
        // Without a coordinator the job is over and nobody needs to know.
        let _ = self.parts.notices.send(notice);
    }

    fn drop_checkpoint(&mut self, why: Dropped, reason: String) {
        let Some(assembly) = self.assembly.take() else {
            return;
        };
        let epoch = assembly.epoch;
        if let Some(storage) = &self.parts.storage {
            assembly.discard(&**storage);
        }
        self.measure(|statistics| statistics.failed_count += 1);
        self.parts.control.abort(epoch);
        self.notify(Notice::Dropped { epoch, why, reason });
    }

    /// Makes the checkpoint durable once all shards have reported.
    fn complete(&mut self) -> Result<(), Error> {
        let ready = self.assembly.as_ref().is_some_and(Assembly::is_complete);
        if !ready || self.parts.outlets.is_waiting() {
            return Ok(());
        }
        match self.publish() {
            Ok(report) => self.committed(report),
            Err(PublishFailure::Dropped(reason)) => {
                self.drop_checkpoint(Dropped::Failed, reason);
                Ok(())
            }
            Err(PublishFailure::Fatal(error)) => Err(*error),
        }
    }

    fn publish(&mut self) -> Result<CheckpointReport, PublishFailure> {
        let assembly = self.assembly.as_mut().expect("complete() looked");
        let written_at = Instant::now();
        let segment = match &self.parts.storage {
            Some(_) => assembly.sync()?,
            None => None,
        };
        let epoch = assembly.epoch;
        let sinks = self.parts.outlets.pre_commit(epoch);
        let sinks = sinks.map_err(|(error, fatal)| PublishFailure::of_sink(error, fatal))?;
        let synced_at = Instant::now();
        let mut bytes = segment.as_ref().map_or(0, |segment| segment.length_bytes);
        if let Some(storage) = &self.parts.storage {
            let manifest = self.manifest(segment, sinks);
            let archive = encode(&manifest);
            bytes += archive.len() as u64;
            if let Err(error) = storage.publish(&names::manifest(epoch), &archive) {
                if error.is_undecided() {
                    self.parts.ledger.undecided(&manifest);
                }
                return Err(PublishFailure::from(error));
            }
            self.parts.ledger.durable(&manifest);
        }
        Ok(self.measured(written_at, synced_at, bytes))
    }

    fn measured(
        &mut self,
        written_at: Instant,
        synced_at: Instant,
        bytes: u64,
    ) -> CheckpointReport {
        let durable_at = Instant::now();
        let assembly = self.assembly.as_ref().expect("a checkpoint was published");
        self.last_delta_bytes = assembly.segment_bytes();
        self.measure(|statistics| {
            for report in assembly.reports.iter().flatten() {
                statistics.align.saturating_record(nanos(report.align));
                statistics.capture.saturating_record(nanos(report.capture));
            }
            let phases = [
                (&mut statistics.write, written_at - assembly.begun),
                (&mut statistics.sync, synced_at - written_at),
                (&mut statistics.publish, durable_at - synced_at),
                (&mut statistics.whole, durable_at - assembly.begun),
            ];
            for (histogram, duration) in phases {
                histogram.saturating_record(nanos(duration));
            }
            statistics.bytes.saturating_record(bytes);
            statistics.completed_count += 1;
        });
        CheckpointReport {
            checkpoint: assembly.epoch,
            duration: durable_at - assembly.begun,
            bytes,
            output_bytes: 0,
            durable_at,
            last: assembly.last,
        }
    }

    fn manifest(&self, segment: Option<SegmentEntry>, sinks: Vec<SinkEntry>) -> Manifest {
        let assembly = self.assembly.as_ref().expect("a checkpoint is published");
        let reports = || assembly.reports.iter().flatten();
        let shards = reports().zip(self.parts.ledger.images());
        let mut segments = self.parts.ledger.segments().to_vec();
        segments.extend(segment);
        let mut finished_stages: Vec<u32> = reports()
            .next()
            .map(|report| report.finished_stages.clone())
            .unwrap_or_default();
        // A source stage ends on each shard in its own time; the others end on all shards or on none.
        finished_stages.retain(|stage| reports().all(|r| r.finished_stages.contains(stage)));
        Manifest {
            checkpoint: assembly.epoch,
            created_unix_ms: SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0)),
            shards: shards
                .map(|(report, image)| ShardEntry {
                    page_count: report.page_count,
                    image: image.clone(),
                })
                .collect(),
            segments,
            sources: self
                .parts
                .template
                .sources
                .iter()
                .map(|source| self.positions_of(source))
                .collect(),
            finished: assembly.last && finished_stages.len() == self.parts.stage_count,
            finished_stages,
            sinks,
            ..self.parts.template.clone()
        }
    }

    fn positions_of(&self, source: &SourceEntry) -> SourceEntry {
        let assembly = self.assembly.as_ref().expect("a checkpoint is published");
        let positions = assembly.reports.iter().flatten();
        let positions = positions.flat_map(|report| &report.positions);
        let mut splits: Vec<SplitEntry> = positions
            .filter(|position| position.operator == source.operator)
            .map(|position| SplitEntry {
                id: position.split_id,
                description: position.description.clone(),
                position: position.position.clone(),
                finished: position.finished,
            })
            .collect();
        splits.sort_unstable_by_key(|split| split.id);
        SourceEntry {
            finished: splits.iter().all(|split| split.finished),
            splits,
            ..source.clone()
        }
    }

    fn committed(&mut self, mut report: CheckpointReport) -> Result<(), Error> {
        let assembly = self.assembly.take().expect("a checkpoint was published");
        self.parts.control.make_durable(assembly.epoch);
        report.output_bytes = self.parts.outlets.commit(assembly.epoch)?;
        self.notify(Notice::Durable(report));
        let Some(storage) = self.parts.storage.clone() else {
            return Ok(());
        };
        if let Err(error) = self.parts.ledger.retire(&*storage) {
            tracing::warn!(%error, "old checkpoint files could not be removed");
        }
        if self.parts.ledger.wants_fold() && !assembly.last {
            self.parts.ledger.pin(assembly.epoch);
            let page_counts = assembly.reports.iter().flatten().map(|r| r.page_count);
            let images = self.parts.ledger.images().iter().cloned();
            let job = FoldJob {
                storage,
                epoch: assembly.epoch,
                shards: images.zip(page_counts).collect(),
                segments: self.parts.ledger.segments().to_vec(),
            };
            if self.parts.folds.send(job).is_err() {
                self.parts.ledger.unpin(None);
            }
        }
        Ok(())
    }
}

/// Why a checkpoint was not published.
enum PublishFailure {
    Dropped(String),
    /// A sink lost rows: the job cannot go on.
    Fatal(Box<Error>),
}

impl PublishFailure {
    fn of_sink(error: Error, fatal: bool) -> Self {
        if fatal {
            Self::Fatal(Box::new(error))
        } else {
            Self::Dropped(error.to_string())
        }
    }
}

impl From<frazil_io::IoError> for PublishFailure {
    fn from(error: frazil_io::IoError) -> Self {
        Self::Dropped(error.to_string())
    }
}
