//! `overhead --sweep`.

use super::climb::{Climb, LOAD_COUNT, Load, StoredSweep};
use crate::html::of_overhead_sweep;
use crate::measure_error::MeasureError;
use crate::open_loop::{
    INTERVAL_DEFAULT, Interval, Overhead, OverheadArguments, around, check_samples, of_session,
};
use crate::pairs::{PairPlan, Side};
use crate::scratch::Scratch;
use crate::text::units::{Unit, per_second};
use crate::throughput::Precision;
use std::io::Write;

/// Measures what checkpoints cost at parts of the highest sustained rate and prints it.
pub(crate) fn overhead(
    arguments: &OverheadArguments,
    out: &mut impl Write,
) -> Result<(), MeasureError> {
    let (work, pace, common) = (&arguments.work, &arguments.pace, &arguments.common);
    let Interval(interval) = work.checkpoint;
    let interval = interval.unwrap_or(INTERVAL_DEFAULT);
    let plan = PairPlan::new(common.quick);
    let windows = u32::try_from(plan.pair_count).expect("a few");
    let shard_count = pace.cores.get();
    let scratch = Scratch::new(&common.dir, "overhead")?;
    // The rates are set later.
    let mut options = work
        .options(1.0, shard_count)
        .checkpoints(interval, scratch.folder())?;
    let precision = Precision::new(common, None, Some(interval));
    let duration_at = |rate| pace.duration(rate, Some(interval), windows, common);
    let each = options.warm_up + duration_at(f64::MAX) * 2 * windows + around(&options);
    let expected = work.filling() + precision.expected(common) + each * LOAD_COUNT;
    common.preamble(expected, out)?;
    writeln!(out, "{}", work.describe(shard_count))?;
    let step = pace.show(&mut options, "overhead", expected);
    let mut climb = Climb::start(work, &options, precision, out)?;
    let loads = climb.each(&options, duration_at, |session, options| {
        check_samples(options.rate, options.duration)?;
        of_session(session, options, plan)
    })?;
    drop((step, options));
    present(arguments, climb, &loads, out)
}

fn present(
    arguments: &OverheadArguments,
    climb: Climb,
    loads: &[Load<Overhead>],
    out: &mut impl Write,
) -> Result<(), MeasureError> {
    let (work, common) = (&arguments.work, &arguments.common);
    let shard_count = arguments.pace.cores.get();
    let stored = loads.iter().map(|load| load.stored(Overhead::stored));
    let stored = StoredSweep::new(&climb, stored.collect());
    climb.stop()?;
    for load in loads {
        writeln!(out, "\nat {} % of it", load.percent)?;
        load.found.print(out)?;
        for (side, report) in [("on", &load.found.on), ("off", &load.found.off)] {
            let name = format!("overhead-{}-{side}", load.percent);
            report.write_histograms(&common.dir, &name)?;
        }
    }
    print_table(loads, out)?;
    let page = of_overhead_sweep(loads, &work.describe(shard_count), shard_count);
    common.write_page(&page, out)?;
    common.store("overhead", &stored)
}

fn print_table(loads: &[Load<Overhead>], out: &mut impl Write) -> Result<(), MeasureError> {
    writeln!(
        out,
        "\nload             rate   p99.9 on        off  on/off                 CPU on/off"
    )?;
    for load in loads {
        let (latency, cpu) = (load.found.latency.ratio(), load.found.cpu.ratio());
        #[expect(clippy::cast_possible_truncation, reason = "medians of times in ns")]
        let side = |side| Unit::Nanoseconds.text(load.found.latency.side(side).median as u64);
        let spread = format!(
            "{:.2} [{:.2}, {:.2}]",
            latency.median, latency.min, latency.max
        );
        writeln!(
            out,
            "{:>3} % {:>16}  {:>9}  {:>9}  {spread:<21}  {:.2} [{:.2}, {:.2}]",
            load.percent,
            per_second(load.found.on.offered_rate, "events"),
            side(Side::A),
            side(Side::B),
            cpu.median,
            cpu.min,
            cpu.max,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::CommonArguments;
    use crate::compare::CompareArguments;
    use crate::exit::Exit;
    use crate::open_loop::{PaceArguments, WorkArguments};
    use std::time::Duration;

    #[test]
    fn every_load_has_its_ratios_and_can_be_compared() {
        let folder = tempfile::tempdir().unwrap();
        let mut arguments = OverheadArguments {
            work: WorkArguments::small("20ms"),
            pace: PaceArguments::slow(),
            common: CommonArguments::in_folder(folder.path()),
        };
        arguments.work.warm_up = Duration::from_millis(20);
        let scratch = Scratch::new(folder.path(), "job").unwrap();
        let options = arguments.work.options(1.0, 1);
        let interval = Duration::from_millis(20);
        let options = options.checkpoints(interval, scratch.folder()).unwrap();
        let mut climb = Climb::at(&arguments.work, &options, 100_000.0);
        let window = |_| Duration::from_millis(60);
        let measure =
            |session: &mut _, options: &_| of_session(session, options, PairPlan::brief(1));
        let loads = climb.each(&options, window, measure).unwrap();
        let mut out = Vec::new();
        present(&arguments, climb, &loads, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(" 70 %  70.0 k events/s"), "{text}");
        let file = arguments.common.json.clone().unwrap();
        let both = CompareArguments {
            first: file.clone(),
            second: file,
            json: None,
        };
        let mut out = Vec::new();
        assert_eq!(crate::compare::run(&both, &mut out).unwrap(), Exit::Ok);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("p99.9 on/off at 50 %"), "{text}");
    }
}
