//! Checkpoints that belong to the user: savepoints and pins.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use frazil_io::storage::{FileStorage, Storage};

use super::handle::JobHandle;
use super::shared::{RunLinks, Shared};
use crate::checkpoint::{
    KeepCommand, Notice, SavepointReport, WriteBudget, WriterCommand, has_nothing_in_flight,
    newest_checkpoint, write_savepoint,
};
use crate::error::Error;
use crate::statistics::Statistics;

/// Checkpoints that are made for a savepoint before one with records in flight is refused.
const SAVEPOINT_TRIES_MAX: u32 = 5;

impl JobHandle {
    /// Makes a checkpoint and writes it as a savepoint to the directory `path`, which must be empty
    /// or missing; waits until it is durable. The job goes on meanwhile.
    ///
    /// A savepoint needs nothing outside its directory, which can be moved or copied to another
    /// disk or machine, and the engine never removes it.
    /// [`JobBuilder::restore_from`](crate::JobBuilder::restore_from) starts a job from it.
    ///
    /// It holds state, positions of the sources, and what sinks had pre-committed: output up to the
    /// savepoint appears with its checkpoint, in the running job. A job that starts from the
    /// savepoint with the same sinks takes back what they committed later, and goes on exactly
    /// once.
    ///
    /// # Errors
    /// As [`JobHandle::checkpoint`]; [`Error::SavepointExists`]; and what the file system refuses:
    /// a full disk leaves no savepoint, and the job goes on.
    pub fn savepoint(&self, path: impl Into<PathBuf>) -> Result<SavepointReport, Error> {
        self.savepoint_to(Arc::new(FileStorage::open(path)?))
    }

    /// As [`JobHandle::savepoint`], to a storage of another kind.
    ///
    /// # Errors
    /// As [`JobHandle::savepoint`].
    pub fn savepoint_to(&self, destination: Arc<dyn Storage>) -> Result<SavepointReport, Error> {
        let mut tries = 0;
        loop {
            let aligned = self.make_checkpoint(Notice::TriggerAligned)?;
            let source = self.storage.as_ref().ok_or(Error::NoCheckpoints)?;
            let held = Hold::newest(&self.shared)?;
            tries += 1;
            // A newer one, with records in flight, may have come already, and this one be gone.
            if held.checkpoint == aligned.checkpoint
                || tries == SAVEPOINT_TRIES_MAX
                || has_nothing_in_flight(&**source, held.checkpoint)?
            {
                return write_savepoint(source, held.checkpoint, &destination, &held.links.budget);
            }
        }
    }

    /// Stops the job after a last checkpoint, waits until it has ended, and writes that checkpoint
    /// as a savepoint to the directory `path`, as [`JobHandle::savepoint`] does.
    ///
    /// # Errors
    /// As [`JobHandle::wait`] and [`JobHandle::savepoint`]. If the job ended well and the savepoint
    /// failed, the checkpoint is still there to start from.
    pub fn stop_with_savepoint(
        self,
        path: impl Into<PathBuf>,
    ) -> Result<(Statistics, SavepointReport), Error> {
        let source = self.storage.clone().ok_or(Error::NoCheckpoints)?;
        self.stop();
        let statistics = self.wait()?;
        // Until the savepoint is written nobody may retire what it reads.
        let _lock = source.lock()?;
        let last = newest_checkpoint(&source.list()?).ok_or(Error::Ended)?;
        let destination: Arc<dyn Storage> = Arc::new(FileStorage::open(path)?);
        let at_full_speed = Arc::new(WriteBudget::new(None));
        let report = write_savepoint(&source, last, &destination, &at_full_speed)?;
        Ok((statistics, report))
    }

    /// Keeps a checkpoint in the checkpoint directory until [`JobHandle::unpin`], however many
    /// follow it and however often the job is started anew. Pinned checkpoints do not count among
    /// those to keep.
    ///
    /// # Errors
    /// [`Error::UnknownCheckpoint`] for one that is not kept any more, [`Error::NoCheckpoints`],
    /// [`Error::Ended`], and what the file system refuses.
    pub fn pin(&self, checkpoint: u64) -> Result<(), Error> {
        self.keep(|answer| KeepCommand::Pin { checkpoint, answer })
    }

    /// Leaves a pinned checkpoint to retention again.
    ///
    /// # Errors
    /// [`Error::NoCheckpoints`], [`Error::Ended`], and what the file system refuses.
    pub fn unpin(&self, checkpoint: u64) -> Result<(), Error> {
        self.keep(|answer| KeepCommand::Unpin { checkpoint, answer })
    }

    fn keep(
        &self,
        command: impl Fn(Sender<Result<(), Error>>) -> KeepCommand,
    ) -> Result<(), Error> {
        if self.storage.is_none() {
            return Err(Error::NoCheckpoints);
        }
        let ask = |links: &RunLinks, asker| {
            let _ = links.commands.send(WriterCommand::Keep(command(asker)));
        };
        let (_, done) = self.shared.ask(ask)?;
        done
    }
}

/// Keeps the files of a checkpoint as long as it lives, or as the run does that made it.
struct Hold {
    links: RunLinks,
    checkpoint: u64,
}

impl Hold {
    /// Holds the newest checkpoint.
    fn newest(shared: &Shared) -> Result<Self, Error> {
        let ask = |links: &RunLinks, answer| {
            let command = WriterCommand::Keep(KeepCommand::HoldNewest { answer });
            let _ = links.commands.send(command);
        };
        let (links, checkpoint) = shared.ask(ask)?;
        Ok(Self {
            links,
            checkpoint: checkpoint.expect("a checkpoint of this job is durable"),
        })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let checkpoint = self.checkpoint;
        let command = WriterCommand::Keep(KeepCommand::Release { checkpoint });
        // A run that has ended holds nothing.
        let _ = self.links.commands.send(command);
    }
}
