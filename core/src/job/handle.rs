//! The handle of a running job.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use frazil_io::runtime::{Bell, DriverDecision};
use frazil_io::storage::Storage;

use crate::checkpoint::{
    CheckpointReport, CheckpointTrace, Notice, RecoveryReport, Watch, WriteBudget, WriterCommand,
};
use crate::error::Error;
use crate::shard::ShardProbe;
use crate::statistics::{ShardStatistics, Statistics};

/// How long [`JobHandle::statistics`] waits for a shard that is busy with something else.
const STATISTICS_PATIENCE: Duration = Duration::from_millis(50);

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
    pub(super) coordinator: JoinHandle<Result<(), Error>>,
    pub(super) notices: Sender<Notice>,
    pub(super) shards: Vec<(Arc<ShardProbe>, Bell)>,
    pub(super) watch: Watch,
    pub(super) collected: Mutex<Statistics>,
    pub(super) recovery: Option<RecoveryReport>,
    pub(super) driver: DriverDecision,
    /// Where checkpoints are kept, if they are.
    pub(super) storage: Option<Arc<dyn Storage>>,
    pub(super) budget: Arc<WriteBudget>,
    pub(super) commands: Sender<WriterCommand>,
}

impl JobHandle {
    /// Waits until the job has ended: all input is read and committed, or it was stopped.
    ///
    /// # Errors
    /// Why it failed. What was committed before stays committed; starting the job again goes on
    /// from there.
    pub fn wait(self) -> Result<Statistics, Error> {
        let Self {
            coordinator,
            shards,
            watch,
            collected,
            ..
        } = self;
        let joined = coordinator.join().map_err(|_| Error::HelperPanicked {
            thread: "coordinator",
            message: "see the panic message above".to_owned(),
        })?;
        joined?;
        let mut total = into_inner(collected);
        for (probe, _) in &shards {
            collect(probe, &mut total);
        }
        total.checkpoints = locked(&watch.statistics).clone();
        Ok(total)
    }

    /// Asks the job to stop after a last checkpoint; a later start goes on from it. Does not wait.
    pub fn stop(&self) {
        // A job that has ended needs no stop.
        let _ = self.notices.send(Notice::Stop);
    }

    /// Makes a checkpoint now and waits until it is durable.
    ///
    /// # Errors
    /// [`Error::CheckpointDropped`] with the reason, [`Error::NoCheckpoints`] for a job without a
    /// checkpoint directory, [`Error::Ended`] if the job ended first.
    pub fn checkpoint(&self) -> Result<CheckpointReport, Error> {
        if self.storage.is_none() {
            return Err(Error::NoCheckpoints);
        }
        let (asker, answer) = channel();
        let sent = self.notices.send(Notice::Trigger(asker));
        sent.map_err(|_| Error::Ended)?;
        answer.recv().map_err(|_| Error::Ended)?
    }

    /// The newest checkpoint that this run has made durable.
    #[must_use]
    pub fn newest_checkpoint(&self) -> Option<CheckpointReport> {
        locked(&self.watch.newest).clone()
    }

    /// The last 300 checkpoints of this run, oldest first, with the one in flight and those that
    /// were dropped: when each phase began and ended, on every shard.
    #[must_use]
    pub fn checkpoint_history(&self) -> Vec<CheckpointTrace> {
        self.watch.history.traces()
    }

    /// How the job came back, if it was restored from a checkpoint.
    #[must_use]
    pub fn recovery(&self) -> Option<&RecoveryReport> {
        self.recovery.as_ref()
    }

    /// Which driver runs the shards, and why.
    #[must_use]
    pub fn driver(&self) -> &DriverDecision {
        &self.driver
    }

    /// True once the job has ended, for whatever reason.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.coordinator.is_finished()
    }

    /// Everything measured so far. A shard that is stuck in user code for longer than 50 ms is left
    /// out until the next call.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        for (probe, bell) in &self.shards {
            *locked(&probe.empty) = Some(Box::new(ShardStatistics::new()));
            bell.ring();
        }
        let begun = Instant::now();
        let mut total = locked(&self.collected);
        for (probe, _) in &self.shards {
            while locked(&probe.filled).is_empty()
                && begun.elapsed() < STATISTICS_PATIENCE
                && !self.is_finished()
            {
                std::thread::sleep(Duration::from_micros(200));
            }
            collect(probe, &mut total);
        }
        total.checkpoints = locked(&self.watch.statistics).clone();
        total.clone()
    }
}

fn collect(probe: &ShardProbe, total: &mut Statistics) {
    for statistics in locked(&probe.filled).drain(..) {
        total.add_shard(&statistics);
    }
}

/// Histograms stay usable whatever a thread did that held the lock.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
