//! `latency --sweep`.

use super::climb::{Climb, LOAD_COUNT, Load, StoredSweep};
use crate::html::of_latency_sweep;
use crate::measure_error::MeasureError;
use crate::open_loop::{Interval, LatencyArguments, Options, Report, around};
use crate::scratch::Scratch;
use crate::text::percentiles::PERCENTILES;
use crate::text::units::{Unit, per_second};
use crate::throughput::Precision;
use std::io::Write;
use std::time::Duration;

/// How long each CPU is looked at before and after a window.
const FLOOR_TIME: Duration = Duration::from_millis(100);

/// Measures latency at parts of the highest sustained rate and prints it.
pub(crate) fn latency(
    arguments: &LatencyArguments,
    out: &mut impl Write,
) -> Result<(), MeasureError> {
    let (work, pace, common) = (&arguments.work, &arguments.pace, &arguments.common);
    let Interval(interval) = work.checkpoint;
    let shard_count = pace.cores.get();
    let scratch = Scratch::new(&common.dir, "latency")?;
    // The rates are set later.
    let mut options = work.options(1.0, shard_count);
    if let Some(interval) = interval {
        options = options.checkpoints(interval, scratch.folder())?;
    }
    let precision = Precision::new(common, None, interval);
    let duration_at = |rate| pace.duration(rate, interval, 1, common);
    let each = options.warm_up + duration_at(f64::MAX) + around(&options);
    let expected = work.filling() + precision.expected(common) + each * LOAD_COUNT;
    common.preamble(expected, out)?;
    writeln!(out, "{}", work.describe(shard_count))?;
    let step = pace.show(&mut options, "latency", expected);
    let mut climb = Climb::start(work, &options, precision, out)?;
    let loads = measure(&mut climb, &options, duration_at)?;
    drop((step, options));
    present(arguments, climb, &loads, out)
}

fn measure(
    climb: &mut Climb,
    options: &Options,
    duration_at: impl Fn(f64) -> Duration,
) -> Result<Vec<Load<Report>>, MeasureError> {
    climb.each(options, duration_at, |session, options| {
        let before = session.floor_beside(FLOOR_TIME, options.warm_up);
        let mut report = session.window(options.duration, options.interval)?;
        report.floor_ns = [before, session.floor_at_rest(FLOOR_TIME)];
        report.compare_with_raw_disk(options)?;
        Ok(report)
    })
}

fn present(
    arguments: &LatencyArguments,
    climb: Climb,
    loads: &[Load<Report>],
    out: &mut impl Write,
) -> Result<(), MeasureError> {
    let (work, common) = (&arguments.work, &arguments.common);
    let shard_count = arguments.pace.cores.get();
    let stored = loads.iter().map(|load| load.stored(Report::stored));
    let stored = StoredSweep::new(&climb, stored.collect());
    climb.stop()?;
    for load in loads {
        writeln!(out, "\nat {} % of it", load.percent)?;
        load.found.print(out)?;
        let name = format!("latency-{}", load.percent);
        load.found.write_histograms(&common.dir, &name)?;
    }
    print_table(loads, out)?;
    let page = of_latency_sweep(loads, &work.describe(shard_count), shard_count);
    common.write_page(&page, out)?;
    common.store("latency", &stored)
}

fn print_table(loads: &[Load<Report>], out: &mut impl Write) -> Result<(), MeasureError> {
    write!(out, "\nload             rate")?;
    for percentile in PERCENTILES {
        write!(out, "  {:>9}", percentile.name)?;
    }
    writeln!(out, "        max")?;
    for load in loads {
        let rate = per_second(load.found.offered_rate, "events");
        write!(out, "{:>3} % {rate:>16}", load.percent)?;
        let all = load.found.latencies.all();
        for percentile in PERCENTILES {
            let value = percentile.of(&all);
            let text = value.map_or_else(|| "-".to_owned(), |value| Unit::Nanoseconds.text(value));
            write!(out, "  {text:>9}")?;
        }
        writeln!(out, "  {:>9}", Unit::Nanoseconds.text(all.max()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::CommonArguments;
    use crate::open_loop::{PaceArguments, WorkArguments};

    #[test]
    fn every_load_has_a_row_its_files_and_its_figures() {
        let folder = tempfile::tempdir().unwrap();
        let mut arguments = LatencyArguments {
            work: WorkArguments::small("off"),
            pace: PaceArguments::slow(),
            common: CommonArguments::in_folder(folder.path()),
        };
        arguments.work.warm_up = Duration::from_millis(20);
        let options = arguments.work.options(1.0, 1);
        let mut climb = Climb::at(&arguments.work, &options, 100_000.0);
        let window = |_| Duration::from_millis(50);
        let loads = measure(&mut climb, &options, window).unwrap();
        let mut out = Vec::new();
        present(&arguments, climb, &loads, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for row in [" 10 %  10.0 k events/s", " 90 %  90.0 k events/s"] {
            assert!(text.contains(row), "{text}");
        }
        let stored = arguments.common.stored();
        assert_eq!(stored["highest_rate"], 100_000.0);
        let load = &stored["loads"][3];
        assert_eq!(
            (&load["load"], &load["offered_rate"]),
            (&0.9.into(), &90_000.0.into())
        );
        assert!(load["histograms"]["latency_ns"]["count"].as_u64().unwrap() > 0);
        for file in ["latency-10.hgrm", "latency-90.hlog", "report.html"] {
            assert!(folder.path().join(file).exists(), "{file}");
        }
    }
}
