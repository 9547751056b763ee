//! The committing halves of all sinks, and rows that a full disk keeps waiting.

use std::collections::{BTreeMap, VecDeque};

use frazil_state::format::SinkEntry;

use crate::error::Error;
use crate::flow::PlannedSink;
use crate::sink::{Committer, Restored, SinkError};

/// Rows on their way to a sink, and the shard that gets the buffer back.
pub(crate) struct StagedRows {
    pub(crate) shard: usize,
    pub(crate) sink: u32,
    pub(crate) epoch: u64,
    pub(crate) rows: Vec<u8>,
}

struct Outlet {
    operator: u32,
    name: String,
    committer: Box<dyn Committer>,
}

/// All sinks of a job, on the writer's side.
pub(crate) struct Outlets {
    outlets: Vec<Outlet>,
    /// Rows that could not be staged yet, in order of arrival. Bounded: each holds a buffer of its
    /// shard's pool.
    waiting: VecDeque<StagedRows>,
    /// Bytes staged and not committed, by epoch.
    uncommitted_bytes: BTreeMap<u64, u64>,
}

/// A sink that could not do what a checkpoint needs.
pub(crate) struct SinkFailure {
    pub(crate) error: Box<Error>,
    /// Rows are lost: repeating is of no use.
    pub(crate) fatal: bool,
}

impl Outlet {
    fn recover(&mut self, restored: Option<Restored<'_>>) -> Result<(), Error> {
        let recovered = self.committer.recover(restored);
        recovered.map_err(|source| Error::of_sink(&self.name, source))
    }

    fn failure(&self, source: SinkError) -> SinkFailure {
        SinkFailure {
            fatal: source.is_fatal(),
            error: Box::new(Error::of_sink(&self.name, source)),
        }
    }
}

impl Outlets {
    pub(crate) fn new(sinks: Vec<PlannedSink>) -> Self {
        let outlets = sinks.into_iter().map(|sink| Outlet {
            operator: sink.operator,
            name: sink.name,
            committer: sink.committer,
        });
        Self {
            outlets: outlets.collect(),
            waiting: VecDeque::new(),
            uncommitted_bytes: BTreeMap::new(),
        }
    }

    /// Asks all sinks whether a start without a checkpoint is possible; changes nothing.
    ///
    /// # Errors
    /// The first sink's that refuses.
    pub(crate) fn check_fresh(&self) -> Result<(), Error> {
        self.outlets.iter().try_for_each(|outlet| {
            let allowed = outlet.committer.check_fresh();
            allowed.map_err(|source| Error::of_sink(&outlet.name, source))
        })
    }

    /// Brings all sinks to the state of a start without a checkpoint.
    ///
    /// # Errors
    /// The first sink's that cannot.
    pub(crate) fn recover_fresh(&mut self) -> Result<(), Error> {
        self.outlets.iter_mut().try_for_each(|o| o.recover(None))
    }

    /// Brings all sinks to the state of a checkpoint; those that it does not know are new and start
    /// without one.
    ///
    /// # Errors
    /// The first sink's that cannot.
    pub(crate) fn recover(&mut self, checkpoint: u64, sinks: &[SinkEntry]) -> Result<(), Error> {
        for outlet in &mut self.outlets {
            let entry = sinks.iter().find(|e| e.operator == outlet.operator);
            outlet.recover(entry.map(|entry| Restored {
                checkpoint,
                pre_commit: &entry.pre_commit,
            }))?;
        }
        Ok(())
    }

    /// Brings all sinks to the state of a savepoint. A sink of another name than the one that made
    /// it (for files: in another folder) is new and starts without one.
    ///
    /// # Errors
    /// The first sink's that cannot.
    pub(crate) fn recover_from_savepoint(
        &mut self,
        checkpoint: u64,
        sinks: &[SinkEntry],
    ) -> Result<(), Error> {
        for outlet in &mut self.outlets {
            let is_same = |e: &&SinkEntry| e.operator == outlet.operator && e.name == outlet.name;
            let entry = sinks.iter().find(is_same);
            outlet.recover(entry.map(|entry| Restored {
                checkpoint,
                pre_commit: &entry.pre_commit,
            }))?;
        }
        Ok(())
    }

    /// The first sink that cannot take back committed output.
    pub(crate) fn cannot_retract(&self) -> Option<&str> {
        let outlet = self.outlets.iter().find(|o| !o.committer.can_retract())?;
        Some(&outlet.name)
    }

    /// Stages rows, behind those that wait; gives back what was staged.
    ///
    /// # Errors
    /// A sink that lost rows.
    pub(crate) fn stage(&mut self, rows: StagedRows) -> Result<Vec<StagedRows>, Error> {
        self.waiting.push_back(rows);
        self.retry()
    }

    /// Stages what waits, as far as the sinks take it.
    ///
    /// # Errors
    /// A sink that lost rows.
    pub(crate) fn retry(&mut self) -> Result<Vec<StagedRows>, Error> {
        let mut done = Vec::new();
        while let Some(next) = self.waiting.front() {
            let outlet = &mut self.outlets[next.sink as usize];
            match outlet.committer.stage(next.epoch, &next.rows) {
                Ok(()) => {
                    *self.uncommitted_bytes.entry(next.epoch).or_default() +=
                        next.rows.len() as u64;
                    done.extend(self.waiting.pop_front());
                }
                Err(error) if error.is_fatal() => return Err(Error::of_sink(&outlet.name, error)),
                Err(error) => {
                    tracing::warn!(sink = outlet.name, %error, "rows wait for the sink");
                    break;
                }
            }
        }
        Ok(done)
    }

    /// True while rows wait: no checkpoint that they belong to can complete.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether rows in front of a barrier wait for a sink.
    pub(crate) fn is_waiting_for(&self, epoch: u64) -> bool {
        self.waiting.iter().any(|rows| rows.epoch <= epoch)
    }

    /// Pre-commits all sinks.
    ///
    /// # Errors
    /// The first sink's that cannot.
    pub(crate) fn pre_commit(&mut self, epoch: u64) -> Result<Vec<SinkEntry>, SinkFailure> {
        let mut entries = Vec::with_capacity(self.outlets.len());
        for outlet in &mut self.outlets {
            let pre_commit = outlet.committer.pre_commit(epoch);
            entries.push(SinkEntry {
                operator: outlet.operator,
                name: outlet.name.clone(),
                pre_commit: pre_commit.map_err(|source| outlet.failure(source))?,
            });
        }
        Ok(entries)
    }

    /// Commits all sinks; gives the bytes that were staged for epochs up to this one. Can be
    /// repeated.
    ///
    /// # Errors
    /// The first sink's that cannot.
    pub(crate) fn commit(&mut self, epoch: u64) -> Result<u64, SinkFailure> {
        for outlet in &mut self.outlets {
            let committed = outlet.committer.commit(epoch);
            committed.map_err(|source| outlet.failure(source))?;
        }
        let later = self.uncommitted_bytes.split_off(&(epoch + 1));
        let committed = std::mem::replace(&mut self.uncommitted_bytes, later);
        Ok(committed.into_values().sum())
    }
}
