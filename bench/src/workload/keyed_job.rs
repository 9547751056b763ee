//! The job under measurement: keys, an exchange, one update of keyed state each, a counting sink.

use super::gated_source::{Gate, GatedSource};
use super::keys::Keys;
use super::trigger::{Triggered, trigger};
use crate::barriers::Barriers;
use crate::interrupt::stopped_by_signals;
use crate::measure_error::MeasureError;
use crate::probe::threads::{ThreadUse, is_helper, is_shard, threads_use};
use frazil::storage::{FileStorage, WriteMode};
use frazil::{
    CheckpointReport, Checkpoints, Cores, Count, DriverChoice, Error, Flow, IoError, Job,
    JobHandle, Statistics, Tuning,
};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// A job that does not move for this long is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a counter.
const LOOK: Duration = Duration::from_micros(200);
/// From opening the gate to the first reading.
const RUN_UP: Duration = Duration::from_millis(50);
/// Threads that use less CPU than this between two looks have nothing to write.
const QUIET_NS: u64 = 500_000;
const QUIET_LOOK: Duration = Duration::from_millis(50);
const QUIET_PATIENCE: Duration = Duration::from_secs(20);

/// Key and value together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordBytes {
    /// A key and a count of 8 bytes each.
    Sixteen,
    /// A key of 8 and a value of 56 bytes.
    SixtyFour,
}

impl RecordBytes {
    /// As a number.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Self::Sixteen => 16,
            Self::SixtyFour => 64,
        }
    }
}

/// What a measured job is like.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// The keys of its records.
    pub keys: Keys,
    /// How large its state is a key.
    pub record_bytes: RecordBytes,
    /// Where checkpoints go when they are asked for; none are kept otherwise.
    pub checkpoints: Option<Place>,
    /// What the engine does, and what drives it.
    pub engine: Engine,
}

/// What the engine does, and what drives it; by default as a job has it that sets nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Engine {
    /// Its mechanisms.
    pub tuning: Tuning,
    /// What drives the shards.
    pub driver: DriverChoice,
    /// How the barriers of checkpoints pass records.
    pub barriers: Barriers,
}

/// A directory for checkpoints, and how files in it are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The directory, made if it is missing.
    pub directory: PathBuf,
    /// How segments are written.
    pub write_mode: WriteMode,
}

/// All ways to write files, with their names for people.
pub const WRITE_MODES: [(&str, WriteMode); 3] = [
    ("direct I/O", WriteMode::Direct),
    ("mapped windows", WriteMode::Mapped),
    ("plain writes", WriteMode::Plain),
];

impl From<PathBuf> for Place {
    fn from(directory: PathBuf) -> Self {
        Self {
            directory,
            write_mode: WriteMode::default(),
        }
    }
}

impl Place {
    /// The place as a storage.
    ///
    /// # Errors
    ///
    /// What keeps the directory from being used.
    pub fn open(&self) -> Result<FileStorage, IoError> {
        let storage = FileStorage::open(&self.directory)?;
        Ok(storage.with_write_mode(self.write_mode))
    }
}

/// A window of a running job.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Records that came through.
    pub records: u64,
    /// Wall time.
    pub seconds: f64,
    /// What shard threads used.
    pub shards: ThreadUse,
    /// What Frazil's helper threads used.
    pub helpers: ThreadUse,
}

impl Window {
    /// Records in a second of wall time.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.records as f64 / self.seconds
    }

    /// Records in a second of the shards' CPU time.
    #[must_use]
    pub fn rate_by_cpu(&self) -> f64 {
        self.records as f64 * 1e9 / self.shards.cpu_ns.max(1) as f64
    }
}

/// A running job on one shard, whose input is held back by a gate.
pub struct KeyedJob {
    handle: JobHandle,
    gate: Gate,
    counted: Count,
    keys: Keys,
}

