//! Settings that the jobs of these tests share.

use std::sync::Arc;
use std::time::Duration;

use frazil::storage::Storage;
use frazil::{Checkpoints, Cores, DriverChoice, Job, JobBuilder, RestartStrategy, Tuning};

/// A checkpoint every 2 ms, plain threads, and no restart, so that a failure is seen.
pub(crate) fn small_job(
    name: &str,
    shards: usize,
    storage: &Arc<dyn Storage>,
    tuning: Tuning,
) -> JobBuilder {
    let checkpoints = Checkpoints::every(Duration::from_millis(2));
    Job::builder(name)
        .restart(RestartStrategy::None)
        .cores(Cores::count(shards))
        .checkpoints(checkpoints.storage(Arc::clone(storage)))
        .driver(DriverChoice::Thread)
        .state_bytes_per_shard(256 << 20)
        .tuning(tuning)
}
