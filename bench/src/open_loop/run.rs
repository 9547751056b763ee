//! Running a flow at a fixed rate.

use super::moment::Watcher;
use super::pace::Pace;
use super::recorder::{Recorder, Recording};
use super::report::Report;
use super::session::Session;
use super::timed_source::TimedSource;
use crate::measure_error::MeasureError;
use crate::probe::hiccups::{Hiccups, floor_ns};
use crate::workload::Engine;
use frazil::Flow;
use frazil::storage::{FileStorage, Storage};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long each CPU is looked at before and after.
const FLOOR_TIME: Duration = Duration::from_millis(200);

/// How a flow is run.
#[derive(Clone)]
pub struct Options {
    /// Events a second that are due. Of more than 200,000 only every n-th has a due time and is
    /// recorded; the others have a due time of zero and are counted.
    pub rate: f64,
    /// How long is measured.
    pub duration: Duration,
    /// How long the flow runs at its rate before, once it is filled.
    pub warm_up: Duration,
    /// Shards, each on a core of its own as far as there are cores.
    pub shard_count: usize,
    /// Time between two checkpoints; none are made without.
    pub interval: Option<Duration>,
    /// Where checkpoints go.
    pub storage: Option<Arc<dyn Storage>>,
    /// Most bytes of state on a shard.
    pub state_bytes_per_shard: u64,
    /// Events ahead of the clock, as fast as they go, to fill the state: the first that the source
    /// makes. They have no due time (zero) and are not recorded.
    pub fill_events: u64,
    /// What the engine does, and what drives it.
    pub engine: Engine,
    /// Is told how it goes while it is measured.
    pub watcher: Option<Watcher>,
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
            fill_events: 0,
            watcher: None,
            engine: Engine::default(),
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
    pub(super) shard_count: usize,
    pub(super) fill_events: u64,
    pub(super) recording: Recording,
    pub(super) pace: Pace,
}

impl OpenLoop {
    /// A source of pairs of due time and event; event i is `make(i)`.
    #[must_use]
    pub fn source<F>(&self, make: F) -> TimedSource<F> {
        TimedSource {
            make,
            shard_count: self.shard_count,
            fill_events: self.fill_events,
            recording: self.recording.clone(),
            pace: self.pace.clone(),
        }
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
    let mut session = Session::start(options, flow)?;
    session.warm_up(options)?;
    let mut report = session.window(options.duration, options.interval)?;
    session.stop()?;
    report.floor_ns = [before, floor_ns(&Hiccups::of_all(FLOOR_TIME))];
    report.compare_with_raw_disk(options)?;
    Ok(report)
}
