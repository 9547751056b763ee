//! The measurement for people.

use super::measure::Measurement;
use crate::costs::View;
use crate::result::{Pair, Spread};
use crate::text::bars::bars;
use crate::text::percentiles::row;
use crate::text::units::{duration, grouped, per_second};
use std::io::{self, Write};

/// Pairs whose ratios differ by more than this say little.
const NOISY_FACTOR: f64 = 1.25;

/// Writes the throughput ratio, the bars, and the latency by what was going on.
///
/// # Errors
///
/// What `out` says.
pub fn write_report(measurement: &Measurement, out: &mut impl Write) -> io::Result<()> {
    let result = &measurement.result;
    let median = |of: fn(&Pair) -> f64| {
        let spread = Spread::of(result.pairs.iter().map(of).collect());
        per_second(spread.map_or(0.0, |spread| spread.median), "records")
    };
    writeln!(
        out,
        "  checkpoints off {}, on {} (medians)",
        median(|pair| pair.off),
        median(|pair| pair.on),
    )?;
    writeln!(
        out,
        "  throughput on/off: {:.3} (median of {} pairs, {:.3} to {:.3})",
        result.ratio.median,
        result.pairs.len(),
        result.ratio.min,
        result.ratio.max,
    )?;
    if result.ratio.max > result.ratio.min * NOISY_FACTOR {
        writeln!(
            out,
            "  the pairs differ much: measure again when no other program uses the cores",
        )?;
    }
    let count = measurement.checkpoint_count;
    let interval = measurement.measured / u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    writeln!(
        out,
        "  {} checkpoints completed, one every {}\n",
        grouped(count),
        duration(interval),
    )?;
    let histograms = || measurement.costs.with_costs();
    for (cost, histogram) in histograms().filter(|(cost, _)| cost.view == View::Bars) {
        write!(out, "{}", bars(cost.title, histogram, cost.unit))?;
    }
    writeln!(
        out,
        "latency of rows at full load, from reading their record to the sink"
    )?;
    for (cost, histogram) in histograms().filter(|(cost, _)| cost.view == View::Row) {
        writeln!(out, "{}", row(cost.title, histogram, cost.unit))?;
    }
    Ok(())
}
