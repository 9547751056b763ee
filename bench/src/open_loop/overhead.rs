//! The command `overhead`: latency with checkpoints on and off in turn, in one running job.

use super::latency::{PaceArguments, around, check_samples};
use super::report::Report;
use super::run::{OpenLoop, Options};
use super::session::Session;
use super::stored::StoredReport;
use super::work::{Interval, WorkArguments};
use crate::common::CommonArguments;
use crate::html::of_overhead;
use crate::measure_error::MeasureError;
use crate::pairs::{PairPlan, PairValue, PairedCell};
use crate::probe::steal::MachineTicks;
use crate::result::Spread;
use crate::scratch::Scratch;
use crate::sweep;
use clap::Args;
use frazil::Flow;
use serde::Serialize;
use std::io::Write;
use std::time::Duration;

/// Where `--checkpoint off` leaves nothing to compare.
pub(crate) const INTERVAL_DEFAULT: Duration = Duration::from_secs(1);

/// The options of `overhead`.
#[derive(Clone, Debug, Args)]
pub struct OverheadArguments {
    /// The work.
    #[command(flatten)]
    pub work: WorkArguments,
    /// Its rate and time.
    #[command(flatten)]
    pub pace: PaceArguments,
    /// Shared with other commands.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// A flow at a fixed rate, with checkpoints on and off in turn.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Overhead {
    /// p99.9 latency with checkpoints (a) and without (b), in ns, pair by pair.
    pub latency: PairedCell,
    /// CPU time of shards and helpers for each event with and without, in ns, pair by pair.
    pub cpu: PairedCell,
    /// All windows with checkpoints together.
    pub on: Report,
    /// All windows without.
    pub off: Report,
}

#[derive(Serialize)]
pub(crate) struct StoredOverhead {
    latency_p999_pairs: Vec<PairValue>,
    latency_p999_ratio: Spread,
    cpu_ns_pairs: Vec<PairValue>,
    cpu_ratio: Spread,
    conditions: String,
    on: StoredReport,
    off: StoredReport,
}

/// Runs `flow` at a fixed rate with checkpoints on and off in turn, each for the duration of
/// `options`; see [`run`](super::run()) for an example of a flow.
///
/// # Errors
///
/// The job's; [`MeasureError::NoCheckpoints`] for options without them.
pub fn run_overhead<F>(options: &Options, plan: PairPlan, flow: F) -> Result<Overhead, MeasureError>
where
    F: Fn(&Flow, &OpenLoop) + Send + Sync + 'static,
{
    let mut session = Session::start(options, flow)?;
    session.warm_up(options)?;
    let overhead = of_session(&mut session, options, plan)?;
    session.stop()?;
    Ok(overhead)
}

/// The same in a session at the rate of `options`; afterwards nothing is due in it.
pub(crate) fn of_session(
    session: &mut Session,
    options: &Options,
    plan: PairPlan,
) -> Result<Overhead, MeasureError> {
    let (Some(interval), Some(_)) = (options.interval, &options.storage) else {
        return Err(MeasureError::NoCheckpoints);
    };
    let before = session.floor_beside(plan.floor_time, options.warm_up);
    let ticks = MachineTicks::now();
    let (mut latencies, mut cpu) = (Vec::new(), Vec::new());
    let mut totals: Option<[Report; 2]> = None;
    for _ in 0..plan.pair_count.max(1) {
        let on = session.window(options.duration, Some(interval))?;
        let off = session.window(options.duration, None)?;
        latencies.push(pair(p999_ns(&on), p999_ns(&off)));
        cpu.push(pair(on.cpu_ns_per_event(), off.cpu_ns_per_event()));
        match &mut totals {
            None => totals = Some([on, off]),
            Some([all_on, all_off]) => {
                all_on.add(&on);
                all_off.add(&off);
            }
        }
    }
    let stolen_part = MachineTicks::now().stolen_since(ticks);
    let floor_ns = [before, session.floor_at_rest(plan.floor_time)];
    let cell = |pairs| PairedCell {
        pairs,
        floor_ns,
        stolen_part,
    };
    let [mut on, mut off] = totals.expect("there is at least one pair");
    (on.floor_ns, off.floor_ns) = (floor_ns, floor_ns);
    on.compare_with_raw_disk(options)?;
    Ok(Overhead {
        latency: cell(latencies),
        cpu: cell(cpu),
        on,
        off,
    })
}

fn p999_ns(report: &Report) -> f64 {
    report.latencies.all().value_at_quantile(0.999) as f64
}

fn pair(a: f64, b: f64) -> PairValue {
    PairValue { a, b, ratio: a / b }
}

