//! Settings of a job.

use std::path::PathBuf;
use std::sync::Arc;

use frazil_io::runtime::{CpuId, DriverChoice};
use frazil_io::storage::Storage;
use frazil_state::{KEY_GROUPS_MAX, KeyGroups};

use super::checkpoints::{Checkpoints, PLACE, Place};
use super::cores::Cores;
use super::handle::JobHandle;
use super::restart::RestartStrategy;
use super::start_from::StartFrom;
use super::tuning::Tuning;
use crate::checkpoint::Preflight;
use crate::error::Error;
use crate::flow::Flow;
use crate::shard::{Clock, LogicalClock, Watchdog};

const STATE_BYTES_PER_SHARD: u64 = 4 << 30;

/// A job that can be started: a name and settings.
pub struct Job {
    pub(super) name: String,
    pub(super) cpus: Vec<CpuId>,
    pub(super) may_spin: bool,
    pub(super) checkpoints: Checkpoints,
    pub(super) driver: DriverChoice,
    pub(super) key_groups: KeyGroups,
    pub(super) state_bytes_per_shard: u64,
    pub(super) allow_dropped_state: bool,
    /// `None` leaves it to what can be gone on from.
    pub(super) restart: Option<RestartStrategy>,
    pub(super) watchdog: Watchdog,
    pub(super) start_from: StartFrom,
    /// A place and, if it is not the newest, the checkpoint in it.
    pub(super) restore_from: Option<(Place, Option<u64>)>,
    pub(super) tuning: Tuning,
    pub(super) clock: Option<LogicalClock>,
}

impl Job {
    /// Begins the settings of a job; checkpoints belong to the job of this name.
    pub fn builder(name: impl Into<String>) -> JobBuilder {
        JobBuilder {
            name: name.into(),
            cores: Cores::all(),
            checkpoints: Checkpoints::off(),
            driver: DriverChoice::Auto,
            key_group_count: KeyGroups::default().count(),
            state_bytes_per_shard: STATE_BYTES_PER_SHARD,
            allow_dropped_state: false,
            restart: None,
            watchdog: Watchdog::default(),
            start_from: StartFrom::Newest,
            restore_from: None,
            tuning: Tuning::default(),
            clock: None,
        }
    }

    /// Starts the job: recovers it from its checkpoint directory if there is something in it, and
    /// returns when all shards run.
    ///
    /// `build` is called once on this thread to plan the flow, and once on every shard to build it;
    /// after a failure again (see [`RestartStrategy`]). It must make the same calls each time.
    ///
    /// # Errors
    /// A flow that is not valid, input that cannot be read or has changed, a checkpoint directory
    /// that is in use, belongs to another job or holds no whole checkpoint, and whatever the
    /// machine refuses.
    pub fn start<F>(self, build: F) -> Result<JobHandle, Error>
    where
        F: Fn(&Flow) + Send + Sync + 'static,
    {
        super::start::start(self, build)
    }

    /// Says what would become of each operator, table, source and sink if the job were started with
    /// this flow: whether it goes on from the newest checkpoint (or the savepoint to restore from).
    ///
    /// Nothing is started or restored; the checkpoint is not locked, and the job may be running.
    /// Sources list their splits and sinks open their output, as for a start.
    ///
    /// ```
    /// use frazil::{Checkpoints, Count, Cores, Flow, Iter, Job, Verdict};
    ///
    /// # fn main() -> Result<(), frazil::Error> {
    /// # let folder = tempfile::tempdir().map_err(|_| frazil::Error::Ended)?;
    /// # let path = folder.path();
    /// let job = || {
    ///     let checkpoints = Checkpoints::manual().dir(path);
    ///     Job::builder("numbers").cores(Cores::count(1)).checkpoints(checkpoints).build()
    /// };
    /// let numbers = || Iter::new(|_split, _splits| 0..1000u64);
    /// job()?
    ///     .start(move |flow| {
    ///         flow.source(numbers()).id("numbers").sink_with_id("count", Count::new());
    ///     })?
    ///     .wait()?;
    /// // The next release of the program has a filter in between.
    /// let preflight = job()?.check(|flow| {
    ///     flow.source(numbers())
    ///         .id("numbers")
    ///         .filter(|number| number % 2 == 0)
    ///         .sink_with_id("count", Count::new());
    /// })?;
    /// println!("{preflight}");
    /// assert!(preflight.starts());
    /// assert_eq!(preflight.lines[1].verdict, Verdict::New);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A flow that is not valid, checkpoints of another job, or none whose manifest is whole.
    pub fn check(&self, build: impl Fn(&Flow)) -> Result<Preflight, Error> {
        super::start::check(self, build)
    }

    /// The clock for a run that starts now.
    pub(super) fn clock(&self) -> Clock {
        self.clock
            .clone()
            .map_or_else(Clock::machine, Clock::Logical)
    }
}

/// Settings of a job under construction.
#[must_use]
pub struct JobBuilder {
    name: String,
    cores: Cores,
    checkpoints: Checkpoints,
    driver: DriverChoice,
    key_group_count: u32,
    state_bytes_per_shard: u64,
    allow_dropped_state: bool,
    restart: Option<RestartStrategy>,
    watchdog: Watchdog,
    start_from: StartFrom,
    restore_from: Option<(Place, Option<u64>)>,
    tuning: Tuning,
    clock: Option<LogicalClock>,
}

impl JobBuilder {
    /// The cores to run on; all by default.
    pub fn cores(mut self, cores: Cores) -> Self {
        self.cores = cores;
        self
    }

