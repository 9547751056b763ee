//! A histogram as a block of text bars.

use super::buckets::{Bucket, log_buckets};
use super::percentiles::PERCENTILES;
use super::units::{Unit, grouped};
use hdrhistogram::Histogram;
use std::fmt::{self, Write};

const ROW_COUNT_MAX: u32 = 5;
const BAR_WIDTH: usize = 40;

/// The histogram as lines of at most 100 characters: a title with the number of samples, the
/// percentiles that they can carry (`-` for others), and bars on a logarithmic scale.
///
/// ```
/// use frazil_bench::text::{bars::bars, units::Unit};
///
/// let mut histogram = hdrhistogram::Histogram::new(3)?;
/// histogram.record_n(800, 150)?;
/// let text = bars("freeze", &histogram, Unit::Nanoseconds);
/// assert!(text.starts_with("freeze: 150 samples\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn bars(title: &str, histogram: &Histogram<u64>, unit: Unit) -> String {
    let mut text = String::new();
    write_bars(&mut text, title, histogram, unit).expect("a String takes all that is written");
    text
}

fn write_bars(
    out: &mut String,
    title: &str,
    histogram: &Histogram<u64>,
    unit: Unit,
) -> fmt::Result {
    writeln!(out, "{title}: {} samples", grouped(histogram.len()))?;
    if histogram.is_empty() {
        return Ok(());
    }
    write!(out, "  min {}", unit.text(histogram.min()))?;
    for percentile in PERCENTILES {
        let value = percentile
            .of(histogram)
            .map_or_else(|| "-".to_owned(), |v| unit.text(v));
        write!(out, "  {} {value}", percentile.name)?;
    }
    writeln!(out, "  max {}", unit.text(histogram.max()))?;

    let buckets = log_buckets(histogram, ROW_COUNT_MAX);
    let tallest = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(1);
    for bucket in &buckets {
        write_row(out, bucket, tallest, unit)?;
    }
    Ok(())
}

/// Any sample at all gives at least one `#`, so that no outlier is invisible.
fn write_row(out: &mut String, bucket: &Bucket, tallest: u64, unit: Unit) -> fmt::Result {
    let scaled = u128::from(bucket.count) * BAR_WIDTH as u128;
    let length = usize::try_from(scaled.div_ceil(u128::from(tallest)))
        .expect("no bar is longer than BAR_WIDTH");
    writeln!(
        out,
        "  {:>9} .. {:>9} |{:<width$}| {}",
        unit.text(bucket.from),
        unit.text(bucket.to),
        "#".repeat(length),
        grouped(bucket.count),
        width = BAR_WIDTH,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_percentiles_and_bars() {
        let mut histogram = Histogram::new(3).unwrap();
        histogram.record_n(1_000, 99).unwrap();
        histogram.record(1_000_000).unwrap();
        let text = bars("write", &histogram, Unit::Nanoseconds);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "write: 100 samples");
        assert!(lines[1].starts_with("  min 1.00 us  p50 1.00 us  p90 1.00 us  p99 1.00 us"));
        assert!(
            lines[1].contains("p99.9 -  p99.99 -  max 1.00 ms"),
            "{}",
            lines[1]
        );
        assert_eq!(lines.len(), 7);
        assert!(lines[2].contains(&"#".repeat(40)) && lines[2].ends_with("| 99"));
        assert!(lines[3].ends_with("| 0") && !lines[3].contains('#'));
        assert!(lines[6].contains("|# ") && lines[6].ends_with("| 1"));
        assert!(text.is_ascii() && lines.iter().all(|line| line.len() <= 100));
    }

    #[test]
    fn empty_histogram_is_one_line() {
        let histogram = Histogram::new(3).unwrap();
        assert_eq!(bars("sync", &histogram, Unit::Bytes), "sync: 0 samples\n");
    }
}
