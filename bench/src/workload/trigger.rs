//! Checkpoints asked for at an interval, from outside the job.

use frazil::{CheckpointReport, JobHandle};
use std::thread;
use std::time::{Duration, Instant};

/// Checkpoints that were asked for at an interval.
#[derive(Clone, Debug, Default)]
pub struct Triggered {
    /// Those that became durable.
    pub reports: Vec<CheckpointReport>,
    /// Those that were dropped.
    pub dropped_count: u64,
}

impl Triggered {
    /// Mean time between two that became durable, within `seconds`.
    #[must_use]
    pub fn achieved_ms(&self, seconds: f64) -> f64 {
        seconds * 1e3 / self.reports.len().max(1) as f64
    }

    /// Mean bytes of those that became durable.
    #[must_use]
    pub fn mean_bytes(&self) -> u64 {
        let bytes: u64 = self.reports.iter().map(|report| report.bytes).sum();
        bytes / self.reports.len().max(1) as u64
    }
}

/// Asks `job` for a checkpoint every `interval` until `until`; one that takes longer delays the
/// next, as in a job with an interval of its own. `around` is called with true before and false
/// after each.
pub(crate) fn trigger(
    job: &JobHandle,
    until: Instant,
    interval: Duration,
    mut around: impl FnMut(bool),
) -> Triggered {
    let mut made = Triggered::default();
    let mut due = Instant::now();
    while due < until {
        around(true);
        let outcome = job.checkpoint();
        around(false);
        match outcome {
            Ok(report) => made.reports.push(report),
            Err(_) => made.dropped_count += 1,
        }
        due = (due + interval).max(Instant::now());
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    made
}