    /// When and where checkpoints are made; off by default.
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = checkpoints;
        self
    }

    /// What drives the shards' loops; by default glommio on `io_uring`, or plain threads where that
    /// is not available.
    pub fn driver(mut self, driver: DriverChoice) -> Self {
        self.driver = driver;
        self
    }

    /// Key groups: a power of two up to 32768, fixed when the job first runs; 128 by default. An
    /// upper bound of the shards that the job can ever have.
    pub fn key_groups(mut self, count: u32) -> Self {
        self.key_group_count = count;
        self
    }

    /// Most bytes of memory for keyed state on a shard, with 32 MiB for checkpoints in the making
    /// and 1 % for what is kept beside the pages; 4 GiB by default. Memory is taken as it is
    /// needed.
    pub fn state_bytes_per_shard(mut self, bytes: u64) -> Self {
        self.state_bytes_per_shard = bytes;
        self
    }

    /// Lets the job start from a checkpoint with tables, sources or sinks that its flow no longer
    /// has: what it holds of them is dropped for good. Without this such a start is refused, since
    /// a renamed table would lose its state silently. [`Job::check`] tells what would go.
    ///
    /// Output that a dropped sink had staged and not committed yet is lost with it.
    pub fn allow_dropped_state(mut self) -> Self {
        self.allow_dropped_state = true;
        self
    }

    /// Which of the job's own checkpoints to start from; the newest by default. A start from a
    /// savepoint of any kind is another matter: [`JobBuilder::restore_from`].
    pub fn start_from(mut self, from: StartFrom) -> Self {
        self.start_from = from;
        self
    }

    /// Starts from the savepoint in the directory `path` instead of from the job's own checkpoint
    /// directory, in which there must be no checkpoint yet. The savepoint is only read, and not
    /// needed any more once the job has made a checkpoint. The number of cores is free.
    ///
    /// A checkpoint directory that no job uses will do as well: its newest checkpoint counts.
    ///
    /// Sinks of the same name as in the savepoint take back what they committed after it, and go
    /// on. A sink of another name (for files: with another folder) is new: it starts with what
    /// follows the savepoint. One that cannot take back repeats what it had committed later.
    pub fn restore_from(mut self, path: impl Into<PathBuf>) -> Self {
        self.restore_from = Some((Place::Directory(path.into()), None));
        self
    }

    /// As [`JobBuilder::restore_from`], from one checkpoint of a checkpoint directory that no job
    /// uses, for example one that was [pinned](crate::JobHandle::pin).
    pub fn restore_from_checkpoint(mut self, path: impl Into<PathBuf>, checkpoint: u64) -> Self {
        self.restore_from = Some((Place::Directory(path.into()), Some(checkpoint)));
        self
    }

    /// As [`JobBuilder::restore_from`], from a storage of another kind.
    pub fn restore_from_storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.restore_from = Some((Place::Storage(storage), None));
        self
    }

    /// What happens when the running job fails; see there for what happens by default.
    ///
    /// A strategy that restarts needs a place for checkpoints. Chosen for a flow with a source that
    /// cannot be replayed, it loses what that source gave since the checkpoint.
    pub fn restart(mut self, strategy: RestartStrategy) -> Self {
        self.restart = Some(strategy);
        self
    }

    /// When a shard counts as stuck in user code, and what happens then; by default it is reported
    /// after 10 s.
    pub fn watchdog(mut self, watchdog: Watchdog) -> Self {
        self.watchdog = watchdog;
        self
    }

    /// Sizes that only tests change.
    #[doc(hidden)]
    pub fn tuning(mut self, tuning: Tuning) -> Self {
        self.tuning = tuning;
        self
    }

    /// Replaces the machine's clock.
    #[doc(hidden)]
    pub fn clock(mut self, clock: LogicalClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the first that is out of its range.
    pub fn build(self) -> Result<Job, Error> {
        let (cpus, may_spin) = self.cores.place()?;
        self.checkpoints.check()?;
        self.watchdog.check()?;
        self.check_restart()?;
        self.check_start()?;
        let groups = self.key_group_count;
        let shards = u32::try_from(cpus.len()).expect("at most 64");
        if !groups.is_power_of_two() || groups > KEY_GROUPS_MAX || groups < shards {
            let expected = format!("a power of two from {shards} (shards) to {KEY_GROUPS_MAX}");
            return Err(Error::setting("key_groups", expected, groups.to_string()));
        }
        Ok(Job {
            name: self.name,
            cpus,
            may_spin,
            checkpoints: self.checkpoints,
            driver: self.driver,
            key_groups: KeyGroups::new(groups),
            state_bytes_per_shard: self.state_bytes_per_shard,
            allow_dropped_state: self.allow_dropped_state,
            restart: self.restart,
            watchdog: self.watchdog,
            start_from: self.start_from,
            restore_from: self.restore_from,
            tuning: self.tuning,
            clock: self.clock,
        })
    }

    fn check_start(&self) -> Result<(), Error> {
        let expected = if self.restore_from.is_some() {
            "no restore_from beside it"
        } else if !self.checkpoints.has_place() {
            PLACE
        } else {
            return Ok(());
        };
        match self.start_from {
            StartFrom::Newest => Ok(()),
            from @ (StartFrom::Checkpoint(_) | StartFrom::Fresh) => {
                let found = format!("{from:?}");
                Err(Error::setting("JobBuilder::start_from", expected, found))
            }
        }
    }

    /// Without checkpoints a restart would begin with nothing, in silence.
    fn check_restart(&self) -> Result<(), Error> {
        let Some(strategy) = self.restart else {
            return Ok(());
        };
        strategy.check()?;
        if strategy != RestartStrategy::None && !self.checkpoints.has_place() {
            return Err(Error::setting("JobBuilder::restart", PLACE, "none"));
        }
        Ok(())
    }
}
