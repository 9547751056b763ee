//! The percentile text format `.hgrm`: what `outputPercentileDistribution` of other languages'
//! HdrHistogram writes, and what plotters read.
//!
//! Four columns: value, percentile (a part from 0 to 1), samples up to it, and
//! `1 / (1 - percentile)`, which is left out at the end; then three lines of summary.

use hdrhistogram::Histogram;
use std::fmt::{self, Write};

/// Steps in each half of what is left of the distribution.
const TICKS_PER_HALF: u32 = 5;

/// The text of `histogram`, its values divided by `unit` (1000 shows ns as us).
///
/// ```
/// use frazil_bench::files::hgrm;
///
/// let mut histogram = hdrhistogram::Histogram::<u64>::new(3)?;
/// histogram.record_n(800, 150)?;
/// let text = hgrm::text(&histogram, 1000.0);
/// assert!(text.contains("0.800"));
/// assert!(text.contains("#[Max     =        0.800, Total count    =          150]"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
///
/// Never: a `String` takes all that is written.
#[must_use]
pub fn text(histogram: &Histogram<u64>, unit: f64) -> String {
    let mut text = String::new();
    write_all(&mut text, histogram, unit).expect("a String takes all that is written");
    text
}

fn write_all(out: &mut String, histogram: &Histogram<u64>, unit: f64) -> fmt::Result {
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut count = 0;
    for step in histogram.iter_quantiles(TICKS_PER_HALF) {
        count += step.count_since_last_iteration();
        let value = step.value_iterated_to() as f64 / unit;
        let part = step.quantile_iterated_to();
        write!(out, "{value:>12.3} {part:>2.12} {count:>10}")?;
        if part < 1.0 {
            write!(out, " {:>14.2}", 1.0 / (1.0 - part))?;
        }
        writeln!(out)?;
    }
    write_summary(out, histogram, unit)
}

fn write_summary(out: &mut String, histogram: &Histogram<u64>, unit: f64) -> fmt::Result {
    let (mean, deviation) = (histogram.mean() / unit, histogram.stdev() / unit);
    writeln!(
        out,
        "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]"
    )?;
    let (max, count) = (histogram.max() as f64 / unit, histogram.len());
    writeln!(
        out,
        "#[Max     = {max:>12.3}, Total count    = {count:>12}]"
    )?;
    let buckets = histogram.buckets();
    let sub_buckets = 2_u64 << (u64::BITS - 1 - sub_bucket_bits(histogram));
    writeln!(
        out,
        "#[Buckets = {buckets:>12}, SubBuckets     = {sub_buckets:>12}]"
    )
}

/// Leading zeros of the number of values that are told apart: `2 * 10^digits`, rounded up to a
/// power of two.
fn sub_bucket_bits(histogram: &Histogram<u64>) -> u32 {
    let told_apart = 2 * 10_u64.pow(u32::from(histogram.sigfig()));
    (told_apart.next_power_of_two() >> 1).leading_zeros()
}

/// A row of the format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// In the unit that was chosen when it was written.
    pub value: f64,
    /// From 0 to 1.
    pub percentile: f64,
    /// Samples up to the value.
    pub total_count: u64,
}

/// Reads the rows of a text; `None` if a line is neither a row nor a summary.
#[must_use]
pub fn rows(text: &str) -> Option<Vec<Row>> {
    let lines = text.lines().skip(1);
    let lines = lines.filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut fields = line.split_whitespace();
            Some(Row {
                value: fields.next()?.parse().ok()?,
                percentile: fields.next()?.parse().ok()?,
                total_count: fields.next()?.parse().ok()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex::Regex;

    #[test]
    fn columns_and_summary_are_those_that_tools_expect() {
        let mut histogram = Histogram::new(3).unwrap();
        for value in 1..=1_000 {
            histogram.record(value).unwrap();
        }
        let text = text(&histogram, 1.0);
        let lines: Vec<_> = text.lines().collect();
        let header: Vec<_> = lines[0].split_whitespace().collect();
        assert_eq!(
            header,
            ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
        );
        assert_eq!(lines[1], "");
        assert!(lines[lines.len() - 4].ends_with("1.000000000000       1000"));
        assert!(lines[lines.len() - 3].starts_with("#[Mean    =      500.5"));
        assert!(lines[lines.len() - 1].ends_with("SubBuckets     =         2048]"));
        let middle = rows(&text)
            .unwrap()
            .into_iter()
            .find(|row| row.percentile >= 0.5);
        assert_eq!(middle.unwrap().value, 500.0);
    }

    #[test]
    fn damaged_text_has_no_rows() {
        assert_eq!(rows("Value\n\n  1.0 x 3\n"), None);
    }

    /// The rule of the plotter on the web: lines of four columns, split at blanks, of which the
    /// first and the last are numbers.
    fn web_plotter(text: &str) -> Vec<(f64, f64)> {
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#'));
        let columns = lines.map(|line| line.split(' ').filter(|part| !part.is_empty()));
        let columns = columns.map(Iterator::collect::<Vec<_>>);
        let points = columns
            .filter(|parts| parts.len() == 4)
            .filter_map(|parts| {
                let (value, inverse) = (parts[0].parse().ok()?, parts[3].parse().ok()?);
                Some((inverse, value))
            });
        points.collect()
    }

    /// The rule of the plotters in scripts: four numbers behind blanks, the third a whole one.
    fn script_plotter(text: &str) -> Vec<(f64, f64)> {
        let rule = Regex::new(r"^\s+([0-9.]+)\s+([0-9.]+)\s+([0-9]+)\s+([0-9.]+)\s*$").unwrap();
        let lines = text.lines().filter_map(|line| rule.captures(line));
        let points = lines.map(|columns| {
            let number = |index: usize| columns[index].parse::<f64>().unwrap();
            assert!((0.0..1.0).contains(&number(2)));
            (number(4), number(1))
        });
        points.collect()
    }

    #[test]
    fn plotters_find_every_row_but_the_endless_one() {
        let mut histogram = Histogram::new(3).unwrap();
        for step in 0..100_000_u64 {
            histogram.record(900 + step * step / 1_000).unwrap();
        }
        let text = text(&histogram, 1e3);
        let rows = rows(&text).unwrap();
        let found = web_plotter(&text);
        assert_eq!(found, script_plotter(&text));
        // The last rows stand for all samples and lie infinitely far out.
        let finite: Vec<_> = rows.iter().filter(|row| row.percentile < 1.0).collect();
        assert_eq!(found.len(), finite.len());
        for ((inverse, value), row) in found.iter().zip(finite) {
            assert_eq!(*value, row.value);
            assert!((inverse - 1.0 / (1.0 - row.percentile)).abs() <= 0.005 * inverse + 0.005);
        }
        assert!(found.windows(2).all(|pair| pair[0] <= pair[1]));
    }

    proptest! {
        #[test]
        fn rows_rise_and_end_with_the_largest_value_and_all_samples(
            values in prop::collection::vec(1_u64..1 << 40, 1..300),
        ) {
            let mut histogram = Histogram::new(3).unwrap();
            for value in &values {
                histogram.record(*value).unwrap();
            }
            let rows = rows(&text(&histogram, 1.0)).unwrap();
            prop_assert!(rows.windows(2).all(|pair| pair[0].value <= pair[1].value));
            prop_assert!(rows.windows(2).all(|pair| pair[0].percentile <= pair[1].percentile));
            let last = rows.last().unwrap();
            prop_assert_eq!(last.total_count, values.len() as u64);
            prop_assert_eq!(last.value, histogram.max() as f64);
        }
    }
}
