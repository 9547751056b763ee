//! The command `latency`.

use super::pace::sample_every;
use super::run::{Options, run};
use super::work::{Interval, WorkArguments};
use crate::common::CommonArguments;
use crate::html::of_latency;
use crate::live::watcher;
use crate::measure_error::MeasureError;
use crate::progress::Step;
use crate::scratch::Scratch;
use crate::sweep;
use clap::Args;
use std::io::Write;
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

/// What p99.9 needs.
const SAMPLE_COUNT_MIN: u64 = 100_000;
/// What a cell with checkpoints needs, and one more because the last may end behind it.
const CHECKPOINT_COUNT: u32 = 21;

/// The options of `latency`.
#[derive(Clone, Debug, Args)]
pub struct LatencyArguments {
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

/// How fast events come, on how many shards, and for how long.
#[derive(Clone, Debug, Args)]
pub struct PaceArguments {
    /// Events a second that are due, whatever the engine does
    #[arg(long, value_name = "N", default_value = "50000")]
    pub rate: NonZeroU64,
    /// Instead of one rate: 10, 50, 70 and 90 % of the highest sustained one, which is looked for
    /// first
    #[arg(long, conflicts_with = "rate")]
    pub sweep: bool,
    /// Shards; with all cores taken the helper threads have none of their own
    #[arg(long, value_name = "N", default_value = "1")]
    pub cores: NonZeroUsize,
    /// How long each window is measured [default: what p99.9 and 20 checkpoints need, at least 10,
    /// or 2 with --quick]
    #[arg(long, value_name = "S")]
    pub seconds: Option<NonZeroU64>,
    /// Show rate, latency, load and checkpoints while it runs: on the whole terminal, or as a line
    /// a second where there is none
    #[arg(long)]
    pub live: bool,
}

impl PaceArguments {
    /// Shows how it goes: live, or as a bar.
    pub(crate) fn show(
        &self,
        options: &mut Options,
        title: &str,
        expected: Duration,
    ) -> Option<Step> {
        if self.live {
            options.watcher = Some(watcher(title));
            return None;
        }
        Some(Step::begin("filling, warming up and measuring", expected))
    }

    /// How long each of `window_count` windows is measured at `rate`.
    pub(crate) fn duration(
        &self,
        rate: f64,
        interval: Option<Duration>,
        window_count: u32,
        common: &CommonArguments,
    ) -> Duration {
        if let Some(seconds) = self.seconds {
            return Duration::from_secs(seconds.get());
        }
        let least = Duration::from_secs(common.pick(2, 10));
        let samples =
            Duration::from_secs_f64(1.05 * SAMPLE_COUNT_MIN as f64 / timed_per_second(rate));
        let interval = interval.unwrap_or_default();
        least
            .max(samples)
            .max(interval * CHECKPOINT_COUNT.div_ceil(window_count))
    }

    /// The events a second that are asked for.
    pub(super) fn rate(&self) -> f64 {
        self.rate.get() as f64
    }
}

/// Whether a window of `duration` at `rate` carries p99.9.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast from f64 ends at the largest u64"
)]
pub(crate) fn check_samples(rate: f64, duration: Duration) -> Result<(), MeasureError> {
    let timed = timed_per_second(rate);
    let expected = (timed * duration.as_secs_f64()) as u64;
    if expected >= SAMPLE_COUNT_MIN {
        return Ok(());
    }
    Err(MeasureError::TooFewSamples {
        expected,
        needed: SAMPLE_COUNT_MIN,
        seconds: (SAMPLE_COUNT_MIN as f64 / timed).ceil() as u64,
    })
}

fn timed_per_second(rate: f64) -> f64 {
    rate / sample_every(rate) as f64
}

