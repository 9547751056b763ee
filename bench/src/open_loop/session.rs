//! A running flow whose pace is set and of which windows are measured.

use super::loads::ShardLoads;
use super::moment::{Moment, Watcher};
use super::pace::{Pace, Schedule};
use super::part::Part;
use super::recorder::{Latencies, Recording};
use super::report::Report;
use super::run::{OpenLoop, Options};
use super::watched_storage::WatchedStorage;
use crate::costs::CostHistograms;
use crate::interrupt::stopped_by_signals;
use crate::measure_error::MeasureError;
use crate::probe::hiccups::{Hiccups, floor_ns};
use crate::probe::steal::MachineTicks;
use crate::probe::threads::{ThreadUse, is_helper, is_shard, threads_use};
use crate::workload::{Triggered, trigger};
use frazil::{CheckpointTrace, Checkpoints, Cores, Error, Flow, Job, JobHandle};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at the filling.
const LOOK: Duration = Duration::from_millis(5);
/// How fine a window is shown over time.
const PART: Duration = Duration::from_millis(100);
/// How often an unrecorded checkpoint is tried.
const CHECKPOINT_TRIES: u32 = 10;
/// From setting the rate of a flow that is warm to the first window, at most.
const RUN_UP: Duration = Duration::from_millis(500);
/// A filling that does not move for this long is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running flow.
pub(crate) struct Session {
    job: JobHandle,
    recording: Recording,
    pace: Pace,
    rate: f64,
    is_persistent: bool,
    watcher: Option<Watcher>,
}

/// What is read at both ends of a window.
struct Reading {
    at: Instant,
    ticks: MachineTicks,
    completed: u64,
    shards: ThreadUse,
    helpers: ThreadUse,
    costs: CostHistograms,
}

