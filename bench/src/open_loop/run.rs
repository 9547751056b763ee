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
use frazil::{Checkpoints, Cores, Flow, Job, JobHandle};
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
    pub fn completed(&self) -> impl Fn(u64) + 'static {
        let recorder: Recorder = self.recording.recorder();
        move |due_ns| recorder.completed(due_ns)
    }
}

/// Runs `flow` at a fixed rate and gives what its events experienced.
///
/// ```
/// use std::time::Duration;
/// use frazil::ForEach;
/// use frazil_bench::open_loop::{Options, run};
///
/// let mut options = Options::new(1_000.0);
/// options.warm_up = Duration::from_millis(50);
/// options.duration = Duration::from_millis(100);
/// let report = run(&options, |flow, open_loop| {
///     let completed = open_loop.completed();
///     flow.source(open_loop.source(|index| index % 10))
///         .key_by(|(_due_ns, key)| key)
///         .aggregate("last", 0, |last, (due_ns, _key)| *last = *due_ns)
///         .sink(ForEach::new(move |(_key, due_ns): (&u64, &u64)| completed(*due_ns)));
/// })?;
/// assert!(report.latencies.all().len() > 0);
/// # Ok::<(), frazil_bench::measure_error::MeasureError>(())
/// ```
///
/// # Errors
///
/// The job's.
pub fn run<F>(options: &Options, flow: F) -> Result<Report, MeasureError>
where
    F: Fn(&Flow, &OpenLoop) + Send + Sync + 'static,
{
    let before = floor_ns(&Hiccups::of_all(FLOOR_TIME));
    let session = Session::start(options, flow)?;
    let mut report = session.window(options.duration, options.interval)?;
    session.stop()?;
    report.floor_ns = [before, floor_ns(&Hiccups::of_all(FLOOR_TIME))];
    Ok(report)
}

/// A running flow, of which windows are measured.
pub(super) struct Session {
    job: JobHandle,
    recording: Recording,
    rate: f64,
}

impl Session {
    /// Starts the flow and waits for the end of its warm-up, a checkpoint included.
    pub(super) fn start<F>(options: &Options, flow: F) -> Result<Self, MeasureError>
    where
        F: Fn(&Flow, &OpenLoop) + Send + Sync + 'static,
    {
        let recording = Recording::new(Instant::now());
        let checkpoints = match &options.storage {
            Some(storage) => {
                let (inner, watch) = (Arc::clone(storage), recording.watch.clone());
                Checkpoints::manual().storage(Arc::new(WatchedStorage::new(inner, watch)))
            }
            None => Checkpoints::off(),
        };
        let job = Job::builder("open-loop")
            .cores(Cores::count(options.shard_count))
            .checkpoints(checkpoints)
            .state_bytes_per_shard(options.state_bytes_per_shard)
            .build()?;
        let open_loop = OpenLoop {
            rate: options.rate,
            shard_count: options.shard_count,
            recording: recording.clone(),
        };
        let session = Self {
            job: job.start(move |built| flow(built, &open_loop))?,
            recording,
            rate: options.rate,
        };
        thread::sleep(options.warm_up);
        if options.storage.is_some() {
            session.job.checkpoint()?;
            session.recording.watch.over();
        }
        Ok(session)
    }

    /// Measures for `duration`, with a checkpoint every `interval`.
    pub(super) fn window(
        &self,
        duration: Duration,
        interval: Option<Duration>,
    ) -> Result<Report, MeasureError> {
        self.recording.take();
        let (begun, ticks) = (Instant::now(), MachineTicks::now());
        let checkpoints = match interval {
            Some(interval) => self.trigger(begun + duration, interval),
            None => Triggered::default(),
        };
        thread::sleep((begun + duration).saturating_duration_since(Instant::now()));
        let latencies = self.recording.take();
        let elapsed = begun.elapsed();
        let statistics = self.job.statistics();
        Ok(Report {
            offered_rate: self.rate,
            reached_rate: latencies.all().len() as f64 / elapsed.as_secs_f64(),
            duration: elapsed,
            interval,
            latencies,
            checkpoints,
            phases: statistics.checkpoints,
            freezes: statistics.freeze,
            floor_ns: [0.0; 2],
            stolen_part: MachineTicks::now().stolen_since(ticks),
            driver: format!("{:?}", self.job.driver().driver).to_lowercase(),
        })
    }

    fn trigger(&self, until: Instant, interval: Duration) -> Triggered {
        let recording = &self.recording;
        trigger(&self.job, until, interval, |begins| {
            if begins {
                recording.watch.requested(recording.now_ns());
            } else {
                recording.watch.over();
            }
        })
    }

    pub(super) fn stop(self) -> Result<(), MeasureError> {
        self.job.stop();
        self.job.wait()?;
        Ok(())
    }
}
