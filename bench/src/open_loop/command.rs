//! The commands `latency` and `overhead`.

use super::report::Report;
use super::run::{OpenLoop, Options, Session, run};
use crate::measure_error::MeasureError;
use crate::pairs::{PairPlan, PairValue, PairedCell};
use crate::probe::hiccups::{Hiccups, floor_ns};
use crate::probe::steal::MachineTicks;
use crate::workload::{Distribution, Draw};
use crate::workspace;
use clap::Args;
use frazil::{Flow, ForEach};
use std::io::Write;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

/// The work of `latency` and `overhead`.
#[derive(Clone, Debug, Args)]
pub struct LatencyArguments {
    /// Events a second that are due, whatever the engine does
    #[arg(long, value_name = "N", default_value = "50000")]
    pub rate: NonZeroU64,
    /// Distinct keys
    #[arg(long, value_name = "N", default_value = "1000000")]
    pub keys: NonZeroU64,
    /// How often each key comes: uniform, or zipf:0.99
    #[arg(long, value_name = "DIST", default_value = "uniform")]
    pub dist: Distribution,
    /// Bytes of a value
    #[arg(long, value_name = "N", default_value = "8", value_parser = ["8", "56", "248"])]
    pub value_bytes: String,
    /// Shards; with all cores taken the helper threads have none of their own
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub cores: usize,
    /// Time between two checkpoints as 100ms, or off
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub checkpoint: Interval,
    /// How long is measured
    #[arg(long, value_name = "S", default_value_t = 20)]
    pub seconds: u64,
    /// Work folder for checkpoints; latency.hgrm and latency.hlog go there too
    #[arg(long, value_name = "DIR", default_value_os_t = workspace::default_directory())]
    pub dir: PathBuf,
    /// File for the result
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// The options of `overhead`.
#[derive(Clone, Debug, Args)]
pub struct OverheadArguments {
    /// The work.
    #[command(flatten)]
    pub work: LatencyArguments,
    /// Three pairs and not five
    #[arg(long)]
    pub quick: bool,
}

/// Time between two checkpoints; none for `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(pub Option<Duration>);

impl std::str::FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        match humantime::parse_duration(text) {
            Ok(interval) if !interval.is_zero() => Ok(Self(Some(interval))),
            _ => Err("expected a time as in 100ms or 1s, or off".to_owned()),
        }
    }
}

/// Measures latency at a fixed rate and prints it.
///
/// # Errors
///
/// The job's, or what keeps the output from being written.
pub fn latency(arguments: &LatencyArguments, out: &mut impl Write) -> Result<(), MeasureError> {
    let options = options(arguments)?;
    let expected = options.warm_up + options.duration;
    writeln!(
        out,
        "{}; about {} s",
        describe(arguments),
        expected.as_secs()
    )?;
    let report = run(&options, flow_of(arguments))?;
    report.print(out)?;
    report.write_histograms(&arguments.dir, "latency")?;
    if let Some(path) = &arguments.json {
        report.write_json(path, "latency", &arguments.dir)?;
    }
    Ok(())
}

/// Measures latency with checkpoints on and off in turn, in one running job, and prints the ratio
/// at p99.9 with the attribution of the last window with checkpoints.
///
/// # Errors
///
/// The job's, or what keeps the output from being written.
pub fn overhead(arguments: &OverheadArguments, out: &mut impl Write) -> Result<(), MeasureError> {
    let work = &arguments.work;
    let plan = PairPlan::new(arguments.quick);
    let options = options(work)?;
    let interval = options.interval.unwrap_or(Duration::from_secs(1));
    writeln!(
        out,
        "{}; {} pairs, about {} s",
        describe(work),
        plan.pair_count,
        2 * plan.pair_count as u64 * options.duration.as_secs() + options.warm_up.as_secs()
    )?;
    let before = floor_ns(&Hiccups::of_all(plan.floor_time));
    let ticks = MachineTicks::now();
    let session = Session::start(&options, flow_of(work))?;
    let mut pairs = Vec::new();
    let mut last = None;
    for _ in 0..plan.pair_count {
        let on = session.window(options.duration, Some(interval))?;
        let off = session.window(options.duration, None)?;
        pairs.push(pair(&on, &off));
        last = Some(on);
    }
    session.stop()?;
    let cell = PairedCell {
        pairs,
        stolen_part: MachineTicks::now().stolen_since(ticks),
        floor_ns: [before, floor_ns(&Hiccups::of_all(plan.floor_time))],
    };
    print_overhead(&cell, out)?;
    if let Some(mut report) = last {
        report.floor_ns = cell.floor_ns;
        report.print(out)?;
        report.write_histograms(&work.dir, "overhead")?;
        if let Some(path) = &work.json {
            report.write_json(path, "overhead", &work.dir)?;
        }
    }
    Ok(())
}

