//! The command `idle`.

use crate::common::CommonArguments;
use crate::interrupt::stopped_by_signals;
use crate::measure_error::MeasureError;
use crate::probe::cpus::cpus;
use crate::probe::threads::{ThreadUse, is_helper, is_shard, threads_use};
use crate::progress::Step;
use crate::scratch::Scratch;
use clap::Args;
use frazil::{
    Checkpoints, Cores, Count, Driver, DriverChoice, Job, JobHandle, choose_driver, push,
};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

/// Until parks have grown to their longest, which takes a good second.
const SETTLING: Duration = Duration::from_millis(1_500);
/// Most of a core that an idle job is to take, in percent.
const IDLE_PERCENT_MAX: f64 = 2.0;
/// A request wakes a parked shard; on a busy machine that takes milliseconds.
const BARRIER_MS_MAX: f64 = 5.0;
/// Memory for state that never comes.
const STATE_BYTES: u64 = 64 << 20;

/// The options of `idle`.
#[derive(Clone, Debug, Args)]
pub struct IdleArguments {
    /// How long each driver's job stands still [default: 10, or 2 with --quick]
    #[arg(long, value_name = "S")]
    pub seconds: Option<NonZeroU32>,
    /// Checkpoints asked for afterwards
    #[arg(long, value_name = "N", default_value = "100")]
    pub count: NonZeroU32,
    /// Shared with other commands.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// What one driver's idle job takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdleResult {
    /// What drives the shards.
    pub driver: String,
    /// Shards.
    pub shard_count: usize,
    /// CPU time of all shards, in percent of one core.
    pub shards_percent: f64,
    /// The same of all helper threads.
    pub helpers_percent: f64,
    /// From the request of a checkpoint until a shard had passed its barrier and frozen: the median
    /// over all shards and checkpoints, in ms.
    pub barrier_ms_median: f64,
    /// The longest.
    pub barrier_ms_max: f64,
}

/// Measures idle jobs and prints what they take.
///
/// # Errors
///
/// The job's, or what keeps the output from being written.
pub fn run(arguments: &IdleArguments, out: &mut impl Write) -> Result<(), MeasureError> {
    let common = &arguments.common;
    let seconds = arguments
        .seconds
        .map_or(common.pick(2, 10), NonZeroU32::get);
    let window = Duration::from_secs(seconds.into());
    let drivers = drivers();
    let each = SETTLING + window + Duration::from_millis(20) * arguments.count.get();
    common.preamble(each * u32::try_from(drivers.len()).unwrap_or(1), out)?;
    writeln!(
        out,
        "a job whose source gives nothing, a shard on each core; CPU time over {seconds} s from \
         /proc, then {} checkpoints",
        arguments.count
    )?;
    let mut results = Vec::new();
    for driver in drivers {
        let step = Step::begin(&format!("an idle job, {driver} driver"), each);
        let result = measure(arguments, driver, window)?;
        drop(step);
        result.print(out)?;
        results.push(result);
    }
    common.store("idle", &serde_json::json!({ "drivers": results }))
}

fn drivers() -> Vec<Driver> {
    let best = choose_driver(DriverChoice::Auto).map(|decision| decision.driver);
    let ring = best.ok().filter(|driver| *driver == Driver::Glommio);
    [Some(Driver::Thread), ring].into_iter().flatten().collect()
}