/// Measures latency with checkpoints on and off in turn, in one running job, and prints the ratios
/// at p99.9 and of CPU time, and the attribution.
///
/// # Errors
///
/// The job's, or what keeps the output from being written; [`MeasureError::TooFewSamples`] for
/// windows that do not carry p99.9.
pub fn overhead(arguments: &OverheadArguments, out: &mut impl Write) -> Result<(), MeasureError> {
    let (work, pace, common) = (&arguments.work, &arguments.pace, &arguments.common);
    if pace.sweep {
        return sweep::overhead(arguments, out);
    }
    let Interval(interval) = work.checkpoint;
    let interval = interval.unwrap_or(INTERVAL_DEFAULT);
    let plan = PairPlan::new(common.quick);
    let scratch = Scratch::new(&common.dir, "overhead")?;
    let mut options = work.options(pace.rate(), pace.cores.get());
    let windows = u32::try_from(plan.pair_count).expect("a few");
    options.duration = pace.duration(options.rate, Some(interval), windows, common);
    check_samples(options.rate, options.duration)?;
    options = options.checkpoints(interval, scratch.folder())?;
    let windows = options.duration * 2 * windows;
    let expected = work.filling() + options.warm_up + windows + around(&options);
    common.preamble(expected, out)?;
    writeln!(
        out,
        "{}; {} pairs of windows of {:.1} s with checkpoints every {} ms and without",
        work.describe(pace.cores.get()),
        plan.pair_count,
        options.duration.as_secs_f64(),
        interval.as_millis(),
    )?;
    let step = pace.show(&mut options, "overhead", expected);
    let overhead = run_overhead(&options, plan, work.flow())?;
    drop((step, options));
    overhead.print(out)?;
    overhead.on.write_histograms(&common.dir, "overhead-on")?;
    overhead.off.write_histograms(&common.dir, "overhead-off")?;
    let shard_count = pace.cores.get();
    let page = of_overhead(&overhead, &work.describe(shard_count), shard_count);
    common.write_page(&page, out)?;
    common.store("overhead", &overhead.stored())
}

impl Overhead {
    /// Prints the ratios and both sides.
    ///
    /// # Errors
    ///
    /// [`MeasureError::Print`].
    pub fn print(&self, out: &mut impl Write) -> Result<(), MeasureError> {
        for pair in &self.latency.pairs {
            writeln!(
                out,
                "  p99.9 with checkpoints {:>9.1} us, without {:>9.1} us: {:.2}",
                pair.a / 1e3,
                pair.b / 1e3,
                pair.ratio
            )?;
        }
        let cells = [("p99.9", &self.latency), ("CPU an event", &self.cpu)];
        for (what, cell) in cells {
            let ratio = cell.ratio();
            writeln!(
                out,
                "{what} with checkpoints / without: {:.2} [{:.2}, {:.2}]",
                ratio.median, ratio.min, ratio.max
            )?;
        }
        writeln!(out, "{}", self.latency.conditions())?;
        writeln!(out, "\nall windows with checkpoints")?;
        self.on.print(out)?;
        writeln!(out, "\nall windows without")?;
        self.off.print(out)
    }

    pub(crate) fn stored(&self) -> StoredOverhead {
        StoredOverhead {
            latency_p999_pairs: self.latency.pairs.clone(),
            latency_p999_ratio: self.latency.ratio(),
            cpu_ns_pairs: self.cpu.pairs.clone(),
            cpu_ratio: self.cpu.ratio(),
            conditions: self.latency.conditions(),
            on: self.on.stored(),
            off: self.off.stored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU64;

    #[test]
    fn overhead_prints_both_ratios_and_stores_both_sides() {
        let folder = tempfile::tempdir().unwrap();
        let mut pace = PaceArguments::slow();
        pace.rate = NonZeroU64::new(100_000).unwrap();
        let mut arguments = OverheadArguments {
            work: WorkArguments::small("100ms"),
            pace,
            common: CommonArguments::in_folder(folder.path()),
        };
        arguments.work.keys = NonZeroU64::new(100).unwrap();
        let scratch = Scratch::new(folder.path(), "job").unwrap();
        let mut options = arguments.work.options(50_000.0, 1);
        options.warm_up = Duration::from_millis(50);
        options.duration = Duration::from_millis(300);
        let interval = Duration::from_millis(100);
        options = options.checkpoints(interval, scratch.folder()).unwrap();
        let plan = PairPlan::brief(2);
        let found = run_overhead(&options, plan, arguments.work.flow()).unwrap();
        assert!(found.on.checkpoints.reports.len() >= 2);
        assert!(found.off.checkpoints.reports.is_empty());
        let mut out = Vec::new();
        found.print(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("CPU an event with"), "{text}");
        let stored = serde_json::to_value(found.stored()).unwrap();
        assert_eq!(stored["latency_p999_pairs"].as_array().unwrap().len(), 2);
        options.interval = None;
        let refused = run_overhead(&options, plan, arguments.work.flow());
        assert!(matches!(refused, Err(MeasureError::NoCheckpoints)));
        arguments.pace.rate = NonZeroU64::new(10).unwrap();
        let refused = overhead(&arguments, &mut Vec::new());
        assert!(matches!(refused, Err(MeasureError::TooFewSamples { .. })));
    }
}
