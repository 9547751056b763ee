//! The handle of a running job.

use std::sync::Arc;
use std::thread::JoinHandle;

use frazil_io::runtime::{DriverDecision, spawn_helper};
use frazil_io::storage::Storage;

use super::restart::RestartStrategy;
use super::shared::{RestartReport, RunLinks, Shared, Wish};
use super::start::{Lasting, Run};
use super::supervisor::Supervisor;
use crate::checkpoint::{
    Asker, CheckpointReport, CheckpointSettings, CheckpointTrace, DataAtRisk, Ended, Notice,
    RecoveryReport,
};
use crate::error::Error;
use crate::lock::locked;
use crate::shard::StuckShard;
use crate::statistics::Statistics;

/// A running job. Dropping the handle lets the job run on.
///
/// ```
/// use frazil::{Cores, Count, Iter, Job};
///
/// let count = Count::new();
/// let rows = count.clone();
/// let job = Job::builder("numbers").cores(Cores::count(2)).build()?;
/// let handle = job.start(move |flow| {
///     flow.source(Iter::new(|split, splits| (split as u64..1000).step_by(splits)))
///         .key_by_value(|number| number % 10)
///         .aggregate("sum", 0u64, |sum, number| *sum += number)
///         .emit_at_end()
///         .sink(rows.clone());
/// })?;
/// println!("driven by {}", handle.driver().reason);
/// let statistics = handle.wait()?;
/// assert_eq!((statistics.record_count, count.get()), (1000, 10));
/// # Ok::<(), frazil::Error>(())
/// ```
pub struct JobHandle {
    supervisor: JoinHandle<Result<Ended, Error>>,
    pub(super) shared: Arc<Shared>,
    recovery: Option<RecoveryReport>,
    driver: DriverDecision,
    /// Where checkpoints are kept, if they are.
    pub(super) storage: Option<Arc<dyn Storage>>,
}

impl JobHandle {
    /// The handle of a job whose first run has begun.
    pub(super) fn of(
        lasting: Lasting,
        mut run: Run,
        strategy: RestartStrategy,
    ) -> Result<Self, Error> {
        let shared = Arc::clone(&lasting.shared);
        let recovery = run.recovery.take();
        let (driver, storage) = (lasting.driver.clone(), lasting.storage.clone());
        let cpus = lasting.job.cpus.clone();
        let supervisor = Supervisor::new(lasting, strategy, run);
        let supervise = move || supervisor.supervise();
        Ok(Self {
            supervisor: spawn_helper("frazil-coordinator", &cpus, supervise)?,
            shared,
            recovery,
            driver,
            storage,
        })
    }

    /// Waits until the job has ended: all input is read and committed, or it was stopped.
    ///
    /// # Errors
    /// Why it failed, and was not started again. What was committed before stays committed;
    /// starting the job again goes on from there.
    pub fn wait(self) -> Result<Statistics, Error> {
        Ok(self.end()?.statistics)
    }

    pub(super) fn join(self) -> Result<Ended, Error> {
        let joined = self.supervisor.join();
        joined.map_err(|payload| Error::panicked("coordinator", &*payload))?
    }

    /// Asks the job to stop after a last checkpoint; a later start goes on from it. Does not wait.
    pub fn stop(&self) {
        self.shared.want(Wish::Stop);
    }

    /// Makes a checkpoint now and waits until it is durable. If the job fails meanwhile and is
    /// started again, the next run makes it.
    ///
    /// # Errors
    /// [`Error::CheckpointDropped`] with the reason, [`Error::NoCheckpoints`] for a job without a
    /// checkpoint directory, [`Error::Ended`] if the job ended first.
    pub fn checkpoint(&self) -> Result<CheckpointReport, Error> {
        self.make_checkpoint(Notice::Trigger)
    }

    /// Makes a checkpoint as `notice` asks for it.
    pub(super) fn make_checkpoint(
        &self,
        notice: impl Fn(Asker) -> Notice,
    ) -> Result<CheckpointReport, Error> {
        if self.storage.is_none() {
            return Err(Error::NoCheckpoints);
        }
        let trigger = |links: &RunLinks, asker| {
            let _ = links.notices.send(notice(asker));
        };
        let (_, made) = self.shared.ask(trigger)?;
        made
    }

    /// When checkpoints are made now.
    #[must_use]
    pub fn checkpoint_settings(&self) -> CheckpointSettings {
        self.shared.watch.settings()
    }

    /// Changes when checkpoints are made, at once and as a whole; a checkpoint in flight goes on
    /// under the new timeout. The settings outlive restarts after failures; a later start of the
    /// job begins with its builder's.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the first that is out of its range or contradicts another: then
    /// nothing is changed. [`Error::NoCheckpoints`] for anything but manual settings in a job
    /// without a checkpoint directory.
    pub fn change_checkpoints(&self, settings: CheckpointSettings) -> Result<(), Error> {
        settings.check()?;
        if settings.is_automatic() && self.storage.is_none() {
            return Err(Error::NoCheckpoints);
        }
        self.shared.watch.change_settings(settings);
        // A run that begins later finds them by itself.
        self.shared.tell(Notice::Changed);
        Ok(())
    }

    /// What a crash at this moment would have to do again.
    #[must_use]
    pub fn data_at_risk(&self) -> DataAtRisk {
        self.shared.watch.data_at_risk()
    }

    /// The newest checkpoint that was made durable since the start.
    #[must_use]
    pub fn newest_checkpoint(&self) -> Option<CheckpointReport> {
        locked(&self.shared.watch.newest).clone()
    }

    /// The last 300 checkpoints since the start, oldest first, with the one in flight and those
    /// that were dropped: when each phase began and ended, on every shard.
    #[must_use]
    pub fn checkpoint_history(&self) -> Vec<CheckpointTrace> {
        self.shared.watch.history.traces()
    }

    /// How the job came back at its start, if it was restored from a checkpoint.
    #[must_use]
    pub fn recovery(&self) -> Option<&RecoveryReport> {
        self.recovery.as_ref()
    }

    /// How often the job failed and was started again since, and why.
    #[must_use]
    pub fn restarts(&self) -> RestartReport {
        self.shared.restarts()
    }

    /// Shards that stand still for longer than the [`Watchdog`](crate::Watchdog) allows, and what
    /// they were doing.
    #[must_use]
    pub fn stuck_shards(&self) -> Vec<StuckShard> {
        self.shared.watch.stuck()
    }

    /// Which driver runs the shards, and why.
    #[must_use]
    pub fn driver(&self) -> &DriverDecision {
        &self.driver
    }

    /// True once the job has ended, for whatever reason.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.supervisor.is_finished()
    }

    /// Everything measured so far, over all restarts. A shard that is stuck in user code for longer
    /// than 50 ms is left out until the next call.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.shared.statistics()
    }
}