fn measure(
    arguments: &IdleArguments,
    driver: Driver,
    window: Duration,
) -> Result<IdleResult, MeasureError> {
    let scratch = Scratch::new(&arguments.common.dir, "idle")?;
    let choice = match driver {
        Driver::Glommio => DriverChoice::Glommio,
        Driver::Thread => DriverChoice::Thread,
    };
    let job = Job::builder("idle")
        .cores(Cores::all())
        .driver(choice)
        .state_bytes_per_shard(STATE_BYTES)
        .checkpoints(Checkpoints::manual().dir(scratch.folder()))
        .build()?;
    // Kept until the end: the source would be over without it.
    let (records, source) = push::channel::<u64>(1);
    let handle = stopped_by_signals(job.start(move |flow| {
        flow.source(source.clone())
            .key_by_value(|record| *record)
            .aggregate("count", 0u64, |count, _record| *count += 1)
            .sink(Count::new());
    })?);
    thread::sleep(SETTLING);
    let (shards, helpers, elapsed) = used_during(window);
    let barriers = barriers_ms(&handle, arguments.count.get())?;
    let shard_count = cpus().len().max(1);
    handle.stop();
    handle.wait()?;
    drop(records);
    let percent = |used: ThreadUse| used.cpu_ns as f64 / elapsed.as_nanos() as f64 * 100.0;
    Ok(IdleResult {
        driver: driver.to_string(),
        shard_count,
        shards_percent: percent(shards),
        helpers_percent: percent(helpers),
        barrier_ms_median: barriers
            .get(barriers.len() / 2)
            .copied()
            .unwrap_or_default(),
        barrier_ms_max: barriers.last().copied().unwrap_or_default(),
    })
}

fn used_during(window: Duration) -> (ThreadUse, ThreadUse, Duration) {
    let before = (threads_use(is_shard), threads_use(is_helper));
    let begun = Instant::now();
    thread::sleep(window);
    let after = (threads_use(is_shard), threads_use(is_helper));
    let used = (after.0.since(before.0), after.1.since(before.1));
    (used.0, used.1, begun.elapsed())
}

/// From each request to each shard's freeze, ascending.
fn barriers_ms(handle: &JobHandle, count: u32) -> Result<Vec<f64>, MeasureError> {
    for _ in 0..count {
        handle.checkpoint()?;
    }
    let history = handle.checkpoint_history();
    let mut barriers: Vec<f64> = Vec::new();
    for trace in &history {
        let passed = trace.shards.iter().filter_map(|shard| shard.align);
        let since = passed.map(|align| align.end.saturating_duration_since(trace.requested));
        barriers.extend(since.map(|since| since.as_secs_f64() * 1e3));
    }
    barriers.sort_by(f64::total_cmp);
    Ok(barriers)
}

impl IdleResult {
    fn print(&self, out: &mut impl Write) -> Result<(), MeasureError> {
        let Self {
            driver,
            shard_count,
            shards_percent,
            helpers_percent,
            barrier_ms_median,
            barrier_ms_max,
        } = self;
        let all = shards_percent + helpers_percent;
        let holds = |holds: bool| if holds { "holds" } else { "missed" };
        writeln!(
            out,
            "{driver:<8} {shard_count} shards {shards_percent:.2} %, helpers {helpers_percent:.2} % of a \
             core; together {all:.2} % (at most {IDLE_PERCENT_MAX} %: {})",
            holds(all < IDLE_PERCENT_MAX)
        )?;
        writeln!(
            out,
            "         a shard passes a barrier {barrier_ms_median:.3} ms after the request (median), \
             {barrier_ms_max:.3} ms at most (at most {BARRIER_MS_MAX} ms: {})",
            holds(*barrier_ms_max <= BARRIER_MS_MAX)
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_job_is_measured_with_every_driver() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = IdleArguments {
            seconds: Some(NonZeroU32::MIN),
            count: NonZeroU32::new(3).unwrap(),
            common: CommonArguments::in_folder(folder.path()),
        };
        let mut out = Vec::new();
        run(&arguments, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("% of a core; together"), "{text}");
        let stored = arguments.common.stored();
        let results: Vec<IdleResult> = serde_json::from_value(stored["drivers"].clone()).unwrap();
        assert_eq!(results.len(), drivers().len());
        for result in results {
            assert!(result.helpers_percent > 0.0, "{result:?}");
            assert!(result.barrier_ms_median > 0.0, "{result:?}");
        }
    }
}
