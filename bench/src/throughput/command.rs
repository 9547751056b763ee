//! The command `throughput`.

use super::search::Precision;
use super::trial::{Highest, Limits, Trial, highest};
use crate::common::CommonArguments;
use crate::measure_error::MeasureError;
use crate::open_loop::{Interval, Session, TIMED_PER_SECOND_MAX, WorkArguments};
use crate::probe::cpus::cpus;
use crate::probe::hiccups::{Hiccups, floor_ns};
use crate::progress::{Step, note};
use crate::scratch::Scratch;
use crate::text::units::{grouped, per_second};
use clap::Args;
use serde::Serialize;
use std::io::Write;
use std::num::NonZeroUsize;
use std::time::Duration;

const FLOOR_TIME: Duration = Duration::from_millis(200);

/// The options of `throughput`.
#[derive(Clone, Debug, Args)]
pub struct ThroughputArguments {
    /// The work.
    #[command(flatten)]
    pub work: WorkArguments,
    /// Numbers of shards [default: 1, and as many as there are cores]
    #[arg(long, value_name = "N", num_args = 1..)]
    pub cores: Vec<NonZeroUsize>,
    /// Longest latency at p99 that counts as bounded
    #[arg(
        long,
        value_name = "TIME",
        default_value = "50ms",
        value_parser = humantime::parse_duration
    )]
    pub p99_max: Duration,
    /// How long each rate has to hold [default: 4, or 1 with --quick, and three checkpoints]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub window: Option<Duration>,
    /// Shared with other commands.
    #[command(flatten)]
    pub common: CommonArguments,
}

#[derive(Serialize)]
struct ThroughputResult {
    p99_max_ms: u128,
    checkpoint_interval_ms: Option<u128>,
    rows: Vec<Row>,
}

/// The highest rate on one number of shards.
#[derive(Serialize)]
struct Row {
    cores: usize,
    driver: Option<String>,
    /// When all events are due at once.
    saturated_rate: f64,
    highest_rate: Option<f64>,
    highest_rate_per_core: Option<f64>,
    cpu_ns_per_event: Option<f64>,
    floor_p999_ns: [f64; 2],
    trials: Vec<Trial>,
}

/// Looks for the highest sustained rates and prints them.
///
/// # Errors
///
/// The job's, or what keeps the output from being written.
pub fn run(arguments: &ThroughputArguments, out: &mut impl Write) -> Result<(), MeasureError> {
    let (work, common) = (&arguments.work, &arguments.common);
    let Interval(interval) = work.checkpoint;
    let precision = Precision::new(common, arguments.window, interval);
    let all = NonZeroUsize::new(cpus().len()).unwrap_or(NonZeroUsize::MIN);
    let shard_counts = match &arguments.cores[..] {
        [] if all.get() == 1 => vec![all],
        [] => vec![NonZeroUsize::MIN, all],
        given => given.to_vec(),
    };
    let each = work.filling() + precision.expected(common);
    common.preamble(each * u32::try_from(shard_counts.len()).unwrap_or(1), out)?;
    writeln!(
        out,
        "sustained: over {:.1} s (at last twice that) at least 99 % of what is due comes out, the \
         median latency of the last quarter is at most twice that of the first and 1 ms, p99 at \
         most {} ms; at most {} events a second are timed",
        precision.window.as_secs_f64(),
        arguments.p99_max.as_millis(),
        grouped(TIMED_PER_SECOND_MAX.into()),
    )?;
    let limits = Limits {
        p99: arguments.p99_max,
        interval,
    };
    let mut rows = Vec::new();
    for shard_count in shard_counts {
        let shard_count = shard_count.get();
        writeln!(out, "{}", work.describe(shard_count))?;
        let step = Step::begin("looking for the highest rate", each);
        let row = search_on(arguments, shard_count, limits, precision)?;
        drop(step);
        row.print(out)?;
        rows.push(row);
    }
    let result = ThroughputResult {
        p99_max_ms: arguments.p99_max.as_millis(),
        checkpoint_interval_ms: interval.map(|interval| interval.as_millis()),
        rows,
    };
    common.store("throughput", &result)
}

fn search_on(
    arguments: &ThroughputArguments,
    shard_count: usize,
    limits: Limits,
    precision: Precision,
) -> Result<Row, MeasureError> {
    let work = &arguments.work;
    let scratch = Scratch::new(&arguments.common.dir, "throughput")?;
    // The rate is set later.
    let mut options = work.options(1.0, shard_count);
    if let Some(interval) = limits.interval {
        options = options.checkpoints(interval, scratch.folder())?;
    }
    let before = floor_ns(&Hiccups::of_all(FLOOR_TIME));
    let mut session = Session::start(&options, work.flow())?;
    session.warm_up(&options)?;
    let found = highest(&mut session, limits, precision, |trial| note(&trial.line()))?;
    session.stop()?;
    let floor_p999_ns = [before, floor_ns(&Hiccups::of_all(FLOOR_TIME))];
    Ok(Row::new(shard_count, &found, floor_p999_ns))
}

impl Row {
    fn new(cores: usize, found: &Highest, floor_p999_ns: [f64; 2]) -> Self {
        let report = found.report.as_ref();
        Self {
            cores,
            driver: report.map(|report| report.driver.clone()),
            saturated_rate: found.saturated_rate,
            highest_rate: found.rate,
            highest_rate_per_core: found.rate.map(|rate| rate / cores as f64),
            cpu_ns_per_event: report.map(|report| report.cpu_ns_per_event()),
            floor_p999_ns,
            trials: found.trials.clone(),
        }
    }

    fn print(&self, out: &mut impl Write) -> Result<(), MeasureError> {
        let [before, after] = self.floor_p999_ns.map(|floor| floor / 1e3);
        let saturated = format!(
            "without checkpoints {}",
            per_second(self.saturated_rate, "events")
        );
        match (self.highest_rate, self.highest_rate_per_core) {
            (Some(rate), Some(per_core)) => writeln!(
                out,
                "  {} shards: highest sustained rate {} in all, {} per core; {saturated} when all \
                 is due at once; CPU {:.0} ns an event ({} driver)",
                self.cores,
                per_second(rate, "events"),
                per_second(per_core, "events"),
                self.cpu_ns_per_event.unwrap_or(f64::NAN),
                self.driver.as_deref().unwrap_or("unknown"),
            )?,
            _ => writeln!(
                out,
                "  {} shards: no rate is sustained; {saturated} when all is due at once",
                self.cores
            )?,
        }
        writeln!(
            out,
            "  hiccup floor p99.9 {before:.1} us before, {after:.1} us after"
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_shards_has_a_line_and_its_trials() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ThroughputArguments {
            work: WorkArguments::small("20ms"),
            cores: vec![NonZeroUsize::MIN],
            // A slow machine is no reason to fail.
            p99_max: Duration::from_secs(60),
            window: Some(Duration::from_millis(60)),
            common: CommonArguments::in_folder(folder.path()),
        };
        let mut out = Vec::new();
        run(&arguments, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("when all is due at once"), "{text}");
        let rows = arguments.common.stored()["rows"].take();
        let row = &rows.as_array().unwrap()[0];
        assert!(row["saturated_rate"].as_f64().unwrap() > 0.0);
        assert!(!row["trials"].as_array().unwrap().is_empty());
    }
}
