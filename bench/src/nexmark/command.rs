//! The command `nexmark`.

use super::event::events;
use super::job::{Measured, Run};
use super::plain;
use super::query::Query;
use crate::common::CommonArguments;
use crate::measure_error::MeasureError;
use crate::pairs::{PairPlan, PairValue, Side};
use crate::probe::cpus::cpus;
use crate::progress::Step;
use crate::result::Spread;
use crate::scratch::Scratch;
use crate::text::units::{Unit, grouped, per_second};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// The options of `nexmark`.
#[derive(Clone, Debug, Args)]
pub struct NexmarkArguments {
    /// Queries, separated by commas [default: all]
    #[arg(long, value_enum, value_name = "NAMES", value_delimiter = ',')]
    pub query: Vec<Query>,
    /// Events that are made before the clock starts, and read again and again
    /// [default: 1000000, or 200000 with --quick]
    #[arg(long, value_name = "N")]
    pub events: Option<NonZeroUsize>,
    /// Shards
    #[arg(long, value_name = "N", default_value = "1")]
    pub cores: NonZeroUsize,
    /// Time between two checkpoints, as 100ms or 1s
    #[arg(
        long,
        value_name = "TIME",
        default_value = "100ms",
        value_parser = humantime::parse_duration
    )]
    pub checkpoint: Duration,
    /// Shared with other commands.
    #[command(flatten)]
    pub common: CommonArguments,
}

#[derive(Serialize)]
struct NexmarkResult {
    event_count: usize,
    cores: usize,
    checkpoint_interval_ms: u128,
    queries: Vec<QueryResult>,
}

#[derive(Serialize)]
struct QueryResult {
    query: &'static str,
    driver: String,
    /// Rows for all events once; equal to those of the plain implementation.
    row_count: u64,
    /// Events a second with checkpoints and without.
    rate_on: Spread,
    rate_off: Spread,
    rate_ratio: Spread,
    rate_pairs: Vec<PairValue>,
    cpu_ns_per_event_off: Spread,
    cpu_ratio: Spread,
    checkpoint_count: usize,
    dropped_checkpoint_count: u64,
    mean_checkpoint_bytes: u64,
    conditions: String,
}

/// Checks each query against a plain implementation, then measures it with and without
/// checkpoints.
///
/// # Errors
///
/// The job's; [`MeasureError::WrongRows`] for a query whose rows are not those of the plain
/// implementation.
pub fn run(arguments: &NexmarkArguments, out: &mut impl Write) -> Result<(), MeasureError> {
    let common = &arguments.common;
    let plan = PairPlan::new(common.quick);
    let window = Duration::from_secs(common.pick(1, 3));
    run_windows(arguments, plan, window, out)
}

fn run_windows(
    arguments: &NexmarkArguments,
    plan: PairPlan,
    window: Duration,
    out: &mut impl Write,
) -> Result<(), MeasureError> {
    let common = &arguments.common;
    let count = arguments
        .events
        .map_or(common.pick(200_000, 1_000_000), NonZeroUsize::get);
    let queries = match &arguments.query[..] {
        [] => Query::value_variants(),
        given => given,
    };
    let making = Duration::from_secs_f64(count as f64 * 2e-6);
    let turns = 2 * u32::try_from(plan.pair_count + 1).expect("a few");
    let each = window * turns + Duration::from_secs(3);
    let query_count = u32::try_from(queries.len()).expect("a few");
    common.preamble(making + each * query_count, out)?;
    let step = Step::begin("making events", making);
    let made = Arc::new(events(count));
    drop(step);
    writeln!(
        out,
        "{} events (1 person, 3 auctions, 46 bids of 50) in memory; layout: {} shards of {} \
         cores; {} pairs of windows of {:.1} s with checkpoints every {} ms and without",
        grouped(count as u64),
        arguments.cores,
        cpus().len(),
        plan.pair_count,
        window.as_secs_f64(),
        arguments.checkpoint.as_millis()
    )?;
    let scratch = Scratch::new(&common.dir, "nexmark")?;
    let mut results = Vec::new();
    for query in queries {
        let run = Run {
            query: *query,
            events: Arc::clone(&made),
            shard_count: arguments.cores.get(),
            interval: arguments.checkpoint,
        };
        let step = Step::begin(&format!("running {}", query.name()), each);
        let row_count = check(&run, &scratch)?;
        let measured = run.at_full_speed(plan, window, &scratch.folder())?;
        drop(step);
        let result = QueryResult::new(*query, row_count, measured);
        result.print(*query, out)?;
        results.push(result);
    }
    let result = NexmarkResult {
        event_count: count,
        cores: arguments.cores.get(),
        checkpoint_interval_ms: arguments.checkpoint.as_millis(),
        queries: results,
    };
    common.store("nexmark", &result)
}

