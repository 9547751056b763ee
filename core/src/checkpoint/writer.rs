//! The checkpoint writer: one thread that takes what shards hand over and makes it durable.
//!
//! It alone decides an epoch's outcome. Durable: segment and staged output synced, manifest
//! published, then sinks commit. Dropped: anything before the publish failed, a shard declined, or
//! the coordinator gave up. After an outcome the shards learn it from [`JobControl`], the
//! coordinator from a notice.
//!
//! The thread polls the shards' rings: every millisecond while a checkpoint is in flight or rows
//! came lately, rarely otherwise. A shard never makes a system call to wake it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use frazil_io::storage::Storage;
use frazil_state::format::{Chunk, ImageEntry, encode};

use super::assembly::Assembly;
use super::budget::WriteBudget;
use super::coordinator::Notice;
use super::fold::FoldJob;
use super::history::{CheckpointOutcome, CheckpointTrace, PhaseTime, ShardTrace};
use super::keep::KeepCommand;
use super::ledger::Ledger;
use super::names;
use super::outlets::{Outlets, SinkFailure, StagedRows};
use super::phase::Drop as Dropped;
use super::report::CheckpointReport;
use super::template::ManifestTemplate;
use super::traced;
use super::watch::Watch;
use crate::error::Error;
use crate::shard::{FromWriter, JobControl, ShardLink, ToWriter};
use crate::statistics::{CheckpointStatistics, nanos};

/// Pause between looks at the rings while something is expected.
const POLL_BUSY: Duration = Duration::from_millis(1);
/// Pause otherwise; bounds how long rows and the end of the input lie unseen.
const POLL_IDLE: Duration = Duration::from_millis(5);
/// Pause before rows or a commit that a sink refused are offered again.
const RETRY: Duration = Duration::from_millis(100);

/// From the coordinator (and the folder) to the writer.
pub(crate) enum WriterCommand {
    /// A checkpoint was requested.
    Begin(Box<CheckpointTrace>),
    /// The checkpoint takes too long.
    GiveUp { epoch: u64 },
    /// A fold has ended.
    Folded(Box<Result<Vec<ImageEntry>, Error>>),
    /// The user asks for something about the kept checkpoints.
    Keep(KeepCommand),
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
    pub(crate) budget: Arc<WriteBudget>,
    pub(crate) template: ManifestTemplate,
    pub(crate) control: Arc<JobControl>,
    pub(crate) commands: Receiver<WriterCommand>,
    pub(crate) notices: Sender<Notice>,
    pub(crate) folds: Sender<FoldJob>,
    pub(crate) watch: Watch,
}

/// The thread's state.
pub(crate) struct Writer {
    parts: WriterParts,
    assembly: Option<Assembly>,
    /// Size of the last delta: what the next one reserves.
    last_delta_bytes: u64,
    rows_refused_at: Option<Instant>,
    /// Newest epoch whose `Begin` was obeyed.
    begun: u64,
    /// A durable checkpoint whose output is not all committed.
    uncommitted: Option<Uncommitted>,
    commit_failed_at: Option<Instant>,
    /// The coordinator said that the job is over.
    exiting: bool,
}

/// A checkpoint between publish and commit.
struct Uncommitted {
    report: CheckpointReport,
    trace: CheckpointTrace,
}

impl Writer {
    pub(crate) fn new(parts: WriterParts) -> Self {
        Self {
            parts,
            assembly: None,
            last_delta_bytes: 0,
            rows_refused_at: None,
            begun: 0,
            uncommitted: None,
            commit_failed_at: None,
            exiting: false,
        }
    }

    /// Runs until the job is over.
    pub(crate) fn run(mut self) {
        let _notice = PanicNotice(self.parts.notices.clone());
        if let Err(error) = self.serve() {
            let _ = self.parts.notices.send(Notice::Fatal(Box::new(error)));
        }
    }

