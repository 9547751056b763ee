//! The whole flow: source, exchange, keyed count, counting sink, with or without checkpoints.

use super::contestant::{Contestant, Turn};
use crate::measure_error::MeasureError;
use crate::workload::{Engine, JobSpec, KeyedJob, Keys, RecordBytes};
use std::path::PathBuf;
use std::time::Duration;

/// A running job.
pub(super) struct WholeFlow {
    job: KeyedJob,
    interval: Option<Duration>,
}

impl WholeFlow {
    /// With a checkpoint every second in the directory, if there is one.
    pub(super) fn new(keys: Keys, checkpoints: Option<PathBuf>) -> Result<Self, MeasureError> {
        let interval = checkpoints.is_some().then_some(Duration::from_secs(1));
        let job = KeyedJob::start(&JobSpec {
            keys,
            record_bytes: RecordBytes::Sixteen,
            checkpoints: checkpoints.map(Into::into),
            engine: Engine::default(),
        })?;
        if interval.is_some() {
            // The first ones may be dropped until the job knows that it has to wait for staging.
            while job.try_checkpoint()?.is_none() {}
            job.settle();
        }
        Ok(Self { job, interval })
    }
}

impl Contestant for WholeFlow {
    fn name(&self) -> &'static str {
        match self.interval {
            None => "Frazil, whole flow, no checkpoints",
            Some(_) => "Frazil, whole flow, checkpoint every 1 s",
        }
    }

    fn turn(&mut self, duration: Duration) -> Result<Turn, MeasureError> {
        let window = match self.interval {
            None => self.job.run_for(duration)?,
            Some(interval) => self.job.run_with_checkpoints(duration, interval)?.0,
        };
        Ok(Turn {
            events: window.records,
            seconds: window.seconds,
            worker_ns: window.shards.cpu_ns,
            helper_ns: window.helpers.cpu_ns,
        })
    }
}
