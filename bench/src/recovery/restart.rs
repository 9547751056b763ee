//! The child's second life: the first record, when all is verified, when page faults are over.

use super::child::ChildJob;
use super::protocol::{Restarted, now_ns};
use crate::measure_error::MeasureError;
use crate::probe::threads::{is_shard, threads_use};
use frazil::Restoring;
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
    let later = later(recovery.restoring.as_ref());
    let [open_ns, chain_ns, read_ns] = job.times.get();
    let [first_record_ns, key, count] = job.seen.first();
    Ok(Restarted {
        main_ns,
        open_ns,
        chain_ns,
        read_ns,
        first_record_ns,
        verified_ns: later.verified_ns,
        steady_ns: later.steady_ns,
        key,
        count,
        position,
        state_bytes: recovery.state_bytes,
    })
}

/// What comes after the first record.
#[derive(Default)]
struct Later {
    verified_ns: Option<u64>,
    steady_ns: Option<u64>,
}

/// Looks, while records run at full speed, until all of the state is verified and the shard has
/// taken no page fault for a while.
fn later(restoring: Option<&Restoring>) -> Later {
    let begun = Instant::now();
    let mut later = Later::default();
    let mut faults = threads_use(is_shard).minor_faults;
    let (mut since, mut since_ns) = (Instant::now(), now_ns());
    while begun.elapsed() < QUIET_PATIENCE {
        thread::sleep(QUIET_LOOK);
        let is_verified = restoring.is_none_or(|phase| phase.ended_after().is_some());
        if is_verified && restoring.is_some() && later.verified_ns.is_none() {
            later.verified_ns = Some(now_ns());
        }
        let now = threads_use(is_shard).minor_faults;
        if now > faults {
            faults = now;
            (since, since_ns) = (Instant::now(), now_ns());
        } else if is_verified && since.elapsed() >= QUIET {
            later.steady_ns = Some(since_ns);
            break;
        }
    }
    later
}