impl KeyedJob {
    /// Starts the job and lets every key through once.
    ///
    /// # Errors
    ///
    /// The job's.
    pub fn start(spec: &JobSpec) -> Result<Self, MeasureError> {
        let checkpoints = match &spec.checkpoints {
            Some(place) => Checkpoints::manual().storage(Arc::new(place.open()?)),
            None => Checkpoints::off(),
        };
        let state_bytes = spec.keys.count() * spec.record_bytes.bytes();
        let job = Job::builder("bench")
            .restart(frazil::RestartStrategy::None)
            .cores(Cores::count(1))
            .checkpoints(checkpoints)
            .tuning(spec.engine.tuning)
            .driver(spec.engine.driver)
            .state_bytes_per_shard((3 * state_bytes).max(256 << 20))
            .build()?;
        let (gate, counted) = (Gate::default(), Count::new());
        let source = GatedSource::new(spec.keys, gate.clone());
        let (record_bytes, sink) = (spec.record_bytes, counted.clone());
        let handle = job.start(move |flow| match record_bytes {
            RecordBytes::Sixteen => count_keys(flow, &source, &sink),
            RecordBytes::SixtyFour => count_wide(flow, &source, &sink),
        })?;
        let job = Self {
            handle: stopped_by_signals(handle),
            gate,
            counted,
            keys: spec.keys,
        };
        job.advance(job.keys.count())?;
        Ok(job)
    }

    /// Lets `record_count` more records through and waits for them; gives their positions.
    ///
    /// # Errors
    ///
    /// [`MeasureError::StoodStill`] if they do not come.
    pub fn advance(&self, record_count: u64) -> Result<Range<u64>, MeasureError> {
        let begin = self.gate.emitted();
        let end = begin + record_count;
        self.gate.allow(end);
        self.await_count(end)?;
        Ok(begin..end)
    }

    /// Runs at full speed for `duration`.
    ///
    /// # Errors
    ///
    /// [`MeasureError::StoodStill`] if the job does not drain afterwards.
    pub fn run_for(&self, duration: Duration) -> Result<Window, MeasureError> {
        self.gate.open();
        thread::sleep(RUN_UP);
        let begun = Instant::now();
        let before = (
            self.counted.get(),
            threads_use(is_shard),
            threads_use(is_helper),
        );
        thread::sleep(duration);
        let after = (
            self.counted.get(),
            threads_use(is_shard),
            threads_use(is_helper),
        );
        let seconds = begun.elapsed().as_secs_f64();
        self.hold()?;
        Ok(Window {
            records: after.0 - before.0,
            seconds,
            shards: after.1.since(before.1),
            helpers: after.2.since(before.2),
        })
    }

    /// Runs at full speed for `duration` with a checkpoint requested every `interval`, then waits
    /// until the helpers have nothing left to do.
    ///
    /// # Errors
    ///
    /// As [`KeyedJob::run_for`].
    pub fn run_with_checkpoints(
        &self,
        duration: Duration,
        interval: Duration,
    ) -> Result<(Window, Triggered), MeasureError> {
        let until = Instant::now() + RUN_UP + duration;
        let (window, checkpoints) = thread::scope(|scope| {
            let trigger = scope.spawn(|| trigger(&self.handle, until, interval, |_| ()));
            let window = self.run_for(duration);
            let triggered = trigger.join();
            (
                window,
                triggered.expect("the trigger has no panic of its own"),
            )
        });
        self.settle();
        Ok((window?, checkpoints))
    }

    /// Makes one checkpoint.
    ///
    /// # Errors
    ///
    /// The job's.
    pub fn checkpoint(&self) -> Result<CheckpointReport, MeasureError> {
        Ok(self.handle.checkpoint()?)
    }

