//! What the engine is to run on.

use crate::barriers::Barriers;
use crate::cli::Driver;
use frazil::{Cores, DriverChoice, Job, JobBuilder};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::thread;

/// Checkpoints belong to the job of this name.
const JOB_NAME: &str = "frazil-bench demo";

/// Shards and their driver, the same for every job of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineSettings {
    /// Shards; none means one for each core.
    pub core_count: Option<NonZeroUsize>,
    /// What drives them.
    pub driver: Driver,
    /// How the barriers of checkpoints pass records.
    pub barriers: Barriers,
}

impl EngineSettings {
    /// Begins a job with these settings.
    pub(super) fn builder(self) -> JobBuilder {
        let cores = self
            .core_count
            .map_or_else(Cores::all, |count| Cores::count(count.get()));
        let driver = match self.driver {
            Driver::Auto => DriverChoice::Auto,
            Driver::Glommio => DriverChoice::Glommio,
            Driver::Thread => DriverChoice::Thread,
        };
        Job::builder(JOB_NAME)
            .restart(frazil::RestartStrategy::None)
            .cores(cores)
            .driver(driver)
    }

    /// How many shards that makes on this machine.
    #[must_use]
    pub fn shard_count(self) -> usize {
        let count = self
            .core_count
            .or_else(|| thread::available_parallelism().ok());
        count.map_or(1, usize::from)
    }
}