    fn serve(&mut self) -> Result<(), Error> {
        while !self.exiting {
            let worked = self.drain_links()?;
            self.retry_rows()?;
            self.complete()?;
            self.retry_commit()?;
            let pause = match (worked, &self.assembly) {
                // A shard may wait for the buffers that the next look gives back.
                (true, _) => Duration::ZERO,
                (false, Some(_)) => POLL_BUSY,
                (false, None) => POLL_IDLE,
            };
            match self.parts.commands.recv_timeout(pause) {
                Ok(command) => self.obey(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.exit(),
            }
        }
        Ok(())
    }

    fn obey(&mut self, command: WriterCommand) {
        match command {
            WriterCommand::Begin(trace) => {
                self.begun = trace.checkpoint;
                self.assembly = Some(Assembly::new(*trace));
            }
            WriterCommand::GiveUp { epoch } => {
                if self.is_assembling(epoch) {
                    self.drop_checkpoint(Dropped::Failed, "it took longer than its timeout".into());
                }
            }
            WriterCommand::Folded(result) => self.folded(*result),
            WriterCommand::Keep(command) => {
                if let Some(storage) = &self.parts.storage {
                    command.obey(&mut self.parts.ledger, &**storage);
                }
            }
            WriterCommand::Exit => self.exit(),
        }
    }

    /// A fold under way would keep the job waiting for an image that no manifest names yet.
    fn exit(&mut self) {
        self.exiting = true;
        self.parts.budget.close();
    }

    /// Obeys commands until the `Begin` of an epoch that a shard's message names. It is in the
    /// channel already: the coordinator sends it before shards can see the request.
    fn catch_up(&mut self, epoch: u64) {
        while self.begun < epoch && !self.exiting {
            match self.parts.commands.recv() {
                Ok(command) => self.obey(command),
                Err(_) => self.exit(),
            }
        }
    }

    fn is_assembling(&self, epoch: u64) -> bool {
        self.assembly.as_ref().is_some_and(|a| a.epoch == epoch)
    }

    fn folded(&mut self, result: Result<Vec<ImageEntry>, Error>) {
        match result {
            Ok(images) => {
                let bytes = images.iter().map(|image| image.length_bytes).sum::<u64>();
                self.measure(|statistics| {
                    statistics.fold_count += images.len() as u64;
                    statistics.folded_bytes += bytes;
                });
                self.parts.ledger.end_fold(Some(images));
            }
            Err(error) => {
                tracing::warn!(%error, "folding failed; the chain goes on growing");
                self.parts.ledger.end_fold(None);
            }
        }
    }

    fn measure(&self, change: impl FnOnce(&mut CheckpointStatistics)) {
        if let Ok(mut statistics) = self.parts.watch.statistics.lock() {
            change(&mut statistics);
        }
    }

    fn drain_links(&mut self) -> Result<bool, Error> {
        let mut worked = false;
        for shard in 0..self.parts.links.len() {
            // What lies there now and no more: a shard that refills its ring as fast as it drains
            // must not keep commands and other shards waiting.
            for _ in 0..self.parts.links[shard].from_shard.slots() {
                if let Ok(message) = self.parts.links[shard].from_shard.pop() {
                    worked = true;
                    self.take(shard, message)?;
                }
            }
        }
        Ok(worked)
    }

    fn take(&mut self, shard: usize, message: ToWriter) -> Result<(), Error> {
        match message {
            ToWriter::Chunk { epoch, chunk } => {
                self.catch_up(epoch);
                self.take_chunk(shard, epoch, chunk);
            }
            ToWriter::Rows { sink, epoch, rows } => {
                let staged = self.parts.outlets.stage(StagedRows {
                    shard,
                    sink,
                    epoch,
                    rows,
                })?;
                self.give_rows_back(staged);
            }
            ToWriter::Frozen { epoch, align } => {
                self.catch_up(epoch);
                if let Some(assembly) = self.assembly.as_mut().filter(|a| a.epoch == epoch) {
                    traced::frozen(&assembly.trace, shard, align);
                    assembly.trace.shards[shard].align = Some(align);
                    self.parts.watch.history.note(&assembly.trace);
                }
                self.notify(Notice::Frozen {
                    epoch,
                    shard,
                    align,
                });
            }
            ToWriter::Snapshot(report) => {
                self.catch_up(report.epoch);
                if let Some(assembly) = self.assembly.as_mut().filter(|a| a.epoch == report.epoch) {
                    let bytes = assembly.trace.shards[shard].bytes;
                    traced::captured(report.epoch, shard, &report, bytes);
                    assembly.report(shard, *report);
                    self.parts.watch.history.note(&assembly.trace);
                }
            }
            ToWriter::Declined { epoch } => {
                self.catch_up(epoch);
                if self.is_assembling(epoch) {
                    let reason = format!("shard {shard} ran out of staging memory");
                    self.drop_checkpoint(Dropped::Declined, reason);
                }
            }
            ToWriter::Settled { epoch } => self.notify(Notice::Settled { epoch, shard }),
            ToWriter::Finished => self.notify(Notice::ShardFinished),
        }
        Ok(())
    }

    fn take_chunk(&mut self, shard: usize, epoch: u64, mut chunk: Chunk) {
        let expected_bytes = self.last_delta_bytes + self.last_delta_bytes / 4;
        let assembly = self.assembly.as_mut().filter(|a| a.epoch == epoch);
        let written = match (assembly, &self.parts.storage) {
            (Some(assembly), Some(storage)) => assembly.append(
                &**storage,
                &self.parts.budget,
                shard,
                &mut chunk,
                expected_bytes,
            ),
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
        if refused_at.elapsed() >= RETRY {
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
        let Some(mut assembly) = self.assembly.take() else {
            return;
        };
        let epoch = assembly.epoch;
        assembly.trace.outcome = CheckpointOutcome::Dropped {
            reason: reason.clone(),
        };
        self.parts.watch.history.note(&assembly.trace);
        if let Some(storage) = &self.parts.storage {
            assembly.discard(&**storage);
        }
        self.measure(|statistics| statistics.failed_count += 1);
        self.parts.control.abort(epoch);
        self.notify(Notice::Dropped { epoch, why, reason });
    }

    /// Makes the checkpoint durable once all shards have reported.
    fn complete(&mut self) -> Result<(), Error> {
        let complete = self.assembly.as_ref().filter(|it| it.is_complete());
        let Some(epoch) = complete.map(|assembly| assembly.epoch) else {
            return Ok(());
        };
        if self.parts.outlets.is_waiting_for(epoch) || self.uncommitted.is_some() {
            return Ok(());
        }
        if self.assembly.as_ref().is_some_and(Assembly::is_amid_finals) {
            self.parts.control.align_next();
            let reason = "it found a stage amid its final records; the next one is aligned";
            self.drop_checkpoint(Dropped::Failed, reason.to_owned());
            return Ok(());
        }
        match self.publish() {
            Ok(report) => self.durable(report),
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
        let epoch = assembly.epoch;
        let written_bytes = assembly.segment_bytes();
        traced::written(epoch, written_bytes, written_at - assembly.requested);
        let syncing = traced::sync_span(epoch).entered();
        let segment = match &self.parts.storage {
            Some(_) => assembly.sync()?,
            None => None,
        };
        let sinks = self.parts.outlets.pre_commit(epoch)?;
        drop(syncing);
        let synced_at = Instant::now();
        assembly.trace.sync = Some(PhaseTime {
            start: written_at,
            end: synced_at,
        });
        let mut bytes = segment.as_ref().map_or(0, |segment| segment.length_bytes);
        if let Some(storage) = &self.parts.storage {
            let in_force = self.parts.watch.in_force();
            let settings = in_force.entries();
            assembly.trace.settings = in_force.settings;
            let (template, ledger) = (&self.parts.template, &self.parts.ledger);
            let manifest = template.fill(assembly, ledger, segment, sinks, settings);
            let archive = encode(&manifest);
            bytes += archive.len() as u64;
            let publishing = traced::publish_span(epoch);
            let published =
                publishing.in_scope(|| storage.publish(&names::manifest(epoch), &archive));
            if let Err(error) = published {
                if error.is_undecided() {
                    self.parts.ledger.undecided(&manifest);
                    assembly.keep();
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
        let assembly = self.assembly.as_mut().expect("a checkpoint was published");
        self.last_delta_bytes = assembly.segment_bytes();
        let publish = PhaseTime {
            start: synced_at,
            end: durable_at,
        };
        assembly.trace.publish = Some(publish);
        let sync = synced_at - written_at;
        traced::published(assembly.epoch, bytes, sync, publish.duration());
        assembly.trace.outcome = CheckpointOutcome::Durable;
        assembly.trace.bytes = bytes;
        self.parts.watch.history.note(&assembly.trace);
        let assembly = self.assembly.as_ref().expect("a checkpoint was published");
        self.measure(|statistics| {
            for shard in &assembly.trace.shards {
                let phases = [
                    (&mut statistics.align, shard.align),
                    (&mut statistics.capture, shard.capture),
                ];
                for (histogram, phase) in phases {
                    let duration = phase.expect("every shard reported").duration();
                    histogram.saturating_record(nanos(duration));
                }
            }
            let phases = [
                (&mut statistics.write, written_at - assembly.requested),
                (&mut statistics.sync, synced_at - written_at),
                (&mut statistics.publish, durable_at - synced_at),
                (&mut statistics.whole, durable_at - assembly.requested),
            ];
            for (histogram, duration) in phases {
                histogram.saturating_record(nanos(duration));
            }
            statistics.bytes.saturating_record(bytes);
            statistics.completed_count += 1;
        });
        let shards = &assembly.trace.shards;
        let in_flight = |of: fn(&ShardTrace) -> u64| shards.iter().map(of).sum();
        CheckpointReport {
            checkpoint: assembly.epoch,
            duration: durable_at - assembly.requested,
            bytes,
            in_flight_bytes: in_flight(|shard| shard.in_flight_bytes),
            in_flight_records: in_flight(|shard| shard.in_flight_records),
            output_bytes: 0,
            durable_at,
            last: assembly.last,
        }
    }

    /// The checkpoint is decided: shards learn it, sinks commit, older files go, and the chain may
    /// be folded.
    fn durable(&mut self, report: CheckpointReport) -> Result<(), Error> {
        let assembly = self.assembly.take().expect("a checkpoint was published");
        self.parts.control.make_durable(assembly.epoch);
        self.notify(Notice::Published {
            epoch: assembly.epoch,
        });
        let trace = assembly.trace.clone();
        self.uncommitted = Some(Uncommitted { report, trace });
        self.retry_commit()?;
        let Some(storage) = self.parts.storage.clone() else {
            return Ok(());
        };
        if let Err(error) = self.parts.ledger.retire(&*storage) {
            tracing::warn!(%error, "old checkpoint files could not be removed");
        }
        if self.parts.ledger.wants_fold() && !assembly.last {
            self.fold(storage, &assembly);
        }
        Ok(())
    }

    fn fold(&mut self, storage: Arc<dyn Storage>, assembly: &Assembly) {
        self.parts.ledger.begin_fold(assembly.epoch);
        let page_counts = assembly.reports.iter().flatten().map(|r| r.page_count);
        let images = self.parts.ledger.images().iter().cloned();
        let job = FoldJob {
            destination: Arc::clone(&storage),
            storage,
            budget: Arc::clone(&self.parts.budget),
            epoch: assembly.epoch,
            shards: images.zip(page_counts).collect(),
            segments: self.parts.ledger.segments().to_vec(),
        };
        if self.parts.folds.send(job).is_err() {
            self.parts.ledger.end_fold(None);
        }
    }

    /// Commits the output of the durable checkpoint; again after a pause where a sink could not.
    fn retry_commit(&mut self) -> Result<(), Error> {
        let Some(Uncommitted { report, trace }) = &mut self.uncommitted else {
            return Ok(());
        };
        if self.commit_failed_at.is_some_and(|at| at.elapsed() < RETRY) {
            return Ok(());
        }
        let begun = report.durable_at;
        let committing = traced::commit_span(report.checkpoint);
        match committing.in_scope(|| self.parts.outlets.commit(report.checkpoint)) {
            Ok(output_bytes) => {
                report.output_bytes = output_bytes;
                let commit = PhaseTime::since(begun);
                traced::committed(report.checkpoint, output_bytes, commit.duration());
                trace.commit = Some(commit);
                trace.outcome = CheckpointOutcome::Committed;
                self.parts.watch.history.note(trace);
                self.commit_failed_at = None;
                if let Some(Uncommitted { report, .. }) = self.uncommitted.take() {
                    self.notify(Notice::Durable(report));
                }
                Ok(())
            }
            Err(SinkFailure { error, fatal: true }) => Err(*error),
            Err(SinkFailure { error, .. }) => {
                tracing::warn!(%error, "output of a durable checkpoint is not committed yet");
                self.commit_failed_at = Some(Instant::now());
                Ok(())
            }
        }
    }
}

/// Ends the job if the writer's thread unwinds (a sink's committer is user code): nobody else would
/// notice.
struct PanicNotice(Sender<Notice>);

impl Drop for PanicNotice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The thread's end carries the message.
            let panicked = Error::HelperPanicked {
                thread: "checkpoint writer",
                message: "no message".to_owned(),
            };
            let _ = self.0.send(Notice::Fatal(Box::new(panicked)));
        }
    }
}

/// Why a checkpoint was not published.
enum PublishFailure {
    Dropped(String),
    /// A sink lost rows: the job cannot go on.
    Fatal(Box<Error>),
}

impl From<SinkFailure> for PublishFailure {
    fn from(failure: SinkFailure) -> Self {
        match failure {
            SinkFailure { error, fatal: true } => Self::Fatal(error),
            SinkFailure { error, .. } => Self::Dropped(error.to_string()),
        }
    }
}

impl From<frazil_io::IoError> for PublishFailure {
    fn from(error: frazil_io::IoError) -> Self {
        Self::Dropped(error.to_string())
    }
}