impl Session {
    /// Starts the flow and fills its state; no event is due yet.
    pub(crate) fn start<F>(options: &Options, flow: F) -> Result<Self, MeasureError>
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
            .restart(frazil::RestartStrategy::None)
            .cores(Cores::count(options.shard_count))
            .checkpoints(options.engine.barriers.of(checkpoints))
            .tuning(options.engine.tuning)
            .driver(options.engine.driver)
            .state_bytes_per_shard(options.state_bytes_per_shard)
            .build()?;
        let open_loop = OpenLoop {
            shard_count: options.shard_count,
            fill_events: options.fill_events,
            recording: recording.clone(),
            pace: Pace::default(),
        };
        let pace = open_loop.pace.clone();
        let session = Self {
            job: stopped_by_signals(job.start(move |built| flow(built, &open_loop))?),
            recording,
            pace,
            rate: options.rate,
            is_persistent: options.storage.is_some(),
            watcher: options.watcher.clone(),
        };
        session.await_filling(options.fill_events)?;
        Ok(session)
    }

    fn await_filling(&self, fill_events: u64) -> Result<(), MeasureError> {
        let (mut done, mut moved) = (0, Instant::now());
        while done < fill_events {
            thread::sleep(LOOK);
            let now = self.pace.filled();
            if now > done {
                (done, moved) = (now, Instant::now());
            } else if moved.elapsed() > PATIENCE || self.job.is_finished() {
                return Err(MeasureError::StoodStill {
                    done,
                    expected: fill_events,
                    seconds: moved.elapsed().as_secs(),
                });
            }
        }
        Ok(())
    }

    /// From now on `rate` events a second are due; what was due before is forgotten.
    pub(crate) fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
        let schedule = Schedule::at_rate(rate, self.recording.now_ns());
        self.pace.set(Some(schedule));
    }

    /// Runs at the rate of `options`, and makes checkpoints that nobody records: one with all of
    /// the state while nothing is due, and one at the rate.
    pub(crate) fn warm_up(&mut self, options: &Options) -> Result<(), MeasureError> {
        self.drain();
        self.unrecorded_checkpoint()?;
        self.set_rate(options.rate);
        thread::sleep(options.warm_up);
        self.unrecorded_checkpoint()
    }

    /// A job drops what does not fit into its staging memory, a few times; later it waits.
    fn unrecorded_checkpoint(&self) -> Result<(), MeasureError> {
        if !self.is_persistent {
            return Ok(());
        }
        let mut made = self.job.checkpoint();
        for _ in 1..CHECKPOINT_TRIES {
            if !matches!(made, Err(Error::CheckpointDropped { .. })) {
                break;
            }
            made = self.job.checkpoint();
        }
        // Its storage said that it syncs.
        self.recording.watch.over();
        made?;
        Ok(())
    }

    /// Measures for `duration`, with a checkpoint every `interval`.
    pub(crate) fn window(
        &self,
        duration: Duration,
        interval: Option<Duration>,
    ) -> Result<Report, MeasureError> {
        let part_count = duration.as_millis() / PART.as_millis();
        let part_count = u32::try_from(part_count.max(1)).unwrap_or(u32::MAX);
        self.window_in_parts(duration, part_count, interval)
    }

    /// The same, in `part_count` equal parts.
    pub(crate) fn window_in_parts(
        &self,
        duration: Duration,
        part_count: u32,
        interval: Option<Duration>,
    ) -> Result<Report, MeasureError> {
        self.recording.take();
        let before = self.read();
        let until = before.at + duration;
        let ((latencies, parts), checkpoints) = thread::scope(|scope| {
            let triggered =
                interval.map(|interval| scope.spawn(move || self.trigger(until, interval)));
            let taken = self.take_parts(before.at, duration, part_count, interval.is_some());
            let triggered = triggered.map(|thread| thread.join().expect("asking does not panic"));
            (taken, triggered.unwrap_or_default())
        });
        let after = self.read();
        Ok(Report {
            offered_rate: self.rate,
            completed: after.completed - before.completed,
            duration: after.at - before.at,
            interval,
            latencies,
            parts,
            checkpoints,
            traces: self.traces_since(before.at),
            costs: after.costs.since(&before.costs),
            shards: after.shards.since(before.shards),
            helpers: after.helpers.since(before.helpers),
            floor_ns: [0.0; 2],
            stolen_part: after.ticks.stolen_since(before.ticks),
            driver: format!("{:?}", self.job.driver().driver).to_lowercase(),
            raw_disk: None,
        })
    }

    fn read(&self) -> Reading {
        Reading {
            costs: CostHistograms::of(&self.job.statistics()),
            ticks: MachineTicks::now(),
            shards: threads_use(is_shard),
            helpers: threads_use(is_helper),
            completed: self.recording.completed(),
            at: Instant::now(),
        }
    }

    fn take_parts(
        &self,
        begun: Instant,
        duration: Duration,
        part_count: u32,
        with_checkpoints: bool,
    ) -> (Latencies, Vec<Part>) {
        let (mut loads, mut completed) = (ShardLoads::begin(), self.recording.completed());
        let mut all = Latencies::default();
        let mut parts: Vec<Part> = Vec::new();
        for part in 1..=part_count {
            let end = begun + duration * part / part_count;
            thread::sleep(end.saturating_duration_since(Instant::now()));
            let taken = self.recording.take();
            let since = parts.last().map_or(begun, |part| part.ended);
            let part = Part::of(&taken.all(), since);
            parts.push(part);
            all.add(&taken);
            if let Some(watcher) = &self.watcher {
                let now = self.recording.completed();
                let seconds = (part.ended - part.begun).as_secs_f64().max(1e-3);
                watcher.tell(&Moment {
                    offered_rate: self.rate,
                    reached_rate: (now - completed) as f64 / seconds,
                    with_checkpoints,
                    part,
                    shard_loads: loads.now().to_vec(),
                    activity: self.recording.watch.at(self.recording.now_ns()),
                    newest: self.job.newest_checkpoint(),
                });
                completed = now;
            }
        }
        (all, parts)
    }

    /// Checkpoints that were requested since `begun` and are durable.
    fn traces_since(&self, begun: Instant) -> Vec<CheckpointTrace> {
        let mut traces = self.job.checkpoint_history();
        traces.retain(|trace| trace.requested >= begun && trace.publish.is_some());
        traces
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

    /// The hiccup floor; the flow stands still from then on.
    pub(crate) fn floor_at_rest(&self, look: Duration) -> f64 {
        self.drain();
        floor_ns(&Hiccups::of_all(look))
    }

    /// The hiccup floor, and the flow at its rate again, as if it had never stood still.
    pub(crate) fn floor_beside(&mut self, look: Duration, warm_up: Duration) -> f64 {
        let floor = self.floor_at_rest(look);
        self.set_rate(self.rate);
        thread::sleep(RUN_UP.min(warm_up));
        floor
    }

    /// What is due now is read and processed, or half a second has passed.
    pub(crate) fn drain(&self) {
        self.pace.set(None);
        let begun = Instant::now();
        let mut completed = self.recording.completed();
        while begun.elapsed() < Duration::from_millis(500) {
            thread::sleep(4 * LOOK);
            let now = self.recording.completed();
            if now == completed {
                return;
            }
            completed = now;
        }
    }

    pub(crate) fn stop(self) -> Result<(), MeasureError> {
        self.job.stop();
        self.job.wait()?;
        Ok(())
    }
}