    /// Makes one checkpoint; none if the job dropped it.
    ///
    /// # Errors
    ///
    /// The job's.
    pub fn try_checkpoint(&self) -> Result<Option<CheckpointReport>, MeasureError> {
        match self.handle.checkpoint() {
            Ok(report) => Ok(Some(report)),
            Err(Error::CheckpointDropped { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What the job has measured so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.handle.statistics()
    }

    /// What drives the shard.
    #[must_use]
    pub fn driver(&self) -> String {
        format!("{:?}", self.handle.driver().driver).to_lowercase()
    }

    /// The gate, for work that moves it itself.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Lets nothing more through and waits until nothing is under way.
    ///
    /// # Errors
    ///
    /// [`MeasureError::StoodStill`] if that does not happen.
    pub fn hold(&self) -> Result<(), MeasureError> {
        self.gate.close();
        // A run of the source that had begun is over after this.
        thread::sleep(Duration::from_millis(5));
        self.await_count(self.gate.emitted())
    }

    /// Stops the job and waits for its end.
    ///
    /// # Errors
    ///
    /// The job's.
    pub fn stop(self) -> Result<(), MeasureError> {
        self.handle.stop();
        self.handle.wait()?;
        Ok(())
    }

    /// Waits until nothing is written any more (folds take a while), at most 20 s.
    pub fn settle(&self) {
        let begun = Instant::now();
        let mut before = threads_use(is_writing);
        while begun.elapsed() < QUIET_PATIENCE {
            thread::sleep(QUIET_LOOK);
            let after = threads_use(is_writing);
            if after.since(before).cpu_ns < QUIET_NS {
                return;
            }
            before = after;
        }
    }

    fn await_count(&self, expected: u64) -> Result<(), MeasureError> {
        let mut done = self.counted.get();
        let mut moved = Instant::now();
        while done < expected {
            thread::sleep(LOOK);
            let now = self.counted.get();
            if now > done {
                (done, moved) = (now, Instant::now());
            } else if moved.elapsed() > PATIENCE || self.handle.is_finished() {
                return Err(MeasureError::StoodStill {
                    done,
                    expected,
                    seconds: moved.elapsed().as_secs(),
                });
            }
        }
        Ok(())
    }
}

fn is_writing(name: &str) -> bool {
    matches!(name, "frazil-writer" | "frazil-folder")
}

fn count_keys(flow: &Flow, source: &GatedSource, sink: &Count) {
    flow.source(source.clone())
        .key_by(|key| key)
        .aggregate("counts", 0_u64, |count, _key| *count += 1)
        .sink(sink.clone());
}

fn count_wide(flow: &Flow, source: &GatedSource, sink: &Count) {
    flow.source(source.clone())
        .key_by(|key| key)
        .aggregate("records", [0_u64; 7], |value, _key| value[0] += 1)
        .sink(sink.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advances_by_exactly_what_was_allowed_and_checkpoints_it() {
        let folder = tempfile::tempdir().unwrap();
        for record_bytes in [RecordBytes::Sixteen, RecordBytes::SixtyFour] {
            let job = KeyedJob::start(&JobSpec {
                keys: Keys::new(1_000),
                record_bytes,
                checkpoints: Some(folder.path().join(record_bytes.bytes().to_string()).into()),
                engine: Engine::default(),
            })
            .unwrap();
            assert_eq!(job.advance(500).unwrap(), 1_000..1_500);
            assert!(job.checkpoint().unwrap().bytes > 1_000 * record_bytes.bytes() / 2);
            assert_eq!(job.advance(1).unwrap(), 1_500..1_501);
            job.stop().unwrap();
        }
    }

    #[test]
    fn window_counts_records_and_cpu_time_and_checkpoints_within() {
        let folder = tempfile::tempdir().unwrap();
        let job = KeyedJob::start(&JobSpec {
            keys: Keys::new(1_000),
            record_bytes: RecordBytes::Sixteen,
            checkpoints: Some(folder.path().to_path_buf().into()),
            engine: Engine::default(),
        })
        .unwrap();
        let (second, tenth) = (Duration::from_millis(300), Duration::from_millis(50));
        let (window, checkpoints) = job.run_with_checkpoints(second, tenth).unwrap();
        assert!(window.records > 0 && window.rate_by_cpu() > 0.0);
        assert!(!checkpoints.reports.is_empty());
        job.stop().unwrap();
    }
}