/// Runs the query to its end and compares its rows; gives how many there are.
fn check(run: &Run, scratch: &Scratch) -> Result<u64, MeasureError> {
    let expected = plain::rows(run.query, &run.events);
    let found = run.to_the_end(&scratch.folder())?;
    if found == expected {
        return Ok(found.count);
    }
    Err(MeasureError::WrongRows {
        query: run.query.name(),
        expected: expected.count,
        found: found.count,
    })
}

impl QueryResult {
    fn new(query: Query, row_count: u64, measured: Measured) -> Self {
        let Measured {
            rate,
            cpu,
            checkpoints,
            driver,
        } = measured;
        Self {
            query: query.name(),
            driver,
            row_count,
            rate_on: rate.side(Side::A),
            rate_off: rate.side(Side::B),
            rate_ratio: rate.ratio(),
            cpu_ns_per_event_off: cpu.side(Side::B),
            cpu_ratio: cpu.ratio(),
            checkpoint_count: checkpoints.reports.len(),
            dropped_checkpoint_count: checkpoints.dropped_count,
            mean_checkpoint_bytes: checkpoints.mean_bytes(),
            conditions: rate.conditions(),
            rate_pairs: rate.pairs,
        }
    }

    fn print(&self, query: Query, out: &mut impl Write) -> Result<(), MeasureError> {
        let ratio = self.rate_ratio;
        writeln!(
            out,
            "{:<6} {}; {} rows, equal to the plain implementation's ({} driver)",
            self.query,
            query.describe(),
            grouped(self.row_count),
            self.driver
        )?;
        writeln!(
            out,
            "       {} without checkpoints, {:.0} ns CPU an event; with: {}, on/off {:.3} [{:.3}, \
             {:.3}], CPU {:.3}; {} checkpoints of {}, {} dropped",
            per_second(self.rate_off.median, "events"),
            self.cpu_ns_per_event_off.median,
            per_second(self.rate_on.median, "events"),
            ratio.median,
            ratio.min,
            ratio.max,
            self.cpu_ratio.median,
            self.checkpoint_count,
            Unit::Bytes.text(self.mean_checkpoint_bytes),
            self.dropped_checkpoint_count,
        )?;
        writeln!(out, "       {}", self.conditions)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_is_equal_to_its_plain_implementation_on_one_and_three_shards() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(folder.path(), "nexmark").unwrap();
        let made = Arc::new(events(20_000));
        for query in Query::value_variants() {
            for shard_count in [1, 3] {
                let run = Run {
                    query: *query,
                    events: Arc::clone(&made),
                    shard_count,
                    interval: Duration::from_millis(10),
                };
                assert!(check(&run, &scratch).unwrap() > 0);
            }
        }
    }

    #[test]
    fn each_query_has_its_rates_and_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = NexmarkArguments {
            query: vec![Query::Q2, Query::Count],
            events: NonZeroUsize::new(5_000),
            cores: NonZeroUsize::MIN,
            checkpoint: Duration::from_millis(20),
            common: CommonArguments::in_folder(folder.path()),
        };
        let plan = PairPlan::brief(1);
        let mut out = Vec::new();
        run_windows(&arguments, plan, Duration::from_millis(60), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("equal to the plain implementation"), "{text}");
        let queries = arguments.common.stored()["queries"].take();
        assert_eq!(queries[0]["query"], "q2");
        assert_eq!(queries[1]["row_count"], 4_600);
        assert!(queries[1]["rate_off"]["median"].as_f64().unwrap() > 0.0);
        assert!(queries[1]["checkpoint_count"].as_u64().unwrap() > 0);
    }
}