/// Measures latency at a fixed rate and prints it.
///
/// # Errors
///
/// The job's, or what keeps the output from being written.
pub fn latency(arguments: &LatencyArguments, out: &mut impl Write) -> Result<(), MeasureError> {
    let (work, pace, common) = (&arguments.work, &arguments.pace, &arguments.common);
    if pace.sweep {
        return sweep::latency(arguments, out);
    }
    let Interval(interval) = work.checkpoint;
    let scratch = Scratch::new(&common.dir, "latency")?;
    let mut options = work.options(pace.rate(), pace.cores.get());
    options.duration = pace.duration(pace.rate(), interval, 1, common);
    if let Some(interval) = interval {
        options = options.checkpoints(interval, scratch.folder())?;
    }
    let expected = work.filling() + options.warm_up + options.duration + around(&options);
    common.preamble(expected, out)?;
    writeln!(out, "{}", work.describe(pace.cores.get()))?;
    let step = pace.show(&mut options, "latency", expected);
    let report = run(&options, work.flow())?;
    drop((step, options));
    report.print(out)?;
    report.write_histograms(&common.dir, "latency")?;
    let shard_count = pace.cores.get();
    let page = of_latency(&report, &work.describe(shard_count), shard_count);
    common.write_page(&page, out)?;
    common.store("latency", &report.stored())
}

/// Start, end and the looks at the machine.
pub(crate) fn around(options: &Options) -> Duration {
    Duration::from_millis(if options.storage.is_some() {
        2_000
    } else {
        1_000
    })
}

#[cfg(test)]
impl PaceArguments {
    /// Slow and short.
    pub(crate) fn slow() -> Self {
        Self {
            rate: NonZeroU64::new(20_000).unwrap(),
            sweep: false,
            cores: NonZeroUsize::MIN,
            seconds: NonZeroU64::new(1),
            live: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_is_long_enough_for_p999_and_twenty_checkpoints() {
        let folder = tempfile::tempdir().unwrap();
        let common = CommonArguments::in_folder(folder.path());
        let mut pace = PaceArguments {
            seconds: None,
            ..PaceArguments::slow()
        };
        let seconds = |pace: &PaceArguments, interval_ms, windows| {
            let interval = Some(Duration::from_millis(interval_ms));
            pace.duration(pace.rate(), interval, windows, &common)
                .as_secs_f64()
        };
        assert_eq!(seconds(&pace, 1_000, 1), 21.0);
        assert_eq!(seconds(&pace, 1_000, 3), 7.0);
        assert_eq!(seconds(&pace, 10, 1), 5.25);
        let check = |seconds| check_samples(20_000.0, Duration::from_secs(seconds));
        assert!(check(5).is_ok());
        let error = check(4).unwrap_err().to_string();
        assert!(
            error.contains("80,000") && error.contains("--seconds 5"),
            "{error}"
        );
        pace.rate = NonZeroU64::new(1_000_000).unwrap();
        assert_eq!(seconds(&pace, 10, 1), 2.0);
        // Every 21st of 4 M events a second is timed.
        let few = check_samples(4e6, Duration::from_millis(500)).unwrap_err();
        assert!(few.to_string().contains("about 95,238"), "{few}");
    }

    #[test]
    fn latency_prints_attribution_and_stores_all_files() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = LatencyArguments {
            work: WorkArguments::small("50ms"),
            pace: PaceArguments::slow(),
            common: CommonArguments::in_folder(folder.path()),
        };
        let mut out = Vec::new();
        latency(&arguments, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in ["offered 20.0 k events/s", "steady", "syncing", "freeze"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        for file in ["latency.hgrm", "latency.hlog", "report.html"] {
            let stored = folder.path().join(file).metadata().unwrap();
            assert!(stored.len() > 0, "{file}");
        }
        assert!(!folder.path().join("latency").exists());
        let json = arguments.common.stored();
        assert!(json["checkpoint_count"].as_u64().unwrap() > 0);
        let latencies = &json["histograms"]["latency_ns"];
        assert!(latencies["count"].as_u64().unwrap() > 1_000);
        assert!(
            latencies["percentiles"]["p99.9"].is_null(),
            "too few samples"
        );
    }
}
