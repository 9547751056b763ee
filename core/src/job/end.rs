//! The ways to end a job, and what comes back.

use std::sync::Arc;

use super::handle::JobHandle;
use super::shared::{RestartReport, Shared, Wish};
use crate::checkpoint::{CheckpointReport, Ended};
use crate::error::Error;
use crate::lock::locked;
use crate::statistics::Statistics;

/// A job that has ended without failing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JobEnd {
    /// How.
    pub how: Ended,
    /// The newest checkpoint that was made since the start; a later start goes on from it.
    pub checkpoint: Option<CheckpointReport>,
    /// Failures on the way, and what was done about them.
    pub restarts: RestartReport,
    /// Everything measured.
    pub statistics: Statistics,
}

/// Ends a job from any thread, for example from one that waits for signals while the handle's owner
/// waits for the job; clones end the same job.
///
/// A later wish counts only if it is stronger: a drain overrules a stop, a cancel overrules both. A
/// wish outlives a failure and a restart. On a job that has ended it does nothing.
///
/// ```
/// use frazil::{Cores, Count, Ended, Iter, Job};
///
/// let job = Job::builder("endless").cores(Cores::count(1)).build()?;
/// let handle = job.start(|flow| {
///     flow.source(Iter::new(|_, _| 0_u64..)).sink(Count::new());
/// })?;
/// let stopper = handle.stopper();
/// std::thread::spawn(move || stopper.stop());
/// assert_eq!(handle.end()?.how, Ended::Stopped);
/// # Ok::<(), frazil::Error>(())
/// ```
#[derive(Clone)]
pub struct Stopper {
    shared: Arc<Shared>,
}

impl Stopper {
    /// The job stops after a last checkpoint, which commits everything up to it; a later start goes
    /// on from there.
    pub fn stop(&self) {
        self.shared.want(Wish::Stop);
    }

    /// The job ends as if its input had ended where it is: see [`JobHandle::drain`].
    pub fn drain(&self) {
        self.shared.want(Wish::Drain);
    }

    /// The job ends at once: see [`JobHandle::cancel`].
    pub fn cancel(&self) {
        self.shared.want(Wish::Cancel);
    }

    /// True once the job has ended, with all its threads.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.shared.is_over()
    }
}

impl JobHandle {
    /// What ends the job from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Waits until the job has ended, as [`JobHandle::wait`], and says how.
    ///
    /// # Errors
    /// Why it failed, and was not started again. What was committed before stays committed;
    /// starting the job again goes on from there.
    pub fn end(self) -> Result<JobEnd, Error> {
        let shared = Arc::clone(&self.shared);
        let how = self.join()?;
        let checkpoint = locked(&shared.watch.newest).clone();
        Ok(JobEnd {
            how,
            checkpoint,
            restarts: shared.restarts(),
            statistics: shared.statistics(),
        })
    }

    /// Ends the sources where they are, lets everything that they gave be processed as at the end
    /// of all input (final emissions, pending timers), and waits until the last checkpoint has
    /// committed it.
    ///
    /// The job is over then: a start on the same directories finds nothing to do. A process that
    /// crashes before the last checkpoint goes on, when it is started again, as if it had not been
    /// drained. No other checkpoint is made meanwhile. If a failure in this process interrupts it,
    /// the restarted job drains at once: its sources then end where its newest checkpoint has them,
    /// or a little later.
    ///
    /// # Errors
    /// As [`JobHandle::end`].
    pub fn drain(self) -> Result<JobEnd, Error> {
        self.shared.want(Wish::Drain);
        self.end()
    }

    /// Ends the job at once, without a last checkpoint, and waits until its threads have ended.
    /// What was committed stays; a later start goes on from the newest checkpoint, and output since
    /// then is made again. Without checkpoints nothing is committed.
    ///
    /// A shard that never comes back from user code keeps the job from ending, unless its
    /// [`Watchdog`](crate::Watchdog) says [`StuckAction::EndJob`](crate::StuckAction::EndJob).
    ///
    /// # Errors
    /// As [`JobHandle::end`].
    pub fn cancel(self) -> Result<JobEnd, Error> {
        self.shared.want(Wish::Cancel);
        self.end()
    }
}
