//! Interleaved pairs of runs, each in an engine of its own.

use super::lines::Lines;
use crate::costs::CostHistograms;
use crate::demo::error::DemoError;
use crate::job::{self, EngineSettings, Tally};
use crate::open_loop::Part;
use crate::result::{OverheadResult, Pair};
use crate::work_folder::WorkFolder;
use frazil::{CheckpointTrace, Checkpoints, JobHandle, Statistics};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const FOLDER: &str = "overhead";

/// Longest wait until every line was read once.
const WARM_UP_MAX: Duration = Duration::from_secs(3);
/// Longest time without a record that is still measured.
const STANDSTILL_MAX: Duration = Duration::from_secs(30);
/// Equal parts of a run that are shown over time. Shards hand their histograms over after each,
/// which costs them some page faults.
const PART_COUNT: u32 = 20;
const POLL: Duration = Duration::from_millis(5);

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Shards and driver.
    pub engine: EngineSettings,
    /// Time between checkpoints of the runs that make some.
    pub checkpoint_every: Duration,
    /// Runs with checkpoints off, and as many with checkpoints on.
    pub pair_count: u32,
    /// How long each run is measured.
    pub window: Duration,
}

/// What was measured.
#[derive(Debug)]
pub struct Measurement {
    /// Throughput, pair by pair, with all histograms of the runs with checkpoints.
    pub result: OverheadResult,
    /// Checkpoints that became durable while they were measured, of all runs.
    pub checkpoint_count: u64,
    /// How long runs with checkpoints were measured, in all.
    pub measured: Duration,
    pub(crate) costs: CostHistograms,
    /// The same of the runs without checkpoints: their latencies.
    pub(crate) off_costs: CostHistograms,
    /// The checkpoints of the last run.
    pub(crate) traces: Vec<CheckpointTrace>,
    /// How the last runs with checkpoints and without went over time.
    pub(crate) parts: [Vec<Part>; 2],
}

/// One run.
struct Run {
    identifiers_per_second: f64,
    measured: Duration,
    checkpoint_count: u64,
    costs: CostHistograms,
    traces: Vec<CheckpointTrace>,
    parts: Vec<Part>,
}

/// Runs the job over `lines` in pairs, first with checkpoints off and then on, in `folder`;
/// `each` is told after every pair.
///
/// # Errors
///
/// The engine's, and what the work folder says.
///
/// # Panics
///
/// If the plan has no pair.
pub fn measure(
    plan: &Plan,
    lines: &Lines,
    folder: &WorkFolder,
    mut each: impl FnMut(Pair),
) -> Result<Measurement, DemoError> {
    let mut pairs = Vec::new();
    let mut totals: Option<[Run; 2]> = None;
    for _ in 0..plan.pair_count {
        let off = run(plan, lines, folder, false)?;
        let on = run(plan, lines, folder, true)?;
        let pair = Pair {
            off: off.identifiers_per_second,
            on: on.identifiers_per_second,
        };
        each(pair);
        pairs.push(pair);
        match &mut totals {
            Some([all_on, all_off]) => {
                all_on.add(on);
                all_off.add(off);
            }
            None => totals = Some([on, off]),
        }
    }
    let [total, off] = totals.expect("a plan has at least one pair");
    let result = OverheadResult::new(pairs, total.costs.results());
    Ok(Measurement {
        result: result.expect("a plan has at least one pair"),
        checkpoint_count: total.checkpoint_count,
        measured: total.measured,
        costs: total.costs,
        off_costs: off.costs,
        traces: total.traces,
        parts: [total.parts, off.parts],
    })
}

impl Run {
    fn add(&mut self, other: Self) {
        self.measured += other.measured;
        self.checkpoint_count += other.checkpoint_count;
        self.costs.add(&other.costs);
        self.traces = other.traces;
        self.parts = other.parts;
    }
}

fn run(
    plan: &Plan,
    lines: &Lines,
    folder: &WorkFolder,
    with_checkpoints: bool,
) -> Result<Run, DemoError> {
    let places = folder.empty_job_folders(FOLDER)?;
    let checkpoints = if with_checkpoints {
        Checkpoints::every(plan.checkpoint_every).dir(places.checkpoints)
    } else {
        Checkpoints::off()
    };
    let tally = Arc::new(Tally::default());
    let shared = Arc::clone(&tally);
    let handle = job::start(
        plan.engine,
        checkpoints,
        lines.clone(),
        places.output,
        shared,
    )?;
    warm_up(&handle, &tally, lines.byte_count());

    let before = handle.statistics();
    let (started, counted) = (Instant::now(), tally.read());
    let parts = watch(&handle, CostHistograms::of(&before), started, plan.window);
    while tally.read() == counted && started.elapsed() < STANDSTILL_MAX && !handle.is_finished() {
        thread::sleep(POLL);
    }
    let (measured, counted) = (started.elapsed(), tally.read() - counted);
    let after = handle.statistics();
    let mut traces = handle.checkpoint_history();
    traces.retain(|trace| trace.requested >= started && trace.publish.is_some());

    handle.stop();
    handle.wait()?;
    folder.remove_job_folders(FOLDER)?;
    if counted.identifiers == 0 {
        return Err(DemoError::StoodStill(measured));
    }
    Ok(Run {
        identifiers_per_second: counted.identifiers as f64 / measured.as_secs_f64(),
        measured,
        checkpoint_count: completed(&after) - completed(&before),
        costs: CostHistograms::of(&after).since(&CostHistograms::of(&before)),
        traces,
        parts,
    })
}

/// Waits until `window` is over, and says how it went.
fn watch(
    handle: &JobHandle,
    mut before: CostHistograms,
    started: Instant,
    window: Duration,
) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for part in 1..=PART_COUNT {
        let end = started + window * part / PART_COUNT;
        thread::sleep(end.saturating_duration_since(Instant::now()));
        let since = parts.last().map_or(started, |part| part.ended);
        let now = CostHistograms::of(&handle.statistics());
        parts.push(Part::of(&now.clone().since(&before).latency(), since));
        before = now;
    }
    parts
}

/// Waits until every key has been met, as far as that can be in a short time.
fn warm_up(handle: &JobHandle, tally: &Tally, byte_count: u64) {
    let started = Instant::now();
    while tally.read().bytes < byte_count
        && started.elapsed() < WARM_UP_MAX
        && !handle.is_finished()
    {
        thread::sleep(POLL);
    }
}

fn completed(statistics: &Statistics) -> u64 {
    statistics.checkpoints.completed_count
}
