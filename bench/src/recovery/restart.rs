//! The child's second life: the first record, and when page faults are over.

use super::child::ChildJob;
use super::protocol::{Restarted, now_ns};
use crate::measure_error::MeasureError;
use crate::probe::threads::{is_shard, threads_use};
use std::thread;
use std::time::{Duration, Instant};

/// How long the first record is waited for once the job runs.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_micros(200);
/// Without a page fault for so long, the shard is steady.
const QUIET: Duration = Duration::from_millis(200);
/// How long that is waited for.
const QUIET_PATIENCE: Duration = Duration::from_secs(10);
const QUIET_LOOK: Duration = Duration::from_millis(10);

pub(super) fn first_record(job: &ChildJob, main_ns: u64) -> Result<Restarted, MeasureError> {
    let begun = Instant::now();
    while job.seen.records() == 0 {
        if begun.elapsed() > PATIENCE || job.handle.is_finished() {
            return Err(MeasureError::StoodStill {
                done: 0,
                expected: 1,
                seconds: begun.elapsed().as_secs(),
            });
        }
        thread::sleep(LOOK);
    }
    let Some(recovery) = job.handle.recovery() else {
        return Err(MeasureError::NotRecovered);
    };
    let position = recovery.splits.first().map(|split| &split.position[..]);
    let position = position.and_then(|bytes| bytes.try_into().ok());
    let Some(position) = position.map(u64::from_le_bytes) else {
        return Err(MeasureError::NotRecovered);
    };
    let [open_ns, chain_ns, read_ns] = job.times.get();
    let [first_record_ns, key, count] = job.seen.first();
    Ok(Restarted {
        main_ns,
        open_ns,
        chain_ns,
        read_ns,
        first_record_ns,
        steady_ns: steady_ns(),
        key,
        count,
        position,
        state_bytes: recovery.state_bytes,
    })
}

/// When the last page fault of the shard was, at full speed.
fn steady_ns() -> Option<u64> {
    let begun = Instant::now();
    let mut faults = threads_use(is_shard).minor_faults;
    let (mut since, mut since_ns) = (Instant::now(), now_ns());
    while begun.elapsed() < QUIET_PATIENCE {
        thread::sleep(QUIET_LOOK);
        let now = threads_use(is_shard).minor_faults;
        if now > faults {
            faults = now;
            (since, since_ns) = (Instant::now(), now_ns());
        } else if since.elapsed() >= QUIET {
            return Some(since_ns);
        }
    }
    None
}