fn pair(on: &Report, off: &Report) -> PairValue {
    let [a, b] = [on, off].map(|report| report.latencies.all().value_at_quantile(0.999) as f64);
    PairValue { a, b, ratio: a / b }
}

fn print_overhead(cell: &PairedCell, out: &mut impl Write) -> Result<(), MeasureError> {
    for pair in &cell.pairs {
        writeln!(
            out,
            "  p99.9 with checkpoints {:>9.1} us, without {:>9.1} us: {:.2}",
            pair.a / 1e3,
            pair.b / 1e3,
            pair.ratio
        )?;
    }
    let ratio = cell.ratio();
    writeln!(
        out,
        "p99.9 with checkpoints / without: {:.2} [{:.2}, {:.2}]; {}",
        ratio.median,
        ratio.min,
        ratio.max,
        cell.conditions()
    )?;
    Ok(())
}

fn options(arguments: &LatencyArguments) -> Result<Options, MeasureError> {
    let value_bytes: u64 = arguments.value_bytes.parse().expect("one of three numbers");
    let mut options = Options::new(arguments.rate.get() as f64);
    options.duration = Duration::from_secs(arguments.seconds.max(1));
    options.shard_count = arguments.cores;
    options.state_bytes_per_shard = (4 * arguments.keys.get() * (value_bytes + 8)).max(256 << 20);
    let Interval(Some(interval)) = arguments.checkpoint else {
        return Ok(options);
    };
    let directory = arguments.dir.join("open-loop");
    if directory.exists() {
        std::fs::remove_dir_all(&directory).map_err(MeasureError::file("empty", &directory))?;
    }
    options.checkpoints(interval, directory)
}

fn describe(arguments: &LatencyArguments) -> String {
    format!(
        "{} keys, {:?}, {}-byte values, {} events/s due, layout: {} shards of {} cores",
        arguments.keys,
        arguments.dist,
        arguments.value_bytes,
        arguments.rate,
        arguments.cores,
        crate::probe::cpus::cpus().len()
    )
}

fn flow_of(arguments: &LatencyArguments) -> impl Fn(&Flow, &OpenLoop) + Send + Sync + 'static {
    let draw = Draw::new(arguments.keys.get(), arguments.dist);
    let value_bytes = arguments.value_bytes.clone();
    move |flow, open_loop| match &value_bytes[..] {
        "56" => last_due::<7>(flow, open_loop, draw),
        "248" => last_due::<31>(flow, open_loop, draw),
        _ => last_due::<1>(flow, open_loop, draw),
    }
}

/// Keeps the due time of each key's last event, in the first of `WORDS` words.
fn last_due<const WORDS: usize>(flow: &Flow, open_loop: &OpenLoop, draw: Draw)
where
    [u64; WORDS]: frazil::Value,
{
    let completed = open_loop.completed();
    flow.source(open_loop.source(move |index| draw.at(index)))
        .key_by(|(_due_ns, key)| key)
        .aggregate("last", [0; WORDS], |last, (due_ns, _key)| last[0] = *due_ns)
        .sink(ForEach::new(move |(_key, last): (&u64, &[u64; WORDS])| {
            completed(last[0])
        }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(directory: &std::path::Path) -> LatencyArguments {
        LatencyArguments {
            rate: NonZeroU64::new(20_000).unwrap(),
            keys: NonZeroU64::new(1_000).unwrap(),
            dist: Distribution::Zipf(0.9),
            value_bytes: "56".to_owned(),
            cores: 1,
            checkpoint: "50ms".parse().unwrap(),
            seconds: 1,
            dir: directory.to_path_buf(),
            json: Some(directory.join("latency.json")),
        }
    }

    #[test]
    fn checkpoint_is_a_time_or_off() {
        assert_eq!("off".parse(), Ok(Interval(None)));
        assert_eq!("1s".parse(), Ok(Interval(Some(Duration::from_secs(1)))));
        assert!("0s".parse::<Interval>().is_err() && "soon".parse::<Interval>().is_err());
    }

    #[test]
    fn latency_prints_attribution_and_stores_all_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut out = Vec::new();
        latency(&arguments(folder.path()), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in [
            "offered 20.0 k events/s",
            "steady",
            "syncing",
            "phase-freeze",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        for file in ["latency.json", "latency.hgrm", "latency.hlog"] {
            assert!(
                folder.path().join(file).metadata().unwrap().len() > 0,
                "{file}"
            );
        }
        let json = std::fs::read(folder.path().join("latency.json")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert!(json["checkpoint_count"].as_u64().unwrap() > 0);
        assert!(json["histograms"]["latency_ns"]["count"].as_u64().unwrap() > 1_000);
    }
}
