//! Running a query: once to its end to be checked, and without an end to be measured.

use super::event::Event;
use super::output::{Output, Rows};
use super::query::Query;
use super::source::EventSource;
use crate::interrupt::stopped_by_signals;
use crate::measure_error::MeasureError;
use crate::pairs::{PairPlan, PairedCell, Side, measure_many};
use crate::probe::threads::{is_helper, is_shard, threads_use};
use crate::workload::{Triggered, trigger};
use frazil::storage::FileStorage;
use frazil::{Checkpoints, Cores, Error, Job, JobBuilder, JobHandle};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// From the start to the first reading: the state has its size, memory is touched.
const WARM_UP: Duration = Duration::from_secs(1);
const STATE_BYTES_PER_SHARD: u64 = 1 << 30;

/// A query, its events, and where it runs.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) query: Query,
    pub(super) events: Arc<Vec<Event>>,
    pub(super) shard_count: usize,
    pub(super) interval: Duration,
}

/// What full speed showed, with checkpoints (a) and without (b).
pub(super) struct Measured {
    /// Events a second.
    pub(super) rate: PairedCell,
    /// CPU time of shards and helpers for an event, in ns.
    pub(super) cpu: PairedCell,
    /// Checkpoints of all windows.
    pub(super) checkpoints: Triggered,
    pub(super) driver: String,
}

impl Run {
    fn builder(&self) -> JobBuilder {
        Job::builder(self.query.name())
            .cores(Cores::count(self.shard_count))
            .state_bytes_per_shard(STATE_BYTES_PER_SHARD)
    }

    fn start(
        &self,
        checkpoints: Checkpoints,
        is_endless: bool,
        output: &Output,
    ) -> Result<JobHandle, MeasureError> {
        let source = EventSource {
            events: Arc::clone(&self.events),
            is_endless,
        };
        let (query, output) = (self.query, output.clone());
        let job = self.builder().checkpoints(checkpoints).build()?;
        let handle = job.start(move |flow| query.build(flow, &source, &output))?;
        Ok(stopped_by_signals(handle))
    }

    /// The rows for all events, with checkpoints meanwhile.
    pub(super) fn to_the_end(&self, directory: &Path) -> Result<Rows, MeasureError> {
        let checkpoints = Checkpoints::every(self.interval).dir(directory);
        let output = Output::new(true);
        self.start(checkpoints, false, &output)?.wait()?;
        Ok(output.rows())
    }

    /// Full speed over the events again and again, with and without checkpoints in turn.
    pub(super) fn at_full_speed(
        &self,
        plan: PairPlan,
        window: Duration,
        directory: &Path,
    ) -> Result<Measured, MeasureError> {
        let storage = Arc::new(FileStorage::open(directory)?);
        let output = Output::new(false);
        let job = self.start(Checkpoints::manual().storage(storage), true, &output)?;
        thread::sleep(WARM_UP.min(window));
        // Not recorded: it holds all of the state. One that is dropped is made by the first window.
        match job.checkpoint() {
            Ok(_) | Err(Error::CheckpointDropped { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let mut checkpoints = Triggered::default();
        let [rate, cpu] = measure_many(plan, |side| {
            let interval = (side == Side::A).then_some(self.interval);
            let (figures, made) = measure(&job, window, interval);
            checkpoints.reports.extend(made.reports);
            checkpoints.dropped_count += made.dropped_count;
            Ok::<_, MeasureError>(figures)
        })?;
        let driver = format!("{:?}", job.driver().driver).to_lowercase();
        job.stop();
        job.wait()?;
        Ok(Measured {
            rate,
            cpu,
            checkpoints,
            driver,
        })
    }
}

/// Events a second, and ns of CPU time an event.
fn measure(job: &JobHandle, window: Duration, interval: Option<Duration>) -> ([f64; 2], Triggered) {
    let read = || {
        let cpu_ns = threads_use(is_shard).cpu_ns + threads_use(is_helper).cpu_ns;
        (job.statistics().record_count, cpu_ns, Instant::now())
    };
    let (events, cpu_ns, begun) = read();
    let until = begun + window;
    let made = match interval {
        Some(interval) => trigger(job, until, interval, |_| ()),
        None => Triggered::default(),
    };
    thread::sleep(until.saturating_duration_since(Instant::now()));
    let (events_after, cpu_ns_after, ended) = read();
    let events = (events_after - events).max(1) as f64;
    let figures = [
        events / (ended - begun).as_secs_f64(),
        cpu_ns_after.saturating_sub(cpu_ns) as f64 / events,
    ];
    (figures, made)
}
