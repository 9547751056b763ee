//! The child process: the same job, at first to build its state and then to come back.

use super::protocol::{ChildEvent, ChildSettings, Task, now_ns};
use super::watched::{ReadTimes, WatchedFiles};
use super::{build, restart};
use crate::child::EventWriter;
use crate::interrupt::stopped_by_signals;
use crate::measure_error::MeasureError;
use crate::workload::{Gate, GatedSource, Keys, RecordBytes};
use frazil::storage::FileStorage;
use frazil::{Checkpoints, Cores, ForEach, Job, JobHandle};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// The hidden command that this program runs in the child.
pub const COMMAND: &str = "recovery-child";

/// A parent that does not kill is given up.
const LIFE: Duration = Duration::from_secs(600);

/// A running job, and what its sink has seen.
pub(super) struct ChildJob {
    pub(super) handle: JobHandle,
    pub(super) gate: Gate,
    pub(super) keys: Keys,
    pub(super) seen: Seen,
    pub(super) times: ReadTimes,
}

/// Written by the sink; clones share it.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Counters>);

#[derive(Default)]
struct Counters {
    records: AtomicU64,
    first_ns: AtomicU64,
    first_key: AtomicU64,
    first_count: AtomicU64,
}

impl Seen {
    fn record(&self, key: u64, count: u64) {
        let seen = &self.0;
        let records = seen.records.load(Ordering::Relaxed);
        if records == 0 {
            seen.first_ns.store(now_ns(), Ordering::Relaxed);
            seen.first_key.store(key, Ordering::Relaxed);
            seen.first_count.store(count, Ordering::Relaxed);
        }
        seen.records.store(records + 1, Ordering::Release);
    }

    pub(super) fn records(&self) -> u64 {
        self.0.records.load(Ordering::Acquire)
    }

    /// Time, key and count of the first record.
    pub(super) fn first(&self) -> [u64; 3] {
        let first = [&self.0.first_ns, &self.0.first_key, &self.0.first_count];
        first.map(|part| part.load(Ordering::Relaxed))
    }
}

impl ChildJob {
    /// Starts the job behind `gate`.
    fn start(settings: &ChildSettings, gate: Gate) -> Result<Self, MeasureError> {
        let key_count = settings.state_bytes / RecordBytes::SixtyFour.bytes();
        let keys = Keys::new(key_count.max(1));
        let times = ReadTimes::default();
        let storage = WatchedFiles {
            inner: FileStorage::open(&settings.checkpoints)?,
            times: times.clone(),
        };
        let checkpoints = match settings.task {
            Task::Build => Checkpoints::manual(),
            Task::Restart(restore) => Checkpoints::manual().restore(restore.mode()),
        };
        let job = Job::builder("recovery")
            .restart(frazil::RestartStrategy::None)
            .cores(Cores::count(1))
            .checkpoints(checkpoints.storage(Arc::new(storage)))
            .state_bytes_per_shard((3 * settings.state_bytes).max(256 << 20))
            .build()?;
        let seen = Seen::default();
        let (source, sink) = (GatedSource::new(keys, gate.clone()), seen.clone());
        let handle = job.start(move |flow| {
            let seen = sink.clone();
            flow.source(source.clone())
                .key_by(|key| key)
                .aggregate("records", [0_u64; 7], |value, _key| value[0] += 1)
                .sink(ForEach::new(move |(key, value): (&u64, &[u64; 7])| {
                    seen.record(*key, value[0]);
                }));
        })?;
        Ok(Self {
            handle: stopped_by_signals(handle),
            gate,
            keys,
            seen,
            times,
        })
    }
}

/// Does what `settings` say, tells it to `out`, and waits for the kill.
///
/// # Errors
///
/// The job's, or [`MeasureError::Child`] for settings that are none.
pub fn run(settings: &str, main_ns: u64, out: impl Write) -> Result<(), MeasureError> {
    let settings: ChildSettings =
        serde_json::from_str(settings).map_err(|_| MeasureError::Child {
            answer: settings.to_owned(),
        })?;
    let gate = Gate::default();
    let events = EventWriter::new(out);
    let event = match settings.task {
        Task::Build => build::build(&ChildJob::start(&settings, gate)?, &settings.checkpoints)?,
        Task::Restart(_) => {
            // The first record is to come as soon as the job can take it.
            gate.open();
            let job = ChildJob::start(&settings, gate)?;
            ChildEvent::Restarted(restart::first_record(&job, main_ns)?)
        }
    };
    events.send(&event)?;
    thread::sleep(LIFE);
    Ok(())
}

/// The clock of the events, for the beginning of `main`.
#[must_use]
pub fn clock_ns() -> u64 {
    now_ns()
}
