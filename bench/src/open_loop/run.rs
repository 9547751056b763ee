//! Running a flow at a fixed rate.

use super::recorder::{Recorder, Recording};
use super::report::Report;
use super::timed_source::TimedSource;
use super::watched_storage::WatchedStorage;
use crate::measure_error::MeasureError;
use crate::probe::hiccups::{Hiccups, floor_ns};
use crate::probe::steal::MachineTicks;
use crate::workload::{Triggered, trigger};
use frazil::storage::{FileStorage, Storage};
use frazil::{
    Checkpoints, Cores, Flow, ForEach, Job, JobHandle, Record, SinkError, Sink, Committer,
    SinkWriter,
};
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long each CPU is looked at before and after.
const FLOOR_TIME: Duration = Duration::from_millis(200);

/// How a flow is run.
#[derive(Clone)]
pub struct Options {
    /// Events a second that are due.
    pub rate: f64,
    /// How long is measured.
    pub duration: Duration,
    /// How long the flow runs before.
    pub warm_up: Duration,
    /// Shards, each on a core of its own as far as there are cores.
    pub shard_count: usize,
    /// Time between two checkpoints; none are made without.
    pub interval: Option<Duration>,
    /// Where checkpoints go.
    pub storage: Option<Arc<dyn Storage>>,
    /// Most bytes of state on a shard.
    pub state_bytes_per_shard: u64,
}

impl Options {
    /// One shard, 3 s of warm-up and 10 s measured, without checkpoints.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self {
            rate,
            duration: Duration::from_secs(10),
            warm_up: Duration::from_secs(3),
            shard_count: 1,
            interval: None,
            storage: None,
            state_bytes_per_shard: 1 << 30,
        }
    }

    /// A checkpoint every `interval`, kept in `directory`.
    ///
    /// # Errors
    ///
    /// What keeps the directory from being used.
    pub fn checkpoints(
        mut self,
        interval: Duration,
        directory: impl Into<PathBuf>,
    ) -> Result<Self, MeasureError> {
        self.interval = Some(interval);
        self.storage = Some(Arc::new(FileStorage::open(directory)?));
        Ok(self)
    }
}

/// Gives a flow its source and its sink.
#[derive(Clone)]
pub struct OpenLoop {
    rate: f64,
    shard_count: usize,
    recording: Recording,
}

impl OpenLoop {
    /// A source of pairs of due time and event; event i is `make(i)`.
    #[must_use]
    pub fn source<F>(&self, make: F) -> TimedSource<F> {
        let recording = self.recording.clone();
        TimedSource::new(make, self.rate, self.shard_count, recording)
    }

    /// Records that an event that was due at `due_ns` has come out; for use in a sink of the
    /// flow, one on each shard.
    #[must_use]
    pub fn completed(&self) -> impl Fn(u64) + 'static {
        let recorder: Recorder = self.recording.recorder();
        move |due_ns| recorder.completed(due_ns)
    }
}
